"""Versions side by side: the last release on today's schema, and today's code on the schema of the last release."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psycopg
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from ipai.cli import main
from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[2]
LAST_RELEASE = "ca5612f"
ORDERS = [["orders", number] for number in range(1, 6)]
ITEMS = [["items", number] for number in range(1, 4)]
# These need no control plane, make their own, or build Silver from Bronze alone; `init` is what the others ask for.
APART = {"install", "init", "validate", "demo", "transform", "local"}


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of the last release."""
    files = [
        "git",
        "-C",
        str(REPOSITORY),
        "archive",
        LAST_RELEASE,
        "orchestrator",
        "sql",
        "catalogs",
        "constraints.txt",
    ]
    done = subprocess.run(files, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the last release, {LAST_RELEASE}, is not in this clone: {done.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder)  # our own files
    return folder


@pytest.fixture
def specs(tmp_path: Path, plugins_on_path: Path) -> Callable[..., Path]:
    """Write the specs of an instance `test_fake` of the fake plugins; returns their folder."""
    assert plugins_on_path.is_dir()

    def write(**source: Any) -> Path:
        folder = tmp_path / "specs"
        folder.mkdir(exist_ok=True)
        for name, role, command in (("fake", "source", "tap-fake"), ("files", "destination", "target-fake")):
            spec = {
                "kind": "connector",
                "name": name,
                "role": role,
                "title": name,
                "source_type": "file",
                "plugin": {"command": command},
            }
            YAML().dump(spec, folder / f"{name}.yaml")
        instance = {
            "kind": "instance", "name": "test_fake",
            "source": {"connector": "fake", "config": {"streams": {"orders": 5, "items": 3}, **source}},
            "destination": {"connector": "files", "config": {"output": str(tmp_path / "out.jsonl")}},
        }  # fmt: skip
        YAML().dump(instance, folder / "instance.yaml")
        return folder

    return write


class Command:
    """`ipai` of one version, on one database, as processes of its own."""

    def __init__(self, code: Path, database: str, home: Path) -> None:
        self.arguments = [sys.executable, "-m", "ipai", "--database", database, "--home", str(home)]
        self.environment = {**os.environ, "PYTHONPATH": str(code / "orchestrator"), "PYTHONDONTWRITEBYTECODE": "1"}
        where = [sys.executable, "-c", "import ipai; print(ipai.__file__)"]
        found = subprocess.run(where, env=self.environment, capture_output=True, text=True, check=True).stdout
        assert found.startswith(str(code / "orchestrator" / "ipai"))

    def __call__(self, *arguments: str) -> Any:
        """What a command prints with --json."""
        command = [*self.arguments, *arguments, "--json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self.arguments, *arguments], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


@pytest.fixture
def old(released: Path, database: str, tmp_path: Path, plugins_on_path: Path) -> Command:
    assert plugins_on_path.is_dir()
    return Command(released, database, tmp_path / "home")


@pytest.fixture
def today(database: str, tmp_path: Path, plugins_on_path: Path) -> Command:
    assert plugins_on_path.is_dir()
    return Command(REPOSITORY, database, tmp_path / "home")


def statuses(command: Command) -> list[str]:
    return [each["run"]["status"] for each in command("status", "test_fake")]


def test_old_code_on_the_new_schema(
    old: Command, today: Command, specs: Callable[..., Path], loaded: Callable[[], list[Any]]
) -> None:
    """While a fleet is upgraded, machines with the old version go on running what they always ran."""
    today("init")
    assert len(old("apply", str(specs()))["changes"]) == 3
    ran = old("run", "test_fake")
    assert ran["run"]["status"] == "succeeded"
    assert sum(stream["rows"] for stream in ran["streams"]) == 8
    assert loaded() == [*ORDERS, *ITEMS, "end"]
    everything = {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}
    assert old("state", "get", "test_fake") == today("state", "get", "test_fake") == everything
    assert statuses(old) == statuses(today) == ["succeeded"]
    assert len(old("logs", "test_fake")["lines"]) == len(today("logs", "test_fake")["lines"]) > 0

    # In turn, on one set of bookmarks.
    specs_with_more = specs(streams={"orders": 7, "items": 3})
    today("apply", str(specs_with_more))
    today("run", "test_fake")
    assert loaded()[9:] == [["orders", 6], ["orders", 7], "end"]
    old("state", "set", "test_fake", "orders", '{"id": 6}')
    old("run", "test_fake", "--stream", "orders")
    assert loaded()[12:] == [["orders", 7], "end"]
    assert today("state", "get", "test_fake") == {"bookmarks": {"orders": {"id": 7}, "items": {"id": 3}}}
    assert statuses(today) == statuses(old) == ["succeeded"] * 3

    # What the old one does is in the audit log as well: by the login, since it does not say who it is.
    actions = [(each["action"], each["actor"] == "ipai") for each in today("audit", "--instance", "test_fake")]
    assert ("state.change", True) in actions
    assert ("run.request", True) in actions
    assert ("run.request", False) in actions


def test_one_at_a_time_whichever_version(
    old: Command, today: Command, database: str, specs: Callable[..., Path], until: Any
) -> None:
    today("init")
    today("apply", str(specs(fail_after=["orders", 3], how="hang")))
    for first, second in ((old, today), (today, old)):
        holder = first.start("run", "test_fake")
        try:
            until(lambda: _running(database))
            refused = subprocess.run(
                [*second.arguments, "run", "test_fake"],
                env=second.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert refused.returncode == 8, refused.stderr
        finally:
            holder.send_signal(signal.SIGTERM)
            holder.wait(30)
        assert statuses(today)[0] == "cancelled"


@pytest.fixture
def old_database(old: Command, database: str, specs: Callable[..., Path], until: Any) -> str:
    """A database of the last release: two runs, bookmarks, and a third run whose process was killed."""
    old("init")
    old("apply", str(specs()))
    old("run", "test_fake")
    old("run", "test_fake", "--stream", "orders")
    old("apply", str(specs(streams={"orders": 9, "items": 3}, fail_after=["orders", 7], how="hang")))
    killed = old.start("run", "test_fake")
    until(lambda: old("state", "get", "test_fake")["bookmarks"]["orders"] == {"id": 7})
    killed.kill()
    killed.wait(30)
    assert statuses(old) == ["running", "succeeded", "succeeded"]
    return database


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def example(command: click.Command, file: Path) -> Iterator[str]:
    """Arguments with which a command begins its work."""
    for parameter in command.params:
        if isinstance(parameter, click.Argument) and parameter.required:
            if isinstance(parameter.type, (click.Path, click.File)):
                yield str(file)
            elif isinstance(parameter.type, click.Choice):
                yield parameter.type.choices[0]
            elif parameter.type.name.startswith("integer"):
                yield "1"
            else:
                yield {"bookmark": '{"id": 1}'}.get(parameter.name or "", "test_fake")
        elif isinstance(parameter, click.Option) and parameter.required:
            yield from (parameter.opts[0], "2026-01-01" if isinstance(parameter.type, click.DateTime) else "1")


def test_new_code_on_the_old_schema_asks_for_init(
    old_database: str, tmp_path: Path, specs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every command there is either does its work or says what is missing; none falls over."""
    (tmp_path / "state.json").write_text('{"bookmarks": {}}')
    folder = specs()
    asked_for_init = set()
    for path, command in commands(main):
        if path[0] in APART:
            continue
        file = folder if path == ("apply",) else tmp_path / "state.json"
        arguments = [*path, *example(command, file)]
        if path[0] == "schedule" and path[1] in {"pause", "resume"}:
            arguments = [*path, "test_fake"]
        if path == ("notify", "add"):
            arguments += ["--webhook", "https://example.org/hook"]
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        done = CliRunner().invoke(
            main, ["--home", str(tmp_path / "home"), "--database", old_database, *arguments], input="x"
        )
        said = f"{' '.join(arguments)}: {done.exit_code}: {done.output}"
        assert done.exit_code in {0, 6}, said
        assert "Traceback" not in done.output, said
        if done.exit_code == 6:
            assert "Run ipai init." in done.output, said
            asked_for_init.add(path[0])
    assert asked_for_init >= {
        "run",
        "backfill",
        "status",
        "logs",
        "worker",
        "scheduler",
        "up",
        "cancel",
        "schedule",
        "quota",
        "audit",
    }


def test_an_old_database_goes_on_after_init(
    old_database: str, today: Command, tmp_path: Path, specs: Callable[..., Path], loaded: Callable[[], list[Any]]
) -> None:
    before = len(loaded())
    today("init")
    assert statuses(today) == ["running", "succeeded", "succeeded"]
    assert today("state", "get", "test_fake") == {"bookmarks": {"orders": {"id": 7}, "items": {"id": 3}}}
    today("apply", str(specs(streams={"orders": 9, "items": 3})))
    # What was killed before the upgrade is found out by the next run, and that goes on from its bookmark.
    assert today("run", "test_fake")["run"]["status"] == "succeeded"
    assert loaded()[before:] == [["orders", 8], ["orders", 9], "end"]
    assert statuses(today) == ["succeeded", "failed", "succeeded", "succeeded"]
    # And the queue is there.
    platform = Platform(tmp_path / "home", old_database)
    queued = platform.enqueue("test_fake", full_refresh=True)
    worker = today.start("worker")
    try:
        assert platform.wait(queued.id, timeout=60).status == "succeeded"
    finally:
        worker.terminate()
        worker.wait(30)
    with psycopg.connect(old_database) as connection:
        assert connection.execute("select count(*) from connectors_queue.procrastinate_jobs").fetchone() == (0,)


def _running(database: str) -> bool:
    with psycopg.connect(database) as connection:
        return bool(connection.execute("select 1 from connectors.connector_runs where status = 'running'").fetchall())
