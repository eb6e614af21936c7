"""Each type comes out exactly, on the fast path and on the SDK's own."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from psycopg.conninfo import conninfo_to_dict

NASTY = 'a"b\\c\\\\d\n\r\t\b\f\v\x01\x1f\x7f \\n \\. é 漢 🪑 \u202e \u2028 </script>'
LONG = Decimal("1234567890123456789012345678901234567890.1234567890")

# Name of the case, type in Postgres, value as SQL, value as read, JSON schema besides null.
CASES = [
    ("smallint", "smallint", "-32768", -32768, {"type": "integer"}),
    ("integer", "integer", "2147483647", 2147483647, {"type": "integer"}),
    ("bigint", "bigint", "9223372036854775807", 9223372036854775807, {"type": "integer"}),
    ("oid", "oid", "4294967295", 4294967295, {"type": "integer"}),
    ("numeric", "numeric", str(LONG), LONG, {"type": "number"}),
    ("numeric_zeros", "numeric(8,4)", "1.5", Decimal("1.5000"), {"type": "number"}),
    ("numeric_nan", "numeric", "'NaN'", "NaN", {"type": "number"}),
    ("double", "double precision", "0.1", Decimal("0.1"), {"type": "number"}),
    ("double_small", "double precision", "5e-324", Decimal("5e-324"), {"type": "number"}),
    ("double_infinite", "double precision", "'-Infinity'", "-Infinity", {"type": "number"}),
    ("real", "real", "0.1", Decimal("0.1"), {"type": "number"}),
    ("boolean", "boolean", "false", False, {"type": "boolean"}),
    ("text", "text", None, NASTY, {"type": "string"}),
    ("varchar", "varchar(9)", "''", "", {"type": "string"}),
    ("char", "char(4)", "'ab'", "ab  ", {"type": "string"}),
    ("date", "date", "'0001-01-01'", "0001-01-01", {"type": "string", "format": "date"}),
    ("date_infinite", "date", "'infinity'", "infinity", {"type": "string", "format": "date"}),
    (
        "timestamp",
        "timestamp",
        "'2024-02-29 23:59:59.999999'",
        "2024-02-29T23:59:59.999999+00:00",
        {"type": "string", "format": "date-time"},
    ),
    ("timestamp_infinite", "timestamp", "'infinity'", "infinity", {"type": "string", "format": "date-time"}),
    (
        "timestamptz",
        "timestamptz",
        "'2024-03-31 03:30:00.000001+02'",
        "2024-03-31T01:30:00.000001+00:00",
        {"type": "string", "format": "date-time"},
    ),
    ("time", "time", "'24:00'", "24:00:00", {"type": "string", "format": "time"}),
    ("timetz", "timetz", "'12:30:00.5+05:30'", "12:30:00.5+05:30", {"type": "string", "format": "time"}),
    (
        "uuid",
        "uuid",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        {"type": "string", "format": "uuid"},
    ),
    (
        "jsonb",
        "jsonb",
        """'{"en_US": "Ch\\u00e4ir", "n": 1.50, "l": [null, {}]}'""",
        {"en_US": "Chäir", "n": Decimal("1.50"), "l": [None, {}]},
        None,
    ),
    ("jsonb_null", "jsonb", "'null'", None, None),
    ("jsonb_text", "jsonb", "'\"CO-CUN\"'", "CO-CUN", None),
    ("json", "json", 'E\'{"b":\\r\\n\\t1,\\n"a": "x\\\\ny\\\\u0000"}\'', {"b": 1, "a": "x\ny\u0000"}, None),
    (
        "bytea",
        "bytea",
        "decode(repeat('00ff', 100), 'hex')",
        base64.b64encode(b"\0\xff" * 100).decode(),
        {"type": "string", "contentEncoding": "base64"},
    ),
    ("interval", "interval", "'1 day 2 hours'", "1 day 02:00:00", {"type": "string"}),
    ("inet", "inet", "'10.0.0.1/8'", "10.0.0.1/8", {"type": "string"}),
    ("range", "int4range", "'[1,5)'", "[1,5)", {"type": "string"}),
    ("money_of_a_domain", "amount", "12.30", Decimal("12.30"), {"type": "number"}),
    ("mood", "mood", "'sad'", "sad", {"type": "string"}),
    ("composite", "pair", "row(1, 'x')", "(1,x)", {"type": "string"}),
]
ARRAYS = [
    ("integers", "integer[]", "'{1,NULL,3}'", [1, None, 3], {"type": ["null", "integer"]}),
    ("integers_nested", "integer[][]", "'{{1,2},{3,4}}'", [[1, 2], [3, 4]],
     {"type": ["null", "array"], "items": {"type": ["null", "integer"]}}),
    ("texts", "text[]", "array['a\"b', 'c\\d', '']", ['a"b', "c\\d", ""], {"type": ["null", "string"]}),
    ("stamps", "timestamp[]", "array['2024-01-01 10:00'::timestamp]", ["2024-01-01T10:00:00+00:00"],
     {"type": ["null", "string"], "format": "date-time"}),
    ("jsons", "json[]", "array[E'{\"a\":\\n1}'::json]", [{"a": 1}], None),
    ("bytes", "bytea[]", "array['\\x00ff'::bytea]", ["\\x00ff"], {"type": ["null", "string"]}),
    ("moods", "mood[]", "array['sad']::mood[]", ["sad"], {"type": ["null", "string"]}),
    ("empty", "uuid[]", "'{}'", [], {"type": ["null", "string"], "format": "uuid"}),
]  # fmt: skip


@pytest.fixture
def every_type(odoo):
    odoo.execute(
        "create domain amount as numeric; create type mood as enum ('sad'); create type pair as (a int, b text)"
    )
    columns = ", ".join(f'"{name}" {kind}' for name, kind, *_ in [*CASES, *ARRAYS])
    values = ", ".join("%s" if value is None else value for _, _, value, *_ in [*CASES, *ARRAYS])
    odoo.execute(f"create table every_type (id integer primary key, {columns})")
    odoo.execute(f"insert into every_type values (1, {values})", NASTY)
    odoo.execute("insert into every_type values (2)")
    return odoo


@pytest.mark.parametrize("maps", [None, {"every_type": {}}], ids=["fast", "sdk"])
def test_every_type(every_type, maps) -> None:
    settings = {} if maps is None else {"stream_maps": {"every_type": {"sent": "1 + 1"}}}
    messages = every_type.sync(streams=["every_type"], **settings)
    first, second = messages.records("every_type")
    properties = messages.properties("every_type")
    for name, _, _, expected, schema in CASES:
        assert (name, first[name]) == (name, expected)
        assert str(first[name]) == str(expected) or isinstance(expected, Decimal | dict)
        if schema:
            assert properties[name] == {**schema, "type": ["null", schema["type"]]}
    for name, _, _, expected, items in ARRAYS:
        assert (name, first[name]) == (name, expected)
        assert properties[name]["type"] == ["null", "array"]
        if items:
            assert properties[name]["items"] == items
    assert properties["id"] == {"type": ["integer"]}
    assert properties["jsonb"]["type"] == ["null", "object", "array", "string", "number", "boolean"]
    assert {value for name, value in second.items() if name not in {"id", "sent"}} == {None}


def test_a_map_that_changes_nothing_gives_the_same_records(every_type) -> None:
    fast = every_type.sync(streams=["every_type"])
    slow = every_type.sync(streams=["every_type"], stream_maps={"every_type": {"id": "record['id']"}})
    assert slow.records("every_type") == fast.records("every_type")


FORMS = {
    "timezone": "Asia/Tokyo",
    "datestyle": "German",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "0",
}


def test_a_database_with_other_ways_to_write_values(every_type) -> None:
    expected = every_type.sync(streams=["every_type"]).records("every_type")
    for name, value in FORMS.items():
        every_type.execute(f"alter database {conninfo_to_dict(every_type.url)['dbname']} set {name} = '{value}'")
    assert every_type.sync(streams=["every_type"]).records("every_type") == expected


def test_a_pooler_that_forgets_what_a_session_has_set(every_type) -> None:
    expected = every_type.sync(streams=["every_type"]).records("every_type")
    tap = every_type.tap(streams=["every_type"])
    for name, value in FORMS.items():
        tap.session.connection.execute(f"set {name} = '{value}'")
    assert every_type.run(tap).records("every_type") == expected


@pytest.mark.parametrize(
    "name",
    ["type", "select", "Upper Case", 'a"b', "a.b", "a%b", "a\\b", "a{0}b", "r", "t", "rr", "x" * 63, "Ü🪑"],
)
def test_hostile_names(odoo, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    odoo.execute(f"create table {quoted} (id integer primary key, {quoted} text, write_date timestamp)")
    odoo.execute(f"insert into {quoted} values (1, 'value', '2024-01-01')")
    for _ in range(2):
        messages = odoo.sync(streams=["*"])
        assert messages.records(name) == [{"id": 1, name: "value", "write_date": "2024-01-01T00:00:00+00:00"}]
        assert list(messages.properties(name)) == ["id", name, "write_date"]


def test_a_database_in_another_encoding(odoo) -> None:
    odoo.execute("drop database if exists tap_odoo_latin1")
    odoo.execute("create database tap_odoo_latin1 encoding latin1 locale 'C' template template0")
    try:
        latin = type(odoo)(odoo.url.rpartition("/")[0] + "/tap_odoo_latin1")
        latin.execute("create table t (id integer primary key, name text); insert into t values (1, 'Café')")
        assert latin.sync(streams=["t"]).records("t") == [{"id": 1, "name": "Café"}]
        latin.connection.close()
    finally:
        odoo.execute("drop database tap_odoo_latin1 with (force)")


def test_large_rows_and_many_pages(odoo) -> None:
    odoo.execute("create table t as select i as id, repeat(chr(64 + i % 60), 1 + (i % 7 = 0)::int * 500000) as x"
                 " from generate_series(1, 5000) i where i <= 20 or i % 7 <> 0")  # fmt: skip
    odoo.execute("alter table t add primary key (id)")
    records = odoo.sync(streams=["t"]).records("t")
    assert sorted((r["id"], r["x"]) for r in records) == odoo.execute("select id, x from t order by id").fetchall()
