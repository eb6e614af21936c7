"""The native scanner takes ordinary records as the plain path has them, to the last digit, and leaves the rest."""

from __future__ import annotations

import ctypes.util
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from singer_kit.errors import DataError
from target_postgres import scanner
from target_postgres.binary import HEADER, TRAILER, constant, rows_of
from target_postgres.plans import compile_plan
from target_postgres.scanner import Scanner

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
from decoding import fields_of
from plain_path import PlainPath, difference, types_of
from random_records import Writer, mutated, random_stream

NEW_YEAR = datetime(2024, 1, 1, tzinfo=timezone.utc)
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """Built from the sources as they stand: an installed one may be older."""
    source = Path(__file__).parents[1] / "native" / "scan.c"
    built = tmp_path_factory.mktemp("native") / "scan.so"
    subprocess.run(
        ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", built, source], check=True
    )
    return scanner.load(str(built))


SQL = {
    "integer": "bigint",
    "number": "numeric",
    "text": "text",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "time": "time without time zone",
    "uuid": "uuid",
    "jsonb": "jsonb",
}


@pytest.fixture
def make(library):
    """A scanner with one stream `s` of the given columns: name, kind or kind and SQL type, schema."""

    def made(*columns, stream="s", into=None, schema=None, **changes):
        properties = {name: definition for name, _, definition in columns}
        options = {"keys": (), "validate": True, "lineage": False, "sequence": False, "bookmark": (), "ignored": ()}
        pairs = [(name, *((kind, SQL[kind]) if isinstance(kind, str) else kind)) for name, kind, _ in columns]
        plan = compile_plan(
            {"type": "object", "properties": properties, **(schema or {})},
            pairs,
            **{**options, "constants": (), **changes},
        )
        assert plan is not None
        found = into or Scanner(library)
        found.set(stream, plan)
        return found

    return made


def scan(found, block, start=0, *, line=1, sequence=1, rows=1 << 40):
    return found.scan(
        block if isinstance(block, bytes) else block.encode(), start, line=line, sequence=sequence, rows=rows
    )


def record(text, stream="s"):
    return f'{{"type": "RECORD", "stream": "{stream}", "record": {text}}}\n'


def row(found, block):
    """The fields of the one row that a line becomes; None: it is declined."""
    scanned = scan(found, block)
    assert (scanned.lines, scanned.rows) in {(0, 0), (1, 1)}
    return fields_of(scanned.chunks[0].data) if scanned.rows else None


def integers(*values):
    """The fields of bigint columns."""
    return [constant(value) for value in values]


class Destination:
    """A real server: what it stores of rows, as text."""

    def __init__(self, url):
        self._connection = psycopg.connect(url, autocommit=True, options="-c timezone=UTC -c datestyle=ISO,MDY")

    def close(self):
        self._connection.close()

    def stored(self, types, data, form=""):
        """The rows of a table of these types that COPY fills; psycopg.DataError: it refuses one."""
        columns = ", ".join(f"c{number} {sql}" for number, sql in enumerate(types))
        self._connection.execute("drop table if exists pg_temp.t")
        self._connection.execute(f"create temp table t (number serial, {columns})")
        names = ", ".join(f"c{number}" for number in range(len(types)))
        with self._connection.cursor() as cursor, cursor.copy(f"copy t ({names}) from stdin {form}") as copy:
            copy.write(data)
        texts = ", ".join(f"c{number}::text" for number in range(len(types)))
        return self._connection.execute(f"select {texts} from t order by number").fetchall()

    def from_binary(self, types, rows):
        return self.stored(types, HEADER + b"".join(rows) + TRAILER, "(format binary)")

    def from_text(self, types, rows):
        return self.stored(types, "".join("\t".join(fields) + "\n" for fields in rows))


@pytest.fixture(scope="session")
def destination(postgres_server):
    opened = Destination(postgres_server)
    yield opened
    opened.close()


