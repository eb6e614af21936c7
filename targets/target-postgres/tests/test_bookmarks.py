"""The bookmark beside the rows: one transaction for both, and a token that keeps an older run from writing."""

from __future__ import annotations

import json
import random
import threading
import time
from pathlib import Path

import psycopg
import pytest

KEYLESS = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": [],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "string"}}},
}
OTHER = {**KEYLESS, "stream": "other"}
KEYED = {**KEYLESS, "key_properties": ["id"]}
CREATE = "create table {} (id text primary key, state jsonb, fencing_token bigint)"
SETTINGS = {"state_table": "states", "state_id": "shop"}
MIGRATION = Path(__file__).parents[3] / "sql" / "supabase" / "migrations" / "20261122000001_control_plane.sql"


def record(number, stream="t"):
    return {"type": "RECORD", "stream": stream, "record": {"id": number, "v": f"v{number}"}}


def state(value):
    return {"type": "STATE", "value": value}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def ids(warehouse, table="t"):
    return [row[0] for row in warehouse.rows(f"select id from bronze.{table} order by id")]


def stored(warehouse, table="states"):
    return warehouse.rows(f"select id, state, fencing_token from {table} order by id")


def until(happened, what, seconds=30):
    give_up_at = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(0.01)


@pytest.fixture
def states(warehouse):
    warehouse.do(CREATE.format("states"))
    return warehouse


# Together with the rows


def test_the_last_state_is_stored_under_its_id(states):
    states.do("insert into states values ('theirs', '{\"x\": 1}', 9)")
    printed = states.load([KEYLESS, record(1), state({"at": 1}), record(2), state({"at": 2})], **SETTINGS)
    assert json.loads(printed[-1]) == {"at": 2}
    assert stored(states) == [("shop", {"at": 2}, 0), ("theirs", {"x": 1}, 9)]
    assert ids(states) == [1, 2]


@pytest.mark.parametrize("state_is", ["missing", "null", "kept"])
def test_a_run_without_a_state_leaves_the_bookmark(states, state_is):
    before = {"missing": None, "null": "('shop', null, null)", "kept": "('shop', '{\"at\": 7}', 3)"}[state_is]
    if before:
        states.do(f"insert into states values {before}")
    states.load([KEYLESS, record(1)], **SETTINGS, fencing_token=5)
    after = {"missing": {}, "null": None, "kept": {"at": 7}}[state_is]
    assert stored(states) == [("shop", after, 5)]
    assert ids(states) == [1]


def test_a_run_that_fails_stores_the_state_of_what_it_kept(states):
    messages = [KEYLESS, record(1), state({"at": 1}), record(2), "broken\n"]
    outcome = states.fails(messages, "Line 5", **SETTINGS, batch_size_rows=1)
    assert outcome.states == ['{"at": 1}']
    assert stored(states) == [("shop", {"at": 1}, 0)]
    assert ids(states) == [1]


def test_an_overwrite_stores_its_state_with_the_swap(states, spawn):
    states.load([KEYLESS, record(1), state({"at": 1})], **SETTINGS)
    process = spawn(load_method="overwrite", batch_size_rows=1, commit_interval_seconds=0, **SETTINGS)
    process.stdin.write(lines(KEYLESS, record(2), state({"at": 2}), record(3), state({"at": 3}), OTHER))
    process.stdin.flush()
    until(lambda: states.rows("select to_regclass('bronze.other') is not null") == [(True,)], "the last SCHEMA")
    assert (stored(states), ids(states)) == ([("shop", {"at": 1}, 0)], [1])
    process.stdin.close()
    assert process.wait(30) == 0, process.stderr.read().decode()
    assert (stored(states), ids(states)) == ([("shop", {"at": 3}, 0)], [2, 3])


def feed(process, begin, total, every):
    try:
        process.stdin.write(lines(KEYLESS))
        for number in range(begin, total + 1):
            ended = number % every == 0 or number == total
            process.stdin.write(lines(record(number), state({"at": number})) if ended else lines(record(number)))
        process.stdin.close()
    except (OSError, ValueError):
        pass  # killed


