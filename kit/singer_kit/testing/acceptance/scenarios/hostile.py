"""Input that no tap should write: loaded exactly, or refused with an error that says where. Never a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_kit.testing.acceptance.messages import INTEGER, OBJECT, TEXT, record, schema
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.scenarios.single import WHERE, values
from singer_kit.testing.acceptance.values import Raw, Repeated

if TYPE_CHECKING:
    from singer_kit.testing.acceptance.messages import Line
    from singer_kit.testing.acceptance.scenario import Scenario

ORDERS = schema("orders", {"id": INTEGER, "v": TEXT})
ONE = record("orders", {"id": 1, "v": "a"})


def broken(name: str, shows: str, line: Line, *more: str) -> Scenario:
    """A line 3 that is refused with its number."""
    return scenario(name, shows, run(ORDERS, ONE, line, endings=refused("line 3", *more)))


def nested(depth: int) -> object:
    value: object = "end"
    for _ in range(depth):
        value = {"a": value}
    return value


def wide(columns: int) -> tuple[dict[str, object], dict[str, object]]:
    """A SCHEMA of so many columns, and a record that fills every hundredth: more would not fit a page of Postgres."""
    names = [f"c{number}" for number in range(columns - 1)]
    return schema("orders", {"id": INTEGER, **dict.fromkeys(names, INTEGER)}), {
        "id": 1,
        **dict.fromkeys(names[::100], 7),
    }


FIFTEEN_HUNDRED, SEVENTEEN_HUNDRED = wide(1500), wide(1700)

SCENARIOS = (
    broken("a line of plain text", "What a tap prints by mistake is quoted in the error.", "Hello from a tap", "hello"),
    broken(
        "a broken last line", "A line that was cut off is an error, not the end.", b'{"type":"RECORD","stream":"ord'
    ),
    broken("a line that is a list", "JSON that is no message.", "[1]"),
    broken("a line that is a number", "JSON that is no message either.", "5"),
    broken("a message without a type", "An object that is no message.", "{}"),
    broken("a RECORD without a record", "A message that lacks its content.", '{"type":"RECORD","stream":"orders"}'),
    broken("a RECORD without a stream", "A message that lacks its address.", '{"type":"RECORD","record":{"id":1}}'),
    broken("a record that is a list", "Content of the wrong kind.", '{"type":"RECORD","stream":"orders","record":[1]}'),
    broken(
        "invalid UTF-8",
        "Bytes that are no text are not replaced.",
        b'{"type":"RECORD","stream":"orders","record":{"id":2,"v":"\xff"}}\n',
    ),
    scenario(
        "a line of 50 MB",
        "A very long text comes back whole.",
        run(
            ORDERS,
            record("orders", {"id": 1, "v": Repeated("0123456789", 5 << 20)}),
            endings=loaded(table("orders", {"id": 1, "v": Repeated("0123456789", 5 << 20)})),
        ),
    ),
    scenario(
        "objects nested 100 levels",
        "Deep values are kept.",
        run(
            schema("orders", {"id": INTEGER, "v": OBJECT}),
            record("orders", {"id": 1, "v": nested(100)}),
            endings=loaded(table("orders", {"id": 1, "v": nested(100)})),
        ),
    ),
    scenario(
        "arrays nested 100,000 levels",
        "Deeper than any parser goes: refused with its line.",
        run(
            schema("orders", {"id": INTEGER, "v": {}}),
            record("orders", Raw('{"id":1,"v":' + "[" * 100_000 + "]" * 100_000 + "}")),
            endings=refused("line 2"),
        ),
    ),
    values(
        "duplicate names in an object",
        "Of equal names the last counts, as everywhere in JSON.",
        OBJECT,
        ('{"a":1,"a":2}', {"a": 2}),
    ),
    scenario(
        "duplicate names in a record",
        "The same for properties.",
        run(
            ORDERS,
            record("orders", Raw('{"id":9,"v":"x","id":1,"v":"a"}')),
            endings=loaded(table("orders", {"id": 1, "v": "a"})),
        ),
    ),
    values(
        "escapes in names",
        "A name may be written with escapes.",
        OBJECT,
        (r'{"\u0061\n\"":"\u00e9\/"}', {'a\n"': "é/"}),
    ),
    scenario(
        "escapes in a property's name",
        "The same for properties.",
        run(
            ORDERS,
            record("orders", Raw(r'{"i\u0064":1,"\u0076":"a"}')),
            endings=loaded(table("orders", {"id": 1, "v": "a"})),
        ),
    ),
    scenario(
        "1,500 columns",
        "A wide table loads.",
        run(
            FIFTEEN_HUNDRED[0],
            record("orders", FIFTEEN_HUNDRED[1]),
            endings=loaded(table("orders", FIFTEEN_HUNDRED[1])),
        ),
    ),
    scenario(
        "1,700 columns",
        "More columns than Postgres has: loaded in some way, or refused by the stream's name.",
        run(
            SEVENTEEN_HUNDRED[0],
            record("orders", SEVENTEEN_HUNDRED[1]),
            endings=(loaded(table("orders", SEVENTEEN_HUNDRED[1])), refused("orders", "columns")),
        ),
    ),
    scenario(
        "a number of a billion digits in eleven characters",
        "1e1000000000 is refused by place, and costs no memory.",
        run(
            schema("orders", {"id": INTEGER, "v": {"type": "number"}}),
            record("orders", Raw('{"id":1,"v":1e1000000000}')),
            endings=refused(*WHERE),
        ),
    ),
    scenario(
        "an integer of 4,000 digits",
        "Kept whole or refused by place.",
        run(
            schema("orders", {"id": INTEGER, "v": {"type": "number"}}),
            record("orders", Raw('{"id":1,"v":' + "9" * 4000 + "}")),
            endings=(loaded(table("orders", {"id": 1, "v": 10**4000 - 1})), refused(*WHERE)),
        ),
    ),
    scenario(
        "a SCHEMA that refers to the network",
        "No target fetches a schema from an address in the data: it loads without, or is refused by name.",
        run(
            schema("orders", {"id": INTEGER, "v": {"$ref": "http://127.0.0.1:9/schema.json"}}),
            record("orders", {"id": 1, "v": "a"}),
            endings=(loaded(table("orders", {"id": 1, "v": "a"})), refused("orders")),
        ),
    ),
)
