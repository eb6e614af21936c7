"""The control plane over one connection; each subject is a room of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipai import queue
from ipai.control_plane import migrations
from ipai.control_plane.audit import AuditLog
from ipai.control_plane.database import Database
from ipai.control_plane.drift import DriftStore
from ipai.control_plane.figures import FigureStore
from ipai.control_plane.fleet import FleetStore
from ipai.control_plane.notifications import NotificationStore
from ipai.control_plane.retention import RetentionStore
from ipai.control_plane.runs import RunStore
from ipai.control_plane.schedules import ScheduleStore
from ipai.control_plane.secrets import SecretStore
from ipai.control_plane.specs import SpecStore
from ipai.control_plane.states import StateStore
from ipai.errors import DatabaseError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from typing_extensions import Self


# Null where nothing is set up yet.
_OWNED = "select pg_has_role(nspowner, 'USAGE') from pg_namespace where nspname = 'connectors'"


class ControlPlane:
    """One connection to the control plane, in autocommit mode.

    Args:
        url: of the database.
        application_name: what `pg_stat_activity` shows.
        actor: for whom the audit log says that changes are made; by default the account of this process.

    Raises:
        DatabaseError: it cannot be reached.
    """

    def __init__(self, url: str, application_name: str = "ipai", actor: str | None = None) -> None:
        self.url = url
        self._database = Database(url, application_name, actor)
        self.specs = SpecStore(self._database)
        self.runs = RunStore(self._database)
        self.states = StateStore(self._database)
        self.schedules = ScheduleStore(self._database)
        self.fleet = FleetStore(self._database)
        self.figures = FigureStore(self._database)
        self.secrets = SecretStore(self._database)
        self.audit = AuditLog(self._database)
        self.notifications = NotificationStore(self._database)
        self.retention = RetentionStore(self._database)
        self.drift = DriftStore(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.connection.close()

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing, over every room."""
        return self._database.transaction()

    def migrate(self) -> list[migrations.Migration]:
        """Bring the schema and the queue up to date; return the migrations applied."""
        with self._database.explained():
            applied = migrations.migrate(self._database.connection)
            queue.set_up(self._database.connection)
            return applied

    def require_owner(self) -> None:
        """See that this login may do everything here.

        Raises:
            DatabaseError: it may work at most.
        """
        if not self.is_owned():
            raise DatabaseError(
                "This database login is no owner of schema connectors, so it may execute runs at most.",
                hint="Use the login that owns schema connectors; a worker's own is for ipai worker, without "
                "--metrics-port.",
            )

    def is_owned(self) -> bool:
        """Whether this login may do everything here."""
        with self._database.explained():
            return self._database.connection.execute(_OWNED).fetchone() != (False,)

    def pending_migrations(self) -> list[migrations.Migration]:
        """What `migrate` would apply."""
        with self._database.explained():
            done = migrations.applied_versions(self._database.connection)
        return [migration for migration in migrations.migrations() if migration.version not in done]