@pytest.mark.parametrize("seed", range(3))
def test_kill_and_resume_from_the_table_brings_every_row_once(states, spawn, seed):
    """Watched by a second session the whole time: the bookmark says exactly how many rows are there."""
    chance = random.Random(seed)
    every = chance.choice([1, 13, 200])
    total = 400 * min(max(every, 4), 20)
    settings = {"commit_interval_seconds": 0, "batch_size_rows": chance.choice([1, 50, 5000]), **SETTINGS}
    states.load([KEYLESS], **SETTINGS)  # so that there is something to watch
    look = "select coalesce((state->>'at')::int, 0), (select count(*) from bronze.t) from states"
    looks, resumed_at = [], []
    with psycopg.connect(states.url, autocommit=True) as other:
        for kills_left in (2, 1, 0):
            [(begin, _)] = other.execute(look).fetchall()
            resumed_at.append(begin)
            process = spawn(**settings)
            feeder = threading.Thread(target=feed, args=(process, begin + 1, total, every), daemon=True)
            feeder.start()
            killed_at = begin + chance.randrange(1, total // 3)
            while process.poll() is None:
                looks += other.execute(look).fetchall()
                if kills_left and looks[-1][0] >= killed_at:
                    time.sleep(chance.uniform(0, 0.02))
                    process.kill()
            feeder.join(30)
        assert process.returncode == 0, process.stderr.read().decode()
    assert ids(states) == list(range(1, total + 1))
    assert [look for look in looks if look[0] != look[1]] == []
    assert len(set(looks)) > 3
    assert len(set(resumed_at)) > 1


# Tokens


@pytest.mark.parametrize("token", [6, None])
def test_a_stale_token_is_refused_before_anything_is_written(states, token):
    states.do("insert into states values ('shop', '{\"at\": 1}', 7)")
    messages = [KEYLESS, record(1), state({"at": 9})]
    if token is None:  # without one there is nothing to compare
        states.load(messages, **SETTINGS)
        assert stored(states) == [("shop", {"at": 9}, 7)]
        return
    outcome = states.fails(messages, "fencing token 6", "newer run", "Next:", **SETTINGS, fencing_token=token)
    assert outcome.error.exit_code == 6
    assert stored(states) == [("shop", {"at": 1}, 7)]
    assert states.rows("select to_regclass('bronze.t')") == [(None,)]


@pytest.mark.parametrize("token", [7, 8])
def test_an_equal_or_higher_token_goes_on(states, token):
    states.do("insert into states values ('shop', '{\"at\": 1}', 7)")
    states.load([KEYLESS, record(1), state({"at": 9})], **SETTINGS, fencing_token=token)
    assert stored(states) == [("shop", {"at": 9}, token)]


@pytest.fixture
def overtaken(states, spawn):
    """A run whose first row is there, and a second one that has claimed a higher token since."""
    process = spawn(**SETTINGS, fencing_token=1, commit_interval_seconds=0)
    process.stdin.write(lines(KEYLESS, record(1), state({"at": 1})))
    process.stdin.flush()
    assert process.stdout.readline() == b'{"at": 1}\n'
    states.load([], **SETTINGS, fencing_token=2)
    return process


def assert_refused(process):
    code = process.wait(30)
    error = process.stderr.read().decode()
    assert code == 6, error
    assert "newer run" in error
    assert "Traceback" not in error
    assert process.stdout.read() == b""


def test_a_run_that_was_overtaken_writes_no_rows_any_more(states, overtaken):
    overtaken.stdin.write(lines(record(2), state({"at": 2})))
    overtaken.stdin.close()
    assert_refused(overtaken)
    assert (stored(states), ids(states)) == ([("shop", {"at": 1}, 2)], [1])


def test_a_run_that_was_overtaken_writes_nothing_at_the_end_of_its_input(states, overtaken):
    overtaken.stdin.write(lines(record(2)))
    overtaken.stdin.close()
    assert_refused(overtaken)
    assert (stored(states), ids(states)) == ([("shop", {"at": 1}, 2)], [1])


def test_a_run_that_was_overtaken_shapes_no_table_any_more(states, overtaken):
    wider = {**KEYLESS, "schema": {"properties": {**KEYLESS["schema"]["properties"], "w": {"type": "integer"}}}}
    overtaken.stdin.write(lines(wider, OTHER))
    overtaken.stdin.close()
    assert_refused(overtaken)
    columns = states.rows("select count(*) from information_schema.columns where column_name = 'w'")
    assert columns == [(0,)]
    assert states.rows("select to_regclass('bronze.other')") == [(None,)]


def test_a_claim_waits_for_the_transaction_that_it_would_overtake(states, spawn):
    """Afterwards it holds what that has written: no row of the older run appears behind its back."""
    states.load([KEYLESS, record(1), state({"at": 1})], **SETTINGS, fencing_token=1)
    with psycopg.connect(states.url) as older:
        older.execute("update states set state = '{\"at\": 2}' where id = 'shop'")
        older.execute("insert into bronze.t (id) values (2)")
        newer = spawn(**SETTINGS, fencing_token=2)
        newer.stdin.write(lines(KEYLESS, record(3), state({"at": 3})))
        newer.stdin.close()
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'states'"
        until(lambda: states.rows(waiting) == [(1,)], "the newer run waits")
        assert newer.poll() is None
    assert newer.wait(30) == 0, newer.stderr.read().decode()
    assert (stored(states), ids(states)) == ([("shop", {"at": 3}, 2)], [1, 2, 3])


# The table and its name


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("states2", "states2"),
        ("STATES2", "states2"),
        ('"STATES2"', '"STATES2"'),
        ("keep.states", "keep.states"),
        ('"k""eep"."50% of ; states"', '"k""eep"."50% of ; states"'),
        ('"%s"', '"%s"'),
        ('"a.b"', '"a.b"'),
        ("Keep.état", "keep.état"),
    ],
)
def test_names_of_the_table(warehouse, setting, name):
    if "." in name and name != '"a.b"':
        warehouse.do(f"create schema {name.partition('.')[0]}")
    warehouse.do(CREATE.format(name))
    warehouse.load([KEYLESS, record(1), state({"at": 1})], state_table=setting, state_id='it\'s 100% "x"; --')
    assert stored(warehouse, name) == [('it\'s 100% "x"; --', {"at": 1}, 0)]


