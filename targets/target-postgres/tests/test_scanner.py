"""The native scanner takes ordinary lines, and leaves the rest: envelopes, members, schemas, blocks, loading."""

from __future__ import annotations

import ctypes.util
import json
import sys
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from target_postgres import scanner
from target_postgres.binary import constant, rows_of

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
from decoding import fields_of
from scanning import ZONED, Destination, build, record, row, scan, scanner_of

NEW_YEAR = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture
def make(library):
    return partial(scanner_of, library)


@pytest.fixture(scope="session")
def destination(postgres_server):
    opened = Destination(postgres_server)
    yield opened
    opened.close()


def integers(*values):
    """The fields of bigint columns."""
    return [constant(value) for value in values]


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
