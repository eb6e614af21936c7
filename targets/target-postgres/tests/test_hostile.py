"""Input that must be loaded exactly, or refused with an error that names stream and line."""

from __future__ import annotations

import gzip
import json

import pytest

SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {}}},
}


def record(value, number=1):
    return f'{{"type":"RECORD","stream":"t","record":{{"id":{number},"v":{value}}}}}\n'


LOADED = {
    "nested 100 levels": "[" * 100 + "]" * 100,
    "1 MB string": json.dumps("x" * (1 << 20)),
    "right to left": json.dumps("שלום\u202e"),
    "empty": '[{},[],""]',
    "big integer": str(10**60),
    "40 digits": "0." + "1234567890" * 4,
}


@pytest.mark.parametrize("name", LOADED)
def test_loaded(warehouse, name):
    warehouse.load([SCHEMA, record(LOADED[name])])
    [(same,)] = warehouse.rows(f"select v = $x${LOADED[name]}$x$::jsonb from bronze.t")
    assert same


def test_duplicate_json_keys_last_wins(warehouse):
    warehouse.load([SCHEMA, '{"type":"RECORD","stream":"t","record":{"id":1,"v":1,"v":2}}\n'])
    assert warehouse.rows("select v from bronze.t") == [(2,)]


def test_line_endings_blank_lines_and_byte_order_mark(warehouse):
    lines = [b"\xef\xbb\xbf" + json.dumps(SCHEMA).encode() + b"\r\n", b"\r\n", b"\n", b"  \n"]
    warehouse.load([*lines, record(1).replace("\n", "\r\n"), record(2, 2).rstrip("\n")])
    assert warehouse.rows("select id from bronze.t order by id") == [(1,), (2,)]


def test_unknown_message_types_are_ignored(warehouse, caplog):
    warehouse.load([SCHEMA, {"type": "SOMETHING", "x": 1}, {"type": 5}, record(1)])
    assert warehouse.rows("select id from bronze.t") == [(1,)]
    assert "SOMETHING" in caplog.text


def test_unknown_properties_are_named_once(warehouse, caplog):
    lines = [f'{{"type":"RECORD","stream":"t","record":{{"id":{n},"extra":1}}}}\n' for n in range(3)]
    warehouse.load([SCHEMA, *lines])
    assert caplog.text.count("'extra'") == 1
    assert "'t'" in caplog.text


def test_a_line_of_50_mb(warehouse):
    warehouse.load([SCHEMA, record(json.dumps("y" * (50 << 20)))])
    assert warehouse.rows("select length(v #>> '{}') from bronze.t") == [(50 << 20,)]


REFUSED = {
    "text": (b"hello\n", ["Line 2", "hello", "stdout"]),
    "cut off": (b'{"type":"RECORD","stre', ["Line 2"]),
    "a number": (b"5\n", ["Line 2"]),
    "a list": (b"[]\n", ["Line 2"]),
    "no type": (b"{}\n", ["Line 2"]),
    "not UTF-8": (b'{"type":"RECORD","stream":"t","record":{"id":1,"v":"\xff"}}\n', ["Line 2", "UTF-8"]),
    "nested 100000 levels": (record("[" * 100_000 + "]" * 100_000).encode(), ["ine 2", "deep"]),
    "no record": (b'{"type":"RECORD","stream":"t"}\n', ["Line 2"]),
    "record is a list": (b'{"type":"RECORD","stream":"t","record":[]}\n', ["Line 2"]),
    "no stream": (b'{"type":"RECORD","record":{}}\n', ["Line 2"]),
    "before its schema": (b'{"type":"RECORD","stream":"u","record":{}}\n', ["Line 2", "'u'", "SCHEMA"]),
    "state without value": (b'{"type":"STATE"}\n', ["Line 2", "STATE"]),
    "schema without properties": (b'{"type":"SCHEMA","stream":"u","schema":{}}\n', ["Line 2", "'u'"]),
    "schema is a list": (b'{"type":"SCHEMA","stream":"u","schema":[]}\n', ["Line 2"]),
    "schema that is wrong": (
        b'{"type":"SCHEMA","stream":"u","schema":{"properties":{"a":{"type":"nonsense"}}}}\n',
        ["'u'"],
    ),
    "schema that fetches": (
        b'{"type":"SCHEMA","stream":"u","schema":{"properties":{"a":{"$ref":"http://127.0.0.1:9/x"}}}}\n',
        ["'u'", "refers"],
    ),
    "key that is no property": (
        b'{"type":"SCHEMA","stream":"u","key_properties":["k"],"schema":{"properties":{"a":{}}}}\n',
        ["'u'", "'k'"],
    ),
    "empty property name": (b'{"type":"SCHEMA","stream":"u","schema":{"properties":{"":{}}}}\n', ["'u'"]),
    "NUL in a property name": (b'{"type":"SCHEMA","stream":"u","schema":{"properties":{"a\\u0000":{}}}}\n', ["'u'"]),
    "version is text": (b'{"type":"ACTIVATE_VERSION","stream":"t","version":"x"}\n', ["Line 2", "version"]),
    "key properties are text": (
        b'{"type":"SCHEMA","stream":"u","key_properties":"id","schema":{"properties":{"id":{}}}}\n',
        ["Line 2", "'u'", "key_properties"],
    ),
    "key property is an object": (
        b'{"type":"SCHEMA","stream":"u","key_properties":[{}],"schema":{"properties":{"id":{}}}}\n',
        ["Line 2", "'u'", "key_properties"],
    ),
    "batch with a word for an encoding": (
        b'{"type":"BATCH","stream":"t","encoding":"jsonl","manifest":[]}\n',
        ["Line 2", "'t'", "encoding"],
    ),
    "batch of a number": (
        b'{"type":"BATCH","stream":"t","encoding":{"format":"jsonl"},"manifest":[3]}\n',
        ["line 2", "'t'", "cannot be read"],
    ),
    "batch of avro": (
        b'{"type":"BATCH","stream":"t","encoding":{"format":"avro"},"manifest":[]}\n',
        ["Line 2", "'t'"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(warehouse, name):
    line, parts = REFUSED[name]
    outcome = warehouse.fails([SCHEMA, line], *parts)
    assert len(str(outcome.error)) < 500


def test_a_record_is_never_repeated_whole(warehouse):
    secret = "s3cret" * 50
    shape = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "integer"}}}}
    outcome = warehouse.fails([shape, record(json.dumps("x" * 100 + secret))], "line 2")
    assert secret not in str(outcome.error)


