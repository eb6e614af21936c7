"""Values in the table equal the source, for every type."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal

import pytest

from target_postgres.types import column_type

UTC = dt.timezone.utc
DIGITS = "1234567890123456789012345678901234567890.123456789"


def stream(definition, *values, name="t"):
    """A SCHEMA with a key and one property, and a RECORD for each value as JSON text."""
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "v": definition}}
    yield json.dumps({"type": "SCHEMA", "stream": name, "key_properties": ["id"], "schema": schema})
    for number, value in enumerate(values):
        yield f'{{"type":"RECORD","stream":"{name}","record":{{"id":{number},"v":{value}}}}}'


CASES = [
    ({"type": "integer"}, "9223372036854775807", "bigint", 2**63 - 1),
    ({"type": "integer"}, "-9223372036854775808", "bigint", -(2**63)),
    ({"type": "integer"}, "1.0", "bigint", 1),
    ({"type": "integer", "maximum": 10**30}, str(10**29), "numeric", Decimal(10**29)),
    ({"type": "number"}, DIGITS, "numeric", Decimal(DIGITS)),
    ({"type": "number"}, "1.10", "numeric", Decimal("1.10")),
    ({"type": "number"}, "-0.000000000000000000001", "numeric", Decimal("-1e-21")),
    ({"type": "number"}, "1e300", "numeric", Decimal("1e300")),
    ({"type": "number"}, '"Infinity"', "numeric", Decimal("Infinity")),
    ({"type": ["number", "null"]}, "Infinity", "numeric", Decimal("Infinity")),
    ({"type": "string", "format": "singer.decimal"}, f'"{DIGITS}"', "numeric", Decimal(DIGITS)),
    ({"type": "string", "format": "x-singer.decimal"}, '"0.30"', "numeric", Decimal("0.30")),
    ({"type": "number", "multipleOf": 0.01}, "1.05", "numeric", Decimal("1.05")),
    ({"type": ["integer", "number"]}, "7", "numeric", Decimal(7)),
    ({"type": "boolean"}, "true", "boolean", True),
    ({"type": "string"}, '""', "text", ""),
    ({"type": "string"}, r'"\\N"', "text", "\\N"),
    ({"type": "string"}, r'"\\."', "text", "\\."),
    ({"type": "string"}, r'"a\tb\nc\rd\\e\"f\u0008\u000b"', "text", 'a\tb\nc\rd\\e"f\b\x0b'),
    ({"type": "string"}, '"😀 שלום \\ud83d\\ude00"', "text", "😀 שלום 😀"),
    ({"type": "string", "format": "email"}, '"a@b.c"', "text", "a@b.c"),
    ({"type": ["string", "integer"]}, "12345678901234567890123", "text", "12345678901234567890123"),
    ({"type": ["string", "boolean"]}, "true", "text", "true"),
    ({"type": ["string", "null"]}, "null", "text", None),
    ({"enum": ["a", "b"]}, '"a"', "text", "a"),
    ({"enum": [1, 2, None]}, "2", "bigint", 2),
    (
        {"type": "string", "format": "date-time"},
        '"2024-02-29T23:59:59.123456+02:00"',
        "timestamp with time zone",
        dt.datetime(2024, 2, 29, 21, 59, 59, 123456, UTC),
    ),
    (
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        '"2024-01-01 00:00:00"',
        "timestamp with time zone",
        dt.datetime(2024, 1, 1, tzinfo=UTC),
    ),
    (
        {"type": "string", "format": "date-time"},
        '"0001-01-01T00:00:00Z"',
        "timestamp with time zone",
        dt.datetime(1, 1, 1, tzinfo=UTC),
    ),
    ({"type": "string", "format": "date"}, '"9999-12-31"', "date", dt.date(9999, 12, 31)),
    ({"type": "string", "format": "date"}, '"2024-01-01T00:00:00Z"', "date", dt.date(2024, 1, 1)),
    (
        {"type": "string", "format": "time"},
        '"23:59:59.999999Z"',
        "time without time zone",
        dt.time(23, 59, 59, 999999),
    ),
    (
        {"type": "string", "format": "uuid"},
        '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
        "uuid",
        uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ),
    ({"type": "string", "contentEncoding": "base64"}, '"AP8="', "text", "AP8="),
    ({"type": "array", "items": {"type": "array"}}, "[[1,[]],[]]", "jsonb", [[1, []], []]),
    ({"type": "object"}, r'{"a":{"b":"\\N \" 😀\n"}}', "jsonb", {"a": {"b": '\\N " 😀\n'}}),
    ({"type": "object"}, r'{"a":"\\u0000"}', "jsonb", {"a": "\\u0000"}),
    ({"anyOf": [{"type": "array"}, {"type": "string"}]}, '"CO-CUN"', "jsonb", "CO-CUN"),
    ({"type": ["object", "null"]}, "null", "jsonb", None),
    ({}, "5", "jsonb", 5),
    ({}, '"x"', "jsonb", "x"),
    ({"type": "string", "x-sql-datatype": "VARCHAR(5)"}, '"abc"', "character varying(5)", "abc"),
    ({"type": "string", "x-sql-datatype": "timetz"}, '"10:00:00+02"', "time with time zone", None),
    ({"type": "string", "x-sql-datatype": "no; such"}, '"abc"', "text", "abc"),
    (
        {"type": "string", "x-sql-datatype": "timestamp"},
        '"2024-01-01T00:00:00+01:00"',
        "timestamp without time zone",
        dt.datetime(2023, 12, 31, 23),  # noqa: DTZ001
    ),
]


@pytest.mark.parametrize(("definition", "value", "sql_type", "expected"), CASES)
def test_value(warehouse, definition, value, sql_type, expected):
    warehouse.load(stream(definition, value))
    [(found_type,)] = warehouse.rows(
        "select format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'bronze.t'::regclass and attname = 'v'"
    )
    assert found_type == sql_type
    [(found,)] = warehouse.rows("select v from bronze.t")
    if sql_type == "time with time zone":
        assert str(found) == "10:00:00+02:00"
    else:
        assert found == expected
        assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("date-time", "2024-12-31T23:59:60Z", "2025-01-01 00:00:00+00"),
        ("date-time", "2024-12-31T24:00:00Z", "2025-01-01 00:00:00+00"),
        ("date-time", "2024-01-01T00:00:00.1234567Z", "2024-01-01 00:00:00.123457+00"),
        ("date-time", "2024-01-01", "2024-01-01 00:00:00+00"),
        ("date-time", "2024-01-01T00:00:00,5+15:59", "2023-12-31 08:01:00.5+00"),
        ("date-time", "2024-01-01 10:00 -0330", "2024-01-01 13:30:00+00"),
        ("date-time", "10000-01-01T00:00:00Z", "10000-01-01 00:00:00+00"),
        ("date-time", "294276-12-31T23:59:59.999999Z", "294276-12-31 23:59:59.999999+00"),
        ("date", "99999-12-31", "99999-12-31"),
        ("time", "24:00:00", "24:00:00"),
        ("time", "23:59:60", "24:00:00"),
        ("time", "10:00", "10:00:00"),
    ],
)
def test_documented_readings_of_time(warehouse, kind, value, expected):
    """What the README says of leap seconds, of 24:00 and of more than six digits."""
    warehouse.load(stream({"type": "string", "format": kind}, f'"{value}"'))
    assert warehouse.rows("select v::text from bronze.t") == [(expected,)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date-time", "294277-01-01T00:00:00Z"),
        ("date-time", "2024-01-01T00:00:00+16:00"),
        ("date-time", "2024-01-01T24:00:01Z"),
        ("date-time", "2024-12-31T23:59:61Z"),
        ("date-time", "-0043-03-15T00:00:00Z"),
        ("date-time", "20240101T000000Z"),
        ("date-time", "2024-W01-1"),
        ("date", "0000-01-01"),
        ("date", "2024-02-30"),
        ("time", "24:00:01"),
        ("time", "now"),
    ],
)
def test_documented_refusals_of_time(warehouse, kind, value):
    warehouse.fails(stream({"type": "string", "format": kind}, f'"{value}"'), "'t'", "line 2", "'v'")


def test_a_time_with_its_offset(warehouse):
    """x-sql-datatype timetz keeps offsets; without one it is UTC; Postgres' words are refused."""
    definition = {"type": "string", "format": "time", "x-sql-datatype": "timetz"}
    warehouse.load(stream(definition, '"10:00:00.123456+05:30"', '"10:00"', '"23:59:60Z"', '"24:00:00-15:59"'))
    found = warehouse.rows("select v::text from bronze.t order by id")
    assert found == [("10:00:00.123456+05:30",), ("10:00:00+00",), ("24:00:00+00",), ("24:00:00-15:59",)]
    for value in ("now", "allballs", "10:00:00 Europe/Berlin", "10:00+16:00"):
        warehouse.fails(stream(definition, f'"{value}"'), "'t'", "line 2", "'v'")