ZONED = "timestamp with time zone"
INT8 = ("integer", "bigint")
TAKEN = [
    (INT8, "0", "0"),
    (INT8, "-12", "-12"),
    (INT8, "9223372036854775807", "9223372036854775807"),
    (INT8, "-9223372036854775808", "-9223372036854775808"),
    (("integer", "integer"), "-2147483648", "-2147483648"),
    (("integer", "integer"), "2147483647", "2147483647"),
    (("integer", "smallint"), "-32768", "-32768"),
    (("integer", "smallint"), "32767", "32767"),
    (("integer", "numeric"), "9" * 30, "9" * 30),
    (("integer", "double precision"), "9007199254740992", "9.007199254740992e+15"),
    ("number", "1.50", "1.50"),
    ("number", "-0.0", "0.0"),
    ("number", "0", "0"),
    ("number", "1e-07", "0.0000001"),
    ("number", "1.5E+3", "1500"),
    ("number", "1.2345e2", "123.45"),
    ("number", "12345.6789e-2", "123.456789"),
    ("number", "0.000e5", "0"),
    ("number", "0.00012300", "0.00012300"),
    ("number", "10000", "10000"),
    ("number", "99999999.00010000", "99999999.00010000"),
    ("number", "1" * 40, "1" * 40),
    ("number", "1e999", "1" + "0" * 999),
    ("number", "-1e-999", "-0." + "0" * 998 + "1"),
    ("number", '"12.340"', "12.340"),
    ("number", '"-7"', "-7"),
    ("number", '"007."', "7"),
    (("number", "double precision"), "-0.0", "-0"),
    (("number", "double precision"), "72.46538007815418", "72.46538007815418"),
    (("number", "double precision"), "1.7976931348623157e308", "1.7976931348623157e+308"),
    (("number", "double precision"), "5e-324", "5e-324"),
    (("number", "double precision"), "9007199254740993", "9.007199254740992e+15"),
    (("number", "double precision"), '"-12.50"', "-12.5"),
    (("number", "double precision"), "0e999", "0"),
    (("number", "real"), "3.4028235e38", "3.4028235e+38"),
    (("number", "real"), "1e-45", "1e-45"),
    # Rounded to a double first, this would be half way between two floats, and end at the other one.
    (("number", "real"), "1.00000017881393432617187499", "1.0000001"),
    ("text", '""', ""),
    ("text", '"O\'Neil"', "O'Neil"),
    ("text", '"é 日本語 😀"', "é 日本語 😀"),
    ("text", r'"\u00e9\ud83d\ude00\u4e00\u0041"', "é😀一A"),
    ("text", r'"a\tb\nc\rd\\e\/f\"g"', 'a\tb\nc\rd\\e/f"g'),
    ("text", r'"\u0009\u000a\u000d\u005c\b\f\u001f"', "\t\n\r\\\b\f\x1f"),
    ("text", r'"\\N"', r"\N"),
    ("text", r'"\\u0000"', r"\u0000"),
    ("text", "42", "42"),
    ("text", "72.46538007815418", "72.46538007815418"),
    ("text", "0.000001", "0.000001"),
    ("text", "true", "true"),
    (("text", "character varying"), r'"a\n"', "a\n"),
    ("boolean", "true", "true"),
    ("boolean", "false", "false"),
    ("date", '"2024-02-29"', "2024-02-29"),
    ("date", '"2024-02-29T00:00:00"', "2024-02-29"),
    ("date", '"2024-02-29T00:00:00.000000Z"', "2024-02-29"),
    ("date", '"0001-01-01"', "0001-01-01"),
    ("date", '"1900-02-28"', "1900-02-28"),
    ("date", '"2000-02-29"', "2000-02-29"),
    ("date", '"9999-12-31"', "9999-12-31"),
    ("timestamp", '"2024-02-29"', "2024-02-29 00:00:00+00"),
    ("timestamp", '"2024-02-29T23:59:59"', "2024-02-29 23:59:59+00"),
    ("timestamp", '"2024-02-29 23:59:59.123456Z"', "2024-02-29 23:59:59.123456+00"),
    ("timestamp", '"2024-02-29 23:59:59.120000000Z"', "2024-02-29 23:59:59.12+00"),
    ("timestamp", '"1969-12-31T23:59:59.999999+00:00"', "1969-12-31 23:59:59.999999+00"),
    ("timestamp", '"2024-02-29T23:59:59+05:30"', "2024-02-29 18:29:59+00"),
    ("timestamp", '"2024-02-29T23:59:59.5-0800"', "2024-03-01 07:59:59.5+00"),
    ("timestamp", '"9999-12-31T23:59:59-15:59"', "10000-01-01 15:58:59+00"),
    ("timestamp", '"0001-01-01T00:00:00+01"', "0001-12-31 23:00:00+00 BC"),
    ("time", '"23:59:59"', "23:59:59"),
    ("time", '"23:59:59.123456"', "23:59:59.123456"),
    ("time", '"00:00:00.1"', "00:00:00.1"),
    ("uuid", f'"{UUID}"', UUID),
    ("uuid", f'"{UUID.upper()}"', UUID),
    ("jsonb", '{"a": [1, 2.50, null, {"b": "x"}], "": {}}', '{"": {}, "a": [1, 2.50, null, {"b": "x"}]}'),
    ("jsonb", r'{"a\"": "\u00e9\n\\"}', r'{"a\"": "é\n\\"}'),
    ("jsonb", '"text"', '"text"'),
    ("jsonb", "1.50", "1.50"),
    ("jsonb", "false", "false"),
    ("jsonb", "[[], {}]", "[[], {}]"),
    (("jsonb", "json"), r'{"b":1, "a": "\u00e9"}', r'{"b":1, "a": "\u00e9"}'),
    *((kind, "null", None) for kind in SQL),
]


