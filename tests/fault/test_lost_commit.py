"""The one moment that chance hardly ever meets: the connection is lost between COMMIT and its answer."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from .campaign import STATE_TABLE, read_state
from .server import Server
from .source import STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVENTS = STREAMS[2]
ROWS = 50
SEED = 1


class Proxy:
    """Stands between target and server, and meddles once: with the COMMIT behind a COPY into the stream's table.

    Args:
        port: of the server.
        meddle: gets the socket to the server and what the target has just sent. The connection is cut afterwards.
    """

    def __init__(self, port: int, meddle: Callable[[socket.socket, bytes], None]) -> None:
        self.done = False
        self._port = port
        self._meddle = meddle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.own_port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Wait until the target is gone and everything is closed."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it was shut down
                return
            self._threads.append(threading.Thread(target=self._serve, args=(client,)))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, socket.create_connection(("127.0.0.1", self._port)) as server:
            armed = False
            while True:
                for end in select.select([client, server], [], [])[0]:
                    if not (data := end.recv(1 << 16)):
                        return
                    armed = armed or (b"COPY" in data and EVENTS.name.encode() in data)
                    if armed and not self.done and end is client and b"COMMIT\0" in data:
                        self.done = True
                        self._meddle(server, data)
                        return
                    (server if end is client else client).sendall(data)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def load(server: Server, folder: Path, meddle: Callable[[socket.socket, bytes], None]) -> tuple[Counter, object]:
    """Load rows without keys through a proxy; the table's rows with their counts, and the stored STATE."""
    url = server.database()
    with psycopg.connect(url) as connection:
        connection.execute("create schema control")
        connection.execute(f"create table {STATE_TABLE} (id text primary key, state jsonb, fencing_token bigint)")
    parts = urlsplit(url)
    proxy = Proxy(parts.port, meddle)
    through = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.own_port}")).geturl()
    config = {
        "sqlalchemy_url": through, "default_target_schema": "bronze", "end_of_input": "finished",
        "state_table": STATE_TABLE, "state_id": "shop", "fencing_token": 1, "connection_retry_seconds": 20,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    messages = [
        EVENTS.schema(),
        *({"type": "RECORD", "stream": EVENTS.name, "record": EVENTS.record(SEED, n)} for n in range(ROWS)),
        {"type": "STATE", "value": {"bookmarks": {EVENTS.name: ROWS}}},
    ]
    done = subprocess.run(
        [Path(sys.executable).with_name("target-postgres"), "--config", folder / "config.json"],
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    proxy.close()
    assert proxy.done
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as connection:
        found = connection.execute(f"select number from bronze.{EVENTS.name}").fetchall()
        state = read_state(connection)
    server.drop(url)
    return Counter(number for (number,) in found), state


EXPECTED = Counter(range(ROWS)), {"bookmarks": {EVENTS.name: ROWS}}


def test_commit_arrived_and_its_answer_was_lost(server: Server, tmp_path: Path) -> None:
    def meddle(upstream: socket.socket, commit: bytes) -> None:
        upstream.sendall(commit)
        with psycopg.connect(server.url) as connection:  # until it has come into force
            query = "select count(*) from pg_stat_activity where state = 'idle' and query ilike 'commit%%'"
            while connection.execute(query).fetchone() == (0,):
                connection.rollback()

    assert load(server, tmp_path, meddle) == EXPECTED


def test_commit_was_lost_and_the_server_goes_on(server: Server, tmp_path: Path) -> None:
    assert load(server, tmp_path, lambda _upstream, _commit: None) == EXPECTED


def test_commit_was_lost_in_a_crash_and_its_number_is_somebody_elses(server: Server, tmp_path: Path) -> None:
    """Postgres then says of that number that it has committed."""

    def meddle(_upstream: socket.socket, _commit: bytes) -> None:
        server.kill()
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            for _ in range(200):
                connection.execute("select pg_current_xact_id()")

    assert load(server, tmp_path, meddle) == EXPECTED


def test_commit_was_lost_in_a_crash_and_nobody_has_its_number(server: Server, tmp_path: Path) -> None:
    def meddle(_upstream: socket.socket, _commit: bytes) -> None:
        server.kill()
        server.start()

    assert load(server, tmp_path, meddle) == EXPECTED
