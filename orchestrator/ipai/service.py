"""What a user can do with the platform, in one place. The command line and every later face call only this."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ipai import bookmarks
from ipai.control_plane import ControlPlane, LogLine, Run, StreamMetrics
from ipai.errors import NotFoundError
from ipai.local import LocalPostgres
from ipai.plans import Plan, make_plan
from ipai.plugins import PluginEnvironments
from ipai.prepared import prepare
from ipai.runs import Observer, RunResult, execute
from ipai.singer_catalog import Catalog, select, selected_streams
from ipai.specs import Catalogs, builtin_connectors, load_catalogs
from ipai.transform import NodeResult, transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ipai.control_plane.migrations import Migration
    from ipai.specs import Connector, Instance


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
    """

    home: Path
    database_url: str | None = None

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

    @contextmanager
    def control_plane(self) -> Iterator[ControlPlane]:
        with ControlPlane(self.url) as control_plane:
            if self.database_url is None:
                control_plane.migrate()  # nobody else looks after the embedded one
            yield control_plane

    # Setting up

    def init(self) -> list[Migration]:
        """Set up or upgrade the control plane; return the migrations applied now."""
        with ControlPlane(self.url) as control_plane:
            return control_plane.migrate()

    @staticmethod
    def validate(folder: Path) -> Catalogs:
        return load_catalogs(folder)

    def plan(self, folder: Path, *, prune: bool = False) -> Plan:
        with self.control_plane() as control_plane:
            # What comes with the platform follows the platform's version, unless the folder says otherwise.
            known = {**control_plane.connectors(), **builtin_connectors()}
            return make_plan(control_plane, load_catalogs(folder, known), builtin_connectors(), prune=prune)

    def apply(self, plan: Plan) -> None:
        with self.control_plane() as control_plane:
            plan.apply(control_plane)

    def instances(self) -> list[tuple[Instance, Run | None]]:
        """Every instance with its newest run."""
        with self.control_plane() as control_plane:
            latest = control_plane.latest_runs()
            return [(instance, latest.get(name)) for name, instance in control_plane.instances().items()]

    def connectors(self) -> list[Connector]:
        """Every connector that an instance can name."""
        with self.control_plane() as control_plane:
            return sorted({**builtin_connectors(), **control_plane.connectors()}.values(), key=lambda each: each.name)

    # Running

    def discover(self, name: str) -> Catalog:
        """The source's catalog, with the instance's streams selected."""
        with self.control_plane() as control_plane:
            instance = control_plane.instance(name)
            with prepare(control_plane, self.environments, instance) as ready:
                return select(ready.discover(), instance.streams)

    def check(self, name: str, *, reinstall: bool = False) -> Checked:
        """Install both plugins and see that each accepts its settings and reaches its other side."""
        with self.control_plane() as control_plane:
            instance = control_plane.instance(name)
            with prepare(control_plane, self.environments, instance, reinstall=reinstall) as ready:
                ready.accept_nothing()
                catalog = (
                    select(ready.discover(), instance.streams) if ready.source.plugin.discover else {"streams": []}
                )
                return Checked(name, ready.tap, ready.target, len(catalog["streams"]), tuple(selected_streams(catalog)))

    def run(
        self,
        name: str,
        *,
        streams: Sequence[str] | None = None,
        full_refresh: bool = False,
        observer: Observer | None = None,
    ) -> RunResult:
        """Sync an instance once; see `ipai.runs.execute`."""
        with self.control_plane() as control_plane:
            return execute(
                control_plane, self.environments, control_plane.instance(name),
                streams=streams, full_refresh=full_refresh, observer=observer,
            )  # fmt: skip

    # Looking

    def status(self, name: str, *, limit: int) -> list[RunReport]:
        """An instance's newest runs."""
        with self.control_plane() as control_plane:
            control_plane.instance(name)
            return [RunReport(run, control_plane.metrics(run.id)) for run in control_plane.runs(name, limit)]

    def logs(self, name: str, *, run_id: int | None, side: str | None, limit: int | None) -> tuple[Run, list[LogLine]]:
        """What was said in one run, the newest by default."""
        with self.control_plane() as control_plane:
            if run_id is None:
                runs = control_plane.runs(name, 1)
                if not runs:
                    control_plane.instance(name)
                    raise NotFoundError(f"{name} has not run yet.", hint=f"Run ipai run {name}.")
                run = runs[0]
            else:
                run = control_plane.run(run_id)
                if run.instance != name:
                    raise NotFoundError(f"Run {run_id} is one of {run.instance}, not of {name}.")
            return run, control_plane.logs(run.id, side=side, limit=limit)

    # Bookmarks

    def state(self, name: str) -> dict[str, Any]:
        with self.control_plane() as control_plane:
            control_plane.instance(name)
            return control_plane.state(name)

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
            control_plane.instance(name)
            return control_plane.change_state(name, change)

    # Silver and Gold

    def transform(
        self, *, select: Sequence[str] = (), full_refresh: bool = False, variables: dict[str, Any] | None = None
    ) -> list[NodeResult]:
        """Build and test Silver and Gold; see `ipai.transform.transform`."""
        return transform(
            self.environments, self.url, work=self.home / "dbt", select=select, full_refresh=full_refresh,
            variables=variables,
        )  # fmt: skip