@pytest.mark.parametrize(("kind", "value", "stored"), TAKEN)
def test_taken(make, destination, kind, value, stored):
    sql = SQL[kind] if isinstance(kind, str) else kind[1]
    scanned = scan(make(("v", kind, {})), record(f'{{"v": {value}}}'))
    assert scanned.rows == 1
    assert destination.from_binary([sql], [scanned.chunks[0].data]) == [(stored,)]


DECLINED = [
    *(
        ("jsonb", value)
        for value in ("-0", "01", "+1", ".5", "1.", "1e", "1e1000", "9" * 300, "NaN", "Infinity", "-Infinity")
    ),
    *(
        ("jsonb", value)
        for value in ("nul", "nulls", "True", "", "[1,]", "[,]", "[1 2]", "{,}", '{"a"}', '{"a":}', "{1:2}", "'a'")
    ),
    *(
        ("jsonb", value)
        for value in ("[" * 64 + "]" * 64, "[" * 100_000, '{"a":' * 100_000, "[\t]", '{"a": 1,}', "[1", '{"a": 1')
    ),
    *(
        ("jsonb", f'["{text}"]')
        for text in (r"\u0000", r"\ud800", r"\udc00", r"\ud800\u0041", r"\x", r"\u00g0", "\x01", "\t", "a")
    ),
    *(
        (("integer", sql), value)
        for sql in ("bigint", "numeric", "double precision")
        for value in ("1.0", "1e2", '"1"', "true", "[]")
    ),
    *((INT8, value) for value in ("9223372036854775808", "-9223372036854775809", "9" * 19, "1" * 20, "1" * 30)),
    *((("integer", "integer"), value) for value in ("2147483648", "-2147483649", "4294967297")),
    *((("integer", "smallint"), value) for value in ("32768", "-32769", "65537")),
    *((("number", "double precision"), value) for value in ("1.8e308", "-1e309", "2e-324", '"1e5"', "{}", "true")),
    *((("number", "real"), value) for value in ("3.5e38", "-1e40", "1e-46", "0.1e-320")),
    *(("number", value) for value in ('"NaN"', '"1e5"', '"+1"', '""', '"-"', r'"\u0031"', "true", "{}")),
    *(("text", value) for value in ("1e5", "0.0000001", "[]", "{}", r'"\u0000"', r'"\ude00\ud83d"')),
    *(("boolean", value) for value in ("1", '"true"', "0")),
    *(
        ("date", value)
        for value in ('"2024-02-29T01:00:00"', '"20240229"', '"now"', '"infinity"', '"2024-2-29"', '""', "20240229")
    ),
    *(
        (kind, f'"{value}"')
        for kind in ("date", "timestamp")
        for value in (
            *("2024-02-30", "2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "2024-00-01", "2024-01-00"),
            *("2024-01-32", "0000-01-01", "12024-01-01", "2024/01-01", "2024-01/01", "2O24-01-01"),
        )
    ),
    *(
        ("timestamp", f'"{value}"')
        for value in ("2024-02-29T", "2024-02-29T23:59", "2024-02-29t23:59:59z", "now", "", "infinity")
    ),
    *(
        ("timestamp", f'"2024-02-29T23:59:59{value}"')
        for value in (".", ",5", "+1", "+05:3", "Zx", " Z", "+05:30:00", ".5.5", "z")
    ),
    *(
        ("timestamp", f'"2024-02-29T{value}"')
        for value in (
            "24:00:00",
            "23:60:00",
            "23:59:60",
            "23:59:59.1234567",
            "23:59:59+16:00",
            "23:59:59-05:60",
            "2a:00:00",
        )
    ),
    *(
        ("time", f'"{value}"')
        for value in ("23:59", "23:59:59Z", "23:59:59+00", "23:59:59.", "noon", "", "24:00:00", "23:60:00")
    ),
    *(("time", f'"23:59:{value}"') for value in ("60", "59.0000001", "59.123456x")),
    *(
        ("uuid", value)
        for value in (f'"{{{UUID}}}"', '"a0eebc999c0b4ef8bb6d6bb9bd380a11"', f'"{UUID[:-1]}g"', "1", '""')
    ),
]


@pytest.mark.parametrize(("kind", "value"), DECLINED)
def test_declined(make, kind, value):
    if value == '["a"]':
        value = '["a\udcff"]'  # a byte that is not UTF-8
    line = record(f'{{"v": {value}}}').encode(errors="surrogateescape")
    found = make(("v", kind, {}))
    assert row(found, line) is None
    assert scan(found, line).stop == 0


BROKEN_UTF8 = [
    b"\x80",
    b"\xc0\x80",
    b"\xc3",
    b"\xe0\x80\x80",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80",
    b"\xff",
]


@pytest.mark.parametrize("text", BROKEN_UTF8)
@pytest.mark.parametrize("place", ['{"v": "%s"}', '{"v": "%s aaaaaaaaaaaaaaaa"}', '{"v": {"%s": 1}}', '{"%s": 1}'])
def test_broken_utf8_is_declined_everywhere(make, text, place):
    line = record(place).encode().replace(b"%s", text)
    assert row(make(("v", "jsonb", {})), line) is None


@pytest.mark.parametrize("place", range(24))
@pytest.mark.parametrize("text", ["\x00", "\x1f", "\t", '"', "\\"])
def test_what_may_not_stand_in_a_string_is_seen_at_every_place(make, place, text):
    value = "a" * place + text + "a" * (23 - place)
    assert row(make(("v", "text", {})), record(f'{{"v": "{value}"}}')) is None


SCHEMAS = [
    ({"type": "integer"}, ["1"], ["null", '"a"', "1.5", "true"]),
    ({"type": ["null", "number"]}, ["null", "1", "1.5"], ['"1"', "[]"]),
    ({"type": "integer", "minimum": -3, "maximum": 10}, ["-3", "10", "0"], ["-4", "11", "1" * 30]),
    ({"type": "number", "minimum": 0, "maximum": 10}, ["0.0", "0.5", "9.99", "10"], ["-0.5", "10.5", "11", "1e1"]),
    ({"type": "number", "minimum": -2}, ["-1.5", "-2"], ["-2.5", "-3"]),
    (
        {"type": "string", "maxLength": 3},
        ['"abc"', '"é日😀"', r'"\ud83d\ude00\n\u00e9"'],
        ['"abcd"', '"éééé"', r'"\n\n\n\n"'],
    ),
    ({"type": "array", "items": {"type": "integer"}}, ["[]", "[1, 2]"], ["[1, null]", "{}", '["a"]']),
    (
        {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
        ['{"a": "x"}', '{"c": 1, "b": [], "a": ""}', '{"a": "x", "a": "y"}'],
        ["{}", '{"b": 1}', '{"a": 1}', '{"a": "x", "a": 1}', r'{"\u0061": "x"}', "null"],
    ),
    ({"type": "object", "required": ["a", "b"]}, ['{"b": 1, "a": null}'], ['{"a": 1}', '{"a": 1, "a": 2}']),
    (
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        ["{}", '{"a": 1}'],
        ['{"b": 1}', '{"a": 1, "b": 1}'],
    ),
    ({"anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]}, ["5", "null"], ["4", '"5"']),
    (
        {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}}},
        ["[[true], []]"],
        ["[true]", "[[1]]"],
    ),
]


@pytest.mark.parametrize(("definition", "good", "bad"), SCHEMAS)
def test_schema(make, definition, good, bad):
    found = make(("v", "jsonb", definition))
    for value in good:
        assert row(found, record(f'{{"v": {value}}}')) is not None, value
    for value in bad:
        assert row(found, record(f'{{"v": {value}}}')) is None, value


RECORD = '{"v": 1}'
ENVELOPES = [
    f'{{"type":"RECORD","stream":"s","record":{RECORD}}}',
    f'{{"record": {RECORD}, "stream": "s", "type": "RECORD"}}',
    f'{{"record" : {RECORD} , "type" : "RECORD" , "stream" : "s"}}',
    f'  {{ "type": "RECORD", "stream": "s", "record": {RECORD} }}  ',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}, "version": 3, "time_extracted": "2024-01-01T00:00:00Z"}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}, "version": null, "time_extracted": null}}',
    f'{{"type": "RECORD", "stream": "s", "note": {{"a": [1]}}, "record": {RECORD}}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}}}\r',
]
NO_ENVELOPES = [
    f'{{"type": "STATE", "stream": "s", "record": {RECORD}}}',
    f'{{"type": "RECORD", "stream": "t", "record": {RECORD}}}',
    f'{{"stream": "s", "record": {RECORD}}}',
    f'{{"type": "RECORD", "record": {RECORD}}}',
    '{"type": "RECORD", "stream": "s"}',
    '{"type": "RECORD", "stream": "s", "record": [1]}',
    '{"type": "RECORD", "stream": "s", "record": null}',
    f'{{"type": "RECORD", "type": "RECORD", "stream": "s", "record": {RECORD}}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}, "record": {RECORD}}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}, "stream": "s"}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}, "version": "3"}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}, "time_extracted": "now"}}',
    f'{{"t\\u0079pe": "RECORD", "type": "RECORD", "stream": "s", "record": {RECORD}}}',
    f'{{"type": "RECORD", "stream": "\\u0073", "record": {RECORD}}}',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}}} x',
    f'{{"type": "RECORD", "stream": "s", "record": {RECORD}',
    f'\ufeff{{"type": "RECORD", "stream": "s", "record": {RECORD}}}',
    '{"type": "STATE", "value": {}}',
    "{}",
    "[]",
    "x",
    "\x0b",
]