@pytest.mark.parametrize(
    "setting",
    ["states; drop table states", "states (id)", 'a"b', "a.b.c", "a b", "", "states --", '"a\0b"', '"unended'],
)
def test_what_is_no_name_of_a_table_is_refused(states, setting):
    outcome = states.fails([KEYLESS, record(1)], "state", "Next:", state_table=setting, state_id="x")
    assert outcome.error.exit_code == 2
    assert stored(states) == []


@pytest.mark.parametrize(
    "definition",
    [
        None,
        "(id text primary key, state jsonb)",
        "(id text, state jsonb, fencing_token bigint)",
        "(id text primary key, state text, fencing_token bigint)",
    ],
)
def test_a_table_that_is_missing_or_other_than_it_must_be(warehouse, definition):
    if definition:
        warehouse.do(f"create table states {definition}")
    messages = [KEYLESS, record(1), state({"at": 1})]
    outcome = warehouse.fails(messages, "states", "Next:", "CREATE TABLE", **SETTINGS)
    assert outcome.error.exit_code == 2
    assert warehouse.rows("select to_regclass('bronze.t')") == [(None,)]
    if definition is None:
        statement = str(outcome.error).partition("CREATE TABLE")[2].partition(";")[0]
        warehouse.do(f"CREATE TABLE {statement}")
        warehouse.load(messages, **SETTINGS)
        assert stored(warehouse) == [("shop", {"at": 1}, 0)]


@pytest.mark.parametrize("given", [{"state_table": "states"}, {"state_id": "x"}, {"fencing_token": 1}])
def test_settings_that_need_each_other(states, given):
    assert states.fails([KEYLESS], "Next:", **given).error.exit_code == 2


def test_the_table_of_the_control_plane(warehouse):
    """As the migration makes it, with the permissions that it gives."""
    for role in ("anon", "authenticated", "service_role", "authenticator"):
        warehouse.do(f"do $$ begin create role {role}; exception when duplicate_object then null; end $$")
    warehouse.do(MIGRATION.read_text())
    settings = {"state_table": "connectors.connector_state", "state_id": "odoo"}
    warehouse.load([KEYLESS, record(1), state({"at": 1})], **settings, fencing_token=4)
    warehouse.load([KEYLESS, record(2), state({"at": 2})], **settings, fencing_token=5)
    warehouse.fails([KEYLESS, record(3), state({"at": 3})], "newer run", **settings, fencing_token=4)
    found = warehouse.rows("select id, state, fencing_token from connectors.connector_state")
    assert found == [("odoo", {"at": 2}, 5)]
    assert ids(warehouse) == [1, 2]


# STATEs that jsonb takes, and that it does not


@pytest.mark.parametrize(
    "text",
    ["{}", "null", "7", '"x"', "[]", '{"n": 123456789012345678901234567890.10, "e": 1e400, "s": "\\u00e9é😀%s\'\\""}'],
)
def test_states_are_kept_exactly(states, text):
    states.load([KEYLESS, record(1), '{"type":"STATE","value":%s}\n' % text], **SETTINGS)  # noqa: UP031
    assert states.rows(f"select state = $text${text}$text$::jsonb from states") == [(True,)]


@pytest.mark.parametrize(
    "text", [rb'{"a": "\u0000"}', rb'{"a": "\ud800"}', b'{"a": 1e999999}', b'{"a": NaN}', b'{"a": "\xed\xa0\x80"}']
)
def test_states_that_jsonb_does_not_hold_are_refused_in_words(states, text):
    states.do("insert into states values ('shop', '{\"at\": 1}', 1)")
    messages = [KEYLESS, record(1), b'{"type":"STATE","value":' + text + b"}\n"]
    outcome = states.fails(messages, "STATE", "Next:", **SETTINGS)
    assert outcome.error.exit_code == 5
    assert outcome.states == []
    assert (stored(states), ids(states)) == ([("shop", {"at": 1}, 1)], [])
