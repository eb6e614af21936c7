"""What the control plane hands out: frozen rows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


NEVER = datetime(9999, 1, 1, tzinfo=timezone.utc)  # not the last year's end: in the east that is beyond Python's dates


@dataclass(frozen=True)
class Run:
    """One run. `error` is null unless it failed; `started_at` is null while it is queued."""

    id: int
    instance: str
    status: str
    streams: list[str] | None
    full_refresh: bool
    started_at: datetime | None
    finished_at: datetime | None
    error: Mapping[str, Any] | None
    kind: str
    backfill_from: datetime | None
    backfill_to: datetime | None
    trigger: str
    attempt: int
    first_run_id: int | None
    sla_tier: str
    enqueued_at: datetime
    due_at: datetime
    waits_for: str | None
    worker: str | None
    lease_expires_at: datetime | None
    fencing_token: int | None
    error_kind: str | None

    @property
    def seconds(self) -> float | None:
        """From start to end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True)
class StreamMetrics:
    """What one stream moved in one run; null where the plugins did not say."""

    stream: str
    rows: int | None
    bytes: int | None
    seconds: float | None
    retries: int | None = None
    http_requests: int | None = None


@dataclass(frozen=True)
class LogLine:
    """One line that a tap, a target or the orchestrator said; lines count from 1 within a run."""

    line: int
    logged_at: datetime
    side: str
    message: str
    level: str | None = None
    stream: str | None = None


@dataclass(frozen=True)
class Schedule:
    """When an instance runs; see `ipai.schedule`. `next_at` is null until a tick has computed it."""

    instance: str
    name: str
    cron: str
    time_zone: str
    jitter_seconds: int
    catch_up: str
    blackouts: Sequence[Mapping[str, Any]]
    streams: list[str] | None
    full_refresh: bool
    paused: bool
    next_at: datetime | None
    last_due_at: datetime | None
    paused_by: str | None = None  # person or drift


@dataclass(frozen=True)
class QuotaGroup:
    """How many runs of a group may be under way at once, and how many are or wait for it."""

    name: str
    max_running: int
    running: int
    waiting: int


@dataclass(frozen=True)
class StreamCost:
    """What a stream took on average lately; null where nobody measured."""

    stream: str
    seconds: float | None
    rows: float | None


@dataclass(frozen=True)
class Drift:
    """One change of a stream's schema, and what became of it; see `ipai.drift`."""

    id: int
    run_id: int | None
    instance: str
    stream: str
    property: str | None
    kind: str
    before: str | None
    after: str | None
    severity: str
    models: Sequence[Mapping[str, Any]]
    baseline: str
    seen_by: str
    policy: str
    status: str
    seen_at: datetime
    decided_at: datetime | None
    decided_by: str | None


@dataclass(frozen=True)
class SeenSchema:
    """A stream's schema that loads go by (accepted), or that waits for a decision (pending); null where it is gone."""

    stream: str
    seen_by: str
    status: str
    schema: Mapping[str, Any] | None
    key_properties: Sequence[str]
    replication_key: str | None
    left_out: Sequence[str]
    run_id: int | None
    seen_at: datetime


@dataclass(frozen=True)
class FleetMember:
    """A worker or a scheduler; `silent_seconds` is how long ago it was seen, by the database's clock."""

    name: str
    kind: str
    host: str
    started_at: datetime
    seen_at: datetime
    silent_seconds: float


@cache
def columns() -> Mapping[str, str]:
    """For each record the columns that make it: what `{run}` and the like stand for in a statement."""
    records = {"{run}": Run, "{schedule}": Schedule, "{drift}": Drift, "{seen_schema}": SeenSchema}
    return {name: ", ".join(each.name for each in dataclasses.fields(record)) for name, record in records.items()}
