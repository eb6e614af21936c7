"""Records that cannot be loaded are kept with the reason; all others load, exactly and once."""

from __future__ import annotations

import json

import psycopg
import pytest

DATE = {"type": ["string", "null"], "format": "date"}
INTEGER = {"type": ["integer", "null"]}
TEXT = {"type": ["string", "null"]}
BAD_DATE = "2024-02-30"  # well-formed, so that only Postgres refuses it


def schema(keys=("id",), stream="t", **properties):
    shape = {"type": "object", "properties": {"id": {"type": ["integer", "null"]}, **properties}}
    return {"type": "SCHEMA", "stream": stream, "schema": shape, "key_properties": list(keys)}


def record(stream="t", **values):
    return {"type": "RECORD", "stream": stream, "record": values}


def state(value):
    return {"type": "STATE", "value": value}


def quarantined(warehouse, columns=None, table='bronze."_bad_records"'):
    """By default the line and the id of each, as the raw record has it."""
    rows = warehouse.rows(f"select {columns or 'line, record'} from {table} order by line")
    return rows if columns else [(line, json.loads(record)["record"]["id"]) for line, record in rows]


def load(warehouse, messages, **settings):
    return warehouse.load(messages, on_bad_record="quarantine", **settings)


# What may be wrong with a record, and words that must be in the reason.
CASES = {
    "validation": (schema(v=INTEGER), {"v": 5}, {"v": "x"}, ["violates its SCHEMA", "integer"]),
    "encoding": (schema(v=TEXT), {"v": "x"}, {"v": "a\0b"}, ["'v'", "NUL"]),
    "date": (schema(v=DATE), {"v": "2024-02-29"}, {"v": BAD_DATE}, ["'v'", BAD_DATE]),
}


@pytest.mark.parametrize("keys", [("id",), ()], ids=["keyed", "keyless"])
@pytest.mark.parametrize("method", [None, "append-only", "overwrite"])
@pytest.mark.parametrize("bad_at", [[0, 4, 5, 9], list(range(10))], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_all_others_load(warehouse, case, bad_at, method, keys):
    shape, good, bad, reason = CASES[case]
    shape = {**shape, "key_properties": list(keys)}
    messages = [shape, *(record(id=n, **(bad if n in bad_at else good)) for n in range(10))]
    load(warehouse, messages, load_method=method, batch_id="run 1")
    value = next(iter(good.values()))
    assert warehouse.rows("select id, v::text from bronze.t order by id") == [
        (n, str(value)) for n in range(10) if n not in bad_at
    ]
    assert quarantined(warehouse) == [(n + 2, n) for n in bad_at]
    for found, where, text, raw, run in quarantined(warehouse, "stream, table_name, reason, record, batch_id"):
        assert (found, where, run) == ("t", '"bronze"."t"', "run 1")
        for word in reason:
            assert word in text
        assert json.loads(raw) in messages


@pytest.mark.parametrize("values", [{"v": 1}, {"id": None, "v": 1}])
def test_a_missing_key(warehouse, values):
    load(warehouse, [schema(v=INTEGER), record(id=1, v=1), record(**values), record(id=2, v=2)])
    assert warehouse.rows("select id from bronze.t order by id") == [(1,), (2,)]
    [(line, reason)] = quarantined(warehouse, "line, reason")
    assert line == 3
    assert "'id'" in reason


@pytest.fixture
def strict(warehouse):
    """A table of somebody else's, who has ideas about its rows."""
    warehouse.do(
        "create schema bronze; create table bronze.t (id bigint primary key, v bigint check (v < 10), "
        "w text not null default 'w', n numeric(4, 2), s smallint, u text unique)"
    )
    return warehouse


STRICT = schema(v=INTEGER, w=TEXT, n={"type": ["number", "null"]}, s=INTEGER, u=TEXT)


@pytest.mark.parametrize("policy", ["evolve", "freeze"])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [({"v": 11}, "t_v_check"), ({"w": None}, "w"), ({"u": "taken"}, "t_u_key"), ({"v": 2**63}, "'v'")],
    ids=["check", "not null", "unique", "bigint"],
)
def test_what_the_table_refuses(strict, bad, reason, policy):
    if "w" in bad and policy == "evolve":
        policy = "freeze"  # evolving drops NOT NULL
    if bad == {"v": 2**63} and policy == "evolve":
        return  # evolving widens, see test_evolution
    good = {"v": 1, "w": "w", "n": 1, "s": 1}
    messages = [
        STRICT,
        record(id=0, **good, u="taken"),
        *(record(id=n, **{**good, "u": f"u{n}", **(bad if n in {1, 5} else {})}) for n in range(1, 8)),
    ]
    load(strict, messages, schema_policy=policy, add_record_metadata=False, activate_version=False)
    assert strict.rows("select id from bronze.t order by id") == [(n,) for n in (0, 2, 3, 4, 6, 7)]
    assert quarantined(strict) == [(3, 1), (7, 5)]
    assert all(reason in text for (text,) in quarantined(strict, "reason"))


