"""A SCHEMA changes: columns are added and widened without losing a digit, never dropped or narrowed."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.messages import (
    BOOLEAN,
    DATE,
    DATE_TIME,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    nullable,
    record,
    schema,
)
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.values import Either, Raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_kit.testing.acceptance.scenario import Scenario

VIEWS = frozenset({"views"})
MIDNIGHT = dt.datetime(2024, 1, 2, tzinfo=dt.timezone.utc)
NOON = dt.datetime(2024, 1, 2, 12, 30, tzinfo=dt.timezone.utc)


def shaped(v: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return schema("orders", {"id": INTEGER, "v": v, **more})


def row(number: int, v: Any, **more: Any) -> dict[str, Any]:
    return record("orders", {"id": number, "v": v, **more})


def widening(
    name: str, before: Mapping[str, Any], old: Any, kept: Any, after: Mapping[str, Any], new: Any, expected: Any = None
) -> Scenario:
    """A property's type changes between two runs; both values are there afterwards."""
    rows = {"id": 1, "v": kept}, {"id": 2, "v": new if expected is None else expected}
    return scenario(
        name,
        "The column takes the new type's values, and the old ones stay what they were.",
        run(shaped(before), row(1, old), endings=loaded(table("orders", {"id": 1, "v": kept}))),
        run(shaped(after), row(2, new), endings=loaded(table("orders", *rows))),
    )