@pytest.mark.parametrize("line", ENVELOPES)
def test_envelope(make, line):
    assert row(make(("v", "integer", {})), line + "\n") == integers(1)


@pytest.mark.parametrize("line", NO_ENVELOPES)
def test_no_envelope(make, line):
    assert row(make(("v", "integer", {})), line + "\n") is None


MEMBERS = [
    ('{"a": 1, "b": 2}', integers(1, 2)),
    ('{"b": 2, "a": 1}', integers(1, 2)),
    ('{"b": 2}', integers(None, 2)),
    ("{}", integers(None, None)),
    ('{"a": 1, "known": {"x": [1]}, "b": 2}', integers(1, 2)),
    ('{"a": 1, "_sdc_batched_at": "x"}', integers(1, None)),
    ('{"a": 1, "a": 2}', None),
    ('{"a": 1, "unknown": 2}', None),
    ('{"a": 1, "known": "\\u0000"}', None),
    ('{"a": 1, "\\u0062": 2}', None),
    ('{"a": 1, "checked": "x"}', integers(1, None)),
    ('{"a": 1, "checked": 2}', None),
]


@pytest.mark.parametrize(("text", "wanted"), MEMBERS)
def test_members(make, text, wanted):
    schema = {"properties": {"a": {}, "b": {}, "checked": {"type": "string"}}}
    found = make(("a", "integer", {}), ("b", "integer", {}), schema=schema, ignored=["known"])
    for _ in range(3):  # the scanner learns in which order members come
        assert row(found, record('{"b": 9, "a": 8}')) == integers(8, 9)
        assert row(found, record(text)) == wanted