def test_arrays_are_jsonb_whatever_is_asked(warehouse):
    """An array type of Postgres is not on the list: jsonb holds every array, of any shape."""
    warehouse.load(stream({"type": "array", "x-sql-datatype": "integer[]"}, "[1,[2,3],null]"))
    assert warehouse.rows("select v, pg_typeof(v)::text from bronze.t") == [([1, [2, 3], None], "jsonb")]


@pytest.mark.parametrize(
    ("definition", "sql"),
    [
        ({"anyOf": [{"type": "integer", "maximum": 5}, {"type": "integer", "maximum": 10}]}, "bigint"),
        ({"anyOf": [{"type": "integer"}, {"type": "number", "x-sql-datatype": "numeric(5,2)"}]}, "numeric"),
        ({"allOf": [{"type": "string"}, {"format": "date-time"}]}, "timestamp with time zone"),
        ({"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "date"),
        ({"type": "integer", "minimum": Decimal(0), "maximum": Decimal("1e20")}, "numeric"),
        ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, "bigint"),
        ({"enum": [1, Decimal("1.5")]}, "numeric"),
        ({"const": "x"}, "text"),
        ({"type": []}, "jsonb"),
        ({"type": "null"}, "jsonb"),
        (True, "jsonb"),
    ],
)
def test_the_type_of_a_schema(definition, sql):
    assert column_type(definition, content_encoding=False).sql == sql


@pytest.mark.parametrize("kind", ["date", "date-time"])
def test_infinite_days_are_kept_and_other_words_refused(warehouse, kind):
    warehouse.load(stream({"type": "string", "format": kind}, '"infinity"', '"-infinity"'))
    assert warehouse.rows("select v::text from bronze.t order by id") == [("infinity",), ("-infinity",)]
    for word in ("now", "today", "epoch", "Infinity"):
        warehouse.fails(stream({"type": "string", "format": kind}, f'"{word}"'), "'t', line 2", "'v'", word)
    warehouse.fails(stream({"type": "string", "format": kind}, "[1]"), "'t', line 2", "'v'", validate_records=False)


def test_nan_is_kept(warehouse):
    warehouse.load(stream({"type": "number"}, '"NaN"', "NaN"))
    assert warehouse.rows("select v::text from bronze.t") == [("NaN",), ("NaN",)]


def test_limits_in_the_words_of_draft_4(warehouse):
    """Taps from before the SDK say `exclusiveMaximum: true` beside a maximum."""
    limits = {"type": "number", "minimum": -10, "exclusiveMinimum": True, "maximum": 10, "exclusiveMaximum": False}
    nested = {"type": "array", "items": limits}
    warehouse.load(stream(limits, "0.13", "-9.99", "10"))
    assert warehouse.rows("select v from bronze.t order by id") == [(Decimal("0.13"),), (Decimal("-9.99"),), (10,)]
    for definition, value in ((limits, "-10"), (limits, "10.01"), (nested, "[-10]")):
        warehouse.fails(stream(definition, value, name="refused"), "'refused', line 2", "value must be")


def test_special_numbers_within_arrays_and_objects(warehouse):
    numbers = {"type": ["null", "array"], "items": {"type": ["null", "number"]}}
    nested = {"type": "object", "properties": {"n": {"type": "array", "items": numbers}}}
    warehouse.load(stream(numbers, '["NaN",1.50,null]', name="flat"))
    warehouse.load(stream(nested, '{"n":[["-Infinity",0.1]]}', name="deep"))
    assert warehouse.rows("select v::text from bronze.flat") == [('["NaN", 1.50, null]',)]
    assert warehouse.rows("select v::text from bronze.deep") == [('{"n": [["-Infinity", 0.1]]}',)]
    warehouse.fails(stream(numbers, '["many"]', name="flat"), "'flat', line 2", "v.0", "'many'")


def test_null_is_not_json_null(warehouse):
    warehouse.load(stream({"type": ["object", "null"]}, "null", "{}"))
    assert warehouse.rows("select id from bronze.t where v is null") == [(0,)]


def test_nested_numbers_keep_all_digits(warehouse):
    warehouse.load(stream({"type": "object"}, f'{{"a":[{DIGITS},1.10,{10**40}]}}'))
    assert warehouse.rows("select v::text from bronze.t") == [(f'{{"a": [{DIGITS}, 1.10, {10**40}]}}',)]


def test_bytea(warehouse):
    definition = {"type": "string", "contentEncoding": "base64"}
    warehouse.load(stream(definition, '"AP8KXA=="'), interpret_content_encoding=True)
    assert warehouse.rows("select v from bronze.t") == [(b"\x00\xff\n\\",)]
    warehouse.load(
        stream({"type": "string", "contentEncoding": "base16"}, '"00ff"', name="u"), interpret_content_encoding=True
    )
    assert warehouse.rows("select v from bronze.u") == [(b"\x00\xff",)]


REFUSED = [
    ({"type": "integer"}, "1.5", "integer"),
    ({"type": "integer"}, "1e1000000000", "integer"),
    ({"type": "number"}, "1e1000000000", "overflow"),
    ({}, "1e1000000000", "overflow"),
    ({"type": "integer"}, "true", "integer"),
    ({"type": "boolean"}, '"x"', "boolean"),
    ({"type": "string"}, r'"a\u0000b"', "NUL"),
    ({"type": "string"}, r'"a\ud800b"', "surrogate"),
    ({"type": "object"}, r'{"a":"\u0000"}', "NUL"),
    ({"type": "object"}, r'{"a":"\\\u0000"}', "NUL"),
    ({"type": "object"}, r'{"a":"\ud800"}', "surrogate"),
    ({"type": "object"}, r'{"a":NaN}', "json"),
    ({"type": "string", "format": "date-time"}, '"now"', "date-time"),
    ({"type": "string", "format": "date-time"}, '"tomorrow"', "date-time"),
    ({"type": "string", "format": "date-time"}, '"2024-13-01T00:00:00Z"', "out of range"),
    ({"type": "string", "format": "date-time"}, '"0000-01-01T00:00:00Z"', "out of range"),
    ({"type": "string", "format": "date"}, '"2024-01-01T10:00:00Z"', "time of day"),
    ({"type": "string", "format": "date"}, '"today"', "date"),
    ({"type": "string", "format": "time"}, '"10:00:00+02:00"', "offset"),
    ({"type": "string", "format": "uuid"}, '"nope"', "uuid"),
    ({"type": "string", "format": "singer.decimal"}, '"1,5"', "number"),
    ({"type": "string", "maxLength": 2}, '"abc"', "SCHEMA"),
]


@pytest.mark.parametrize(("definition", "value", "reason"), REFUSED)
@pytest.mark.parametrize("validate", [True, False])
def test_refused_with_the_place(warehouse, definition, value, reason, validate):
    if "maxLength" in definition and not validate:
        pytest.skip("only validation knows maxLength")
    outcome = warehouse.fails(stream(definition, value), "'t'", "line 2", "'v'", validate_records=validate)
    assert reason.lower() in str(outcome.error).lower()


def test_sanitized(warehouse):
    messages = [
        *stream({"type": "string"}, r'"a\u0000b\ud800c"'),
        *stream({"type": "object"}, r'{"a\u0000":["\u0000"]}', name="u"),
    ]
    messages[0] = json.dumps({**json.loads(messages[0]), "bookmark_properties": ["id", "v"]})
    warehouse.load(messages, sanitize_null_text_characters=True)
    assert warehouse.rows("select v, _sdc_cursor from bronze.t") == [("a�b�c", '[0,"a�b�c"]')]
    assert warehouse.rows("select v from bronze.u") == [({"a�": ["�"]},)]


def test_values_are_not_parsed_by_session_settings(warehouse):
    """Dates and backslashes mean the same whatever the role's defaults are."""
    name = warehouse.rows("select current_database()")[0][0]
    warehouse.do(f"alter database \"{name}\" set datestyle = 'SQL, DMY'")
    warehouse.do(f'alter database "{name}" set standard_conforming_strings = off')
    warehouse.do(f"alter database \"{name}\" set timezone = 'Asia/Tokyo'")
    warehouse.load(stream({"type": "string", "format": "date-time"}, '"2024-02-01T00:00:00"'), source_name="a\\'b")
    query = "select to_char(v, 'YYYY-MM-DD HH24:MI'), _sdc_source from bronze.t"
    assert warehouse.rows(query) == [("2024-02-01 00:00", "a\\'b")]


@pytest.mark.parametrize("policy", ["evolve", "freeze", "fail"])
@pytest.mark.parametrize(
    ("definition", "small", "large", "widened"),
    [
        ({"type": "integer"}, "7", "9223372036854775808", "numeric"),
        ({"type": "string", "x-sql-datatype": "varchar(3)"}, '"abc"', '"abcd"', "text"),
        ({"type": "number", "x-sql-datatype": "numeric(5,2)"}, "123.45", "123.456", "numeric"),
        ({"type": "integer", "x-sql-datatype": "smallint"}, "32767", "32768", "bigint"),
    ],
)
def test_a_value_larger_than_its_column(warehouse, policy, definition, small, large, widened):
    """Widened in the middle of a run, or refused by name; never rounded, cut or left to fail with the whole batch."""
    schema = {"type": "SCHEMA", "stream": "t", "key_properties": ["id"], "schema": {"properties": {"v": definition}}}
    schema["schema"]["properties"]["id"] = {"type": "integer"}
    line = '{"type":"RECORD","stream":"t","record":{"id":%d,"v":%s}}'
    messages = [schema, line % (1, small), line % (2, large), line % (3, small), line % (2, large)]
    warehouse.load(messages[:2])
    if policy != "evolve":
        warehouse.fails(messages, "'t'", "line 3", "'v'", schema_policy=policy)
        assert warehouse.rows("select id, v::text from bronze.t") == [(1, small.strip('"'))]
        return
    warehouse.load(messages, batch_size_rows=2)
    rows = warehouse.rows("select id, v::text, pg_typeof(v)::text from bronze.t order by id")
    assert rows == [(1, small.strip('"'), widened), (2, large.strip('"'), widened), (3, small.strip('"'), widened)]
