"""What a run tells OpenLineage: which stream went into which table.

A job for each stream, not one for the instance with every stream in and every table out: a lineage graph would draw
each table from each stream. So there is a run of the job `prod_odoo`, without data sets, and below it, with that run as
parent, one of `prod_odoo.sync_odoo_orders_incremental` for each stream. A retry's parent is the run that failed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ipai.errors import DatabaseError
from ipai.lineage_sender import configured, sender
from ipai.singer_catalog import replication_of, selected_streams, stream_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from typing_extensions import Self

    from ipai.control_plane import ControlPlane, Run, StreamMetrics
    from ipai.prepared import PreparedInstance
    from ipai.singer_catalog import Catalog, Entry

_MODES = {"FULL_TABLE": "full", "INCREMENTAL": "incremental", "LOG_BASED": "log_based"}
_POSTGRES_PORT = 5432
# Settings of target-postgres, and of its peers, that say where a stream goes.
_NAMING = ("sqlalchemy_url", "host", "port", "database", "default_target_schema", "table_name", "source_name")


@dataclass(frozen=True)
class DataSet:
    """As OpenLineage names it."""

    namespace: str
    name: str


@dataclass(frozen=True)
class StreamJob:
    """One stream of a run; `columns` are names with their types."""

    stream: str
    job: str
    source: DataSet
    table: DataSet
    columns: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Outcome:
    """How a run, or one stream of it, ended: COMPLETE, FAIL or ABORT."""

    state: str
    message: str | None = None


@dataclass
class Lineage:
    """Of one run. Without a platform's id, which is so unless OpenLineage is configured, it says nothing."""

    run: Run
    platform: UUID | None = None
    jobs: tuple[StreamJob, ...] = ()

    @classmethod
    def of(cls, control_plane: ControlPlane, run: Run) -> Self:
        """Of a run that begins now."""
        lineage = cls(run, _platform(control_plane))
        if lineage.platform is not None:
            lineage._send("started", run.started_at or _now())
        return lineage

    @classmethod
    def lost(cls, control_plane: ControlPlane, run: Run) -> None:
        """End a run whose worker disappeared and cannot say so; nobody knows how its streams did."""
        cls(run, _platform(control_plane)).ended("failed", error=run.error)

    def syncing(self, ready: PreparedInstance, catalogs: Sequence[Catalog]) -> None:
        """The streams that are about to be synced."""
        if self.platform is None:
            return
        entries = {stream_name(entry): entry for catalog in catalogs for entry in catalog["streams"]}
        selected = [name for catalog in catalogs for name in selected_streams(catalog)]
        self.jobs = tuple(_job(ready, self.run, name, entries[name]) for name in selected)
        self._send("syncing", _now())

    def ended(
        self,
        status: str,
        streams: Sequence[StreamMetrics] = (),
        error: Mapping[str, Any] | None = None,
        failed: Sequence[str] | None = None,
    ) -> None:
        """The run has ended.

        Args:
            status: succeeded, failed or cancelled.
            streams: what each moved.
            error: what the run's record keeps of it.
            failed: the only streams whose pipelines failed; None means all.
        """
        if self.platform is None:
            return
        moved = {each.stream: each for each in streams}
        message = str(error["message"]) if error else None
        whole = Outcome({"succeeded": "COMPLETE", "failed": "FAIL"}.get(status, "ABORT"), message)
        outcomes = {
            job.stream: _outcome(job.stream, whole, None if error is None else error.get("stream"), failed)
            for job in self.jobs
        }
        self._send("ended", _now(), whole, outcomes, moved)

    def _send(self, what: str, *arguments: Any) -> None:
        run, platform, jobs = self.run, self.platform, self.jobs

        def build() -> Any:
            from ipai import lineage_events  # noqa: PLC0415 - imports the client

            return getattr(lineage_events, what)(run, platform, jobs, *arguments)

        sender().send(build)


def _outcome(stream: str, whole: Outcome, named: str | None, failed: Sequence[str] | None) -> Outcome:
    """A run that fails because of one stream has not loaded the others badly, but did not finish them either."""
    if whole.state != "FAIL":
        return Outcome(whole.state)
    if failed is not None and stream not in failed:
        return Outcome("COMPLETE")
    return whole if named in {None, stream} else Outcome("ABORT")


def _job(ready: PreparedInstance, run: Run, stream: str, entry: Entry) -> StreamJob:
    source = ready.source.name
    method, key = replication_of(entry)
    mode = "backfill" if run.kind == "backfill" else _MODES.get(method or "", "incremental" if key else "full")
    left_out = {
        item["breadcrumb"][1] for item in entry.get("metadata", [])
        if len(item["breadcrumb"]) == 2 and item["metadata"].get("selected") is False  # noqa: PLR2004 - ["properties", name]
    }  # fmt: skip
    properties = entry.get("schema", {}).get("properties") or {}
    return StreamJob(
        stream,
        f"{run.instance}.sync_{source}_{stream}_{mode}",
        DataSet(f"{source}://{run.instance}", stream),
        _table(ready, run.instance, stream),
        tuple((name, _type(schema)) for name, schema in properties.items() if name not in left_out),
    )


def _table(ready: PreparedInstance, instance: str, stream: str) -> DataSet:
    """Where a target with target-postgres' settings puts a stream; any other's data set is called as the stream."""
    other = DataSet(f"{ready.instance.destination.connector}://{instance}", stream)
    settings = ready.target_settings(*_NAMING)
    try:
        url = urlsplit(str(settings["sqlalchemy_url"] or ""))
        if url.scheme.startswith("postgres"):
            host, port, database = url.hostname, url.port, url.path.strip("/")
        elif settings["host"] and settings["database"]:
            host, port, database = (
                str(settings["host"]),
                int(settings["port"] or _POSTGRES_PORT),
                str(settings["database"]),
            )
        else:
            return other
        parts = stream.split("-") if all(stream.split("-")) else [stream]
        schema = settings["default_target_schema"] or (parts[-2] if len(parts) > 1 else "public")
        pattern = str(settings["table_name"] or "{stream}")
        table = pattern.format(stream=parts[-1], full_stream=stream, source=settings["source_name"] or "")
    except (ValueError, KeyError, IndexError, AttributeError):
        return other
    return DataSet(f"postgres://{host or 'localhost'}:{port or _POSTGRES_PORT}", f"{database}.{schema}.{table}")


def _type(schema: Any) -> str | None:
    """A property's type in one word: its format where it has one."""
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("format"), str):
        return str(schema["format"])
    kinds = schema.get("type")
    named = [str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind not in {None, "null"}]
    return "|".join(named) or None


def _platform(control_plane: ControlPlane) -> UUID | None:
    if not configured():
        return None
    try:
        return control_plane.fleet.platform_id()
    except DatabaseError:
        return None  # the run itself will say what is wrong


def _now() -> datetime:
    return datetime.now(timezone.utc)