def test_names_that_json_escapes_are_never_mistaken(make):
    found = make(('a"b', "integer", {}), ("a", "integer", {}), ("", "integer", {}))
    assert row(found, record('{"a"b": 1}')) is None
    assert row(found, record('{"a\\"b": 1}')) is None
    assert row(found, record('{"": 1, "a": 2}')) == integers(None, 2, 1)


def test_keys_and_required_properties(make):
    found = make(("k", "integer", {}), ("r", "text", {}), keys=["k"], schema={"required": ["r"]})
    assert row(found, record('{"k": 1, "r": null}')) == [constant(1), None]
    assert row(found, record('{"k": 1}')) is None
    assert row(found, record('{"r": "x"}')) is None
    assert row(found, record('{"k": null, "r": "x"}')) is None


def test_without_validation_only_kinds_count(make):
    found = make(("v", "text", {"type": "string", "maxLength": 1}), validate=False, schema={"required": ["w"]})
    assert row(found, record('{"v": "abc"}')) == [b"abc"]
    assert row(found, record('{"v": 5}')) == [b"5"]


LINEAGE = [
    ("{}", "", [None, None, 7, None, None]),
    ('{"u": "2024-01-01"}', ', "version": 12', [None, None, 7, 12, "2024-01-01"]),
    ('{"u": "a\\tb\\\\"}', ', "time_extracted": "2024-01-01T00:00:00Z"', [NEW_YEAR, None, 7, None, "a\tb\\"]),
    ('{"_sdc_deleted_at": "2024-01-01"}', "", [None, NEW_YEAR, 7, None, None]),
    ('{"_sdc_deleted_at": null, "u": null}', "", [None, None, 7, None, None]),
    ('{"u": 5}', ', "version": 9223372036854775807', [None, None, 7, 2**63 - 1, "5"]),
    ('{"u": [1]}', "", None),
    ('{"_sdc_deleted_at": "now"}', "", None),
    ('{"_sdc_deleted_at": "2024-02-30"}', "", None),
    ("{}", ', "version": "x"', None),
    ("{}", ', "version": 9223372036854775808', None),
    ("{}", ', "time_extracted": "2024-02-30"', None),
]


