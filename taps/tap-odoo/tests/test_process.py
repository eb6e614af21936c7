"""The tap as a process: its exit codes, its last words, and what is left when it is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tap_odoo.settings import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "account_move"
ROWS = 30_000  # more than a pipe and two pages hold: a tap whose reader waits is still reading
MODULE = "from tap_odoo.tap import TapOdoo; TapOdoo.cli()"


class Process:
    """Runs of the tap's command line against one database."""

    def __init__(self, odoo, folder: Path) -> None:
        self.odoo = odoo
        self.folder = folder

    def arguments(self, *options: str, state=None, catalog=None, **settings) -> list[str]:
        config = self.write("config.json", self.odoo.config(**settings))
        arguments = [sys.executable, "-c", MODULE, "--config", config, *options]
        for name, value in (("state", state), ("catalog", catalog)):
            if value is not None:
                arguments += [f"--{name}", self.write(f"{name}.json", value)]
        return arguments

    def write(self, name: str, value) -> str:
        path = self.folder / name
        path.write_text(json.dumps(value))
        return str(path)

    def run(self, *options: str, **settings) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(*options, **settings), capture_output=True, text=True, timeout=120, check=False
        )

    def start(self, **settings) -> subprocess.Popen[bytes]:
        arguments = self.arguments(**settings)
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


@pytest.fixture
def process(odoo, tmp_path) -> Process:
    return Process(odoo, tmp_path)


@pytest.fixture(params=["buffered", "unbuffered"])
def _buffering(request, monkeypatch) -> None:
    """PYTHONUNBUFFERED, usual in containers, makes a write that a signal interrupts end in the middle of a line."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    if request.param == "unbuffered":
        monkeypatch.setenv("PYTHONUNBUFFERED", "1")


def interrupted(process: Process, number: int, after: int, state) -> tuple[bytes, int, str]:
    """Read so many bytes of a run, send the signal, and read what still comes."""
    tap = process.start(streams=[STREAM], state=state)
    assert tap.stdout is not None
    head = b""
    while len(head) < after and (part := tap.stdout.read(after - len(head))):
        head += part
    os.kill(tap.pid, number)
    rest, errors = tap.communicate(timeout=60)
    return head + rest, tap.returncode, errors.decode()


def parse(output: bytes) -> list[dict]:
    """The whole lines of a run's output; a line that was cut off is no message."""
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


def committed(messages: list[dict], rows: dict[int, str], state):
    """Apply a run as a target does that commits where a STATE says so."""
    pending: dict[int, str] = {}
    for message in messages:
        if message["type"] == "RECORD":
            pending[message["record"]["id"]] = message["record"]["name"]
        elif message["type"] == "STATE":
            rows.update(pending)
            pending, state = {}, message["value"]
    return state


@pytest.mark.usefixtures("_buffering")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_runs_that_are_ended_anywhere(process, odoo, number) -> None:
    odoo.moves()
    odoo.execute(f"insert into {STREAM} (name, write_date) select 'row ' || i || repeat('.', 100),"
                 f" timestamp '2024-01-01' + i % 7 * interval '1 us' from generate_series(1, {ROWS}) i")  # fmt: skip
    rows: dict[int, str] = {}
    state = None
    randomness = random.Random(number)
    for _ in range(3):
        output, code, errors = interrupted(process, number, randomness.randrange(1, 3_000_000), state)
        assert code == (-signal.SIGKILL if number == signal.SIGKILL else 128 + signal.SIGTERM), errors
        if number == signal.SIGTERM:
            assert output == b"" or output.endswith(b"\n")
        state = committed(parse(output), rows, state)
        odoo.execute(f"update {STREAM} set name = name || '!', write_date = now() where id % 997 = 0")
        odoo.execute(f"insert into {STREAM} (name, write_date) values ('new', now())")
    finished = process.run(streams=[STREAM], state=state)
    assert finished.returncode == 0, finished.stderr
    state = committed(parse(finished.stdout.encode()), rows, state)
    assert sorted(rows.items()) == odoo.execute(f"select id, name from {STREAM} order by id").fetchall()
    assert set(state["bookmarks"][STREAM]) == {"replication_key", "replication_key_value"}


def test_a_reader_that_goes_away(process, odoo) -> None:
    odoo.moves()
    odoo.execute(f"insert into {STREAM} (name, write_date) select 'row', now() from generate_series(1, {ROWS})")
    tap = process.start(streams=[STREAM])
    assert tap.stdout is not None
    tap.stdout.read(10)
    tap.stdout.close()
    assert tap.stderr is not None
    errors = tap.stderr.read().decode()
    tap.stderr.close()
    assert tap.wait(60) != 0
    assert "Traceback" not in errors