SCENARIOS = (
    widening("integer to number", INTEGER, 7, 7, NUMBER, Decimal("1.5")),
    widening("64 bits to more", INTEGER, 7, 7, nullable("integer", minimum=0, maximum=10**30), 10**29),
    widening(
        "32 bits to 64",
        nullable("integer", **{"x-sql-datatype": "integer"}),
        7,
        7,
        INTEGER,
        2**40,
    ),
    widening(
        "a few decimals to any",
        nullable("number", **{"x-sql-datatype": "numeric(10,2)"}),
        Decimal("7.25"),
        Decimal("7.25"),
        NUMBER,
        Decimal("1.123456789"),
    ),
    widening(
        "double precision to decimal",
        nullable("number", **{"x-sql-datatype": "double precision"}),
        Decimal("0.1"),
        Decimal("0.1"),
        NUMBER,
        Decimal("1.12345678901234567890123"),
    ),
    widening(
        "short text to any",
        nullable("string", **{"x-sql-datatype": "varchar(3)"}),
        "abc",
        "abc",
        TEXT,
        "abcd",
    ),
    widening(
        "timestamp to timestamp with zone",
        nullable("string", format="date-time", **{"x-sql-datatype": "timestamp"}),
        "2024-01-02T13:30:00+01:00",
        NOON,
        DATE_TIME,
        "2024-01-02T12:30:00Z",
        NOON,
    ),
    widening("integer to text", INTEGER, 7, Either(7, "7"), TEXT, "x"),
    widening(
        "number to text",
        NUMBER,
        Decimal("7.250000000000000000001"),
        Either(Decimal("7.250000000000000000001"), "7.250000000000000000001"),
        TEXT,
        "x",
    ),
    widening("boolean to text", BOOLEAN, True, Either(True, "true"), TEXT, "x"),
    scenario(
        "date to date-time",
        "The column takes times of day; days that were there are midnight UTC.",
        run(shaped(DATE), row(1, "2024-01-02")),
        run(
            shaped(DATE_TIME),
            row(2, "2024-01-02T12:30:00Z"),
            endings=loaded(table("orders", {"id": 1, "v": MIDNIGHT}, {"id": 2, "v": NOON})),
        ),
    ),
    scenario(
        "date-time to text",
        "Instants stay readable as text.",
        run(shaped(DATE_TIME), row(1, "2024-01-02T12:30:00Z")),
        run(
            shaped(TEXT),
            row(2, "soon"),
            endings=(
                loaded(table("orders", {"id": 2, "v": "soon"}, others=True)),
                refused("orders", "v", tables=(table("orders", {"id": 1, "v": NOON}),)),
            ),
        ),
    ),
    widening("text to object", TEXT, "a", "a", OBJECT, {"b": 1}),
    widening("integer to object", INTEGER, 7, Either(7, "7"), OBJECT, {"b": 1}),
    widening("object to array", OBJECT, {"b": 1}, {"b": 1}, nullable("array"), [1, 2]),
    widening("array to text", nullable("array", items={"type": "string"}), ["a"], ["a"], TEXT, "x"),
    widening("number back to integer", NUMBER, Decimal("1.5"), Decimal("1.5"), INTEGER, 7),
    widening("text back to integer", TEXT, "x", "x", INTEGER, 7, Either("7", 7)),
    widening("date-time back to date", DATE_TIME, "2024-01-02T12:30:00Z", NOON, DATE, "2024-01-02", MIDNIGHT),
    scenario(
        "a type that changes half-way through a run",
        "Rows on both sides of the change load, digits and all.",
        run(
            shaped(INTEGER),
            row(1, 7),
            shaped(NUMBER),
            row(2, Decimal("1.5")),
            shaped(TEXT),
            row(3, "x"),
            endings=loaded(
                table(
                    "orders",
                    {"id": 1, "v": Either(7, "7")},
                    {"id": 2, "v": Either(Decimal("1.5"), "1.5")},
                    {"id": 3, "v": "x"},
                )
            ),
        ),
    ),
    scenario(
        "a column is added",
        "Old rows have NULL in it.",
        run(shaped(TEXT), row(1, "a")),
        run(
            shaped(TEXT, w=INTEGER),
            row(2, "b", w=5),
            endings=loaded(table("orders", {"id": 1, "v": "a", "w": None}, {"id": 2, "v": "b", "w": 5})),
        ),
    ),
    scenario(
        "a column is added half-way through a run",
        "Rows before the change load with the rows after it.",
        run(
            shaped(TEXT),
            row(1, "a"),
            shaped(TEXT, w=INTEGER),
            row(2, "b", w=5),
            endings=loaded(table("orders", {"id": 1, "v": "a", "w": None}, {"id": 2, "v": "b", "w": 5})),
        ),
    ),
    scenario(
        "a column disappears",
        "It is kept with its values; new rows have NULL in it.",
        run(shaped(TEXT, w=INTEGER), row(1, "a", w=5)),
        run(
            shaped(TEXT),
            row(2, "b"),
            endings=loaded(table("orders", {"id": 1, "v": "a", "w": 5}, {"id": 2, "v": "b", "w": None})),
        ),
    ),
    scenario(
        "a column may be null from now on",
        "A property that was required is so no longer: NULL is stored.",
        run(
            schema("orders", {"id": {"type": "integer"}, "v": {"type": "string"}}, required=["id", "v"]),
            row(1, "a"),
        ),
        run(shaped(TEXT), row(2, None), endings=loaded(table("orders", {"id": 1, "v": "a"}, {"id": 2, "v": None}))),
    ),
    scenario(
        "the same SCHEMA again and again",
        "A tap that repeats its SCHEMA before every record loses nothing.",
        run(
            *(line for number in range(1, 6) for line in (shaped(TEXT), row(number, f"v{number}"))),
            endings=loaded(table("orders", *({"id": number, "v": f"v{number}"} for number in range(1, 6)))),
        ),
    ),
    scenario(
        "two shapes in turn",
        "A SCHEMA that changes to and fro keeps every row.",
        run(
            shaped(TEXT),
            row(1, "a"),
            shaped(TEXT, w=INTEGER),
            row(2, "b", w=1),
            shaped(TEXT),
            row(3, "c"),
            endings=loaded(
                table(
                    "orders",
                    {"id": 1, "v": "a", "w": None},
                    {"id": 2, "v": "b", "w": 1},
                    {"id": 3, "v": "c", "w": None},
                )
            ),
        ),
    ),
    scenario(
        "a view on a table that gets a column",
        "Views go on working.",
        run(shaped(TEXT), row(1, "a")),
        run(
            shaped(TEXT, w=INTEGER),
            row(2, "b", w=5),
            views={"report": ("orders", ("id", "v"))},
            endings=loaded(
                table("orders", {"id": 1, "v": "a", "w": None}, {"id": 2, "v": "b", "w": 5}),
                table("report", {"id": 1, "v": "a"}, {"id": 2, "v": "b"}, view=True),
            ),
        ),
        needs=VIEWS,
    ),
    scenario(
        "a view on a column that widens",
        "The view survives and shows the new values exactly.",
        run(shaped(INTEGER), row(1, 7)),
        run(
            shaped(NUMBER),
            row(2, Decimal("1.5")),
            views={"report": ("orders", ("id", "v"))},
            endings=loaded(
                table("orders", {"id": 1, "v": 7}, {"id": 2, "v": Decimal("1.5")}),
                table("report", {"id": 1, "v": 7}, {"id": 2, "v": Decimal("1.5")}, view=True),
            ),
        ),
        needs=VIEWS,
    ),
    scenario(
        "views on views of a column that widens",
        "A chain of views survives as well.",
        run(shaped(DATE), row(1, "2024-01-02")),
        run(
            shaped(DATE_TIME),
            row(2, "2024-01-02T12:30:00Z"),
            views={"report": ("orders", ("id", "v")), "summary": ("report", ("id", "v"))},
            endings=loaded(table("summary", {"id": 1, "v": MIDNIGHT}, {"id": 2, "v": NOON}, view=True)),
        ),
        needs=VIEWS,
    ),
    scenario(
        "a record that was sent under the old SCHEMA",
        "After a column was widened in one run, a late record of the old shape still loads.",
        run(shaped(NUMBER), row(1, Decimal("1.5"))),
        run(
            shaped(INTEGER),
            record("orders", Raw('{"id":2,"v":3}')),
            endings=loaded(table("orders", {"id": 1, "v": Decimal("1.5")}, {"id": 2, "v": 3})),
        ),
    ),
)