@pytest.mark.parametrize(("text", "more", "wanted"), LINEAGE)
def test_lineage(make, text, more, wanted):
    ends = (constant("end"), None)
    found = make(("u", "jsonb", {}), lineage=True, bookmark=["u"], constants=ends)
    scanned = scan(found, record(text + more), sequence=7)
    if wanted is None:
        assert scanned.rows == 0
    else:
        _, *fields = fields_of(scanned.chunks[0].data)
        assert fields == [*map(constant, wanted), *ends]


def test_sequence_and_constants(make, destination):
    constants = (NEW_YEAR, -5, "bätch", None)
    found = make(("v", "integer", {}), sequence=True, constants=tuple(map(constant, constants)))
    data = scan(found, record(RECORD) * 2, sequence=2**63 - 2).chunks[0].data
    ends = ("2024-01-01 00:00:00+00", "-5", "bätch", None)
    assert destination.from_binary(["bigint", "bigint", ZONED, "bigint", "text", "text"], [data]) == [
        ("1", str(2**63 - 2), *ends),
        ("1", str(2**63 - 1), *ends),
    ]


def test_constants():
    zone = timezone(timedelta(hours=5, minutes=30))
    assert constant(datetime(2000, 1, 1, 5, 30, 0, 1, tzinfo=zone)) == bytes([0] * 7 + [1])
    assert constant(datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)) == b"\xff" * 8
    assert constant(-1) == b"\xff" * 8
    assert constant("é\t") == "é\t".encode()
    assert constant(None) is None


# Blocks


def test_streams_share_a_sequence_and_keep_their_lines(make):
    found = make(("v", "integer", {}), sequence=True)
    make(("v", "integer", {}), sequence=True, stream="t", into=found)
    block = record(RECORD, "t") + "\n" + "  " + record(RECORD)[:-1] + " \t\r\n" + record(RECORD, "t") + "STOP\n"
    scanned = scan(found, block, line=100, sequence=5)
    assert (scanned.stop, scanned.lines, scanned.rows) == (block.index("STOP"), 4, 3)
    t, s = scanned.chunks
    assert (t.stream, t.rows, list(t.line_numbers)) == ("t", 2, [100, 103])
    assert [fields_of(one) for one in rows_of(t.data)] == [integers(1, 5), integers(1, 7)]
    assert t.size == 2 * len(record(RECORD, "t"))
    assert (s.stream, s.rows, list(s.line_numbers)) == ("s", 1, [102])
    assert [fields_of(one) for one in rows_of(s.data)] == [integers(1, 6)]
    assert s.size == len(record(RECORD)) + 5


def test_line_numbers_are_a_sequence(make):
    (chunk,) = scan(make(("v", "integer", {})), record(RECORD) * 10 + "\n" + record(RECORD), line=2**40).chunks
    numbers = chunk.line_numbers
    assert (len(numbers), numbers[0], numbers[-1]) == (11, 2**40, 2**40 + 11)
    assert list(numbers[8:]) == [2**40 + 8, 2**40 + 9, 2**40 + 11]
    assert list(numbers[::-5]) == [2**40 + 11, 2**40 + 5, 2**40]
    assert list(numbers[8:][1:2]) == [2**40 + 9]
    with pytest.raises(IndexError):
        numbers[11]


def test_start_and_rows(make):
    found, line = make(("v", "integer", {})), record(RECORD)
    scanned = scan(found, "garbage\n" + line * 5, 8, rows=3)
    assert (scanned.stop, scanned.lines, scanned.rows) == (8 + 3 * len(line), 3, 3)
    assert scan(found, line, rows=0) == (0, 0, 0, [])
    assert scan(found, line, len(line)) == (len(line), 0, 0, [])
    assert scan(found, b"") == (0, 0, 0, [])


def test_an_unfinished_line_is_left(make):
    found, line = make(("v", "integer", {})), record(RECORD)
    for length in range(len(line)):
        scanned = scan(found, line + line[:length])
        assert (scanned.stop, scanned.rows) == (len(line), 1)
    assert scan(found, line[:-1]) == (0, 0, 0, [])


