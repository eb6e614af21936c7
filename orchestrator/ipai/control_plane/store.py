"""Reading and writing the control plane. The statements are in `queries.sql`, by name."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from ipai import interrupts
from ipai.control_plane import migrations
from ipai.control_plane.records import LogLine, Run, StreamMetrics
from ipai.errors import BusyError, DatabaseError, NotFoundError
from ipai.specs import connector_from_spec, instance_from_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typing_extensions import Self

    from ipai.specs import Connector, Instance


@cache
def _queries() -> Mapping[str, str]:
    text = files("ipai.control_plane").joinpath("queries.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


T = TypeVar("T")


def _check_url(url: str) -> None:
    """Refuse what is no connection string before libpq does: its complaints repeat parts of the password."""
    try:
        host = str(conninfo_to_dict(url).get("host") or "")
    except psycopg.Error:
        host = "@"
    if "@" in host:
        raise DatabaseError(
            "The database URL cannot be read.",
            hint="It looks like postgresql://user:password@host:5432/database, with @ : / in it percent-encoded.",
        )


class ControlPlane:
    """One connection to the control plane, in autocommit mode.

    Args:
        url: of the database.

    Raises:
        DatabaseError: it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        _check_url(url)
        try:
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=15, application_name="ipai")
        except psycopg.Error as error:
            # Indented lines are advice of libpq's own.
            reason = [line for line in str(error).splitlines() if line and not line.startswith((" ", "\t"))][-1]
            raise DatabaseError(
                f"Cannot reach the control plane's database: {reason}",
                hint="Check --database or IPAI_DATABASE_URL; without either, an embedded Postgres is used.",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    # Migrations

    def migrate(self) -> list[migrations.Migration]:
        """Bring the schema up to date; return what was applied."""
        with self._explained():
            return migrations.migrate(self._connection)

    def pending_migrations(self) -> list[migrations.Migration]:
        """What `migrate` would apply."""
        done = migrations.applied_versions(self._connection)
        return [migration for migration in migrations.migrations() if migration.version not in done]

    # Connectors and instances

    def connectors(self) -> dict[str, Connector]:
        rows = self._rows("definitions")
        return {row["name"]: connector_from_spec(row["spec"], Path(row["origin"])) for row in rows}

    def instances(self) -> dict[str, Instance]:
        return {row["name"]: instance_from_spec(row["spec"]) for row in self._rows("instances")}

    def instance(self, name: str) -> Instance:
        """One instance.

        Raises:
            NotFoundError: naming those that exist.
        """
        known = self.instances()
        if name not in known:
            raise NotFoundError(
                f"No instance {name!r}.",
                hint=f"Known: {', '.join(known)}." if known else "Run ipai apply catalogs first.",
            )
        return known[name]

    def save(self, connectors: Iterable[Connector], instances: Iterable[Instance], drop: Iterable[str]) -> None:
        """Store connectors and instances and drop the instances named, all or nothing."""
        with self._connection.transaction():
            for connector in connectors:
                self._do(
                    "definition_upsert", name=connector.name, role=connector.role,
                    spec=Jsonb(connector.spec), origin=str(connector.origin),
                )  # fmt: skip
            for instance in instances:
                self._do(
                    "instance_upsert", name=instance.name, source=instance.source.connector,
                    destination=instance.destination.connector, spec=Jsonb(instance.spec),
                )  # fmt: skip
            for name in drop:
                self._do("instance_delete", name=name)

    @contextmanager
    def locked(self, instance: str) -> Iterator[None]:
        """Hold an instance for one run.

        Raises:
            BusyError: somebody else holds it.
        """
        (row,) = self._rows("instance_lock", instance=instance)
        if not row["locked"]:
            raise BusyError(
                f"{instance} is being run by another process.", hint=f"Watch it with ipai status {instance}."
            )
        try:
            yield
        finally:
            if not self._connection.closed:  # the session's end frees the lock as well
                self._do("instance_unlock", instance=instance)

    # Runs

    def start_run(self, instance: str, *, streams: Sequence[str] | None, full_refresh: bool) -> Run:
        """Open a run; the caller holds the instance. Runs that lost their process are closed first."""
        self._do("runs_close_orphans", instance=instance)
        (run,) = self._records(
            Run, "run_insert", instance=instance, streams=None if streams is None else list(streams),
            full_refresh=full_refresh,
        )  # fmt: skip
        return run

    def finish_run(self, run: Run, status: str, error: Mapping[str, Any] | None = None) -> Run:
        """Close a run; a run that is closed already stays as it is."""
        finished = self._records(
            Run, "run_finish", id=run.id, status=status, error=None if error is None else Jsonb(error)
        )
        return finished[0] if finished else self.run(run.id)

    def run(self, run_id: int) -> Run:
        """One run.

        Raises:
            NotFoundError: there is none of that number.
        """
        found = self._records(Run, "runs", instance=None, id=run_id, limit=1)
        if not found:
            raise NotFoundError(f"No run {run_id}.", hint="ipai status NAME lists the runs of an instance.")
        return found[0]

    def runs(self, instance: str, limit: int) -> list[Run]:
        """An instance's runs, newest first."""
        return self._records(Run, "runs", instance=instance, id=None, limit=limit)

    def latest_runs(self) -> dict[str, Run]:
        """The newest run of each instance that ever ran."""
        return {run.instance: run for run in self._records(Run, "latest_runs")}

    def add_logs(self, run: Run, lines: Iterable[LogLine]) -> None:
        parameters = [
            {
                "run_id": run.id,
                "line": each.line,
                "logged_at": each.logged_at,
                "side": each.side,
                "message": each.message,
            }
            for each in lines
        ]
        with self._explained(), self._connection.cursor() as cursor:
            cursor.executemany(_queries()["log_insert"], parameters)

    def logs(self, run_id: int, *, side: str | None, limit: int | None) -> list[LogLine]:
        """The last lines of a run, oldest first."""
        return self._records(LogLine, "logs", run_id=run_id, side=side, limit=limit)

    def save_metrics(self, run: Run, metrics: Iterable[StreamMetrics]) -> None:
        for each in metrics:
            self._do(
                "run_stream_upsert", run_id=run.id, stream=each.stream, rows=each.rows, bytes=each.bytes,
                seconds=each.seconds,
            )  # fmt: skip

    def metrics(self, run_id: int) -> list[StreamMetrics]:
        return self._records(StreamMetrics, "run_streams", run_id=run_id)

    # State

    def state(self, instance: str) -> dict[str, Any]:
        """The stored STATE, empty when there is none."""
        rows = self._rows("state", id=instance)
        return dict(rows[0]["state"]) if rows else {}

    def claim_state(self, run: Run) -> dict[str, Any]:
        """Make the run the only one that may write the instance's STATE; return what is stored."""
        rows = self._rows("state_claim", id=run.instance, token=run.id)
        if not rows:
            raise BusyError(f"A newer run of {run.instance} has taken over.")
        return dict(rows[0]["state"])

    def store_state(self, run: Run, state: Mapping[str, Any]) -> None:
        """Store an acknowledged STATE.

        Raises:
            BusyError: a newer run has taken the instance over; nothing was written.
        """
        if not self._do("state_store", id=run.instance, token=run.id, state=Jsonb(state)):
            raise BusyError(f"A newer run of {run.instance} has taken over; this run's STATE is not stored.")

    def change_state(self, instance: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Change the STATE by hand, as `change` makes it from what is stored; return it.

        Raises:
            BusyError: a run is under way.
        """
        with self.locked(instance):
            state = change(self.state(instance))
            self._do("state_replace", id=instance, state=Jsonb(state))
        return state

    def _do(self, query: str, **parameters: Any) -> int:
        with self._explained():
            return self._connection.execute(_queries()[query], parameters).rowcount

    def _rows(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        with self._explained(), self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(_queries()[query], parameters).fetchall()

    def _records(self, kind: type[T], query: str, **parameters: Any) -> list[T]:
        with self._explained(), self._connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(_queries()[query], parameters).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with interrupts.deferred():
                yield
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            raise DatabaseError("The control plane is not set up in this database.", hint="Run ipai init.") from None
        except psycopg.OperationalError as error:
            raise DatabaseError(f"Lost the control plane's database: {str(error).strip().splitlines()[0]}") from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseError(
                f"The database refuses the control plane: {str(error).strip().splitlines()[0]}",
                hint="Use a role that may create and own schema connectors.",
            ) from None
        except psycopg.Error as error:
            raise DatabaseError(f"The control plane's database refused: {str(error).strip().splitlines()[0]}") from None
