"""Rows with a key are there once, the latest of them; rows without one are all there."""

from __future__ import annotations

from typing import Any

from singer_kit.testing.acceptance.messages import DATE_TIME, INTEGER, NUMBER, TEXT, UUID, nullable, record, schema
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.scenarios.single import WHERE
from singer_kit.testing.acceptance.values import Either, Raw

PROPERTIES = {"id": INTEGER, "v": TEXT}
ORDERS = schema("orders", PROPERTIES)
KEYLESS = schema("orders", PROPERTIES, keys=())
REGIONAL = schema("orders", {**PROPERTIES, "region": TEXT}, keys=("id", "region"))


def row(number: int | None, v: str, **more: Any) -> dict[str, Any]:
    return record("orders", {"id": number, "v": v, **more})


SCENARIOS = (
    scenario(
        "a row that comes again",
        "A second run replaces the row of a key and leaves the others.",
        run(ORDERS, row(1, "a"), row(2, "b")),
        run(
            ORDERS,
            row(2, "B"),
            row(3, "c"),
            endings=loaded(table("orders", {"id": 1, "v": "a"}, {"id": 2, "v": "B"}, {"id": 3, "v": "c"})),
        ),
    ),
    scenario(
        "a key that comes twice within a batch",
        "The last one wins.",
        run(
            ORDERS,
            row(1, "first"),
            row(2, "b"),
            row(1, "second"),
            row(1, "last"),
            endings=loaded(table("orders", {"id": 1, "v": "last"}, {"id": 2, "v": "b"})),
        ),
    ),
    scenario(
        "a row that loses a property",
        "A later record that leaves a property out makes it NULL: it replaces the row as a whole.",
        run(ORDERS, row(1, "a")),
        run(ORDERS, record("orders", {"id": 1}), endings=loaded(table("orders", {"id": 1, "v": None}))),
    ),
    scenario(
        "a key of two columns",
        "Rows are the same only where both columns are.",
        run(REGIONAL, row(1, "a", region="n"), row(1, "b", region="s")),
        run(
            REGIONAL,
            row(1, "B", region="s"),
            row(2, "c", region="s"),
            endings=loaded(
                table(
                    "orders",
                    {"id": 1, "region": "n", "v": "a"},
                    {"id": 1, "region": "s", "v": "B"},
                    {"id": 2, "region": "s", "v": "c"},
                    key=("id", "region"),
                )
            ),
        ),
    ),
    scenario(
        "key columns in another order than the properties",
        "The order of key_properties is nobody's concern.",
        run(
            {**REGIONAL, "key_properties": ["region", "id"]},
            row(1, "a", region="n"),
            row(1, "b", region="n"),
            endings=loaded(table("orders", {"id": 1, "region": "n", "v": "b"})),
        ),
    ),
    scenario(
        "no key",
        "Every record is a row, equal ones too.",
        run(KEYLESS, row(1, "a"), row(1, "a")),
        run(
            KEYLESS,
            row(1, "a"),
            endings=loaded(table("orders", {"id": 1, "v": "a"}, {"id": 1, "v": "a"}, {"id": 1, "v": "a"}, key=())),
        ),
    ),
    scenario(
        "null in a key",
        "Refused by place: such a row would never be found again.",
        run(ORDERS, row(None, "a"), endings=refused(*WHERE, tables=(table("orders"),))),
    ),
    scenario(
        "a key that a record lacks",
        "The same where the key is left out.",
        run(ORDERS, record("orders", {"v": "a"}), endings=refused(*WHERE, tables=(table("orders"),))),
    ),
    scenario(
        "null in a key of two columns",
        "The same where one of several key columns is null.",
        run(REGIONAL, row(1, "a", region=None), endings=refused(*WHERE, tables=(table("orders"),))),
    ),
    scenario(
        "a key that is no property",
        "Refused, naming the stream and the key.",
        run(schema("orders", PROPERTIES, keys=("number",)), row(1, "a"), endings=refused("orders", "number")),
    ),
    scenario(
        "a key that grows by a column",
        "Rows that differ in the new column alone stay apart, or the change is refused by name.",
        run(ORDERS, row(1, "a")),
        run(
            REGIONAL,
            row(1, "n", region="n"),
            row(1, "s", region="s"),
            endings=(
                loaded(
                    table(
                        "orders",
                        {"id": 1, "region": "n", "v": "n"},
                        {"id": 1, "region": "s", "v": "s"},
                        key=("id", "region"),
                        others=True,
                    )
                ),
                refused("orders", ("region", "key_properties"), tables=(table("orders", {"id": 1, "v": "a"}),)),
            ),
        ),
    ),
    scenario(
        "another column becomes the key",
        "Rows are then the same where the new key is, or the change is refused by name.",
        run(schema("orders", {**PROPERTIES, "code": TEXT}), row(1, "a", code="x"), row(2, "b", code="y")),
        run(
            schema("orders", {**PROPERTIES, "code": TEXT}, keys=("code",)),
            row(7, "X", code="x"),
            endings=(
                loaded(
                    table("orders", {"id": 7, "v": "X", "code": "x"}, {"id": 2, "v": "b", "code": "y"}, key=("code",))
                ),
                refused(
                    "orders",
                    ("code", "key_properties"),
                    tables=(table("orders", {"id": 1, "v": "a"}, {"id": 2, "v": "b"}),),
                ),
            ),
        ),
    ),
    scenario(
        "a key is given up",
        "A stream that has no key any more appends, or the change is refused by name.",
        run(ORDERS, row(1, "a")),
        run(
            KEYLESS,
            row(1, "b"),
            endings=(
                loaded(table("orders", {"id": 1, "v": "a"}, {"id": 1, "v": "b"}, key=())),
                refused("orders", tables=(table("orders", {"id": 1, "v": "a"}),)),
            ),
        ),
    ),
    scenario(
        "a key that turns from number to text",
        'Row 1 and row "1" are the same row.',
        run(ORDERS, row(1, "a")),
        run(
            schema("orders", {"id": {"type": "string"}, "v": TEXT}),
            record("orders", {"id": "1", "v": "b"}),
            record("orders", {"id": "x", "v": "c"}),
            endings=loaded(table("orders", {"id": Either("1", 1), "v": "b"}, {"id": "x", "v": "c"})),
        ),
    ),
    scenario(
        "keys of text",
        "Upper and lower case, spaces at the end and lookalikes are different keys.",
        run(
            schema("orders", {"id": TEXT, "v": TEXT}),
            *(record("orders", {"id": key, "v": f"v{n}"}) for n, key in enumerate(("a", "A", "a ", "ä", ""))),
            endings=loaded(
                table("orders", *({"id": key, "v": f"v{n}"} for n, key in enumerate(("a", "A", "a ", "ä", ""))))
            ),
        ),
    ),
    scenario(
        "one uuid in two spellings",
        "Upper and lower case of a uuid are one key in a uuid column, or two texts; the last record is there.",
        run(
            schema("orders", {"id": UUID, "v": TEXT}),
            record("orders", {"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "v": "a"}),
            record("orders", {"id": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "v": "b"}),
            endings=loaded(table("orders", {"v": "b"}, key=("v",), others=True)),
        ),
    ),
    scenario(
        "one number in two spellings",
        "1 and 1.0 are one key.",
        run(
            schema("orders", {"id": NUMBER, "v": TEXT}),
            record("orders", Raw('{"id":1,"v":"a"}')),
            record("orders", Raw('{"id":1.0,"v":"b"}')),
            endings=loaded(table("orders", {"id": 1, "v": "b"})),
        ),
    ),
    scenario(
        "one instant in two spellings",
        "Two offsets of an instant are one key.",
        run(
            schema("orders", {"id": DATE_TIME, "v": TEXT}),
            record("orders", {"id": "2024-01-01T00:00:00Z", "v": "a"}),
            record("orders", {"id": "2024-01-01T02:00:00+02:00", "v": "b"}),
            endings=loaded(table("orders", {"v": "b"}, key=())),
        ),
    ),
    scenario(
        "a table of nothing but its key",
        "A row that has no other columns may come again.",
        run(schema("orders", {"id": INTEGER}), record("orders", {"id": 1}), record("orders", {"id": 1})),
        run(
            schema("orders", {"id": INTEGER}),
            record("orders", {"id": 1}),
            record("orders", {"id": 2}),
            endings=loaded(table("orders", {"id": 1}, {"id": 2})),
        ),
    ),
    scenario(
        "an integer key beyond 64 bits",
        "Large keys stay apart though a double would hold both as one.",
        run(
            schema("orders", {"id": nullable("integer", maximum=10**30), "v": TEXT}),
            record("orders", {"id": 10**20 + 1, "v": "a"}),
            record("orders", {"id": 10**20 + 2, "v": "b"}),
            endings=loaded(table("orders", {"id": 10**20 + 1, "v": "a"}, {"id": 10**20 + 2, "v": "b"})),
        ),
    ),
)
