"""The message stream itself: order, spelling, and messages that nobody expects."""

from __future__ import annotations

import json
from typing import Any

from singer_kit.testing.acceptance.messages import INTEGER, TEXT, record, schema, state
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table

ORDERS = schema("orders", {"id": INTEGER, "v": TEXT})
ONE, TWO = {"id": 1, "v": "a"}, {"id": 2, "v": "b"}
BOTH = table("orders", ONE, TWO)


def text(message: dict[str, Any]) -> str:
    return json.dumps(message)


SCENARIOS = (
    scenario(
        "RECORD before SCHEMA",
        "Refused, naming the stream, the line and what is missing.",
        run(record("orders", ONE), endings=refused("orders", "line 1", "schema")),
    ),
    scenario(
        "RECORD of another stream before its SCHEMA",
        "The same when other streams are under way.",
        run(ORDERS, record("orders", ONE), record("lines", ONE), endings=refused("lines", "line 3", "schema")),
    ),
    scenario(
        "STATE before any RECORD",
        "It is passed on.",
        run(state({"a": 1}), ORDERS, record("orders", ONE), record("orders", TWO), endings=loaded(BOTH)),
    ),
    scenario("STATE alone", "A run that found nothing new ends with its STATE.", run(state({"a": 1}))),
    scenario("no input at all", "Nothing in, nothing out, exit 0.", run()),
    scenario(
        "SCHEMA without records",
        "An empty stream is no error.",
        run(ORDERS, state({"a": 1}), endings=loaded(table("orders"))),
    ),
    scenario(
        "message types that are not known",
        "They are passed over, or refused with their line.",
        run(
            ORDERS,
            record("orders", ONE),
            {"type": "SOMETHING", "stream": "orders", "x": 1},
            record("orders", TWO),
            endings=(loaded(BOTH), refused("line 3", "SOMETHING")),
        ),
    ),
    scenario(
        "members that are not known",
        "Messages may say more than a target understands.",
        run(
            {**ORDERS, "bookmark_properties": None, "x": [1]},
            {**record("orders", ONE), "x": {}, "time_extracted": None},
            record("orders", TWO, version=None),
            endings=loaded(BOTH),
        ),
    ),
    scenario(
        "members in any order",
        "type may be the last member of a message.",
        run(
            text(dict(reversed(ORDERS.items()))),
            text(dict(reversed(record("orders", ONE).items()))),
            '  {"stream" :\t"orders" , "record":{ "v" : "b" ,"id":2 } , "type" : "RECORD" }  ',
            endings=loaded(BOTH),
        ),
    ),
    scenario(
        "lines that end with CRLF",
        "Windows' line ends are none of the values' business.",
        run(
            *(text(each).encode() + b"\r\n" for each in (ORDERS, record("orders", ONE), record("orders", TWO))),
            endings=loaded(BOTH),
        ),
    ),
    scenario(
        "blank lines",
        "They are passed over.",
        run("", ORDERS, "", record("orders", ONE), b" \t\r\n", record("orders", TWO), "", endings=loaded(BOTH)),
    ),
    scenario(
        "no line feed at the end",
        "The last line counts without one.",
        run(ORDERS, record("orders", ONE), text(record("orders", TWO)).encode(), endings=loaded(BOTH)),
    ),
    scenario(
        "a byte-order mark",
        "At the start of the input it is passed over, or refused with its line.",
        run(
            b"\xef\xbb\xbf",
            ORDERS,
            record("orders", ONE),
            record("orders", TWO),
            endings=(loaded(BOTH), refused("line 1")),
        ),
    ),
    scenario(
        "U+2028 within a line",
        "Only a line feed ends a line.",
        run(
            ORDERS,
            '{"type":"RECORD","stream":"orders","record":{"id":1,"v":"a\u2028\u0085b"}}',
            endings=loaded(table("orders", {"id": 1, "v": "a\u2028\u0085b"})),
        ),
    ),
    scenario(
        "streams in turn",
        "Records of several streams come in any order.",
        run(
            ORDERS,
            schema("lines", {"id": INTEGER, "v": TEXT}),
            record("orders", ONE),
            record("lines", TWO),
            record("orders", TWO),
            record("lines", ONE),
            endings=loaded(BOTH, table("lines", ONE, TWO)),
        ),
    ),
    scenario(
        "a SCHEMA without properties",
        "It is refused by name, or its stream has a table without columns.",
        run(
            {"type": "SCHEMA", "stream": "orders", "schema": {}, "key_properties": []},
            record("orders", {}),
            endings=(loaded(), refused("orders")),
        ),
    ),
    scenario(
        "a SCHEMA that is none",
        "Refused, naming the stream.",
        run(schema("orders", {"id": {"type": "nonsense"}}), record("orders", {"id": 1}), endings=refused("orders")),
    ),
    scenario(
        "a property of which the SCHEMA says nothing but a $ref",
        "A reference within the SCHEMA is followed, or its value loads as it is.",
        run(
            schema("orders", {"id": INTEGER, "v": {"$ref": "#/definitions/text"}}, definitions={"text": TEXT}),
            record("orders", ONE),
            record("orders", TWO),
            endings=loaded(BOTH),
        ),
    ),
)
