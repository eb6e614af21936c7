"""Rows leave a table only where the source says so, and only when it is certain that it said all."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.messages import DATE_TIME, INTEGER, TEXT, activate, record, schema, state
from singer_kit.testing.acceptance.scenario import dead as killed
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.values import Present

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_kit.testing.acceptance.scenario import Run, Table

ORDERS = schema("orders", {"id": INTEGER, "v": TEXT})
KEYLESS = schema("orders", {"id": INTEGER, "v": TEXT}, keys=())
HOLD_SECONDS = 1.5


def row(number: int, version: int | None = None, v: str = "a") -> dict[str, Any]:
    return record("orders", {"id": number, "v": v}, **({} if version is None else {"version": version}))


def rows(*numbers: int, dead: Iterable[int] = (), others: bool = False) -> Table:
    """The ids that are there, and those of them that are marked as deleted."""
    marked = set(dead)
    return table(
        "orders",
        *({"id": number, "_sdc_deleted_at": Present() if number in marked else None} for number in numbers),
        others=others,
    )


# A first load of version 1, as the SDK's taps send it: the version at the start and at the end.
FIRST: Run = run(
    ORDERS, activate("orders", 1), row(1, 1), row(2, 1), row(3, 1), activate("orders", 1), state({"run": 1})
)
OLD = rows(1, 2, 3)

SCENARIOS = (
    scenario(
        "a new version, soft",
        "Rows that the new version does not hold are marked in _sdc_deleted_at.",
        FIRST,
        run(
            ORDERS,
            activate("orders", 2),
            row(2, 2),
            row(4, 2),
            activate("orders", 2),
            endings=loaded(rows(1, 2, 3, 4, dead=(1, 3))),
        ),
    ),
    scenario(
        "a new version, hard",
        "With hard_delete they are gone.",
        FIRST,
        run(ORDERS, activate("orders", 2), row(2, 2), row(4, 2), activate("orders", 2), endings=loaded(rows(2, 4))),
        hard_delete=True,
    ),
    scenario(
        "a version at the end only, soft",
        "Activation after the last record is enough.",
        FIRST,
        run(ORDERS, row(2, 2), activate("orders", 2), endings=loaded(rows(1, 2, 3, dead=(1, 3)))),
    ),
    scenario(
        "a version at the end only, hard",
        "The same with hard_delete.",
        FIRST,
        run(ORDERS, row(2, 2), activate("orders", 2), endings=loaded(rows(2))),
        hard_delete=True,
    ),
    scenario(
        "a version at the start only",
        "Nothing proves that the stream was complete: earlier rows may stay, or go at the end of input.",
        FIRST,
        run(
            ORDERS, activate("orders", 2), row(2, 2), row(4, 2), endings=(loaded(rows(2, 4)), loaded(rows(1, 2, 3, 4)))
        ),
        hard_delete=True,
    ),
    scenario(
        "a version before the SCHEMA",
        "The order of the two messages is free.",
        FIRST,
        run(activate("orders", 2), ORDERS, row(2, 2), activate("orders", 2), endings=loaded(rows(2))),
        hard_delete=True,
    ),
    scenario(
        "a version for a table that does not exist yet",
        "Activation in the very first run does no harm.",
        run(ORDERS, activate("orders", 1), row(1, 1), activate("orders", 1), endings=loaded(rows(1))),
        hard_delete=True,
    ),
    scenario(
        "a version without any record",
        "A source that is empty now empties the table.",
        FIRST,
        run(ORDERS, activate("orders", 2), activate("orders", 2), endings=loaded(rows())),
        hard_delete=True,
    ),
    scenario(
        "versions without keys",
        "Append tables follow versions too.",
        run(KEYLESS, row(1, 1), row(2, 1), activate("orders", 1)),
        run(KEYLESS, row(2, 2), row(3, 2), activate("orders", 2), endings=loaded(rows(2, 3))),
        hard_delete=True,
    ),
    scenario(
        "a version that does not change",
        "A tap that continues under the same version deletes nothing.",
        FIRST,
        run(ORDERS, activate("orders", 1), row(4, 1), activate("orders", 1), endings=loaded(rows(1, 2, 3, 4))),
        hard_delete=True,
    ),
    scenario(
        "a version of another stream",
        "Only the stream that is named loses rows.",
        FIRST,
        run(
            ORDERS,
            schema("lines", {"id": INTEGER}),
            record("lines", {"id": 1}, version=9),
            activate("lines", 9),
            endings=loaded(OLD, table("lines", {"id": 1})),
        ),
        hard_delete=True,
    ),
    scenario(
        "activate_version off",
        "Then versions are ignored.",
        FIRST,
        run(
            ORDERS,
            row(4, 2),
            activate("orders", 2),
            endings=loaded(table("orders", *({"id": n} for n in (1, 2, 3, 4)))),
        ),
        activate_version=False,
        hard_delete=True,
    ),
    scenario(
        "a row that returns",
        "A row marked as deleted is alive again when the source sends it again.",
        FIRST,
        run(ORDERS, row(2, 2), activate("orders", 2), endings=loaded(rows(1, 2, 3, dead=(1, 3)))),
        run(ORDERS, row(1, 3), row(2, 3), activate("orders", 3), endings=loaded(rows(1, 2, 3, dead=(3,)))),
    ),
    scenario(
        "a refresh that dies half-way",
        "A broken line after two of three records: every row of the version before is there, unmarked.",
        FIRST,
        run(
            ORDERS,
            activate("orders", 2),
            row(1, 2),
            row(2, 2),
            "Traceback: the tap died",
            endings=refused("line 5", tables=(OLD,)),
        ),
        hard_delete=True,
    ),
    scenario(
        "a refresh that dies half-way, soft",
        "The same without hard_delete: nothing is marked.",
        FIRST,
        run(
            ORDERS,
            activate("orders", 2),
            row(1, 2),
            "Traceback: the tap died",
            endings=refused("line 4", tables=(OLD,)),
        ),
    ),
    scenario(
        "a refresh that is killed",
        "kill -9 while rows of the new version come: every row of the version before is there.",
        FIRST,
        run(
            ORDERS,
            activate("orders", 2),
            row(1, 2),
            state({"run": 2}),
            hold_seconds=HOLD_SECONDS,
            kill=True,
            endings=killed(rows(1, 2, 3, others=True)),
        ),
        hard_delete=True,
    ),
    scenario(
        "a reader during a refresh",
        "While rows of a new version come, readers still see every row of the one before.",
        FIRST,
        run(
            ORDERS,
            activate("orders", 2),
            row(4, 2),
            state({"run": 2}),
            hold_seconds=HOLD_SECONDS,
            meanwhile=(rows(1, 2, 3, others=True),),
        ),
        hard_delete=True,
    ),
    scenario(
        "_sdc_deleted_at from a log-based tap",
        "The time a tap sends is stored; other rows stay alive.",
        run(
            schema("orders", {"id": INTEGER, "v": TEXT, "_sdc_deleted_at": DATE_TIME}),
            record("orders", {"id": 1, "v": "a"}),
            record("orders", {"id": 2, "v": "b"}),
            record("orders", {"id": 1, "v": "a", "_sdc_deleted_at": "2024-05-01T10:00:00+02:00"}),
            endings=loaded(
                table(
                    "orders",
                    {"id": 1, "v": "a", "_sdc_deleted_at": dt.datetime(2024, 5, 1, 8, tzinfo=dt.timezone.utc)},
                    {"id": 2, "v": "b", "_sdc_deleted_at": None},
                )
            ),
        ),
    ),
    scenario(
        "time_extracted",
        "With record metadata, _sdc_extracted_at is what the RECORD says.",
        run(
            ORDERS,
            record("orders", {"id": 1, "v": "a"}, time_extracted="2024-05-01T10:00:00.5Z"),
            endings=loaded(
                table(
                    "orders", {"id": 1, "_sdc_extracted_at": dt.datetime(2024, 5, 1, 10, 0, 0, 500000, dt.timezone.utc)}
                )
            ),
        ),
        add_record_metadata=True,
    ),
    # How rows meet those that are there
    scenario(
        "upsert, asked for",
        "load_method upsert replaces rows of the same key.",
        run(ORDERS, row(1, v="a"), row(2, v="b")),
        run(ORDERS, row(2, v="B"), endings=loaded(table("orders", {"id": 1, "v": "a"}, {"id": 2, "v": "B"}))),
        load_method="upsert",
    ),
    scenario(
        "append-only with keys",
        "load_method append-only keeps every version of a row.",
        run(ORDERS, row(1, v="a")),
        run(
            ORDERS,
            row(1, v="b"),
            row(1, v="c"),
            endings=loaded(table("orders", {"id": 1, "v": "a"}, {"id": 1, "v": "b"}, {"id": 1, "v": "c"}, key=())),
        ),
        load_method="append-only",
    ),
    scenario(
        "overwrite",
        "load_method overwrite leaves the rows of the last run alone.",
        run(ORDERS, row(1), row(2)),
        run(
            ORDERS,
            row(2, v="B"),
            row(3),
            row(3, v="C"),
            endings=loaded(table("orders", {"id": 2, "v": "B"}, {"id": 3, "v": "C"})),
        ),
        load_method="overwrite",
    ),
    scenario(
        "overwrite without keys",
        "The same for a stream without a key.",
        run(KEYLESS, row(1), row(2)),
        run(KEYLESS, row(3), row(3), endings=loaded(table("orders", {"id": 3}, {"id": 3}, key=()))),
        load_method="overwrite",
    ),
    scenario(
        "overwrite that fails",
        "The rows before are there, though some new ones came.",
        run(ORDERS, row(1), row(2)),
        run(
            ORDERS,
            row(3),
            "Traceback: the tap died",
            endings=refused("line 3", tables=(table("orders", {"id": 1}, {"id": 2}),)),
        ),
        load_method="overwrite",
    ),
    scenario(
        "a reader during overwrite",
        "Until the run ends, readers see the rows before.",
        run(ORDERS, row(1), row(2)),
        run(
            ORDERS,
            row(3),
            hold_seconds=HOLD_SECONDS,
            meanwhile=(table("orders", {"id": 1}, {"id": 2}),),
            endings=loaded(table("orders", {"id": 3})),
        ),
        load_method="overwrite",
    ),
)
