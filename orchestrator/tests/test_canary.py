"""Canaries: secrets that are easy to recognise go through every kind of run and failure, in plugins that tell all they
know, and are then looked for in the database, the logs, the commands' output, process lists and what is left on disk.

The search knows nothing of how values are taken out: it looks for the distinctive words the canaries are made of.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql

from ipai.errors import RunFailedError
from ipai.plans import make_plan
from ipai.redaction import Redactor
from ipai.specs import Catalogs, connector_from_spec, instance_from_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipai.service import Platform

HERE = Path(__file__).parent
WORDS = ["CanaryAlphaZq7", "CanaryBetaXw4", "CanaryGammaVk9", "CanaryDeltaJy2", "CanaryEpsilonHu6"]
PASSWORD = f"{WORDS[0]}/+ \"{WORDS[1]}\\ü&'{WORDS[2]}"
PEM = (
    f"-----BEGIN PRIVATE KEY-----\n{WORDS[3]}+/aaBBccDDeeFFgg\n{WORDS[4]}hhIIjjKKllMMnn==\n-----END PRIVATE KEY-----\n"
)
ACCOUNT = json.dumps({"type": "service_account", "client_email": "loader@example", "private_key": PEM}, indent=1)
NAME = "test_canary"


def needles() -> dict[bytes, str]:
    """What is looked for: each word as it is, in base64 at each place it can begin, and in hex."""
    found: dict[bytes, str] = {}
    for word in WORDS:
        data = word.encode()
        found[data.lower()] = f"{word} as it is"
        found[data.hex().encode()] = f"{word} in hex"
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + data)
            inside = encoded[(0, 2, 3)[offset] : (len(data) + offset) * 8 // 6]
            found[inside.lower()] = f"{word} in base64"
    return found


NEEDLES = needles()


def seen_in(data: bytes | str) -> set[str]:
    haystack = (data.encode() if isinstance(data, str) else data).lower()
    return {meaning for needle, meaning in NEEDLES.items() if needle in haystack}


@dataclass
class Platter:
    """A platform with an instance whose plugins tell everything, and all that was said around it."""

    platform: Platform
    tmp: Path
    said: list[tuple[str, bytes]] = field(default_factory=list)

    def declare(self, mode: str, side: str = "tap", **source: Any) -> None:
        settings = {
            "mode": mode, "side": side, "password": "${secret:canary_password}", "account": "${secret:canary_account}",
        }  # fmt: skip
        connectors = {
            f"{kind}": connector_from_spec(
                {
                    "kind": "connector", "name": kind, "role": role, "title": kind, "source_type": "api",
                    "plugin": {"command": f"{plugin}-canary"}, "auth": {"type": "password", "secrets": ["password"]},
                },
                self.tmp,
            )
            for kind, role, plugin in (("canary", "source", "tap"), ("cage", "destination", "target"))
        }  # fmt: skip
        spec = {
            "kind": "instance", "name": NAME, "streams": ["rows"],
            "source": {"connector": "canary", "config": {**settings, "proof": str(self.proof("tap")), **source}},
            "destination": {"connector": "cage", "config": {**settings, "proof": str(self.proof("target"))}},
        }  # fmt: skip
        with self.platform.control_plane() as control_plane:
            declared = Catalogs(connectors, {NAME: instance_from_spec(spec)})
            make_plan(control_plane, declared, {}, prune=False).apply(control_plane)

    def proof(self, side: str) -> Path:
        return self.tmp / f"proof-{side}"

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable, "-m", "ipai", "--home", str(self.platform.home), "--database", self.platform.url,
            *arguments,
        ]  # fmt: skip

    def ipai(self, *arguments: str, value: str = "") -> int:
        """Run a command; all it says is looked through later."""
        done = subprocess.run(
            self.command(*arguments), input=value.encode(), capture_output=True, timeout=120, check=False
        )
        self.said += [(" ".join(arguments), done.stdout), (" ".join(arguments), done.stderr)]
        return done.returncode

    def look_back(self) -> None:
        """Every command that looks at what happened, for people and for machines."""
        for arguments in (("status", NAME), ("logs", NAME, "--json"), ("list", "--json"), ("secret", "log")):
            assert self.ipai(*arguments) == 0

    def seen(self) -> dict[str, set[str]]:
        """Where canaries are seen, in what was said, in the database and on disk."""
        everything = [*self.said, *self._database(), *self._files()]
        return {place: found for place, data in everything if (found := seen_in(data))}

    def assert_nothing_seen(self) -> None:
        seen = self.seen()
        assert not seen, seen

    def assert_arrived(self, *sides: str) -> None:
        """The plugins had the secrets, and talked: otherwise that nothing is seen would prove nothing."""
        digests = [hashlib.sha256(secret.encode()).hexdigest() for secret in (PASSWORD, ACCOUNT)]
        for side in sides:
            assert json.loads(self.proof(side).read_text()) == digests

    def _database(self) -> Iterator[tuple[str, bytes]]:
        """Every row of every table there is, as text."""
        with psycopg.connect(self.platform.url, autocommit=True) as connection:
            tables = connection.execute(
                "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
                "and table_schema not in ('pg_catalog', 'information_schema')"
            ).fetchall()
            assert ("connectors", "connector_run_logs") in tables
            assert ("connectors", "secrets") in tables
            for table in tables:
                for (row,) in connection.execute(
                    sql.SQL("select t::text from {} t").format(sql.Identifier(*table))
                ).fetchall():
                    yield ".".join(table), row.encode()

    def _files(self) -> Iterator[tuple[str, bytes]]:
        for root in (self.tmp, self.platform.home):
            for path in root.rglob("*"):
                if path.is_file() and "bin" not in path.relative_to(root).parts:
                    yield str(path), path.read_bytes()


@pytest.fixture
def canary(tmp_path: Path, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platter:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for side in ("tap", "target"):
        executable = binaries / f"{side}-canary"
        executable.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "canary_plugin.py"}" {side} "$@"\n')
        executable.chmod(0o755)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PATH", f"{binaries}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("IPAI_SECRET_KEY", base64.b64encode(os.urandom(32)).decode())
    made = Platter(platform, tmp_path)
    made.declare("ok")
    assert made.ipai("secret", "set", "canary_password", value=PASSWORD) == 0
    assert made.ipai("secret", "set", "canary_account", "--json", value=ACCOUNT) == 0
    return made


BOTH = ("tap", "target")


@pytest.mark.parametrize(
    ("mode", "side", "code", "arrived"),
    [
        ("ok", "tap", 0, BOTH),
        ("wrong password", "tap", 5, BOTH),
        ("wrong password", "target", 5, BOTH),
        ("traceback", "tap", 5, BOTH),
        ("traceback", "target", 5, BOTH),
        ("kill", "tap", 5, BOTH),
        ("kill", "target", 5, BOTH),
        ("garbage", "tap", 5, BOTH),
        ("discovery prints it instead of a catalog", "tap", 7, ("tap",)),
        ("discovery fails", "tap", 5, ("tap",)),
    ],
)
def test_no_canary_is_seen_after(canary: Platter, mode: str, side: str, code: int, arrived: tuple[str, ...]) -> None:
    canary.declare(mode, side)
    assert canary.ipai("run", NAME, "--json") == code
    assert canary.ipai("run", NAME, "--verbose", "--full-refresh") == code
    canary.assert_arrived(*arrived)
    if "target" in arrived:
        assert any("***" in line.message for line in canary.platform.logs(NAME, run_id=None, side="tap", limit=None)[1])
    canary.assert_nothing_seen()


def test_no_canary_is_seen_by_looking(canary: Platter) -> None:
    assert canary.ipai("run", NAME) == 0
    assert canary.ipai("run", NAME, "--stream", "of") == 3  # the error names what there is
    assert canary.ipai("check", NAME) == 0
    assert canary.ipai("check", NAME, "--json") == 0
    assert canary.ipai("discover", NAME) == 0
    assert canary.ipai("discover", NAME, "--json") == 0
    assert canary.ipai("discover", NAME, "--output", str(canary.tmp / "catalog.json")) == 0
    assert len(json.loads((canary.tmp / "catalog.json").read_text())["streams"]) == 2
    canary.look_back()
    canary.assert_nothing_seen()


def test_no_canary_is_seen_after_bad_settings(canary: Platter) -> None:
    for setting in ("${secret:not_there}", "${env:SURELY_NOT_SET}", "${ipai:sauce}"):
        canary.declare("ok", "tap", also=setting)
        assert canary.ipai("run", NAME) == 3
    assert canary.ipai("check", NAME, "--json") == 3
    canary.ipai("secret", "set", "canary_password", value=PASSWORD)  # refused: it is there
    canary.ipai("secret", "set", "canary-password", "--json", value=PASSWORD)  # refused: no name
    canary.ipai("secret", "rotate", "nothing", value=PASSWORD)
    canary.ipai("secret", "set", "x", "--backend", "vault", value=PASSWORD)
    canary.assert_nothing_seen()


def test_no_canary_is_seen_when_ipai_itself_crashes(canary: Platter, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from ipai.cli import main

    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"cannot do it with {PASSWORD} and {PEM}")

    monkeypatch.setattr("ipai.runs.select", crash)
    for debug in ("", "1"):
        monkeypatch.setenv("IPAI_DEBUG", debug)
        for more in ([], ["--json"]):
            monkeypatch.setattr("sys.argv", ["ipai", *more])
            options = ["--home", str(canary.platform.home), "--database", canary.platform.url]
            done = CliRunner().invoke(main, [*options, "run", NAME, *more])
            assert done.exit_code == 1
            assert "RuntimeError" in done.output
            canary.said.append(("crash", done.output.encode()))
    assert canary.platform.status(NAME, limit=1)[0].run.status == "failed"
    canary.assert_nothing_seen()


def processes() -> Iterator[tuple[str, bytes]]:
    """The arguments and the environment of every process that may be looked at."""
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with suppress(OSError):
                yield str(folder / name), (folder / name).read_bytes()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("ending", ["cancelled", "worker told to end", "worker killed"])
def test_no_canary_is_seen_in_or_after_a_workers_run(canary: Platter, ending: str, until: Any) -> None:
    canary.declare("hang")
    queued = canary.platform.enqueue(NAME)
    log = canary.tmp / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(canary.command("worker", "--lease-seconds", "3"), stdout=output, stderr=output)
    try:
        until(lambda: canary.platform.state(NAME))
        running = list(processes())
        # Other tests may have plugins of theirs on this machine; PATH tells whose they are.
        ours = {Path(place).parent for place, data in running if str(canary.tmp).encode() in data}
        assert sum(b"canary_plugin.py" in data and Path(place).parent in ours for place, data in running) == 2
        assert {place: found for place, data in running if (found := seen_in(data))} == {}
        key = os.environ["IPAI_SECRET_KEY"].encode()
        beside = {
            place.removesuffix("cmdline") for place, data in running if b"canary_plugin" in data or b"read _;" in data
        }
        assert len(beside) >= 4  # two plugins, and the guards that outlive us
        assert [place for place, data in running if place.removesuffix("environ") in beside and key in data] == []
        (folder,) = (canary.tmp / "tmp").glob("ipai-run-*")
        assert folder.stat().st_mode & 0o777 == 0o700
        settings = [path for path in folder.iterdir() if seen_in(path.read_bytes())]
        assert len(settings) >= 2
        assert {path.stat().st_mode & 0o777 for path in settings} == {0o600}
        if ending == "cancelled":
            assert canary.ipai("cancel", str(queued.id)) == 0
            until(lambda: canary.platform.status(NAME, limit=1)[0].run.status == "cancelled")
        elif ending == "worker told to end":
            worker.terminate()
            worker.wait(60)
        else:
            worker.kill()
            worker.wait(60)
            with canary.platform.control_plane() as control_plane:
                until(control_plane.runs.reap)
        until(lambda: not list((canary.tmp / "tmp").glob("ipai-run-*")))
    finally:
        if worker.poll() is None:
            worker.terminate()
            worker.wait(60)
    canary.assert_arrived(*BOTH)
    canary.assert_nothing_seen()


def test_no_canary_is_in_a_workers_own_log(canary: Platter, until: Any) -> None:
    for more in ((), ("--json",)):
        with (canary.tmp / f"worker{len(more)}.log").open("wb") as output:
            worker = subprocess.Popen(canary.command("worker", *more), stdout=output, stderr=output)
        try:
            for mode in ("wrong password", "discovery fails"):
                canary.declare(mode)
                queued = canary.platform.enqueue(NAME)
                until(lambda queued=queued: _run(canary.platform, queued.id).finished_at)
        finally:
            worker.terminate()
            worker.wait(60)
        said = (canary.tmp / f"worker{len(more)}.log").read_text()
        assert "password authentication failed" in said
        assert "***" in said
    canary.assert_nothing_seen()


def _run(platform: Platform, run_id: int) -> Any:
    with platform.control_plane() as control_plane:
        return control_plane.runs.run(run_id)


def test_the_search_finds_canaries_where_nothing_is_taken_out(canary: Platter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, the tests above could be passing because they look at the wrong places."""
    monkeypatch.setattr(Redactor, "redact", lambda _self, text: text)
    canary.declare("wrong password")
    with pytest.raises(RunFailedError) as caught:
        canary.platform.run(NAME)
    assert seen_in(str(caught.value))
    assert canary.ipai("logs", NAME) == 0
    seen = canary.seen()
    assert {
        "connectors.connector_run_logs", "connectors.connector_runs", "connectors.connector_run_streams",
        "connectors.events", f"logs {NAME}",
    } <= seen.keys()  # fmt: skip
    assert {meaning.split(" ", 1)[1] for meaning in set().union(*seen.values())} >= {"as it is", "in base64"}