@pytest.mark.parametrize("bad", [{"n": 123.4}, {"s": 40_000}, {"v": "x"}], ids=["numeric", "smallint", "text"])
def test_what_a_frozen_table_has_no_place_for(strict, bad):
    loose = schema(v={"type": ["integer", "string"]}, w=TEXT, n={"type": "number"}, s=INTEGER, u=TEXT)
    good = {"v": 1, "w": "w", "n": 1, "s": 1}
    messages = [loose, record(id=1, **good), record(id=2, **{**good, **bad}), record(id=3, **good), state(1)]
    load(strict, messages, schema_policy="freeze", add_record_metadata=False, activate_version=False)
    assert strict.rows("select id from bronze.t order by id") == [(1,), (3,)]
    assert quarantined(strict) == [(3, 2)]


def test_a_key_that_comes_twice_beside_a_row_that_is_refused(strict):
    """The statement fails for the one, is tried in another way, and fails for the other."""
    messages = [STRICT, *(record(id=n, v=v, w="w", n=1, s=1) for n, v in [(1, 1), (1, 2), (2, 11), (3, 3), (1, 4)])]
    load(strict, messages, add_record_metadata=False, activate_version=False)
    assert strict.rows("select id, v from bronze.t order by id") == [(1, 4), (3, 3)]
    assert quarantined(strict) == [(4, 2)]


def test_the_raw_record_is_kept_to_the_letter(warehouse):
    line = '{"type": "RECORD",  "stream":"t", "record":{"id":1.50, "v":"\\u0000\\t\\\\N é😀 \\ud800" }}'
    load(warehouse, [schema(v=TEXT), line + "\r\n", record(id=2)])
    assert quarantined(warehouse, "record") == [(line,)]


# STATE, and once


@pytest.mark.parametrize("rows", [1, 3, 10_000])
@pytest.mark.parametrize("bad", [{"v": BAD_DATE}, {"v": 5}], ids=["postgres", "validation"])
def test_a_line_that_fails_later_keeps_what_is_covered_with_its_bad_records(warehouse, bad, rows):
    messages = [
        *(schema((), v=DATE), record(id=1, v="2024-01-01"), record(id=2, **bad), state(2)),
        *(record(id=3, v="2024-01-01"), record(id=4, **bad), "broken\n"),
    ]
    settings = {"on_bad_record": "quarantine", "batch_size_rows": rows}
    outcome = warehouse.fails(messages, "Line 7", **settings)
    assert outcome.states == ["2"]
    assert warehouse.rows("select id from bronze.t") == [(1,)]
    assert quarantined(warehouse) == [(3, 2)]


@pytest.mark.parametrize("bad", [{"v": BAD_DATE}, {"v": 5}], ids=["postgres", "validation"])
def test_bad_records_after_the_last_state_come_once_too(warehouse, bad):
    """They are rows without a key, and come again with the next run like others."""
    warehouse.do("create table states (id text primary key, state jsonb, fencing_token bigint)")
    settings = {"state_table": "states", "state_id": "x"}
    head, tail = [record(id=1, **bad), state(1)], [record(id=2, **bad), record(id=3, v="2024-01-01")]
    shape = schema((), v=DATE)
    load(warehouse, [shape, *head, *tail], **settings)
    load(warehouse, [shape, *tail, state(2)], **settings)
    assert warehouse.rows("select id from bronze.t") == [(3,)]
    assert warehouse.rows("select record::jsonb -> 'record' -> 'id' from bronze._bad_records order by 1") == [
        (1,),
        (2,),
    ]


# How many


@pytest.mark.parametrize("bad", [{"v": BAD_DATE}, {"v": 5}], ids=["postgres", "validation"])
@pytest.mark.parametrize("method", [None, "append-only"])
def test_more_than_the_cap_ends_the_run(warehouse, bad, method):
    load(warehouse, [schema(v=DATE), record(id=0, v="2024-01-01")])
    before = warehouse.rows("select id, v::text from bronze.t")
    messages = [schema(v=DATE), record(id=9, v="2024-01-01"), *(record(id=n, **bad) for n in range(1, 5))]
    settings = {"load_method": method, "on_bad_record": "quarantine", "max_bad_records": 3}
    outcome = warehouse.fails(messages, "'t'", "line 6", "bad record 4", "max_bad_records (3)", "Next:", **settings)
    assert outcome.error.exit_code == 5
    assert warehouse.rows("select id, v::text from bronze.t") == before
    assert quarantined(warehouse) == []
    load(warehouse, messages, load_method=method, max_bad_records=4)
    assert len(quarantined(warehouse)) == 4