def test_rows_of_one_scan_outlive_the_next(make):
    found = make(("v", "integer", {}))
    (first,) = scan(found, record(RECORD)).chunks
    (second,) = scan(found, record('{"v": 2}') * 1000).chunks
    assert fields_of(first.data) == integers(1)
    assert list(first.line_numbers) == [1]
    assert (first.size, second.size) == (len(record(RECORD)), 1000 * len(record(RECORD)))


def test_large_blocks_and_values(make):
    found = make(("v", "text", {}), ("w", "jsonb", {}))
    text = '"' + "\\\\" * (1 << 20) + '"'
    scanned = scan(found, record(f'{{"v": {text}, "w": [{text}]}}') + record('{"v": "x"}') * 10_000)
    assert scanned.rows == 10_001
    large, *rest = map(fields_of, rows_of(scanned.chunks[0].data))
    assert large == [b"\\" * (1 << 20), b"\x01[" + text.encode() + b"]"]
    assert rest == [[b"x", None]] * 10_000


def test_1600_columns(make):
    found = make(*((f"c{number}", "integer", {}) for number in range(1600)))
    values = {f"c{number}": number for number in reversed(range(1600))}
    assert row(found, record(json.dumps(values))) == integers(*range(1600))
    assert row(found, record("{}")) == [None] * 1600


def test_plans_come_and_go(make):
    found = make(("v", "integer", {}))
    for number in range(100):
        make(("v", "integer", {}), stream=f"t{number}", into=found)
    make(("v", "text", {}), into=found)
    assert row(found, record(RECORD)) == [b"1"]
    assert row(found, record(RECORD, "t57")) == integers(1)
    found.set("s", None)
    found.set("never", None)
    found.set("\ud800", None)
    assert row(found, record(RECORD)) is None
    assert row(found, record(RECORD, "t99")) == integers(1)


# The plain path is right


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False), wildness=st.sampled_from([0, 0.02, 0.1]))
def test_rows_are_those_of_the_plain_path(library, random, wildness):
    stream = random_stream(random)
    assume(stream is not None)
    found, writer = Scanner(library), Writer(random, wildness=wildness)
    found.set("s", stream.plan)
    for number in range(10):
        line = writer.line(stream)
        if random.random() < 0.3:
            line = mutated(random, line).replace(b"\n", b"") + b"\n"
        scanned = scan(found, line, sequence=number)
        for chunk in scanned.chunks:
            assert difference(stream.plan, chunk.data, stream.plain.row(line, number)) is None


def digits(least, most):
    return st.text("0123456789", min_size=least, max_size=most)


@st.composite
def numbers(draw):
    """A number as JSON may spell it."""
    whole = draw(st.one_of(st.just("0"), digits(1, 60).map(lambda text: text.lstrip("0") or "0")))
    fraction = draw(st.one_of(st.just(""), digits(1, 60).map(".".__add__)))
    exponent = draw(
        st.one_of(st.just(""), st.integers(-330, 330).map("e{:+}".format), st.integers(0, 999).map("E{}".format))
    )
    sign = draw(st.sampled_from(["", "-"])) if whole != "0" or fraction or exponent else ""
    return sign + whole + fraction + exponent


@st.composite
def times(draw):
    text = draw(st.times()).strftime("%H:%M:%S")
    return text + draw(st.one_of(st.just(""), digits(1, 6).map(".".__add__), digits(1, 6).map(".{}000".format)))


@st.composite
def zones(draw):
    sign, hours, minutes = draw(st.sampled_from("+-")), draw(st.integers(0, 15)), draw(st.integers(0, 59))
    form = draw(st.sampled_from(["", "Z", "{}{:02}", "{}{:02}{:02}", "{}{:02}:{:02}"]))
    return form.format(sign, hours, minutes)


DATES = st.dates().map(str)
TIMESTAMPS = st.one_of(DATES, st.builds("{}{}{}{}".format, DATES, st.sampled_from("T "), times(), zones()))
# What JSON's own writer escapes, what it does not have to, and pairs of surrogates.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
STRINGS = st.builds(
    lambda text, ascii_only: json.dumps(text, ensure_ascii=ascii_only).replace("/", "\\/"),
    st.text(CHARACTERS),
    st.booleans(),
)
NESTED = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(CHARACTERS)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(CHARACTERS), inner, max_size=4)),
    max_leaves=20,
)
DOCUMENTS = st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), NESTED, st.booleans())


def quoted(text):
    return f'"{text}"'


