"""One campaign: what the seed decides, done to a fleet at work."""

from __future__ import annotations

import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from tests.chaos import checks
from tests.chaos.fleet import LEASE_SECONDS, Fleet

from ipai.control_plane import ControlPlane
from ipai.errors import DatabaseError
from ipai.local import LocalPostgres
from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
_SETTLE_SECONDS = 240
_GROWTH = 400

_CONNECTORS = """\
kind: connector
name: formula
role: source
title: A formula
source_type: file
plugin: {command: tap-formula}
---
kind: connector
name: lake
role: destination
title: The platform's own database
source_type: database
auth: {type: password, secrets: [sqlalchemy_url]}
plugin: {command: target-chaos}
config:
  sqlalchemy_url: ${ipai:database_url}
  table_name: raw_${ipai:source}_{stream}
  source_name: ${ipai:instance}
  batch_id: ${ipai:run_id}
  end_of_input: finished
  connection_retry_seconds: 5
  application_name: ipai target ${ipai:instance}
state_in_destination:
  state_table: ${ipai:state_table}
  state_id: ${ipai:state_id}
  fencing_token: ${ipai:fencing_token}
"""
_INSTANCE = """\
kind: instance
name: {name}
source:
  connector: formula
  config:
    seed: {seed}
    size_file: {folder}/{name}.size
    journal: {folder}/{name}.journal
    run: ${{ipai:run_id}}
    pause: 0.02
destination: {{connector: lake, config: {{default_target_schema: bronze_{name}}}}}
schedule: "* * * * *"
parallelism: {parallelism}
"""


