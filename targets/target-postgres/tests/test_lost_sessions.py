"""Sessions that end at any step of a transaction: afterwards every row is there once, or the run says why not."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from urllib.parse import urlsplit

import psycopg
import pytest

KEYED = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": "string"}}},
}
KEYLESS = {**KEYED, "key_properties": []}
# Each STATE after one row commits, so that there are several of each kind of statement.
EAGER = {"commit_interval_seconds": 0, "batch_size_rows": 2}
# No row waits, so that most are in a transaction that no STATE covers yet.
AT_ONCE = {"commit_interval_seconds": 0, "batch_size_rows": 1}


def record(number, **values):
    return {"type": "RECORD", "stream": "t", "record": {"id": number, "v": f"v{number}", **values}}


def state(number):
    return {"type": "STATE", "value": {"at": number}}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def ids(warehouse):
    return [row[0] for row in warehouse.rows("select id from bronze.t order by id")]


def until(happened, what, seconds=30):
    give_up_at = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(0.01)


class Proxy:
    """Stands between target and server, and cuts the line at a chosen message of the target's.

    Args:
        server: the database's URL.
        pattern: what that message holds.
        occurrence: the how many-eth such message, from 1.
        when: `before` the server gets it; `after` it has answered, which the target does not hear; `between`,
            as soon as it is sent.
        refuse: let no session through afterwards.
    """

    def __init__(self, server: str, pattern: bytes, occurrence: int, when: str, *, refuse: bool = False) -> None:
        parts = urlsplit(server)
        self._server = parts.hostname, parts.port
        self._pattern, self._left, self._when, self._refuse = pattern, occurrence, when, refuse
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        place = f"{parts.username}:{parts.password}@127.0.0.1:{port}"
        self.url = parts._replace(netloc=place, query="sslmode=disable").geturl()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._refuse and self.cuts:
                    client.close()
                    continue
                server = socket.create_connection(self._server)
                silent = threading.Event()
                threading.Thread(target=self._forward, args=(client, server, silent), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, silent), daemon=True).start()

    def _forward(self, client, server, silent):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if not self._is_it(data):
                    server.sendall(data)
                    continue
                self.cuts += 1
                if self._when == "after":
                    silent.set()
                    server.sendall(data)
                    time.sleep(0.2)  # ample for one statement
                elif self._when == "between":
                    server.sendall(data)
                break
        end(client, server)

    def _is_it(self, data):
        self._left -= self._pattern in data
        if self._left or self.cuts:
            return False
        return self._pattern in data

    @staticmethod
    def _answer(server, client, silent):
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if not silent.is_set():
                    client.sendall(data)
        end(client, server)

    def close(self):
        end(self._listener)


def end(*sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@pytest.fixture
def proxy(database):
    made = []

    def make(*args, **kwargs):
        made.append(Proxy(database, *args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()


STEPS = [b"CREATE TABLE", b"CREATE TEMPORARY", b"COPY ", b"INSERT INTO", b"pg_current_xact_id", b"COMMIT", b"SAVEPOINT"]


@pytest.mark.parametrize("when", ["before", "between", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("schema", [KEYED, KEYLESS], ids=["keyed", "keyless"])
def test_a_cut_at_any_step_is_made_good(warehouse, proxy, schema, step, when):
    if schema is KEYED:
        warehouse.load([schema, record(0)])  # a table with rows, so that batches are merged
    messages = [schema, *(message for number in range(4) for message in (record(number), state(number)))]
    expected = []
    for occurrence in (1, 2, 3):
        between = proxy(step, occurrence, when)
        outcome = warehouse.run(messages, **EAGER, sqlalchemy_url=between.url)
        assert outcome.error is None, (occurrence, outcome.error)
        assert json.loads(outcome.states[-1]) == {"at": 3}
        expected = [0, 1, 2, 3] if schema is KEYED else sorted([*expected, 0, 1, 2, 3])
        assert ids(warehouse) == expected
        if not between.cuts:
            break  # so many times this step does not come
    assert warehouse.rows("select count(*) from pg_stat_activity where query ~ 'bronze' and state ~ 'idle in'") == [
        (0,)
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_in_doubt_stores_bookmark_and_rows_once(warehouse, proxy, when):
    warehouse.do("create table states (id text primary key, state jsonb, fencing_token bigint)")
    messages = [KEYLESS, *(message for number in range(1, 5) for message in (record(number), state(number)))]
    for occurrence in range(1, 6):
        between = proxy(b"COMMIT", occurrence, when)
        warehouse.do("drop table if exists bronze.t")
        warehouse.load(
            messages, **EAGER, state_table="states", state_id="x", fencing_token=occurrence, sqlalchemy_url=between.url
        )
        assert between.cuts == 1
        assert ids(warehouse) == [1, 2, 3, 4]
        assert warehouse.rows("select state, fencing_token from states") == [({"at": 4}, occurrence)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_outcome_nobody_tells_is_not_done_again(warehouse, proxy, when):
    between = proxy(b"COMMIT", 2, when, refuse=True)
    messages = [KEYLESS, record(1), state(1), record(2), state(2)]
    outcome = warehouse.fails(messages, "Next:", **EAGER, sqlalchemy_url=between.url, connection_retry_seconds=1)
    assert outcome.error.exit_code == 3
    assert "not known" in str(outcome.error)
    assert outcome.states == []
    assert ids(warehouse) == ([] if when == "before" else [1])


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [b"COPY ", b"COMMIT"])
def test_rows_that_no_state_covers_are_not_sent_again(warehouse, proxy, step, when):
    """The open transaction held the rows before them too, which only the tap still has."""
    warehouse.load([KEYLESS])
    between = proxy(step, 3 if step == b"COPY " else 2, when)
    outcome = warehouse.run([KEYLESS, *map(record, range(5))], **AT_ONCE, sqlalchemy_url=between.url)
    assert between.cuts == 1
    if (step, when) == (b"COMMIT", "after"):  # the server says that it has committed
        assert outcome.error is None
        assert ids(warehouse) == [0, 1, 2, 3, 4]
        return
    assert outcome.error.exit_code == 3
    assert "Next:" in str(outcome.error)
    assert ids(warehouse) == []


def test_an_overwrite_that_loses_its_session_leaves_the_old_rows(warehouse, proxy):
    warehouse.load([KEYED, record(1)])
    for occurrence in (1, 2):
        for step in (b"COPY ", b"DELETE FROM", b"COMMIT"):
            between = proxy(step, occurrence, "before")
            messages = [KEYED, record(2), record(3), {**KEYED, "stream": "u"}, record(4)]
            outcome = warehouse.run(messages, **AT_ONCE, load_method="overwrite", sqlalchemy_url=between.url)
            if outcome.error is None:  # where it came before any row was staged
                assert ids(warehouse) == [2, 3, 4]
                warehouse.load([KEYED, record(1)], load_method="overwrite")
                continue
            assert outcome.error.exit_code == 3, outcome.error
            assert ids(warehouse) == [1]


def test_the_budget_is_kept_and_its_end_is_said(warehouse, proxy):
    between = proxy(b"COPY ", 1, "before", refuse=True)
    began = time.monotonic()
    messages = [KEYLESS, record(1), state(1)]
    outcome = warehouse.fails(messages, "Next:", **EAGER, sqlalchemy_url=between.url, connection_retry_seconds=2)
    assert time.monotonic() - began < 8
    assert outcome.error.exit_code == 3
    assert "Tried" in str(outcome.error)
    assert ids(warehouse) == []


def test_without_a_budget_there_is_one_attempt(warehouse, proxy):
    between = proxy(b"COPY ", 1, "before")
    messages = [KEYLESS, record(1), state(1)]
    warehouse.fails(messages, "Next:", **EAGER, sqlalchemy_url=between.url, connection_retry_seconds=0)
    assert ids(warehouse) == []


# Locks


def test_a_deadlock_is_made_good(warehouse, spawn):
    warehouse.load([KEYED, record(1, v="old"), record(2, v="old")])
    process = spawn(commit_interval_seconds=0)
    with psycopg.connect(warehouse.url) as other:
        other.execute("update bronze.t set v = 'other' where id = 2")
        process.stdin.write(lines(KEYED, record(1), record(2), record(3), state(3)))
        process.stdin.close()
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        until(lambda: warehouse.rows(waiting) == [(1,)], "the target waits for row 2")
        other.execute("update bronze.t set v = 'other' where id = 1")  # the target has that one, and gives way
    assert process.wait(30) == 0
    assert b"deadlock" in process.stderr.read()
    assert warehouse.rows("select id, v from bronze.t order by id") == [(1, "v1"), (2, "v2"), (3, "v3")]


@pytest.mark.parametrize("schema", [KEYED, KEYLESS], ids=["keyed", "keyless"])
def test_a_lock_that_is_given_back_is_waited_for(warehouse, spawn, schema):
    warehouse.load([schema])
    with psycopg.connect(warehouse.url) as holder:
        holder.execute("lock table bronze.t")
        process = spawn(commit_interval_seconds=0, lock_timeout_seconds=0.1, connection_retry_seconds=30)
        process.stdin.write(lines(schema, record(1), state(1), record(2), state(2)))
        process.stdin.close()
        while (line := process.stderr.readline()) and b"Trying again" not in line:
            pass
        assert line, "it ended"
    assert process.wait(30) == 0, process.stderr.read()
    assert ids(warehouse) == [1, 2]


def test_a_lock_that_is_kept_ends_the_run_in_words(warehouse):
    warehouse.load([KEYLESS, record(0)])
    with psycopg.connect(warehouse.url) as holder:
        holder.execute("lock table bronze.t in exclusive mode")
        messages = [KEYLESS, record(1), state(1)]
        settings = {"lock_timeout_seconds": 0.1, "connection_retry_seconds": 1}
        outcome = warehouse.fails(messages, "'t'", "lock timeout", "Next:", **settings)
        assert outcome.error.exit_code == 3
    assert ids(warehouse) == [0]


# The server itself


@pytest.mark.parametrize("schema", [KEYED, KEYLESS], ids=["keyed", "keyless"])
def test_a_server_that_restarts_is_waited_for(own_server, spawn, schema):
    url = own_server.url("postgres")
    process = spawn(sqlalchemy_url=url, **EAGER)
    process.stdin.write(lines(schema, record(0), state(0)))
    process.stdin.flush()
    assert process.stdout.readline() == b'{"at": 0}\n', process.communicate()

    def feed():
        with contextlib.suppress(BrokenPipeError):  # the target's own words say more
            for number in range(1, 400):
                process.stdin.write(lines(record(number), state(number)))
                process.stdin.flush()
                time.sleep(0.005)

    feeder = threading.Thread(target=feed)
    feeder.start()
    own_server.stop()
    own_server.start()
    feeder.join(60)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert b"Trying again" in error
    assert json.loads(output.splitlines()[-1]) == {"at": 399}
    with psycopg.connect(url) as other:
        assert other.execute("select array_agg(id order by id) from bronze.t").fetchone() == (list(range(400)),)