def within(bits):
    return st.one_of(
        st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        st.sampled_from([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]),
    ).map(str)


# By kind and SQL type: JSON values all of which are taken, or, for floats, most.
VALUES = {
    ("integer", "smallint"): within(16),
    ("integer", "integer"): within(32),
    ("integer", "bigint"): within(64),
    ("integer", "numeric"): st.integers(-(10**200), 10**200).map(str),
    ("integer", "double precision"): st.integers(-(10**200), 10**200).map(str),
    ("number", "numeric"): numbers(),
    ("number", "double precision"): numbers(),
    ("number", "real"): numbers(),
    ("text", "text"): STRINGS,
    ("text", "character varying"): STRINGS,
    ("boolean", "boolean"): st.sampled_from(["true", "false"]),
    ("date", "date"): DATES.map(quoted),
    ("timestamp", ZONED): TIMESTAMPS.map(quoted),
    ("time", "time without time zone"): times().map(quoted),
    ("uuid", "uuid"): st.uuids().map(str).map(quoted),
    ("jsonb", "jsonb"): DOCUMENTS,
}


@pytest.mark.parametrize(("kind", "sql"), VALUES)
def test_postgres_stores_the_same_from_both(library, destination, kind, sql):
    plan = compile_plan(
        {},
        [("v", kind, sql)],
        keys=(),
        validate=False,
        lineage=False,
        sequence=False,
        bookmark=(),
        ignored=(),
        constants=(),
    )
    found, plain = Scanner(library), PlainPath({}, plan, validate=False)
    found.set("s", plan)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(VALUES[kind, sql], min_size=1, max_size=40))
    def check(values):
        native, text = [], []
        for value in values:
            line = record(f'{{"v": {value}}}').encode()
            if chunks := scan(found, line).chunks:
                native.append(chunks[0].data)
                text.append(plain.row(line, 1))
            else:
                assert sql in {"real", "double precision"}, value
                with pytest.raises(psycopg.DataError):
                    destination.from_text([sql], [plain.row(line, 1)])
        assert destination.from_binary([sql], native) == destination.from_text([sql], text)

    check()


@pytest.mark.parametrize("seed", range(20))
def test_postgres_stores_the_same_streams_from_both(library, destination, seed):
    stream, native, plain = _taken(library, Random(seed))
    types = types_of(stream.plan)
    constants = [ZONED, "bigint", "text", "text"] if stream.plan.constants else []
    stored = destination.from_binary(types + constants, native)
    assert [fields[: len(types)] for fields in stored] == destination.from_text(types, plain)
    assert all(fields[len(types) :] in {(), ("2024-01-01 00:00:00+00", "-7", "bätch", None)} for fields in stored)


def _taken(library, random):
    """A random stream with a few of its rows, as the scanner and as the plain path have them."""
    while True:
        stream = random_stream(random)
        # Text of a json column is the tap's in one and Python's in the other.
        if stream is None or not stream.plan.columns or "json" in types_of(stream.plan):
            continue
        found, writer = Scanner(library), Writer(random, wildness=0.02)
        found.set("s", stream.plan)
        native, plain = [], []
        for line in [writer.line(stream) for _ in range(20)]:
            for chunk in scan(found, line, sequence=1).chunks:
                native.append(chunk.data)
                plain.append(stream.plain.row(line, 1))
        if len(native) >= 5:
            return stream, native, plain


def test_the_plain_path_refuses_what_it_must():
    schema = {"properties": {"v": {"type": "integer"}}}
    options = {"keys": ["v"], "validate": True, "lineage": False, "sequence": False, "bookmark": (), "ignored": ()}
    plain = PlainPath(schema, compile_plan(schema, [("v", *INT8)], constants=(), **options), validate=True)
    assert plain.row(record(RECORD).encode(), 1) == ["1"]
    for text in ('{"v": "x"}', "{}", '{"v": 1.5}'):
        with pytest.raises(DataError):
            plain.row(record(text).encode(), 1)


# Loading


def test_only_a_library_of_this_version_loads(tmp_path):
    assert scanner.load(str(tmp_path / "none.so")) is None
    assert scanner.load(ctypes.util.find_library("c")) is None


def test_it_can_be_turned_off(monkeypatch, library):
    monkeypatch.setattr(scanner, "_installed", lambda: library)
    monkeypatch.delenv("TARGET_POSTGRES_PURE_PYTHON", raising=False)
    assert scanner.available()
    monkeypatch.setenv("TARGET_POSTGRES_PURE_PYTHON", "1")
    assert not scanner.available()