def test_1700_columns(warehouse):
    shape = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, **{f"c{n}": {} for n in range(1700)}}}}
    warehouse.fails([shape], "'t'", "1600")
    wide = {
        **SCHEMA,
        "schema": {"properties": {"id": {"type": "integer"}, **{f"c{n}": {"type": "integer"} for n in range(1500)}}},
    }
    warehouse.load([wide, json.dumps({"type": "RECORD", "stream": "t", "record": {"id": 1, "c1499": 5}}) + "\n"])
    assert warehouse.rows("select c1499 from bronze.t") == [(5,)]


# The SDK's other paths


def test_stream_maps(warehouse):
    maps = {"t": {"double": "int(id * 2)", "v": None, "__filter__": "id > 1", "__alias__": "u"}, "gone": None}
    gone = {**SCHEMA, "stream": "gone"}
    warehouse.load([SCHEMA, gone, record(1), record(2, 2), record(3).replace('"t"', '"gone"')], stream_maps=maps)
    assert warehouse.rows("select id, double from bronze.u") == [(2, 4)]
    assert warehouse.rows("select count(*) from pg_tables where schemaname = 'bronze'") == [(1,)]


def test_flattening(warehouse):
    shape = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "string"}}}
    message = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, "v": shape}}}
    settings = {"flattening_enabled": True, "flattening_max_depth": 1}
    warehouse.load([message, record('{"a":1.10,"b":"x"}')], **settings)
    assert warehouse.rows("select v__a::text, v__b from bronze.t") == [("1.10", "x")]


@pytest.mark.parametrize("compression", ["gzip", None])
def test_batch_files(warehouse, tmp_path, compression):
    path = tmp_path / "batch.jsonl"
    data = b"".join(json.dumps({"id": n, "v": n}).encode() + b"\n" for n in range(5))
    path.write_bytes(gzip.compress(data) if compression else data)
    encoding = {"format": "jsonl", **({"compression": compression} if compression else {})}
    message = {"type": "BATCH", "stream": "t", "encoding": encoding, "manifest": [path.as_uri()]}
    states = warehouse.load([SCHEMA, message, {"type": "STATE", "value": 1}], stream_maps={"t": {"v": "int(v * 2)"}})
    assert states == ["1"]
    assert warehouse.rows("select id, v::text from bronze.t order by id") == [(n, str(2 * n)) for n in range(5)]


@pytest.mark.parametrize("broken", ["broken", "[1]"])
def test_a_broken_batch_file_names_file_and_line(warehouse, tmp_path, broken):
    path = tmp_path / "batch.jsonl"
    path.write_text(f'{{"id":1}}\n{broken}\n')
    message = {"type": "BATCH", "stream": "t", "encoding": {"format": "jsonl"}, "manifest": [path.as_uri()]}
    warehouse.fails([SCHEMA, message], "'t'", "batch.jsonl", "line 2")


def test_a_batch_file_that_is_not_there(warehouse, tmp_path):
    url = (tmp_path / "gone.jsonl").as_uri()
    message = {"type": "BATCH", "stream": "t", "encoding": {"format": "jsonl"}, "manifest": [url]}
    warehouse.fails([SCHEMA, message], "'t'", "line 2", "gone.jsonl", "cannot be read", "Next:")


def test_a_batch_file_that_was_cut_off(warehouse, tmp_path):
    path = tmp_path / "batch.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id":1}\n' * 1000)[:-10])
    message = {
        "type": "BATCH",
        "stream": "t",
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "manifest": [path.as_uri()],
    }
    warehouse.fails([SCHEMA, message, {"type": "STATE", "value": 1}], "'t'", "batch.jsonl.gz", "cannot be read")
    assert warehouse.rows("select id from bronze.t") == []
