"""Batches: by rows, across streams, and as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.messages import INTEGER, TEXT, BatchMessage, record, schema, state
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table

if TYPE_CHECKING:
    from singer_kit.testing.acceptance.scenario import Table

ORDERS = schema("orders", {"id": INTEGER, "v": TEXT})
COUNT = 2500


def row(number: int, v: str | None = None) -> dict[str, Any]:
    return {"id": number, "v": v or f"v{number}"}


def rows(last: int) -> Table:
    return table("orders", *map(row, range(1, last + 1)))


FILE = tuple(map(row, range(1, 6)))

SCENARIOS = (
    scenario(
        "many small batches",
        "Rows do not depend on how they are grouped.",
        run(
            ORDERS,
            *(record("orders", row(number)) for number in range(1, 51)),
            state({"id": 50}),
            endings=loaded(rows(50)),
        ),
        batch_size_rows=3,
    ),
    scenario(
        "a key that comes again in a later batch",
        "The later one wins.",
        run(
            ORDERS,
            *(record("orders", row(number % 5 + 1, f"{number}")) for number in range(50)),
            endings=loaded(table("orders", *(row(number % 5 + 1, f"{number}") for number in range(45, 50)))),
        ),
        batch_size_rows=7,
    ),
    scenario(
        "one batch of thousands",
        "The default batch holds them all.",
        run(
            ORDERS,
            *(record("orders", row(number)) for number in range(1, COUNT + 1)),
            state({"id": COUNT}),
            endings=loaded(rows(COUNT)),
        ),
    ),
    scenario(
        "two streams in small batches",
        "Each stream gets its own rows.",
        run(
            ORDERS,
            schema("lines", {"id": INTEGER, "v": TEXT}),
            *(
                record(stream, row(number, f"{stream} {number}"))
                for number in range(1, 21)
                for stream in ("orders", "lines")
            ),
            endings=loaded(
                *(
                    table(stream, *(row(number, f"{stream} {number}") for number in range(1, 21)))
                    for stream in ("orders", "lines")
                )
            ),
        ),
        batch_size_rows=4,
    ),
    scenario(
        "BATCH, plain",
        "Rows of JSON-lines files load like records.",
        run(ORDERS, BatchMessage("orders", (FILE,)), state({"id": 5}), endings=loaded(rows(5))),
    ),
    scenario(
        "BATCH, gzip",
        "The same, compressed.",
        run(ORDERS, BatchMessage("orders", (FILE,), compression="gzip"), state({"id": 5}), endings=loaded(rows(5))),
    ),
    scenario(
        "BATCH of two files",
        "Every file of a manifest is read.",
        run(ORDERS, BatchMessage("orders", (FILE[:2], FILE[2:]), compression="gzip"), endings=loaded(rows(5))),
    ),
    scenario(
        "records before and after a BATCH",
        "The order of messages is the order of rows: the last of a key wins.",
        run(
            ORDERS,
            record("orders", row(1, "before")),
            record("orders", row(6)),
            BatchMessage("orders", (FILE,)),
            record("orders", row(2, "after")),
            endings=loaded(table("orders", row(1), row(2, "after"), *map(row, range(3, 7)))),
        ),
    ),
    scenario(
        "a BATCH file that is not there",
        "Refused, naming the file.",
        run(
            ORDERS,
            BatchMessage("orders", (FILE,), missing=True),
            state({"id": 5}),
            endings=refused("orders", "orders-0.jsonl", tables=(table("orders"),), state=None),
        ),
    ),
    scenario(
        "a BATCH file that was cut off",
        "Refused, naming the file; its rows are not acknowledged.",
        run(
            ORDERS,
            BatchMessage("orders", (FILE,), compression="gzip", cut=10),
            state({"id": 5}),
            endings=refused("orders", "orders-0.jsonl", state=None),
        ),
    ),
    scenario(
        "a broken line in a BATCH file",
        "Refused, naming the file and its line.",
        run(
            ORDERS,
            BatchMessage("orders", ((FILE[0], "broken"),)),
            state({"id": 5}),
            endings=refused("orders", "orders-0.jsonl", "line 2", state=None),
        ),
    ),
)
