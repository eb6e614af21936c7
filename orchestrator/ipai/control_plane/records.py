"""What the control plane hands out: frozen rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Run:
    """One run; `error` is null unless it failed."""

    id: int
    instance: str
    status: str
    streams: list[str] | None
    full_refresh: bool
    started_at: datetime
    finished_at: datetime | None
    error: Mapping[str, Any] | None


@dataclass(frozen=True)
class StreamMetrics:
    """What one stream moved in one run; null where the plugins did not say."""

    stream: str
    rows: int | None
    bytes: int | None
    seconds: float | None


@dataclass(frozen=True)
class LogLine:
    """One line that a tap, a target or the orchestrator said; lines count from 1 within a run."""

    line: int
    logged_at: datetime
    side: str
    message: str
