"""One run of an instance, from claim to end: plugins, catalog, pipeline, bookmarks, logs, metrics."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from ipai import bookmarks
from ipai.control_plane import LogLine
from ipai.errors import DatabaseError, IpaiError, PluginError, SpecError
from ipai.failures import PluginFailedError, pipeline_failure
from ipai.pipeline import Acknowledged, Finished, Pipeline, Said
from ipai.plugin_logs import Meter, is_metric, parse_metric
from ipai.prepared import PreparedInstance, prepare
from ipai.references import Resolver
from ipai.singer_catalog import select, selected_bookmarks, selected_streams

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from ipai.control_plane import ControlPlane, Run, StreamMetrics
    from ipai.plugins import PluginEnvironments
    from ipai.specs import Instance

_FLUSH_SECONDS = 1.0


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


@dataclass(frozen=True)
class RunResult:
    """A run that came to its end, and what each stream moved."""

    run: Run
    streams: Sequence[StreamMetrics]


def execute(
    control_plane: ControlPlane,
    environments: PluginEnvironments,
    instance: Instance,
    *,
    streams: Sequence[str] | None = None,
    full_refresh: bool = False,
    observer: Observer | None = None,
) -> RunResult:
    """Run an instance once.

    Args:
        streams: names or globs of the only streams to sync; None means all of the instance's.
        full_refresh: start these streams from nothing; bookmarks of other streams stay as they are.

    Raises:
        BusyError: another process runs this instance.
        RunFailedError: a plugin failed; the run is recorded with its cause.
    """
    with control_plane.locked(instance.name):
        run = control_plane.start_run(instance.name, streams=streams, full_refresh=full_refresh)
        recorder = _Recorder(control_plane, run, observer or Silent())
        try:
            recorder.observer.phase("installing plugins")
            with prepare(control_plane, environments, instance, run_id=run.id) as ready:
                recorder.resolver = ready.resolver
                _sync(ready, recorder, streams, full_refresh=full_refresh)
        except BaseException as error:
            with suppress(DatabaseError):  # with the database gone too, the first error is the one to tell
                recorder.close("cancelled" if isinstance(error, KeyboardInterrupt) else "failed", error)
            raise
        return RunResult(recorder.close("succeeded"), recorder.meter.streams())


def _sync(ready: PreparedInstance, recorder: _Recorder, streams: Sequence[str] | None, *, full_refresh: bool) -> None:
    arguments: list[str | Path] = []
    chosen = list(streams or ())
    bookmarked = set(chosen)
    if streams and not ready.source.plugin.discover:
        raise SpecError(f"{ready.source.name} has no catalog to choose streams from.", hint="Run it without --stream.")
    if ready.source.plugin.discover:
        recorder.observer.phase("discovering streams")
        catalog = select(ready.discover(), ready.instance.streams, streams)
        chosen, bookmarked = selected_streams(catalog), selected_bookmarks(catalog)
        if not chosen:
            raise SpecError("No stream is selected.", hint=f"ipai discover {ready.instance.name} lists what there is.")
        arguments += [ready.source.plugin.catalog_option, ready.write("catalog.json", catalog)]
    stored = recorder.control_plane.claim_state(recorder.run)
    start = bookmarks.without(stored, bookmarked if streams else None) if full_refresh else stored
    if start:
        arguments += ["--state", ready.write("state.json", start)]
    recorder.start_with(stored, only=bookmarked if streams else None)
    recorder.observer.phase(f"syncing {len(chosen) or 'all'} streams")
    pipeline = Pipeline(ready.tap_command(*arguments), ready.target_command())
    try:
        with closing(pipeline.events()) as events:
            for event in events:
                if isinstance(event, Said):
                    recorder.said(event.side, event.text)
                elif isinstance(event, Acknowledged):
                    recorder.acknowledged(event.state)
                elif isinstance(event, Finished) and event.cause is not None:
                    raise pipeline_failure(event, ready.resolver, chosen)
                recorder.flush_when_due()
    except OSError as error:
        raise PluginError(f"A plugin cannot be started: {error}") from None


@dataclass
class _Recorder:
    """Writes down what a run does: STATE at once, logs and metrics every second."""

    control_plane: ControlPlane
    run: Run
    observer: Observer
    resolver: Resolver = field(default_factory=lambda: Resolver({}))
    meter: Meter = field(default_factory=Meter)
    _stored: Mapping[str, Any] = field(default_factory=dict)
    _only: Collection[str] | None = None
    _lines: list[LogLine] = field(default_factory=list)
    _line_count: int = 0
    _flushed_at: float = field(default_factory=time.monotonic)

    def start_with(self, stored: Mapping[str, Any], only: Collection[str] | None) -> None:
        self._stored, self._only = stored, only

    def said(self, side: str, text: str) -> None:
        if metric := parse_metric(text):
            self.meter.add(side, metric)
        elif not is_metric(text):
            self.observer.said(side, self._log(side, text))

    def _log(self, side: str, text: str) -> str:
        text = self.resolver.redact(text)
        self._line_count += 1
        self._lines.append(LogLine(self._line_count, datetime.now(timezone.utc), side, text))
        return text

    def acknowledged(self, state: Mapping[str, Any]) -> None:
        merged = bookmarks.merge(self._stored, bookmarks.from_document(state), self._only)
        self.control_plane.store_state(self.run, merged)
        self._stored = merged

    def flush_when_due(self) -> None:
        if time.monotonic() - self._flushed_at >= _FLUSH_SECONDS:
            self.observer.progress(self._flush())

    def close(self, status: str, error: BaseException | None = None) -> Run:
        """End the run's record, whatever became of it."""
        if error is not None:
            self._log("ipai", self._describe(error)["message"])
        self._flush()
        return self.control_plane.finish_run(self.run, status, None if error is None else self._describe(error))

    def _flush(self) -> Sequence[StreamMetrics]:
        self.control_plane.add_logs(self.run, self._lines)
        self._lines = []
        streams = self.meter.streams()
        self.control_plane.save_metrics(self.run, streams)
        self._flushed_at = time.monotonic()
        return streams

    def _describe(self, error: BaseException) -> dict[str, Any]:
        if isinstance(error, PluginFailedError):
            return error.details
        text = str(error) or type(error).__name__
        described = {"side": "ipai", "message": self.resolver.redact(text)}
        if isinstance(error, IpaiError) and error.hint:
            described["hint"] = self.resolver.redact(error.hint)
        return described