def test_none_are_allowed_with_a_cap_of_zero(warehouse):
    messages = [schema(v=INTEGER), record(id=1, v="x")]
    warehouse.fails(messages, "max_bad_records (0)", on_bad_record="quarantine", max_bad_records=0)


def test_a_transaction_that_is_done_again_counts_its_bad_records_once(warehouse, spawn):
    load(warehouse, [schema((), v=DATE)])
    settings = {"on_bad_record": "quarantine", "max_bad_records": 2, "lock_timeout_seconds": 0.1}
    process = spawn(**settings)
    with psycopg.connect(warehouse.url) as holder:
        holder.execute("create index on bronze._bad_records (line)")  # holds writers off until the end
        lines = [schema((), v=DATE), *(record(id=n, v=BAD_DATE) for n in (1, 2)), record(id=3), state(1)]
        process.stdin.write(b"".join(json.dumps(message).encode() + b"\n" for message in lines))
        process.stdin.close()
        while b"Trying again" not in process.stderr.readline():
            assert process.poll() is None
        while b"Trying again" not in process.stderr.readline():
            assert process.poll() is None
        holder.rollback()
    assert process.wait(30) == 0, process.stderr.read().decode()
    assert warehouse.rows("select id from bronze.t") == [(3,)]
    assert quarantined(warehouse) == [(2, 1), (3, 2)]


# Names, maps, files


@pytest.mark.parametrize("name", ["bad", 'a"b', "a.b; drop table x --", "%s", "é 😀", "x" * 70])
def test_names_of_the_table(warehouse, name):
    load(warehouse, [schema(v=INTEGER), record(id=1, v="x")], bad_records_table=name)
    [(table,)] = warehouse.rows(
        "select quote_ident(table_name) from information_schema.tables where table_schema = 'bronze' and "
        "table_name <> 't'"
    )
    assert quarantined(warehouse, table=f"bronze.{table}") == [(2, 1)]


def test_stream_maps_keep_the_record_as_the_tap_sent_it(warehouse):
    maps = {"t": {"id": "id", "v": "v", "__alias__": "mapped"}}
    load(warehouse, [schema(v=DATE), record(id=1, v=BAD_DATE), record(id=2, v="2024-01-01")], stream_maps=maps)
    assert warehouse.rows("select id from bronze.mapped") == [(2,)]
    [(stream, raw)] = quarantined(warehouse, "stream, record::jsonb")
    assert stream == "mapped"
    assert raw == record(id=1, v=BAD_DATE)


def test_records_of_batch_files(warehouse, tmp_path):
    file = tmp_path / "records.jsonl"
    file.write_text('{"id": 1, "v": "2024-01-01"}\n{"id": 2, "v": "2024-02-30"}\n{"id": 3, "v": 5}\n')
    batch = {"type": "BATCH", "stream": "t", "encoding": {"format": "jsonl"}, "manifest": [f"file://{file}"]}
    load(warehouse, [schema(v=DATE), batch])
    assert warehouse.rows("select id from bronze.t") == [(1,)]
    assert sorted(row[0]["id"] for row in quarantined(warehouse, "record::jsonb")) == [2, 3]


def test_a_table_that_cannot_be_written_is_named(warehouse):
    warehouse.do("create schema bronze; create view bronze._bad_records as select 1 as line")
    messages = [schema(v=INTEGER), record(id=1, v="x")]
    warehouse.fails(messages, "_bad_records", "Next:", on_bad_record="quarantine")


def test_what_the_table_refuses_when_it_is_replaced(strict):
    good = {"w": "w", "n": 1, "s": 1}
    messages = [STRICT, record(id=1, v=1, **good), record(id=2, v=11, **good), record(id=3, v=3, **good)]
    load(strict, messages, load_method="overwrite", add_record_metadata=False, activate_version=False)
    assert strict.rows("select id from bronze.t order by id") == [(1,), (3,)]
    assert quarantined(strict) == [(3, 2)]


def test_a_stream_does_not_share_the_table_of_bad_records(warehouse):
    messages = [schema(stream="_bad_records"), record("_bad_records", id=1)]
    warehouse.fails(messages, "_bad_records", "Next:", on_bad_record="quarantine")


def test_a_failure_of_loading_is_not_laid_at_a_later_records_door(warehouse):
    shape = schema(v=DATE)
    bad = [record(id=n, v=BAD_DATE) for n in (1, 2)]
    messages = [shape, *bad, *(record(id=n, v="2024-01-01") for n in range(3, 60))]
    outcome = warehouse.run(messages, on_bad_record="quarantine", batch_size_rows=1, max_bad_records=1)
    assert "line 3" in str(outcome.error)
    assert "max_bad_records" in str(outcome.error)
