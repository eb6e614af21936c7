"""STATE: what is acknowledged is there, what is there and covered is acknowledged."""

from __future__ import annotations

from typing import Any

from singer_kit.testing.acceptance.messages import INTEGER, TEXT, record, schema, state
from singer_kit.testing.acceptance.scenario import dead, loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.values import Raw

ORDERS = schema("orders", {"id": INTEGER, "v": TEXT})
KEYLESS = schema("orders", {"id": INTEGER, "v": TEXT}, keys=())


def row(number: int) -> dict[str, Any]:
    return record("orders", {"id": number, "v": f"v{number}"})


def rows(last: int, **more: Any) -> Any:
    return table("orders", *({"id": number, "v": f"v{number}"} for number in range(1, last + 1)), **more)


def batch(first: int, last: int) -> list[dict[str, Any]]:
    return [*map(row, range(first, last + 1)), state({"id": last})]


SCENARIOS = (
    scenario(
        "a STATE with fractions",
        "Numbers of a bookmark are printed with all their digits.",
        run(
            ORDERS,
            row(1),
            state(Raw('{"a": 1.10, "b": [0.30000000000000004, 1e400], "c": 12345678901234567890.123456789}')),
            endings=loaded(rows(1)),
        ),
    ),
    scenario(
        "a STATE with large integers and odd text",
        "Nothing in a bookmark is changed.",
        run(
            ORDERS,
            row(1),
            state(Raw('{"n": 123456789012345678901234567890, "é😀": "\\u00e9\\ud83d\\ude00", "e": {}, "z": null}')),
            endings=loaded(rows(1)),
        ),
    ),
    scenario(
        "the SDK's form of a bookmark",
        "The commonest form.",
        run(
            ORDERS,
            row(1),
            state(
                {
                    "bookmarks": {
                        "orders": {"replication_key": "v", "replication_key_value": "2024-01-01T00:00:00+00:00"}
                    }
                }
            ),
            endings=loaded(rows(1)),
        ),
    ),
    scenario(
        "a STATE only once its rows are committed",
        "Whenever a STATE is printed, another session finds the rows it covers.",
        run(
            ORDERS,
            *(line for first in range(1, 100, 10) for line in batch(first, first + 9)),
            covers="orders",
            endings=loaded(rows(100)),
        ),
        batch_size_rows=10,
    ),
    scenario(
        "a STATE covers every stream before it",
        "It is not printed while rows of a second, slower stream wait.",
        run(
            schema("slow", {"id": INTEGER}),
            ORDERS,
            *(
                line
                for first in range(1, 60, 10)
                for line in (
                    record("slow", {"id": first // 10 + 1}),
                    *map(row, range(first, first + 10)),
                    state({"id": first // 10 + 1}),
                )
            ),
            covers="slow",
            endings=loaded(rows(60), table("slow", *({"id": number} for number in range(1, 7)))),
        ),
        batch_size_rows=10,
    ),
    scenario(
        "the last STATE of many",
        "It is always printed, and nothing that was not sent.",
        run(
            ORDERS,
            *(line for number in range(1, 31) for line in (row(number), state({"id": number}))),
            endings=loaded(rows(30)),
        ),
    ),
    scenario(
        "rows after the last STATE",
        "At a clean end they load too.",
        run(ORDERS, row(1), state({"id": 1}), row(2), endings=loaded(rows(2))),
    ),
    scenario(
        "a tap that never sends STATE", "It loads all the same.", run(KEYLESS, row(1), row(2), endings=loaded(rows(2)))
    ),
    scenario(
        "two STATEs without rows between them",
        "The latter is printed.",
        run(ORDERS, row(1), state({"id": 1}), state({"id": 1, "done": True}), endings=loaded(rows(1))),
    ),
    scenario(
        "a STATE that is no object",
        "Some taps send a text or a number.",
        run(ORDERS, row(1), state("2024-01-01"), endings=loaded(rows(1))),
    ),
    scenario(
        "a broken line, with keys",
        "The rows that the last STATE covers are there, and it is printed; the run fails with the line.",
        run(
            ORDERS,
            row(1),
            row(2),
            state({"id": 2}),
            row(3),
            "Traceback: the tap died",
            endings=refused("line 6", tables=(rows(2, others=True),), state={"id": 2}),
        ),
    ),
    scenario(
        "a broken line, without keys",
        "The same, and rows that the next run will send again are not there yet.",
        run(
            KEYLESS,
            row(1),
            row(2),
            state({"id": 2}),
            row(3),
            "Traceback: the tap died",
            endings=refused("line 6", tables=(rows(2),), state={"id": 2}),
        ),
    ),
    scenario(
        "a broken line, and the next run",
        "Started again from the bookmark, a table without keys holds each row once.",
        run(
            KEYLESS,
            row(1),
            state({"id": 1}),
            row(2),
            "Traceback: the tap died",
            endings=refused("line 5", state={"id": 1}),
        ),
        run(KEYLESS, row(2), row(3), state({"id": 3}), endings=loaded(rows(3))),
    ),
    scenario(
        "a record that is refused",
        "Rows that an earlier STATE covers are there, and it is printed.",
        run(
            ORDERS,
            row(1),
            state({"id": 1}),
            record("orders", {"id": "many", "v": "x"}),
            state({"id": 2}),
            endings=refused("orders", "line 4", tables=(rows(1),), state={"id": 1}),
        ),
    ),
    scenario(
        "kill -9 with input still open",
        "What was acknowledged is there, and what is there came whole; the next run completes it.",
        run(
            ORDERS,
            *(line for first in range(1, 100, 10) for line in batch(first, first + 9)),
            covers="orders",
            hold_seconds=1.0,
            kill=True,
            endings=dead(table("orders", others=True)),
        ),
        run(
            ORDERS,
            *(line for first in range(1, 100, 10) for line in batch(first, first + 9)),
            endings=loaded(rows(100)),
        ),
        batch_size_rows=10,
    ),
)
