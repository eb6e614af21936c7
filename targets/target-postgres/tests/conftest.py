"""Running the target: in this process where its end can be observed here, as a process where it must die."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from singer_kit.errors import PluginError
from target_postgres.target import TargetPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Outcome:
    states: list[str]
    error: PluginError | None


class Warehouse:
    """A database and what a test does with it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def config(self, **settings: Any) -> dict[str, Any]:
        return {"sqlalchemy_url": self.url, "default_target_schema": "bronze", **settings}

    def run(self, messages: Any, **settings: Any) -> Outcome:
        """Load messages: dicts, or lines as str or bytes. A `PluginError` is returned, anything else is raised."""
        lines = [
            line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode() + b"\n"
            for line in messages
        ]
        stdout = io.StringIO()
        error = None
        with contextlib.redirect_stdout(stdout):
            try:
                TargetPostgres(config=self.config(**settings)).listen(io.BytesIO(b"".join(lines)))  # type: ignore[arg-type]
            except PluginError as raised:
                error = raised
        return Outcome(stdout.getvalue().splitlines(), error)

    def load(self, messages: Any, **settings: Any) -> list[str]:
        outcome = self.run(messages, **settings)
        if outcome.error:
            raise outcome.error
        return outcome.states

    def fails(self, messages: Any, *parts: str, **settings: Any) -> Outcome:
        """The run must fail, with an error that holds all parts."""
        outcome = self.run(messages, **settings)
        assert outcome.error is not None
        for part in parts:
            assert part in str(outcome.error)
        return outcome

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            return connection.execute(query.encode()).fetchall()

    def do(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def warehouse(database: str) -> Warehouse:
    return Warehouse(database)


@pytest.fixture
def spawn(warehouse: Warehouse, tmp_path: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the real command with pipes on all three ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**settings: Any) -> subprocess.Popen[bytes]:
        path = tmp_path / f"config{len(started)}.json"
        path.write_text(json.dumps(warehouse.config(**settings)))
        process = subprocess.Popen(
            [sys.executable, "-m", "target_postgres", "--config", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
