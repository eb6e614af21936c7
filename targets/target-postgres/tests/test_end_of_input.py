"""What the end of the input proves: a tap that was killed ends it like one that has finished."""

from __future__ import annotations

import json

import pytest

STATE_TABLE = {"state_table": "states", "state_id": "x"}
TEXT = {"type": ["string", "null"]}
FINISHED = {"end_of_input": "finished"}
UNKNOWN = {"end_of_input": "unknown"}


def schema(*keys, stream="t"):
    shape = {"properties": {"id": {"type": "integer"}, "v": TEXT}}
    return {"type": "SCHEMA", "stream": stream, "key_properties": list(keys), "schema": shape}


KEYED, KEYLESS = schema("id"), schema()


def record(number, version=None, stream="t"):
    message = {"type": "RECORD", "stream": stream, "record": {"id": number, "v": "x"}}
    return message if version is None else {**message, "version": version}


def state(number):
    return {"type": "STATE", "value": {"at": number}}


def activate(version):
    return {"type": "ACTIVATE_VERSION", "stream": "t", "version": version}


def ids(warehouse, table="t"):
    return [row[0] for row in warehouse.rows(f"select id from bronze.{table} order by id")]


def stored(warehouse):
    return [row[0] for row in warehouse.rows("select state from states")]


@pytest.fixture
def house(warehouse):
    warehouse.do("create table states (id text primary key, state jsonb, fencing_token bigint)")
    return warehouse


# Rows after the last STATE

LAST = {
    "before": [record(1), state(1), record(2)],
    "after": [record(1), record(2), state(2)],
    "never": [record(1), record(2)],
}


@pytest.mark.parametrize("rows", [1, 10_000])
@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("end", [UNKNOWN, FINISHED], ids=["unknown", "finished"])
@pytest.mark.parametrize("table", [STATE_TABLE, {}], ids=["state table", "stdout"])
@pytest.mark.parametrize("shape", [KEYED, KEYLESS], ids=["keyed", "keyless"])
def test_rows_after_the_last_state(house, caplog, shape, table, end, last, rows):
    states = house.load([shape, *LAST[last]], **table, **end, batch_size_rows=rows)
    left_out = (shape, table, end, last) == (KEYLESS, STATE_TABLE, UNKNOWN, "before")
    assert ids(house) == ([1] if left_out else [1, 2])
    told = [entry.getMessage() for entry in caplog.records if "last STATE" in entry.getMessage()]
    assert len(told) == left_out
    assert all("end_of_input" in text for text in told)
    at = {"before": [{"at": 1}], "after": [{"at": 2}], "never": []}[last]
    assert [json.loads(text) for text in states] == at
    if table:
        assert stored(house) == (at or [{}])
    # A tap that goes on from there:
    if left_out:
        house.load([shape, record(2), state(2), record(3), state(3)], **table, **end)
        assert ids(house) == [1, 2, 3]


def test_one_keyless_stream_keeps_the_tail_of_all_out(house):
    """They were sent in one order, and come again in it."""
    messages = [KEYED, schema(stream="log"), record(1), record(1, stream="log"), state(1)]
    tail = [record(2), record(2, stream="log")]
    house.load([*messages, *tail], **STATE_TABLE)
    assert ids(house, "log") == [1]
    house.load([*messages[:2], *tail, state(2)], **STATE_TABLE)
    assert (ids(house), ids(house, "log")) == ([1, 2], [1, 2])


def test_a_keyed_tail_loads_though_a_keyless_stream_ended_before(house):
    messages = [KEYED, schema(stream="log"), record(1, stream="log"), state(1), record(2)]
    house.load(messages, **STATE_TABLE)
    assert (ids(house), ids(house, "log")) == ([2], [1])


# Versions

VERSIONS = {
    "start": [activate(2), record(2, 2), record(3, 2), state(3)],
    "end": [record(2, 2), record(3, 2), activate(2), state(3)],
    "both": [activate(2), record(2, 2), record(3, 2), activate(2), state(3)],
    "last of all": [record(2, 2), record(3, 2), state(3), activate(2)],
    "in the middle": [record(2, 2), activate(2), record(3, 2), state(3)],
}


@pytest.mark.parametrize("order", VERSIONS)
@pytest.mark.parametrize("end", [UNKNOWN, FINISHED], ids=["unknown", "finished"])
@pytest.mark.parametrize("table", [STATE_TABLE, {}], ids=["state table", "stdout"])
@pytest.mark.parametrize("shape", [KEYED, KEYLESS], ids=["keyed", "keyless"])
def test_earlier_versions_leave_when_the_new_one_is_known_to_be_whole(house, caplog, shape, table, end, order):
    house.load([shape, record(1, 1), activate(1)], **table)
    house.load([shape, *VERSIONS[order]], **table, **end, hard_delete=True)
    whole = end is FINISHED or order in {"end", "both", "last of all"}
    assert ids(house) == ([2, 3] if whole else [1, 2, 3])
    assert any("earlier versions stay" in entry.getMessage() for entry in caplog.records) == (not whole)


@pytest.mark.parametrize("end", [UNKNOWN, FINISHED], ids=["unknown", "finished"])
def test_a_version_whose_rows_were_left_out_removes_nothing(house, end):
    house.load([KEYLESS, record(1, 1), activate(1), state(1)], **STATE_TABLE)
    tail = [record(3, 2), activate(2)]
    house.load([KEYLESS, record(2, 2), state(2), *tail], **STATE_TABLE, **end, hard_delete=True)
    assert ids(house) == ([2, 3] if end is FINISHED else [1, 2])
    house.load([KEYLESS, *tail, state(3)], **STATE_TABLE, **end, hard_delete=True)
    assert ids(house) == ([2, 3] if end is UNKNOWN else [2, 3, 3])


# Whole tables


@pytest.mark.parametrize("rows", [1, 10_000])
@pytest.mark.parametrize("last", LAST)
@pytest.mark.parametrize("end", [UNKNOWN, FINISHED], ids=["unknown", "finished"])
@pytest.mark.parametrize("table", [STATE_TABLE, {}], ids=["state table", "stdout"])
@pytest.mark.parametrize("shape", [KEYED, KEYLESS], ids=["keyed", "keyless"])
def test_a_table_is_replaced_by_a_whole_stream_only(house, shape, table, end, last, rows):
    house.load([shape, record(9)])
    settings = {**table, **end, "load_method": "overwrite", "batch_size_rows": rows}
    outcome = house.run([shape, *LAST[last]], **settings)
    if last == "before" and end is UNKNOWN:
        assert outcome.error.exit_code == 5
        assert "end_of_input=finished" in str(outcome.error)
        assert outcome.states == []
        assert ids(house) == [9]
        assert stored(house) == ([{}] if table else [])
    else:
        assert outcome.error is None
        assert ids(house) == [1, 2]


def test_a_stream_that_ended_before_its_state_is_replaced_beside_one_that_did_not(house):
    house.load([KEYED, record(9), schema("id", stream="u"), record(9, stream="u")])
    messages = [KEYED, schema("id", stream="u"), record(1), state(1), record(2, stream="u")]
    house.fails(messages, "'u'", load_method="overwrite")
    assert (ids(house), ids(house, "u")) == ([9], [9])  # one transaction for all
