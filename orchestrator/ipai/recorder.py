"""Writing down what a run does: STATE at once, logs and metrics every second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from ipai import bookmarks
from ipai.control_plane import LogLine
from ipai.errors import IpaiError
from ipai.plugin_logs import Meter, is_metric, parse_backoff, parse_line, parse_metric
from ipai.redaction import EVERYTHING
from ipai.references import Resolver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ipai.control_plane import ControlPlane, Run, StreamMetrics
    from ipai.lineage import Lineage

_FLUSH_SECONDS = 1.0
_MOST_LINES = 100_000  # a plugin that floods stderr must not fill the control plane


class Observer(Protocol):
    """Whoever watches a run, such as a progress display."""

    def phase(self, text: str) -> None:
        """A step begins."""

    def said(self, side: str, text: str) -> None:
        """A plugin said something that is no metric."""

    def progress(self, streams: Sequence[StreamMetrics]) -> None:
        """More rows have moved."""


class Silent:
    """An observer that looks away."""

    def phase(self, text: str) -> None: ...

    def said(self, side: str, text: str) -> None: ...

    def progress(self, streams: Sequence[StreamMetrics]) -> None: ...


@dataclass
class Recorder:
    """Of one run; all its pipelines write into one log and add up to one set of metrics."""

    control_plane: ControlPlane
    run: Run
    observer: Observer
    lineage: Lineage
    resolver: Resolver = field(default_factory=lambda: Resolver({}))
    meter: Meter = field(default_factory=Meter)
    streams: frozenset[str] = frozenset()  # which a line may be about
    _lines: list[LogLine] = field(default_factory=list)
    _line_count: int = 0
    _left_out: int = 0
    _flushed_at: float = field(default_factory=time.monotonic)

    def said(self, side: str, text: str) -> None:
        if metric := parse_metric(text):
            # It may name anything as its stream.
            self.meter.add(side, replace(metric, stream=self.resolver.redact(metric.stream)))
        elif not is_metric(text):
            self.observer.said(side, self.log(side, text))

    def log(self, side: str, text: str) -> str:
        """Put a line into the run's log, secrets taken out; return it so."""
        text = self.resolver.redact(text)
        if self._line_count >= _MOST_LINES:
            self._left_out += 1
            return text
        return self._keep(side, text)

    def _keep(self, side: str, text: str) -> str:
        parts = parse_line(text, self.streams)
        if side == "tap" and (retry := parse_backoff(parts)):
            self.meter.add(side, retry)
        self._line_count += 1
        self._lines.append(LogLine(self._line_count, datetime.now(timezone.utc), side, text, parts.level, parts.stream))
        return text

    def acknowledged(self, part: str, state: Mapping[str, Any]) -> None:
        """Store what a target that keeps no STATE itself has committed."""
        self.control_plane.states.store(self.run, part, bookmarks.from_document(state))

    def flush_when_due(self) -> None:
        if time.monotonic() - self._flushed_at >= _FLUSH_SECONDS:
            self.observer.progress(self.flush())

    def end_log(self, text: str | None = None) -> None:
        """Say what the log leaves out, and how the run ended, if that is worth a line."""
        if self._left_out:
            self._keep("ipai", f"{self._left_out} more lines are left out: a run keeps {_MOST_LINES}.")
        if text is not None:
            self._keep("ipai", self.resolver.redact(text))

    def flush(self) -> Sequence[StreamMetrics]:
        if self._lines:
            self.control_plane.runs.add_logs(self.run, self._lines)
            self._lines = []
        streams = self.meter.streams()
        self.control_plane.runs.save_metrics(self.run, streams)
        self._flushed_at = time.monotonic()
        return streams

    def describe(self, error: BaseException) -> dict[str, Any]:
        """What the run's record keeps of an error."""
        if details := getattr(error, "details", None):
            return dict(EVERYTHING.redacted(details))
        text = str(error) or type(error).__name__
        described = {"side": "ipai", "message": EVERYTHING.redact(text)}
        if isinstance(error, IpaiError) and error.hint:
            described["hint"] = EVERYTHING.redact(error.hint)
        return described
