"""The native scanner takes ordinary records, to the byte as the plain path has them, and leaves everything else."""

from __future__ import annotations

import ctypes.util
import json
import subprocess
import sys
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from singer_kit.errors import DataError
from target_postgres import scanner
from target_postgres.plans import compile_plan
from target_postgres.scanner import Scanner

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
from plain_path import PlainPath, difference
from random_records import Writer, mutated, random_stream

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


@pytest.fixture
def make(library):
    """A scanner with one stream `s` of the given columns: name, kind, schema."""

    def made(*columns, stream="s", into=None, schema=None, **changes):
        properties = {name: definition for name, _, definition in columns}
        options = {"keys": (), "validate": True, "lineage": False, "sequence": False, "bookmark": (), "ignored": ()}
        plan = compile_plan(
            {"type": "object", "properties": properties, **(schema or {})},
            [(name, kind) for name, kind, _ in columns],
            **{**options, "tail": b"", **changes},
        )
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
    """The text of the one row that a line becomes; None: it is declined."""
    scanned = scan(found, block)
    assert (scanned.lines, scanned.rows) in {(0, 0), (1, 1)}
    return scanned.chunks[0].data.decode() if scanned.rows else None


TAKEN = [
    ("integer", "0", "0"),
    ("integer", "-12", "-12"),
    ("integer", "999999999999999999", "999999999999999999"),
    ("number", "1.50", "1.50"),
    ("number", "-0.0", "-0.0"),
    ("number", "1e-07", "1e-07"),
    ("number", "1" * 40, "1" * 40),
    ("number", '"12.340"', "12.340"),
    ("number", '"-7"', "-7"),
    ("text", '""', ""),
    ("text", '"O\'Neil"', "O'Neil"),
    ("text", '"é 日本語 😀"', "é 日本語 😀"),
    ("text", r'"\u00e9\ud83d\ude00\u4e00\u0041"', "é😀一A"),
    ("text", r'"a\tb\nc\rd\\e\/f\"g"', r"a\tb\nc\rd\\e/f" + '"g'),
    ("text", r'"\u0009\u000a\u000d\u005c\b\f\u001f"', "\\t\\n\\r\\\\\b\f\x1f"),
    ("text", r'"\\N"', r"\\N"),
    ("text", r'"\\u0000"', r"\\u0000"),
    ("text", "42", "42"),
    ("text", "72.46538007815418", "72.46538007815418"),
    ("text", "0.000001", "0.000001"),
    ("text", "true", "true"),
    ("other", '"10.0.0.1"', "10.0.0.1"),
    ("boolean", "true", "t"),
    ("boolean", "false", "f"),
    ("date", '"2024-02-29"', "2024-02-29"),
    ("date", '"2024-02-29T00:00:00"', "2024-02-29"),
    ("date", '"2024-02-29T00:00:00.000000Z"', "2024-02-29"),
    ("timestamp", '"2024-02-29"', "2024-02-29"),
    ("timestamp", '"2024-02-29T23:59:59"', "2024-02-29T23:59:59"),
    ("timestamp", '"2024-02-29 23:59:59.123456789Z"', "2024-02-29 23:59:59.123456789Z"),
    ("timestamp", '"2024-02-29T23:59:59+05:30"', "2024-02-29T23:59:59+05:30"),
    ("timestamp", '"2024-02-29T23:59:59.5-0800"', "2024-02-29T23:59:59.5-0800"),
    ("time", '"23:59:59"', "23:59:59"),
    ("time", '"23:59:59.123456"', "23:59:59.123456"),
    ("uuid", f'"{UUID}"', UUID),
    ("uuid", f'"{UUID.upper()}"', UUID),
    ("jsonb", '{"a": [1, 2.50, null, {"b": "x"}], "": {}}', '{"a": [1, 2.50, null, {"b": "x"}], "": {}}'),
    ("jsonb", r'{"a\"": "\u00e9\n\\"}', r'{"a\\"": "\\u00e9\\n\\\\"}'),
    ("jsonb", '"text"', '"text"'),
    ("jsonb", "1.50", "1.50"),
    ("jsonb", "false", "false"),
    ("jsonb", "[[], {}]", "[[], {}]"),
    *((kind, "null", r"\N") for kind in ("integer", "number", "text", "boolean", "date", "timestamp", "uuid", "jsonb")),
]


