"""A platform over a fresh database, and two small plugins as real executables on PATH."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ipai.service import Platform
from ipai.specs import Catalogs, Connector, connector_from_spec, instance_from_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HERE = Path(__file__).parent


@pytest.fixture
def plugins_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("tap", "target"):
        executable = folder / f"{name}-fake"
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / f"fake_{name}.py"}" "$@"\n')
        executable.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def platform(tmp_path: Path, database: str) -> Platform:
    made = Platform(tmp_path / "home", database)
    made.init()
    return made


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[], list[Any]]:
    """What the target has written: [stream, id] per row, and "end" per input that ended."""

    def read() -> list[Any]:
        return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]

    return read


@pytest.fixture
def declare(tmp_path: Path, platform: Platform, plugins_on_path: Path) -> Callable[..., str]:
    """Declare an instance of the fake plugins; returns its name."""
    assert plugins_on_path.is_dir()

    def connector(name: str, role: str, plugin: dict[str, Any]) -> Connector:
        spec = {
            "kind": "connector", "name": name, "role": role, "title": name, "source_type": "file",
            "plugin": plugin, "auth": {"type": "password", "secrets": ["password", "secret"]},
        }  # fmt: skip
        return connector_from_spec(spec, tmp_path)

    def make(
        source: dict[str, Any],
        destination: dict[str, Any] | None = None,
        plugin: dict[str, Any] | None = None,
        **more: Any,
    ) -> str:
        connectors = {
            "fake": connector("fake", "source", {"command": "tap-fake", **(plugin or {})}),
            "files": connector("files", "destination", {"command": "target-fake"}),
        }
        spec = {
            "kind": "instance",
            "name": "test_fake",
            "source": {"connector": "fake", "config": {"streams": {"orders": 5, "items": 3}, **source}},
            "destination": {
                "connector": "files",
                "config": {"output": str(tmp_path / "out.jsonl"), **(destination or {})},
            },
            **more,
        }
        with platform.control_plane() as control_plane:
            from ipai.plans import make_plan

            declared = Catalogs(connectors, {"test_fake": instance_from_spec(spec)})
            make_plan(control_plane, declared, {}, prune=False).apply(control_plane)
        return "test_fake"

    return make


ANN = {"sub": "6f0c9a1e-0000-4000-8000-000000000001", "email": "ann@example.org", "role": "authenticated"}


@dataclass(frozen=True)
class Caller:
    """What a token says: the role, and the claims."""

    role: str
    claims: Any


CALLERS = {
    "anon": Caller("anon", {"role": "anon"}),
    "no level": Caller("authenticated", ANN),
    "read": Caller("authenticated", {**ANN, "ipai_role": "read"}),
    "run": Caller("authenticated", {**ANN, "ipai_role": "run"}),
    "admin": Caller("authenticated", {**ANN, "ipai_role": "admin"}),
    "service_role": Caller("service_role", {"role": "service_role"}),
}


@dataclass(frozen=True)
class Api:
    """A database as callers reach it through PostgREST; `login` is the URL of PostgREST's own login."""

    login: str
    callers: Mapping[str, Caller] = field(default_factory=lambda: CALLERS)
    ann: str = f"{ANN['email']} ({ANN['sub']})"  # how the audit log names the user of the tokens

    @contextmanager
    def request(self, caller: str | Caller, *, commit: bool = False) -> Iterator[psycopg.Connection[Any]]:
        """One request: a transaction with the settings that PostgREST makes."""
        who = self.callers[caller] if isinstance(caller, str) else caller
        with psycopg.connect(self.login) as connection:
            connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true), "
                "set_config('search_path', 'connectors, public', true)",
                [who.role, who.claims if isinstance(who.claims, str) else json.dumps(who.claims)],
            )
            yield connection
            if not commit:
                connection.rollback()

    def call(self, caller: str | Caller, function: str, **arguments: Any) -> Any:
        """A function of schema connectors with named arguments, as a POST to /rpc calls it."""
        named = ", ".join(f"{name} => %({name})s" for name in arguments)
        as_json = {"state", "metrics", "error"}
        values = {name: Jsonb(value) if name in as_json else value for name, value in arguments.items()}
        with self.request(caller, commit=True) as connection:
            ((found,),) = connection.execute(f"select connectors.{function}({named})", values).fetchall()
        return found


@pytest.fixture
def create_login(postgres_server: str) -> Iterator[Callable[..., Callable[[str], str]]]:
    """Make a login that is a member of these roles; it is gone after the test. Returns its URL for a database."""
    made: list[str] = []

    def create(*roles: str, options: str = "noinherit") -> Callable[[str], str]:
        name = f"login_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"create role {name} login password 'x' {options}")
            for role in roles:
                connection.execute(f"grant {role} to {name}")
        made.append(name)

        def url(database: str) -> str:
            parts = urlsplit(database)
            return parts._replace(netloc=f"{name}:x@{parts.netloc.rpartition('@')[2]}").geturl()

        return url

    yield create
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in made:
            connection.execute(f"drop role {name}")


@pytest.fixture
def api(platform: Platform, create_login: Callable[..., Callable[[str], str]]) -> Api:
    return Api(create_login("anon", "authenticated", "service_role")(platform.url))


@pytest.fixture
def start(platform: Platform, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `ipai` in a process of its own; it is gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, database: str = platform.url, stdout: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ipai", "--home", str(platform.home), "--database", database, *arguments]
        log = (tmp_path / f"{len(started)}.log").open("w")
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        started.append(subprocess.Popen(command, stderr=log, stdout=stdout, env=environment, text=True))
        log.close()
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.wait(40)
        if process.stdout:
            process.stdout.close()
    for path in sorted(tmp_path.glob("*.log")):
        print(path.name, path.read_text())


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait for a condition, at most so many seconds; what it returned."""

    def wait(condition: Callable[[], Any], seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.05)
        return found

    return wait


@pytest.fixture
def rows(platform: Platform) -> Iterator[Callable[..., list[Any]]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:
        yield lambda query, *arguments: connection.execute(query, arguments or None).fetchall()
