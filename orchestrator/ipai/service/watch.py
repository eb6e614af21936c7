"""Watching the platform: logs that go on, metrics, health."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from ipai.control_plane import ControlPlane
from ipai.errors import DatabaseError
from ipai.heartbeat import FRESH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipai.control_plane import LogLine, Run
    from ipai.service.platform import Platform

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Check:
    """One thing that health depends on; where it is not so, `hint` is the next step and `code` the exit code."""

    name: str
    healthy: bool
    detail: str
    hint: str | None = None
    code: int = DatabaseError.exit_code


@dataclass(frozen=True)
class Health:
    """Every check in order; one that others depend on ends the list when it fails."""

    checks: Sequence[Check]

    @property
    def code(self) -> int:
        """0, or the exit code of the first thing that is not as it should be."""
        return next((check.code for check in self.checks if not check.healthy), 0)


@dataclass(frozen=True)
class Watch:
    """What there is to see, and how it is handed on."""

    _platform: Platform

    def follow(self, run: Run, *, side: str | None, after: int) -> Iterator[LogLine]:
        """The lines of a run behind one of them, as they come, until it has ended."""
        with self._platform.control_plane() as control_plane:
            while True:
                ended = control_plane.runs.run(run.id).finished_at is not None
                for line in control_plane.runs.logs(run.id, side=side, limit=None, after=after):
                    after = line.line
                    yield line
                if ended:
                    return
                time.sleep(_POLL_SECONDS)

    def metrics(self) -> str:
        """Everything in Prometheus' text format, once."""
        from ipai.metrics import exposition  # noqa: PLC0415 - only who asks pays for the import

        with self._platform.control_plane():
            return exposition(self._connect, version("ipai"))

    @contextmanager
    def serving(self, host: str, port: int | None) -> Iterator[None]:
        """Answer Prometheus at /metrics while the block lasts; without a port, do nothing.

        Raises:
            IpaiError: the port is taken.
            DatabaseError: this login may execute runs at most.
        """
        if port is None:
            yield
            return
        from ipai.metrics import serve  # noqa: PLC0415 - as above

        with self._platform.connect() as control_plane:
            control_plane.require_owner()  # whoever may only work sees its own runs
        server = serve(self._connect, version("ipai"), host, port)
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()

    def health(self, role: str | None = None) -> Health:
        """Whether the database answers and fits this version and, for a role, whether one of it lives on this host.

        Args:
            role: worker or scheduler.
        """
        checks: list[Check] = []
        try:
            with self._connect() as control_plane:
                checks.append(Check("database", healthy=True, detail="it answers"))
                checks.append(_schema(control_plane))
                if role is not None and checks[-1].healthy:
                    checks.append(_alive(control_plane, role))
        except DatabaseError as error:
            checks.append(Check("database", healthy=False, detail=str(error), hint=error.hint))
        return Health(checks)

    def _connect(self) -> ControlPlane:
        """A connection, but no embedded server that does not run already: looking starts nothing."""
        if self._platform.database_url is None and not self._platform.local.is_running():
            raise DatabaseError("The embedded Postgres is not running.", hint="ipai local start")
        return ControlPlane(self._platform.url, "ipai watch")


def _schema(control_plane: ControlPlane) -> Check:
    pending = [migration.name for migration in control_plane.pending_migrations()]
    if pending or not control_plane.fleet.has_queue():
        missing = ", ".join(pending) or "the queue's tables"
        return Check("schema", healthy=False, detail=f"not there yet: {missing}.", hint="Run ipai init.")
    return Check("schema", healthy=True, detail="it is current")


def _alive(control_plane: ControlPlane, role: str) -> Check:
    host = socket.gethostname()
    found = sorted(control_plane.fleet.members(role, host), key=lambda each: each.silent_seconds)
    if not found:
        hint = f"ipai {role}, and see its log."
        return Check(role, healthy=False, detail=f"no {role} has been seen on {host}", hint=hint, code=1)
    newest = found[0]
    detail = f"{newest.name} was seen {newest.silent_seconds:.0f} s ago"
    if newest.silent_seconds < FRESH_SECONDS:
        return Check(role, healthy=True, detail=detail)
    return Check(role, healthy=False, detail=detail, hint="see its log, and restart it.", code=1)