@pytest.mark.parametrize(("kind", "value", "field"), TAKEN)
def test_taken(make, kind, value, field):
    assert row(make(("v", kind, {})), record(f'{{"v": {value}}}')) == field + "\n"


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
    *(("integer", value) for value in ("1.0", "1e2", "1000000000000000000", '"1"', "true", "[]")),
    *(("number", value) for value in ('"NaN"', '"1e5"', '"+1"', '""', '"-"', r'"\u0031"', "true", "{}")),
    *(("text", value) for value in ("1e5", "0.0000001", "[]", "{}", r'"\u0000"', r'"\ude00\ud83d"')),
    *(("boolean", value) for value in ("1", '"true"', "0")),
    *(
        ("date", value)
        for value in ('"2024-02-29T01:00:00"', '"20240229"', '"now"', '"infinity"', '"2024-2-29"', '""', "20240229")
    ),
    *(
        ("timestamp", f'"{value}"')
        for value in ("2024-02-29T", "2024-02-29T23:59", "2024-02-29t23:59:59z", "now", "", "infinity")
    ),
    *(
        ("timestamp", f'"2024-02-29T23:59:59{value}"')
        for value in (".", ",5", "+1", "+05:3", "Zx", " Z", "+05:30:00", ".5.5")
    ),
    *(("time", f'"{value}"') for value in ("23:59", "23:59:59Z", "23:59:59+00", "23:59:59.", "noon", "")),
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
    assert row(make(("v", "integer", {})), line + "\n") == "1\n"


@pytest.mark.parametrize("line", NO_ENVELOPES)
def test_no_envelope(make, line):
    assert row(make(("v", "integer", {})), line + "\n") is None


MEMBERS = [
    ('{"a": 1, "b": 2}', "1\t2\n"),
    ('{"b": 2, "a": 1}', "1\t2\n"),
    ('{"b": 2}', "\\N\t2\n"),
    ("{}", "\\N\t\\N\n"),
    ('{"a": 1, "known": {"x": [1]}, "b": 2}', "1\t2\n"),
    ('{"a": 1, "_sdc_batched_at": "x"}', "1\t\\N\n"),
    ('{"a": 1, "a": 2}', None),
    ('{"a": 1, "unknown": 2}', None),
    ('{"a": 1, "known": "\\u0000"}', None),
    ('{"a": 1, "\\u0062": 2}', None),
    ('{"a": 1, "checked": "x"}', "1\t\\N\n"),
    ('{"a": 1, "checked": 2}', None),
]


@pytest.mark.parametrize(("text", "wanted"), MEMBERS)
def test_members(make, text, wanted):
    schema = {"properties": {"a": {}, "b": {}, "checked": {"type": "string"}}}
    found = make(("a", "integer", {}), ("b", "integer", {}), schema=schema, ignored=["known"])
    for _ in range(3):  # the scanner learns in which order members come
        assert row(found, record('{"b": 9, "a": 8}')) == "8\t9\n"
        assert row(found, record(text)) == wanted


def test_names_that_json_escapes_are_never_mistaken(make):
    found = make(('a"b', "integer", {}), ("a", "integer", {}), ("", "integer", {}))
    assert row(found, record('{"a"b": 1}')) is None
    assert row(found, record('{"a\\"b": 1}')) is None
    assert row(found, record('{"": 1, "a": 2}')) == "\\N\t2\t1\n"


def test_keys_and_required_properties(make):
    found = make(("k", "integer", {}), ("r", "text", {}), keys=["k"], schema={"required": ["r"]})
    assert row(found, record('{"k": 1, "r": null}')) == "1\t\\N\n"
    assert row(found, record('{"k": 1}')) is None
    assert row(found, record('{"r": "x"}')) is None
    assert row(found, record('{"k": null, "r": "x"}')) is None


def test_without_validation_only_kinds_count(make):
    found = make(("v", "text", {"type": "string", "maxLength": 1}), validate=False, schema={"required": ["w"]})
    assert row(found, record('{"v": "abc"}')) == "abc\n"
    assert row(found, record('{"v": 5}')) == "5\n"


LINEAGE = [
    ("{}", "", r"\N \N 7 \N \N"),
    ('{"u": "2024-01-01"}', ', "version": 12', r"\N \N 7 12 2024-01-01"),
    ('{"u": "a\\tb\\\\"}', ', "time_extracted": "2024-01-01T00:00:00Z"', r"2024-01-01T00:00:00Z \N 7 \N a\tb\\"),
    ('{"_sdc_deleted_at": "2024-02-02T00:00:00Z"}', "", r"\N 2024-02-02T00:00:00Z 7 \N \N"),
    ('{"_sdc_deleted_at": null, "u": null}', "", r"\N \N 7 \N \N"),
    ('{"u": 5}', "", r"\N \N 7 \N 5"),
    ('{"u": [1]}', "", None),
    ('{"_sdc_deleted_at": "now"}', "", None),
    ("{}", ', "version": "x"', None),
]


@pytest.mark.parametrize(("text", "more", "wanted"), LINEAGE)
def test_lineage(make, text, more, wanted):
    found = make(("u", "jsonb", {}), lineage=True, bookmark=["u"], tail=b"\tend")
    scanned = scan(found, record(text + more), sequence=7)
    if wanted is None:
        assert scanned.rows == 0
    else:
        _, *fields = scanned.chunks[0].data.decode().rstrip("\n").split("\t")
        assert fields == [*wanted.split(" "), "end"]


