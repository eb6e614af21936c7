"""Telling on stderr which SCHEMA has come: `report_schemas`."""

from __future__ import annotations

import json

import pytest

SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "schema": {"properties": {"id": {"type": "integer"}, "n": {"type": "integer", "description": "é\0"}}},
    "key_properties": ["id"],
    "bookmark_properties": ["n"],
}
TABLE = "select count(*) from information_schema.columns where table_name = 't'"


def told(text):
    lines = [line for line in text.splitlines() if "SCHEMA_RECEIVED: " in line]
    return [json.loads(line.partition("SCHEMA_RECEIVED: ")[2]) for line in lines]


@pytest.mark.parametrize("more", [{}, {"stream_maps": {"t": {"x": "id"}}}], ids=["short way", "with the SDK"])
def test_each_schema_is_told_as_it_came_and_once(spawn, more):
    wider = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, "n": {"type": "number"}}}}
    messages = [SCHEMA, SCHEMA, {"type": "RECORD", "stream": "t", "record": {"id": 1, "n": 1}}, wider, wider]
    process = spawn(report_schemas=True, **more)
    _, stderr = process.communicate("".join(json.dumps(each) + "\n" for each in messages).encode(), timeout=60)
    assert process.returncode == 0
    expected = [{key: each[key] for key in SCHEMA if key != "type"} for each in (SCHEMA, wider)]
    assert told(stderr.decode()) == expected


def test_it_is_told_before_the_table_is_touched(spawn, warehouse):
    """A column that cannot be had ends the run at once; the SCHEMA has been told."""
    warehouse.load([SCHEMA])
    before = warehouse.rows(TABLE)
    refused = {**SCHEMA, "schema": {"properties": {**SCHEMA["schema"]["properties"], "more": {"type": "string"}}}}
    process = spawn(report_schemas=True, schema_policy="fail")
    _, stderr = process.communicate(json.dumps(refused).encode() + b"\n", timeout=60)
    assert process.returncode != 0
    assert "more" in told(stderr.decode())[0]["schema"]["properties"]
    assert warehouse.rows(TABLE) == before


def test_nothing_is_told_unasked(spawn):
    process = spawn()
    _, stderr = process.communicate(json.dumps(SCHEMA).encode() + b"\n", timeout=60)
    assert process.returncode == 0
    assert told(stderr.decode()) == []