class Campaign:
    """A server, a fleet, sources that grow, and faults; `conduct` returns the problems found."""

    def __init__(self, seed: int, *, minutes: float, instances: int, workers: int, say: Callable[[str], None]) -> None:
        self.chance = random.Random(seed)
        self.minutes = minutes
        self.say = say
        self.folder = Path(tempfile.mkdtemp(prefix="ipai-chaos-"))
        self.folder.chmod(0o755)
        self.server = LocalPostgres(self.folder / "postgres", settings=_SETTINGS)
        self.url = self.server.start()
        self.platform = Platform(self.folder / "home", self.url)
        self.sizes = {f"chaos{number}_formula": self.chance.randrange(_GROWTH) for number in range(instances)}
        self.seeds = {name: self.chance.randrange(10**6) for name in self.sizes}
        self.fleet = Fleet(self.folder, self.url, self._plugins())
        self.workers = workers
        self.faults: Counter[str] = Counter()
        self.frozen: list[tuple[float, int]] = []

    def conduct(self) -> list[str]:
        try:
            self._declare()
            self.fleet.start(self.workers, 2)
            self._disturb()
            return self._judge()
        finally:
            self.fleet.close()
            self.server.stop()
            shutil.rmtree(self.folder, ignore_errors=True)

    # The scene

    def _plugins(self) -> Path:
        folder = self.folder / "bin"
        folder.mkdir()
        target = Path(sys.executable).parent / "target-postgres"
        for name, command in (
            ("tap-formula", f'PYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m tests.chaos.tap "$@"'),
            ("target-chaos", f'exec "{target}" "$@"'),
        ):
            path = folder / name
            path.write_text(f"#!/bin/sh\n{command}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return folder

    def _declare(self) -> None:
        catalogs = self.folder / "catalogs"
        catalogs.mkdir()
        for number, text in enumerate(_CONNECTORS.split("---\n")):
            (catalogs / f"connector{number}.yaml").write_text(text)
        for number, name in enumerate(self.sizes):
            self._grow(name)
            text = _INSTANCE.format(name=name, seed=self.seeds[name], folder=self.folder, parallelism=1 + number % 3)
            (catalogs / f"{name}.yaml").write_text(text)
        self.platform.init()
        self.platform.apply(self.platform.plan(catalogs))
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "update connectors.sla_tiers set first_delay = '1 second', retries = 50, backoff = 'linear'"
            )

    def _grow(self, name: str) -> None:
        self.sizes[name] += self.chance.randrange(_GROWTH)
        path = self.folder / f"{name}.size"
        path.with_suffix(".new").write_text(str(self.sizes[name]))
        path.with_suffix(".new").rename(path)

    # Faults

    def _disturb(self) -> None:
        faults = {
            self._kill_worker: 4, self._stop_worker: 2, self._freeze_worker: 3, self._kill_tap: 6, self._kill_target: 6,
            self._kill_server: 1, self._kill_scheduler: 2, self._cancel: 2,
        }  # fmt: skip
        ends_at = time.monotonic() + self.minutes * 60
        while time.monotonic() < ends_at:
            self._enqueue(self.chance.randrange(1, 5))
            time.sleep(self.chance.uniform(0.2, 1.5))
            (fault,) = self.chance.choices([*faults], [*faults.values()])
            fault()
            self._thaw()
            self.fleet.restart_the_dead()
        self._thaw(everybody=True)

    def _enqueue(self, number: int) -> None:
        for name in self.chance.sample([*self.sizes], number):
            self._grow(name)
            with suppress(DatabaseError):
                self.platform.enqueue(name)

    def _kill_worker(self) -> None:
        self.chance.choice(self.fleet.workers).kill()
        self.faults["worker killed"] += 1

    def _stop_worker(self) -> None:
        member = self.chance.choice(self.fleet.workers)
        member.signal(signal.SIGTERM)
        with suppress(Exception):
            member.wait(40)
        self.faults["worker told to end"] += 1

    def _freeze_worker(self) -> None:
        """For longer than its leases last, at times: it wakes up as a zombie."""
        member = self.chance.choice(self.fleet.workers)
        member.signal(signal.SIGSTOP)
        seconds = self.chance.choice([1, LEASE_SECONDS + 3])
        self.frozen.append((time.monotonic() + seconds, member.pid))
        self.faults["worker frozen past its lease" if seconds > LEASE_SECONDS else "worker frozen for a second"] += 1

    def _thaw(self, *, everybody: bool = False) -> None:
        for moment, pid in [*self.frozen]:
            if everybody or time.monotonic() >= moment:
                self.frozen.remove((moment, pid))
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _kill_tap(self) -> None:
        self._kill_plugin("tap")

    def _kill_target(self) -> None:
        self._kill_plugin("target")

    def _kill_plugin(self, kind: str) -> None:
        if running := self.fleet.plugins(kind):
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(sorted(running)), signal.SIGKILL)
                self.faults[f"{kind} killed"] += 1

    def _kill_server(self) -> None:
        pid = int((self.folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        time.sleep(self.chance.uniform(0.5, 2))
        self.server.start()
        self.faults["server crashed"] += 1

    def _kill_scheduler(self) -> None:
        self.chance.choice(self.fleet.schedulers).kill()
        self.faults["scheduler killed"] += 1

    def _cancel(self) -> None:
        with suppress(DatabaseError), ControlPlane(self.url) as control_plane:
            running = [run for run in control_plane.runs.latest().values() if run.status == "running"]
            if running:
                control_plane.runs.cancel(self.chance.choice(running).id)
                self.faults["run cancelled"] += 1

    # In the end

    def _judge(self) -> list[str]:
        self.say("the faults are over; everything is to come to rest")
        self.fleet.restart_the_dead()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("update connectors.connector_schedules set paused = true")
            for name in self.sizes:
                self.platform.enqueue(name)
            problems = self._settle(connection)
            for member in self.fleet.members:
                member.signal(signal.SIGTERM)
            problems += [
                f"{member.arguments[0]} ended with {code}" for member in self.fleet.members if (code := member.wait())
            ]
            sources = [
                checks.Source(name, self.seeds[name], size, self.folder / f"{name}.journal")
                for name, size in self.sizes.items()
            ]
            for source in sources:
                problems += checks.differences(connection, source)
                problems += checks.executed_twice(connection, source)
            problems += checks.unfinished(connection)
            problems += self.fleet.leftovers()
            self._report(connection)
        return problems

    def _settle(self, connection: psycopg.Connection[object]) -> list[str]:
        """Wait until the newest run of every instance has succeeded and nothing waits."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        query = """
            select i.name from connectors.connector_instances i
            where exists (select from connectors.connector_runs r where r.instance = i.name and r.finished_at is null)
                or 'succeeded' <> (
                    select status from connectors.connector_runs r where r.instance = i.name order by id desc limit 1
                )
        """
        while waiting := [str(name) for (name,) in connection.execute(query)]:  # type: ignore[misc]
            if time.monotonic() > deadline:
                return [f"{name} has not come to rest in {_SETTLE_SECONDS} s" for name in waiting]
            time.sleep(0.5)
        return []

    def _report(self, connection: psycopg.Connection[object]) -> None:
        query = """
            select status || coalesce(' (' || error_kind || ')', ''), count(*) from connectors.connector_runs
            group by 1 order by 2 desc
        """
        self.say("runs: " + ", ".join(f"{count} {status}" for status, count in connection.execute(query)))  # type: ignore[misc]
        self.say("faults: " + ", ".join(f"{count} {fault}" for fault, count in sorted(self.faults.items())))
        self.say(f"rows: {3 * sum(self.sizes.values()):,} in {len(self.sizes)} sources")