def test_sequence_and_tail(make):
    found = make(("v", "integer", {}), sequence=True, tail=b"\tend")
    assert scan(found, record(RECORD) * 2, sequence=2**63).chunks[0].data == b"1\t%d\tend\n1\t%d\tend\n" % (
        2**63,
        2**63 + 1,
    )


# Blocks


def test_streams_share_a_sequence_and_keep_their_lines(make):
    found = make(("v", "integer", {}), sequence=True)
    make(("v", "integer", {}), sequence=True, stream="t", into=found)
    block = record(RECORD, "t") + "\n" + record(RECORD) + " \t\r\n" + record(RECORD, "t") + "STOP\n"
    scanned = scan(found, block, line=100, sequence=5)
    assert (scanned.stop, scanned.lines, scanned.rows) == (block.index("STOP"), 5, 3)
    chunks = [(chunk.stream, chunk.data, chunk.rows, list(chunk.line_numbers)) for chunk in scanned.chunks]
    assert chunks == [("t", b"1\t5\n1\t7\n", 2, [100, 104]), ("s", b"1\t6\n", 1, [102])]


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
    first = scan(found, record(RECORD)).chunks
    scan(found, record('{"v": 2}') * 1000)
    assert first[0].data == b"1\n"
    assert list(first[0].line_numbers) == [1]


def test_large_blocks_and_values(make):
    found = make(("v", "text", {}), ("w", "jsonb", {}))
    text = '"' + "\\\\" * (1 << 20) + '"'
    scanned = scan(found, record(f'{{"v": {text}, "w": [{text}]}}') + record('{"v": "x"}') * 10_000)
    assert scanned.rows == 10_001
    assert (
        scanned.chunks[0].data
        == b"%b\t[%b]\n" % (b"\\\\" * (1 << 20), b'"' + b"\\" * (4 << 20) + b'"') + b"x\t\\N\n" * 10_000
    )


def test_1600_columns(make):
    found = make(*((f"c{number}", "integer", {}) for number in range(1600)))
    values = {f"c{number}": number for number in reversed(range(1600))}
    assert row(found, record(json.dumps(values))) == "\t".join(map(str, range(1600))) + "\n"
    assert row(found, record("{}")) == "\t".join(["\\N"] * 1600) + "\n"


def test_plans_come_and_go(make):
    found = make(("v", "integer", {}))
    for number in range(100):
        make(("v", "integer", {}), stream=f"t{number}", into=found)
    make(("v", "text", {}), into=found)
    assert row(found, record(RECORD)) == "1\n"
    assert row(found, record(RECORD, "t57")) == "1\n"
    found.set("s", None)
    found.set("never", None)
    found.set("\ud800", None)
    assert row(found, record(RECORD)) is None
    assert row(found, record(RECORD, "t99")) == "1\n"


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
            assert difference(stream.plan, chunk.data.decode()[:-1], stream.plain.row(line, number)) is None


def _stored(url, types, rows):
    """What a table of these types holds after each row was copied by itself, or None where Postgres refuses it."""
    found = []
    columns = ", ".join(f"c{number} {sql}" for number, sql in enumerate(types))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create temp table t ({columns})")
        for text in rows:
            connection.execute("truncate t")
            try:
                with connection.cursor() as cursor, cursor.copy("copy t from stdin") as copy:
                    copy.write(text)
            except psycopg.DataError:
                found.append(None)
            else:
                found.append(connection.execute("select t::text from t").fetchone())
    return found


def _taken(library, random):
    """A random stream with a few of its rows, as the scanner and as the plain path have them."""
    while True:
        stream = random_stream(random)
        if stream is None or not stream.types:
            continue
        found, writer = Scanner(library), Writer(random, wildness=0.02)
        found.set("s", stream.plan)
        native, plain = [], []
        for line in [writer.line(stream) for _ in range(20)]:
            for chunk in scan(found, line).chunks:
                native.append(chunk.data.decode())
                plain.append(stream.plain.row(line, 1) + "\n")
        if len(native) >= 5:
            return stream, native, plain


@pytest.mark.parametrize("seed", range(20))
def test_postgres_stores_the_same_from_both(library, postgres_server, seed):
    stream, native, plain = _taken(library, Random(seed))
    types = [*stream.types]
    if stream.plan.lineage:
        types += ["timestamptz", "timestamptz", "bigint", "bigint", "text"]
    types += ["bigint"] * stream.plan.sequence + ["text"] * stream.plan.tail.count(b"\t")
    stored = _stored(postgres_server, types, native)
    assert stored == _stored(postgres_server, types, plain)
    assert any(stored)


def test_the_plain_path_refuses_what_it_must():
    schema = {"properties": {"v": {"type": "integer"}}}
    options = {"keys": ["v"], "validate": True, "lineage": False, "sequence": False, "bookmark": (), "ignored": ()}
    plain = PlainPath(schema, compile_plan(schema, [("v", "integer")], tail=b"", **options), validate=True)
    assert plain.row(record(RECORD).encode(), 1) == "1"
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
