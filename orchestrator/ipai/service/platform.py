"""The platform over one control plane: setting up, running, looking."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ipai import bookmarks
from ipai.control_plane import AuditEntry, ControlPlane, LogLine, Run, StreamMetrics
from ipai.errors import BusyError, NotFoundError
from ipai.heartbeat import member_name
from ipai.leases import LeaseKeeper
from ipai.local import LocalPostgres
from ipai.plans import Plan, make_plan
from ipai.plugins import PluginEnvironments
from ipai.prepared import prepare
from ipai.runs import RunResult, execute
from ipai.secrets import SecretKeys
from ipai.service.drift import Drifts
from ipai.service.fleet import Fleet
from ipai.service.notifications import Notifications
from ipai.service.retention import Retention
from ipai.service.secrets import Secrets
from ipai.service.watch import Watch
from ipai.singer_catalog import Catalog, select, selected_streams
from ipai.specs import Catalogs, builtin_connectors, load_catalogs
from ipai.stopping import Stop
from ipai.transform import DBT, NodeResult, transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ipai.control_plane.migrations import Migration
    from ipai.recorder import Observer
    from ipai.specs import Connector, Instance


_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Checked:
    """What `check` found out."""

    instance: str
    tap: Path
    target: Path
    streams: int
    selected: tuple[str, ...]


@dataclass(frozen=True)
class RunReport:
    """A run with what each stream moved."""

    run: Run
    streams: Sequence[StreamMetrics]


@dataclass(frozen=True)
class Platform:
    """The platform over one control plane.

    Args:
        home: where the embedded server and the plugins' environments live.
        database_url: the control plane's database; None means the embedded server, started when needed.
        actor: for whom the audit log says that changes are made; None means the account of this process.
    """

    home: Path
    database_url: str | None = None
    actor: str | None = None

    @property
    def fleet(self) -> Fleet:
        """Those who serve the queue, and what bounds them."""
        return Fleet(self)

    @property
    def drift(self) -> Drifts:
        """What has changed in the sources' schemas, and deciding on it."""
        return Drifts(self)

    @property
    def watch(self) -> Watch:
        """What there is to see, and how it is handed on."""
        return Watch(self)

    @property
    def secrets(self) -> Secrets:
        """What settings name as `${secret:NAME}`."""
        return Secrets(self)

    @property
    def secret_keys(self) -> SecretKeys:
        return SecretKeys(self.home, makes_own=self.database_url is None)

    @property
    def notifications(self) -> Notifications:
        """Who is told what happens."""
        return Notifications(self)

    @property
    def retention(self) -> Retention:
        """What is kept for how long."""
        return Retention(self)

    @property
    def local(self) -> LocalPostgres:
        return LocalPostgres(self.home / "postgres")

    @property
    def environments(self) -> PluginEnvironments:
        return PluginEnvironments(self.home / "plugins")

    @cached_property
    def url(self) -> str:
        """The control plane's database; the embedded server is running once this returns."""
        return self.database_url or self.local.start()

    def connect(self) -> ControlPlane:
        return ControlPlane(self.url, actor=self.actor)

    @contextmanager
    def control_plane(self) -> Iterator[ControlPlane]:
        with self.connect() as control_plane:
            control_plane.require_owner()
            if self.database_url is None:
                control_plane.migrate()  # nobody else looks after the embedded one
            yield control_plane

    # Setting up

    def init(self) -> list[Migration]:
        """Set up or upgrade the control plane; return the migrations applied now."""
        with self.connect() as control_plane:
            control_plane.require_owner()
            return control_plane.migrate()

    @staticmethod
    def validate(folder: Path) -> Catalogs:
        return load_catalogs(folder)

    def plan(self, folder: Path, *, prune: bool = False) -> Plan:
        with self.control_plane() as control_plane:
            # What comes with the platform follows the platform's version, unless the folder says otherwise.
            known = {**control_plane.specs.connectors(), **builtin_connectors()}
            return make_plan(control_plane, load_catalogs(folder, known), builtin_connectors(), prune=prune)

    def apply(self, plan: Plan) -> None:
        with self.control_plane() as control_plane:
            plan.apply(control_plane)

    def instances(self) -> list[tuple[Instance, Run | None]]:
        """Every instance with its newest run."""
        with self.control_plane() as control_plane:
            latest = control_plane.runs.latest()
            return [(instance, latest.get(name)) for name, instance in control_plane.specs.instances().items()]

    def connectors(self) -> list[Connector]:
        """Every connector that an instance can name."""
        with self.control_plane() as control_plane:
            return sorted(
                {**builtin_connectors(), **control_plane.specs.connectors()}.values(), key=lambda each: each.name
            )

    def install(self, names: Sequence[str]) -> dict[str, Path]:
        """Install plugins of connectors that come with the platform, and `dbt`; their executables.

        Raises:
            NotFoundError: there is no such connector.
        """
        plugins = {"dbt": DBT, **{name: connector.plugin for name, connector in builtin_connectors().items()}}
        if unknown := sorted({*names} - plugins.keys()):
            raise NotFoundError(f"No connector {unknown[0]!r}.", hint=f"There are {', '.join(sorted(plugins))}.")
        return {name: self.environments.executable(plugins[name]) for name in names}

    # Running

    def discover(self, name: str) -> Catalog:
        """The source's catalog, with the instance's streams selected."""
        with self.control_plane() as control_plane:
            instance = control_plane.specs.instance(name)
            with prepare(control_plane, self.environments, instance, keys=self.secret_keys, why="discover") as ready:
                catalog: Catalog = ready.resolver.redactor.redacted(select(ready.discover(), instance.streams))
                return catalog

    def check(self, name: str, *, reinstall: bool = False) -> Checked:
        """Install both plugins and see that each accepts its settings and reaches its other side."""
        with self.control_plane() as control_plane:
            instance = control_plane.specs.instance(name)
            with prepare(
                control_plane, self.environments, instance, keys=self.secret_keys, reinstall=reinstall
            ) as ready:
                ready.accept_nothing()
                catalog = (
                    select(ready.discover(), instance.streams) if ready.source.plugin.discover else {"streams": []}
                )
                selected = tuple(map(ready.resolver.redact, selected_streams(catalog)))
                return Checked(name, ready.tap, ready.target, len(catalog["streams"]), selected)

    def run(
        self,
        name: str,
        *,
        streams: Sequence[str] | None = None,
        full_refresh: bool = False,
        backfill: tuple[datetime, datetime | None] | None = None,
        observer: Observer | None = None,
    ) -> RunResult:
        """Sync an instance once, here and now; see `ipai.runs.execute`.

        Raises:
            BusyError: another process runs the instance, or its quota group is full.
        """
        with self.control_plane() as control_plane, LeaseKeeper(self.connect) as leases:
            control_plane.specs.instance(name)
            run = control_plane.runs.start(
                name, member_name("cli"), leases.lease_seconds,
                streams=streams, full_refresh=full_refresh, backfill=backfill,
            )  # fmt: skip
            stop = Stop()
            with leases.hold(run, stop):
                return execute(
                    control_plane, self.environments, run, stop=stop, observer=observer, keys=self.secret_keys
                )

    def enqueue(
        self,
        name: str,
        *,
        streams: Sequence[str] | None = None,
        full_refresh: bool = False,
        backfill: tuple[datetime, datetime | None] | None = None,
        priority: int = 0,
    ) -> Run:
        """Leave a sync to the next worker that is free; one that waits already is brought forward."""
        with self.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return control_plane.runs.enqueue(
                name, streams=streams, full_refresh=full_refresh, backfill=backfill, priority=priority
            )

    def cancel(self, run_id: int) -> str:
        """Take a run out of the queue, or ask it to end at its last STATE; its status now."""
        with self.control_plane() as control_plane:
            return control_plane.runs.cancel(run_id)

    def wait(self, run_id: int, *, timeout: float | None = None) -> Run:
        """Wait for a run of the queue, and for the retries that follow it, to end; the last of them.

        Raises:
            BusyError: it has not ended within the time given, in seconds.
        """
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        with self.control_plane() as control_plane:
            while True:
                run = control_plane.runs.newest_attempt(run_id)
                if run.finished_at is not None:
                    return run
                if time.monotonic() > deadline:
                    raise BusyError(
                        f"Run {run.id} of {run.instance} is {run.status} still.", hint="ipai worker executes it."
                    )
                time.sleep(_POLL_SECONDS)

    # Looking

    def status(self, name: str, *, limit: int) -> list[RunReport]:
        """An instance's newest runs."""
        with self.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return [RunReport(run, control_plane.runs.metrics(run.id)) for run in control_plane.runs.of(name, limit)]

    def logs(self, name: str, *, run_id: int | None, side: str | None, limit: int | None) -> tuple[Run, list[LogLine]]:
        """What was said in one run, the newest by default."""
        with self.control_plane() as control_plane:
            if run_id is None:
                runs = control_plane.runs.of(name, 1)
                if not runs:
                    control_plane.specs.instance(name)
                    raise NotFoundError(f"{name} has not run yet.", hint=f"Run ipai run {name}.")
                run = runs[0]
            else:
                run = control_plane.runs.run(run_id)
                if run.instance != name:
                    raise NotFoundError(f"Run {run_id} is one of {run.instance}, not of {name}.")
            return run, control_plane.runs.logs(run.id, side=side, limit=limit)

    def audit(self, name: str | None = None, *, limit: int) -> list[AuditEntry]:
        """The newest changes by people and programs; of one instance (also one that is gone), or of everything."""
        with self.control_plane() as control_plane:
            return control_plane.audit.newest(limit, name)

    # Bookmarks

    def state(self, name: str) -> dict[str, Any]:
        with self.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return control_plane.states.of(name)

    def set_bookmark(self, name: str, stream: str, bookmark: dict[str, Any]) -> dict[str, Any]:
        """Set one stream's bookmark; return the whole STATE."""
        return self._change_state(name, lambda state: bookmarks.with_bookmark(state, stream, bookmark))

    def clear_state(self, name: str, streams: Sequence[str] | None) -> dict[str, Any]:
        """Forget the named streams' bookmarks, or all; return what is left."""
        return self._change_state(name, lambda state: bookmarks.without(state, streams))

    def replace_state(self, name: str, state: dict[str, Any]) -> dict[str, Any]:
        return self._change_state(name, lambda _: state)

    def _change_state(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        with self.control_plane() as control_plane:
            control_plane.specs.instance(name)
            if running := control_plane.runs.running(name):
                raise BusyError(f"{name} is being run (run {running.id}).", hint=f"Watch it with ipai status {name}.")
            with control_plane.runs.locked(name):
                return control_plane.states.replace(name, change)

    # Silver and Gold

    def transform(
        self, *, select: Sequence[str] = (), full_refresh: bool = False, variables: dict[str, Any] | None = None
    ) -> list[NodeResult]:
        """Build and test Silver and Gold; see `ipai.transform.transform`."""
        return transform(
            self.environments, self.url, work=self.home / "dbt", select=select, full_refresh=full_refresh,
            variables=variables,
        )  # fmt: skip
