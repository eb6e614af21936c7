"""Numbers, booleans, JSON, bytes: each value is there afterwards exactly, or its record is refused."""

from __future__ import annotations

import uuid
from decimal import Decimal

from singer_kit.testing.acceptance.messages import (
    ARRAY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    UUID,
    nullable,
    record,
    schema,
)
from singer_kit.testing.acceptance.scenario import loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.scenarios.single import WHERE, refusal, values
from singer_kit.testing.acceptance.values import Either

DIGITS = "1234567890123456789012345678901234567890.0987654321"
EXACT = ("decimal",)

SCENARIOS = (
    # Integers
    values(
        "integers of 64 bits",
        "The smallest and largest 64-bit integers, 0 and negative ones come through.",
        INTEGER,
        ("0", 0),
        ("-7", -7),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("null", None),
    ),
    values(
        "integers beyond 64 bits, announced",
        "A SCHEMA whose maximum lies beyond 64 bits gets a column that holds such integers.",
        nullable("integer", minimum=0, maximum=10**40),
        ("9223372036854775808", 2**63),
        (str(10**40 - 1), 10**40 - 1),
    ),
    values(
        "an integer beyond 64 bits, by surprise",
        "2^63 under a plain integer is loaded exactly or refused by place, never wrapped or rounded.",
        INTEGER,
        ("9223372036854775808", 2**63),
        or_refused=True,
    ),
    values("1.0 for an integer", "JSON Schema counts 1.0 as an integer.", INTEGER, ("1.0", 1), ("2", 2)),
    values(
        "1.5 for an integer",
        "A fraction under an integer is never rounded away.",
        INTEGER,
        ("1.5", Decimal("1.5")),
        or_refused=True,
    ),
    refusal("true for an integer", "A boolean is no integer, though Python thinks so.", INTEGER, "true"),
    refusal("text for an integer", "A word under an integer is refused by place.", INTEGER, '"many"'),
    # Numbers
    values(
        "decimals of 50 digits",
        "A number keeps every digit, before and after the point.",
        NUMBER,
        (DIGITS, Decimal(DIGITS)),
        (f"-{DIGITS}", Decimal(f"-{DIGITS}")),
        ("0.1", Decimal("0.1")),
        kinds=EXACT,
    ),
    values(
        "numbers in scientific notation",
        "1e300, 1e-30 and 12E2 are the numbers they say.",
        NUMBER,
        ("1e300", Decimal("1e300")),
        ("1e-30", Decimal("1e-30")),
        ("12E2", 1200),
        ("-0.0", 0),
    ),
    values(
        "floats as taps print them",
        "The shortest text of a double is what comes back.",
        NUMBER,
        ("0.30000000000000004", Decimal("0.30000000000000004")),
        ("3.141592653589793", Decimal("3.141592653589793")),
        ("5e-324", Decimal("5e-324")),
        ("1.7976931348623157e308", Decimal("1.7976931348623157e308")),
    ),
    values(
        "a decimal with multipleOf",
        "1.05 is a multiple of 0.01, whatever binary floats say.",
        nullable("number", multipleOf=0.01),
        ("1.05", Decimal("1.05")),
        ("0.07", Decimal("0.07")),
        ("19999999.99", Decimal("19999999.99")),
    ),
    values(
        "singer.decimal",
        "Decimals sent as text under format singer.decimal are numbers of all their digits.",
        nullable("string", format="singer.decimal"),
        (f'"{DIGITS}"', Decimal(DIGITS)),
        ('"-0.30"', Decimal("-0.30")),
        ("null", None),
        kinds=EXACT,
    ),
    values(
        "x-singer.decimal",
        "The same under the format's other spelling.",
        nullable("string", format="x-singer.decimal"),
        (f'"{DIGITS}"', Either(Decimal(DIGITS), DIGITS)),
    ),
    values("NaN", "The token NaN is NaN, or refused by place.", NUMBER, ("NaN", Decimal("NaN")), or_refused=True),
    values(
        "Infinity",
        "The token Infinity is infinite, or refused by place.",
        NUMBER,
        ("Infinity", Decimal("Infinity")),
        or_refused=True,
    ),
    values(
        "-Infinity",
        "The token -Infinity is infinite and negative, or refused by place.",
        NUMBER,
        ("-Infinity", Decimal("-Infinity")),
        or_refused=True,
    ),
    values(
        "NaN in an object",
        "JSON knows no NaN: kept in some form within an object, or refused by place.",
        OBJECT,
        ('{"a":NaN}', Either({"a": "NaN"}, {"a": Decimal("NaN")})),
        or_refused=True,
    ),
    # Booleans, uuids, bytes
    values(
        "booleans", "true, false and null stay three things.", BOOLEAN, ("true", True), ("false", False), ("null", None)
    ),
    refusal("text for a boolean", "A word under a boolean is refused by place.", BOOLEAN, '"perhaps"'),
    values(
        "uuid",
        "A uuid is the same, in a column of its own kind or as text.",
        UUID,
        (
            '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
            Either(uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ),
    ),
    values(
        "not a uuid",
        "What is no uuid is kept as it is, or refused by place.",
        UUID,
        ('"nope"', "nope"),
        or_refused=True,
    ),
    values(
        "base64 as text",
        "By default a string with contentEncoding stays the string it is.",
        nullable("string", contentEncoding="base64"),
        ('"AP8KXA=="', "AP8KXA=="),
    ),
    values(
        "base16 as bytes",
        "With interpret_content_encoding base16 is stored as bytes.",
        nullable("string", contentEncoding="base16"),
        ('"00ff0a5c"', b"\x00\xff\n\\"),
        interpret_content_encoding=True,
    ),
    values(
        "base64 as bytes",
        "With interpret_content_encoding base64 is stored as bytes, or left as text.",
        nullable("string", contentEncoding="base64"),
        ('"AP8KXA=="', Either(b"\x00\xff\n\\", "AP8KXA==")),
        interpret_content_encoding=True,
    ),
    # JSON
    values(
        "arrays",
        "Arrays of texts and numbers keep order, empty items, nulls and every digit.",
        nullable("array", items={"type": ["string", "number", "null"]}),
        ('["a","","NULL",null,"b,c","{}"]', ["a", "", "NULL", None, "b,c", "{}"]),
        ("[]", []),
        ("null", None),
        (f"[{DIGITS},1]", [Decimal(DIGITS), 1]),
    ),
    values(
        "an array of strings",
        "The commonest array of all.",
        nullable("array", items={"type": "string"}),
        (r'["a \"quoted\" one","back\\slash","with,comma"]', ['a "quoted" one', "back\\slash", "with,comma"]),
        ("[]", []),
    ),
    values(
        "an array of integers",
        "Integers in an array stay integers.",
        nullable("array", items={"type": "integer"}),
        ("[1,2,9007199254740993]", [1, 2, 9007199254740993]),
        ("null", None),
    ),
    values(
        "arrays of arrays",
        "Ragged arrays of arrays keep their shape.",
        nullable("array", items={"type": "array", "items": {"type": "integer"}}),
        ("[[1,2],[],[3]]", [[1, 2], [], [3]]),
    ),
    values(
        "an array of objects",
        "Objects in an array keep their members.",
        nullable("array", items={"type": "object", "properties": {"a": {"type": "integer"}}}),
        ('[{"a":1,"b":"x"},{}]', [{"a": 1, "b": "x"}, {}]),
    ),
    values(
        "objects",
        "Objects keep members that the SCHEMA does not name, empty ones, and every digit of nested numbers.",
        OBJECT,
        ("{}", {}),
        (f'{{"a":{DIGITS},"":[{{}},null]}}', {"a": Decimal(DIGITS), "": [{}, None]}),
    ),
    values(
        "null in an object's column",
        "A missing object is NULL to SQL, not the JSON value null that `IS NULL` does not find.",
        OBJECT,
        ("null", None),
        ('{"a":null}', {"a": None}),
    ),
    values("null in an array's column", "The same for arrays.", ARRAY, ("null", None), ("[null]", [None])),
    # Several types, or none
    values(
        "array or string",
        "Under anyOf a string stays the string, an array the array.",
        {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}, {"type": "null"}]},
        ('"CO-CUN"', "CO-CUN"),
        ('["a","b"]', ["a", "b"]),
        ("null", None),
    ),
    values(
        "object or string",
        "The same for objects, with types as a list.",
        nullable("object", "string"),
        ('"x"', "x"),
        ('{"a":1}', {"a": 1}),
        ("null", None),
    ),
    values(
        "integer or number",
        "A list of integer and number is a number.",
        nullable("integer", "number"),
        ("7", 7),
        ("1.25", Decimal("1.25")),
    ),
    values(
        "integer or string",
        "A mixture of scalars keeps each value, all digits included.",
        nullable("integer", "string"),
        ('"x"', "x"),
        ("12345678901234567890123", Either("12345678901234567890123", 12345678901234567890123)),
    ),
    values(
        "boolean or string",
        "true in a mixture reads true afterwards.",
        nullable("boolean", "string"),
        ("true", Either("true", True)),
        ('"maybe"', "maybe"),
    ),
    values(
        "enum", "An enum without a type takes its values.", {"enum": ["a", "b", None]}, ('"a"', "a"), ("null", None)
    ),
    values("enum of integers", "Numbers in an enum are found again.", {"enum": [1, 2, None]}, ("2", Either(2, "2"))),
    refusal("a value outside its enum", "Validation refuses it by place.", {"type": "string", "enum": ["a"]}, '"z"'),
    values(
        "no type",
        "A property without a type takes any value.",
        {},
        ("5", Either(5, "5")),
        ('"x"', "x"),
        ('{"a":[1]}', {"a": [1]}),
        ("true", Either(True, "true")),
        ("null", None),
    ),
    values(
        "allOf, const and $ref",
        "Less usual schemas load as well.",
        {"allOf": [{"type": ["string", "null"]}]},
        ('"x"', "x"),
        ("null", None),
    ),
    values(
        "x-sql-datatype",
        "A tap may ask for a type of the database by name; the value is the same.",
        nullable("number", **{"x-sql-datatype": "numeric(20,3)"}),
        ("12345678901234567.125", Decimal("12345678901234567.125")),
    ),
    values(
        "x-sql-datatype that is too small",
        "A value that does not fit the type asked for is kept whole or refused by place.",
        nullable("integer", **{"x-sql-datatype": "smallint"}),
        ("32768", 32768),
        or_refused=True,
    ),
    # Validation and metadata
    refusal("text beyond maxLength", "Validation refuses it by place.", {"type": "string", "maxLength": 2}, '"abc"'),
    values(
        "validation off",
        "With validate_records off the same value loads.",
        {"type": "string", "maxLength": 2},
        ('"abc"', "abc"),
        validate_records=False,
    ),
    scenario(
        "a required property is missing",
        "A record that lacks what its SCHEMA requires is refused by place.",
        run(
            schema("orders", {"id": INTEGER, "v": {"type": "string"}}, required=["id", "v"]),
            record("orders", {"id": 1}),
            endings=refused(*WHERE),
        ),
    ),
    scenario(
        "a property that the SCHEMA does not know",
        "An unexpected property does not keep the others from loading.",
        run(
            schema("orders", {"id": INTEGER, "v": TEXT}),
            record("orders", {"id": 1, "v": "a", "surprise": 5}),
            endings=loaded(table("orders", {"id": 1, "v": "a"})),
        ),
    ),
    scenario(
        "a property that a record lacks",
        "What a record leaves out is NULL.",
        run(
            schema("orders", {"id": INTEGER, "v": TEXT, "w": INTEGER}),
            record("orders", {"id": 1, "v": "a"}),
            record("orders", {"id": 2, "w": 2}),
            endings=loaded(table("orders", {"id": 1, "v": "a", "w": None}, {"id": 2, "v": None, "w": 2})),
        ),
    ),
)