def failure(result: subprocess.CompletedProcess[str], code: int) -> str:
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return next(line for line in result.stderr.splitlines() if "CRITICAL" in line)


def test_connections_that_fail(process) -> None:
    assert "password" in failure(process.run(db_password="wrong-canary"), 3)
    assert "does not exist" in failure(process.run("--discover", db_name="nowhere"), 3)
    assert "check the host name" in failure(process.run("--discover", db_host="nowhere.invalid"), 3)
    assert "is the server running" in failure(process.run("--test", db_port=1), 3)


def test_secrets_stay_secret(process, odoo) -> None:
    result = process.run(db_password="wrong-canary")
    assert "wrong-canary" not in result.stdout + result.stderr
    odoo.moves("2024-01-01")
    result = process.run(streams=[STREAM])
    assert odoo.config()["db_password"] not in result.stdout + result.stderr


def test_a_missing_setting() -> None:
    result = subprocess.run([sys.executable, "-c", MODULE, "--discover"], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "'db_name' is a required property" in result.stderr


def test_a_table_that_may_not_be_read(process, odoo) -> None:
    odoo.moves("2024-01-01")
    odoo.execute("drop role if exists tap_odoo_nobody; create role tap_odoo_nobody login password 'nobody'")
    try:
        result = process.run(streams=[STREAM], db_user="tap_odoo_nobody", db_password="nobody")
        message = failure(result, 4)
        assert f"Stream '{STREAM}'" in message
        assert f'GRANT SELECT ON "public"."{STREAM}" TO "tap_odoo_nobody"' in message
    finally:
        odoo.execute("drop role tap_odoo_nobody")


@pytest.mark.parametrize(
    ("function", "expected"),
    [("pg_cancel_backend", "the server cancelled the statement"), ("pg_terminate_backend", "the connection was lost")],
)
def test_a_reading_that_is_cut_off(process, odoo, function: str, expected: str) -> None:
    odoo.moves()
    odoo.execute(
        f"insert into {STREAM} (name, write_date) select repeat('.', 1000), now() from generate_series(1, {ROWS})"
    )
    tap = process.start(streams=[STREAM])
    assert tap.stdout is not None
    head = b""
    while b'"RECORD"' not in head:
        head += tap.stdout.read(1000)  # from here on it is reading, and waits for us
    assert odoo.execute(
        f"select {function}(pid) from pg_stat_activity where application_name = 'tap-odoo'"
        " and datname = current_database()"
    ).fetchone() == (True,)
    output, errors = tap.communicate(timeout=60)
    assert tap.returncode == 3, errors.decode()
    assert "Traceback" not in errors.decode()
    message = next(line for line in errors.decode().splitlines() if "CRITICAL" in line)
    assert STREAM in message
    assert expected in message
    rows: dict[int, str] = {}
    state = committed(parse(head + output), rows, None)
    rest = process.run(streams=[STREAM], state=state)
    committed(parse(rest.stdout.encode()), rows, state)
    assert len(rows) == ROWS


def test_about_and_test(process, odoo) -> None:
    about = process.run("--about", "--format", "json")
    settings = json.loads(about.stdout)["settings"]["properties"]
    assert set(SETTINGS["properties"]) <= set(settings)
    assert [name for name, setting in settings.items() if setting.get("secret")] == ["db_password"]
    assert all(settings[name]["description"] for name in SETTINGS["properties"])
    odoo.moves("2024-01-01", "2024-01-02")
    odoo.moves("2024-01-01", table="stock_quant")
    tested = process.run("--test", streams=["*"])
    assert tested.returncode == 0, tested.stderr
    records = [message["stream"] for message in parse(tested.stdout.encode()) if message["type"] == "RECORD"]
    assert records == [STREAM, "stock_quant"]
    schemas = process.run("--test=schema", streams=["*"])
    assert {message["type"] for message in parse(schemas.stdout.encode())} == {"SCHEMA"}


def test_metrics_are_logged(process, odoo) -> None:
    odoo.moves("2024-01-01", "2024-01-02")
    points = [
        json.loads(line.partition("METRIC: ")[2])
        for line in process.run(streams=[STREAM]).stderr.splitlines()
        if "METRIC: " in line
    ]
    assert {(point["metric"], point["tags"]["stream"]) for point in points} == {
        ("record_count", STREAM),
        ("sync_duration", STREAM),
    }
    assert sum(point["value"] for point in points if point["metric"] == "record_count") == 2
