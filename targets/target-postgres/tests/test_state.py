"""A STATE leaves only after the rows it covers are there for others, whatever ends the run."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import threading
import time

import psycopg
import pytest

SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "string"}}},
}
KEYLESS = {**SCHEMA, "key_properties": []}


def record(number, **extra):
    return {"type": "RECORD", "stream": "t", "record": {"id": number, "v": f"v{number}", **extra}}


def state(number):
    return {"type": "STATE", "value": {"at": number}}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def read_line(process, seconds=30):
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    assert ready, "no STATE in time"
    return process.stdout.readline()


def ids(warehouse):
    return [row[0] for row in warehouse.rows("select id from bronze.t order by id")]


def test_state_is_printed_byte_for_byte(warehouse):
    text = '{"a": 1.10, "b":[1e400,"\\u00e9é"], "n": 123456789012345678901234567890}'
    line = '{"type":"STATE","value":%s}\n' % text  # noqa: UP031
    assert warehouse.load([SCHEMA, record(1), line]) == [text]


def test_repeated_state_is_printed_once_and_the_last_always(warehouse):
    messages = [state(0), SCHEMA, *(message for n in range(4) for message in (record(n), state(min(n, 2))))]
    states = warehouse.load(messages, commit_interval_seconds=0)
    printed = [json.loads(line)["at"] for line in states]
    # What gathers while a commit is under way is committed together.
    assert printed[-1] == 2
    assert printed == sorted(set(printed))


def test_rows_after_the_last_state_load_at_a_clean_end(warehouse):
    assert warehouse.load([SCHEMA, record(1), state(1), record(2)]) == ['{"at": 1}']
    assert ids(warehouse) == [1, 2]


@pytest.mark.parametrize("rows", [1, 3, 10_000])
def test_a_tap_that_never_sends_state_loads(warehouse, rows):
    assert warehouse.load([SCHEMA, *map(record, range(20))], batch_size_rows=rows) == []
    assert ids(warehouse) == list(range(20))


@pytest.mark.parametrize("rows", [1, 3, 10_000])
@pytest.mark.parametrize("schema", [SCHEMA, KEYLESS])
def test_a_broken_line_keeps_what_the_last_state_covers(warehouse, rows, schema):
    messages = [schema, record(1), record(2), state(2), record(3), record(4), state(4), *map(record, range(5, 20))]
    outcome = warehouse.fails([*messages, "Traceback: boom\n"], "Line 23", "boom", batch_size_rows=rows)
    assert json.loads(outcome.states[-1]) == {"at": 4}
    assert ids(warehouse) == [1, 2, 3, 4]


def test_a_covered_version_is_committed_though_a_newer_one_arrived(warehouse):
    newer = record(1)
    newer["record"]["v"] = "newer"
    outcome = warehouse.fails([SCHEMA, record(1), state(1), newer, "x\n"], "Line 5")
    assert outcome.states == ['{"at": 1}']
    assert warehouse.rows("select id, v from bronze.t") == [(1, "v1")]


def test_a_schema_change_does_not_commit_what_no_state_covers(warehouse):
    wider = {**SCHEMA, "schema": {"properties": {**SCHEMA["schema"]["properties"], "w": {"type": "integer"}}}}
    messages = [SCHEMA, record(1), state(1), record(2), wider, record(3, w=1), "x\n"]
    outcome = warehouse.fails(messages, "Line 7")
    assert outcome.states == ['{"at": 1}']
    assert ids(warehouse) == [1]


def test_one_record_that_postgres_refuses_names_its_line(warehouse):
    dated = {**SCHEMA, "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "string", "format": "date"}}}}
    good = [{"type": "RECORD", "stream": "t", "record": {"id": n, "v": "2024-01-01"}} for n in range(5)]
    bad = {"type": "RECORD", "stream": "t", "record": {"id": 9, "v": "2024-02-30"}}
    outcome = warehouse.fails([dated, *good, state(1), bad, state(2)], "'t'", "line 8", "'v'", "2024-02-30")
    assert outcome.states == []
    assert ids(warehouse) == []


def test_rows_are_visible_when_their_state_is_read(warehouse, spawn):
    process = spawn(commit_interval_seconds=0)
    process.stdin.write(lines(SCHEMA))
    with psycopg.connect(warehouse.url, autocommit=True) as other:
        for number in range(1, 30):
            process.stdin.write(lines(record(number), state(number)))
            process.stdin.flush()
            assert json.loads(read_line(process)) == {"at": number}
            assert other.execute("select count(*) from bronze.t").fetchone() == (number,)
    process.stdin.close()
    assert process.wait(30) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_waiting_commits_what_is_covered(warehouse, spawn, number, code):
    process = spawn(commit_interval_seconds=0)
    process.stdin.write(lines(SCHEMA, record(0), state(0)))
    process.stdin.flush()
    read_line(process)  # the target runs, and has loaded this
    process.send_signal(signal.SIGCONT)
    process.stdin.write(lines(record(1), record(2), state(2), record(3)))
    process.stdin.flush()
    assert json.loads(read_line(process)) == {"at": 2}
    process.send_signal(number)
    assert process.wait(30) == code
    assert ids(warehouse) == [0, 1, 2]
    error = process.stderr.read().decode()
    assert "Ended by" in error
    assert "Traceback" not in error


def test_sigterm_acknowledges_a_state_that_was_held_back(warehouse, spawn):
    process = spawn(commit_interval_seconds=3600, batch_size_rows=4)
    # Five rows make the first commit, by which the test knows how far the target has come.
    process.stdin.write(lines(SCHEMA, *map(record, range(5)), state(4), record(5), state(5), record(6)))
    process.stdin.flush()
    assert json.loads(read_line(process)) == {"at": 4}
    # Metrics of the table's activity would race; a marker stream is shaped only after all of the above was
    # read.
    process.stdin.write(lines({**SCHEMA, "stream": "marker"}))
    process.stdin.flush()
    with psycopg.connect(warehouse.url, autocommit=True) as other:
        for _ in range(100_000):
            if other.execute("select to_regclass('bronze.marker') is not null").fetchone() == (True,):
                break
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    assert process.stdout.read().splitlines() == [b'{"at": 5}']
    assert ids(warehouse) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("schema", [SCHEMA, KEYLESS])
@pytest.mark.parametrize("seed", range(4))
def test_kill_leaves_whole_prefixes_and_the_next_run_completes(warehouse, spawn, schema, seed):
    """Killed at a random moment: what is there is what some STATE covers, at least the last one printed."""
    chance = random.Random(seed)
    total, every = 20_000, chance.choice([1, 7, 50])
    process = spawn(commit_interval_seconds=0, batch_size_rows=chance.choice([1, 20, 500]))
    pause = chance.uniform(0, 0.3)

    def feed():
        try:
            process.stdin.write(lines(schema))
            for number in range(1, total + 1):
                process.stdin.write(lines(record(number)))
                if number % every == 0:
                    process.stdin.write(lines(state(number)))
            process.stdin.flush()
        except (BrokenPipeError, ValueError, OSError):
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    printed = [json.loads(read_line(process))["at"]]
    time.sleep(pause)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    printed += [json.loads(line)["at"] for line in process.stdout.read().splitlines()]
    feeder.join(30)
    found = ids(warehouse)
    assert found == list(range(1, len(found) + 1))
    assert len(found) % every == 0
    assert len(found) >= printed[-1]
    # Started again from the last acknowledged STATE. Without keys, rows between that and the kill would
    # come twice:
    # delivery is at least once until the bookmark is kept with the rows.
    begin = printed[-1] if schema is SCHEMA else len(found)
    warehouse.load([schema, *map(record, range(begin + 1, total + 1)), state(total)])
    assert ids(warehouse) == list(range(1, total + 1))


def test_readers_see_the_old_table_until_an_overwrite_ends(warehouse, spawn):
    warehouse.load([SCHEMA, record(1), record(2)])
    process = spawn(load_method="overwrite", batch_size_rows=1)
    process.stdin.write(lines(SCHEMA, record(5), state(5), record(6), state(6), {**SCHEMA, "stream": "marker"}))
    process.stdin.flush()
    with psycopg.connect(warehouse.url, autocommit=True) as other:
        for _ in range(100_000):
            if other.execute("select to_regclass('bronze.marker') is not null").fetchone() == (True,):
                break
    assert ids(warehouse) == [1, 2]
    process.stdin.close()
    assert process.wait(30) == 0
    assert ids(warehouse) == [5, 6]
    assert process.stdout.read() == b'{"at": 6}\n'


@pytest.fixture
def stuck(warehouse, spawn):
    """A target that waits for a lock on its table, and the connection that holds the lock."""
    process = spawn(commit_interval_seconds=0)
    process.stdin.write(lines(SCHEMA, record(0), state(0)))
    process.stdin.flush()
    read_line(process)
    with psycopg.connect(warehouse.url) as holder, psycopg.connect(warehouse.url, autocommit=True) as other:
        holder.execute("lock table bronze.t")
        process.stdin.write(lines(record(1), state(1)))
        process.stdin.flush()
        for _ in range(100_000):
            waiting = other.execute(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            ).fetchone()
            if waiting == (1,):
                break
        yield process, holder


def test_a_signal_during_a_statement_ends_the_target_after_it(warehouse, stuck):
    process, holder = stuck
    process.send_signal(signal.SIGTERM)
    holder.commit()
    assert process.wait(30) == 143  # though the input stays open and silent
    assert process.stdout.read() == b'{"at": 1}\n'
    assert ids(warehouse) == [0, 1]


def test_a_second_signal_does_not_wait_for_a_lock(warehouse, stuck):
    process, holder = stuck
    # Two different ones: two of a kind may arrive as one.
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in {130, 143}
    assert process.stdout.read() == b""
    holder.commit()
    assert ids(warehouse) == [0]


@pytest.mark.parametrize("schema", [SCHEMA, KEYLESS])
def test_a_cut_connection_is_survived(warehouse, spawn, schema):
    process = spawn(commit_interval_seconds=0)
    process.stdin.write(lines(schema, record(1), state(1)))
    process.stdin.flush()
    read_line(process)
    cut_connections(warehouse)
    process.stdin.write(lines(record(2), state(2)))
    process.stdin.close()
    assert process.wait(30) == 0
    assert process.stdout.read() == b'{"at": 2}\n'
    assert b"Trying again" in process.stderr.read()
    assert ids(warehouse) == [1, 2]


def test_a_cut_connection_that_held_rows_without_a_state_is_one_clear_message(warehouse, spawn):
    """They are gone with it, and nobody but the tap has them."""
    process = spawn(commit_interval_seconds=0, batch_size_rows=1)
    process.stdin.write(lines(SCHEMA, record(1), state(1), record(2)))
    process.stdin.flush()
    assert read_line(process) == b'{"at": 1}\n'
    with psycopg.connect(warehouse.url, autocommit=True) as other:
        for _ in range(100_000):
            if other.execute("select count(*) from pg_locks where relation = 'bronze.t'::regclass").fetchone() > (0,):
                break
    cut_connections(warehouse)
    process.stdin.write(lines(record(3), state(3)))
    process.stdin.close()
    assert process.wait(30) == 3
    assert process.stdout.read() == b""
    assert b"Traceback" not in process.stderr.read()
    assert ids(warehouse) == [1]


def cut_connections(warehouse):
    warehouse.do(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'target-postgres' and datname = current_database()"
    )


def test_a_table_that_cannot_be_shaped_keeps_what_is_covered(warehouse):
    warehouse.do("create schema bronze; create view bronze.u as select 1 as id")
    outcome = warehouse.fails([SCHEMA, record(1), state(1), record(2), {**SCHEMA, "stream": "u"}], "'u'")
    assert outcome.states == ['{"at": 1}']
    assert ids(warehouse) == [1]


def test_two_targets_create_one_schema_and_table_at_once(warehouse, spawn):
    processes = [spawn() for _ in range(2)]
    for number, process in enumerate(processes):
        process.stdin.write(lines(SCHEMA, record(number)))
    for process in processes:
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0, 0]
    assert ids(warehouse) == [0, 1]


def test_metrics_add_up(spawn):
    process = spawn()
    messages = [SCHEMA, *map(record, range(10))]
    _, errors = process.communicate(lines(*messages), timeout=30)
    points = [json.loads(line.split("METRIC: ")[1]) for line in errors.decode().splitlines() if "METRIC: " in line]
    totals = {}
    for point in points:
        assert point["tags"]["stream"] == "t"
        totals[point["metric"]] = totals.get(point["metric"], 0) + point["value"]
    assert totals["record_count"] == 10
    assert totals["record_bytes"] == len(lines(*messages[1:]))
    assert totals["batch_processing_time"] > 0
