"""One run that has been claimed, to its end: plugins, catalog, pipelines, bookmarks."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipai import interrupts
from ipai.backfills import backfill_catalog, backfill_state
from ipai.control_plane import ControlPlane
from ipai.drift_watch import DriftWatch
from ipai.errors import BusyError, DatabaseError, IpaiError, PluginError, SpecError
from ipai.failures import PluginFailedError, pipeline_failure
from ipai.lineage import Lineage
from ipai.partition import partition
from ipai.pipeline import Acknowledged, Finished, Pipeline, Said
from ipai.pipelines import Pipelines
from ipai.plugin_logs import parse_schema
from ipai.prepared import PreparedInstance, prepare
from ipai.recorder import Observer, Recorder, Silent
from ipai.singer_catalog import select, selected_bookmarks, selected_streams
from ipai.stopping import Reason, Stop, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from ipai.control_plane import Run, StreamMetrics
    from ipai.plugins import PluginEnvironments
    from ipai.secrets import SecretKeys
    from ipai.singer_catalog import Catalog


_RECONNECT_SECONDS = 15.0


@dataclass(frozen=True)
class RunResult:
    """A run that came to its end, and what each stream moved."""

    run: Run
    streams: Sequence[StreamMetrics]


def execute(
    control_plane: ControlPlane,
    environments: PluginEnvironments,
    run: Run,
    *,
    stop: Stop,
    observer: Observer | None = None,
    keys: SecretKeys | None = None,
) -> RunResult:
    """Execute a run that the caller has claimed and keeps the lease of.

    Args:
        stop: asks it to end early.
        keys: open its secrets; those in the environment if left out.

    Raises:
        RunFailedError: a plugin failed; the run is recorded with its cause.
        StoppedError: it was asked to end.
        BusyError: somebody else has taken the instance over.
    """
    recorder = Recorder(control_plane, run, observer or Silent(), Lineage.of(control_plane, run))
    try:
        with control_plane.runs.locked(run.instance, end_zombies=True):
            instance = control_plane.specs.instance(run.instance)
            recorder.observer.phase("installing plugins")
            with prepare(control_plane, environments, instance, run=run, keys=keys, why=run.kind) as ready:
                recorder.resolver = ready.resolver
                _sync(ready, recorder, stop)
            recorder.end_log()
            streams = recorder.flush()
            finished = control_plane.runs.finish(run, "succeeded")
    except BaseException as error:
        _close(recorder, error)
        raise
    if finished is None:
        raise StoppedError(Reason.LOST)
    recorder.lineage.ended("succeeded", streams)
    return RunResult(finished, streams)


def _close(recorder: Recorder, error: BaseException) -> None:
    """End the record of a run that did not succeed."""
    if isinstance(error, StoppedError) and error.reason is Reason.LOST:
        return  # it is somebody else's by now
    described = recorder.describe(error)
    recorder.end_log(described["message"])
    if isinstance(error, StoppedError):
        status, kind = "cancelled", error.reason.value
    elif isinstance(error, KeyboardInterrupt):
        status, kind = "cancelled", Reason.CANCELLED.value
    else:
        status, kind = "failed", error.kind if isinstance(error, IpaiError) else "transient"
    retry = {"retry_after": getattr(error, "retry_after", None), "retry_streams": getattr(error, "streams", None)}

    def finish() -> None:
        streams = recorder.flush()
        recorder.control_plane.runs.finish(recorder.run, status, described, kind=kind, **retry)
        recorder.lineage.ended(status, streams, described, retry["retry_streams"])

    try:
        finish()
    except DatabaseError:
        # It may be what the run failed of. Where it is back soon, the record says so, not that a worker vanished.
        _again(recorder, finish)


def _again(recorder: Recorder, finish: Callable[[], None]) -> None:
    deadline = time.monotonic() + _RECONNECT_SECONDS
    while time.monotonic() < deadline:
        try:
            with ControlPlane(recorder.control_plane.url) as recorder.control_plane:
                finish()
                return
        except DatabaseError:
            time.sleep(0.5)


@dataclass(frozen=True)
class _Part:
    """What one pipeline syncs; `catalog` is None for a tap without discovery, `streams` for all there are."""

    catalog: Catalog | None
    streams: tuple[str, ...] | None
    bookmarks: Collection[str] | None


def _sync(ready: PreparedInstance, recorder: Recorder, stop: Stop) -> None:
    run, states = recorder.run, recorder.control_plane.states
    watch = DriftWatch(recorder, ready.instance, ready.source)
    parts = _parts(ready, recorder, stop, watch)
    recorder.streams = frozenset(name for part in parts for name in part.streams or ())
    recorder.lineage.syncing(ready, [part.catalog for part in parts if part.catalog is not None])
    start = _starting_state(ready, recorder, parts)
    pipelines, ids = [], []
    for index, part in enumerate(parts):
        ids.append(states.open_part(run, index, start, part.bookmarks))
        arguments: list[str | Path] = []
        if part.catalog is not None:
            arguments += [ready.source.plugin.catalog_option, ready.write(f"catalog.{index}.json", part.catalog)]
        if start:
            arguments += ["--state", ready.write("state.json", start)]
        pipelines.append(
            Pipeline(ready.tap_command(*arguments), ready.target_command(ids[index], run.fencing_token or 0))
        )
    count = sum(len(part.streams or ()) for part in parts)
    beside = f" in {len(parts)} pipelines" if len(parts) > 1 else ""
    recorder.observer.phase(f"syncing {count or 'all'} streams{beside}")
    try:
        with interrupts.asking(lambda: stop.request(Reason.CANCELLED)):
            endings = _listen(Pipelines(pipelines), recorder, stop, watch, None if ready.keeps_state else ids)
    except OSError as error:
        raise PluginError(f"A plugin cannot be started: {error}") from None
    finally:
        with suppress(DatabaseError, BusyError):  # the next run does it otherwise
            states.fold(run)
    _judge(ready, parts, endings, stop, watch)


def _listen(
    pipelines: Pipelines, recorder: Recorder, stop: Stop, watch: DriftWatch, ids: Sequence[str] | None
) -> Mapping[int, Finished]:
    """Follow the pipelines to their ends; `ids` are the parts of the STATE that are for us to store."""
    endings: dict[int, Finished] = {}
    with closing(pipelines.events()) as events:
        for index, event in events:
            if stop.reason is Reason.LOST or watch.refusal is not None:
                pipelines.kill()
            elif stop.reason is not None:
                pipelines.stop()
            if isinstance(event, Said):
                if event.side == "target" and (schema := parse_schema(event.text)):
                    watch.received(schema)
                else:
                    recorder.said(event.side, event.text)
            elif isinstance(event, Acknowledged) and ids is not None:
                recorder.acknowledged(ids[index], event.state)
            elif isinstance(event, Finished):
                endings[index] = event
            recorder.flush_when_due()
    return endings


def _judge(
    ready: PreparedInstance, parts: Sequence[_Part], endings: Mapping[int, Finished], stop: Stop, watch: DriftWatch
) -> None:
    if stop.reason is Reason.LOST:
        raise StoppedError(stop.reason)
    if watch.refusal is not None:
        raise watch.refusal
    failed = [
        (part, pipeline_failure(ending, ready.resolver, part.streams or ()))
        for part, ending in ((parts[index], ending) for index, ending in sorted(endings.items()))
        if ending.cause is not None
    ]
    if failed:
        raise _combined(failed, len(parts))
    if stop.reason is not None and any(ending.stopped for ending in endings.values()):
        raise StoppedError(stop.reason)


def _combined(failed: Sequence[tuple[_Part, PluginFailedError]], of: int) -> PluginFailedError:
    """One error for a run: the first failure's, and which streams have to be synced again."""
    error = failed[0][1]
    if len(failed) > 1:
        error.args = (f"{error} ({len(failed)} of {of} pipelines failed.)",)
        error.details = {**error.details, "message": str(error), "others": [other.details for _, other in failed[1:]]}
    if len(failed) < of:
        error.streams = [name for part, _ in failed for name in part.streams or ()]
    # A quota that refills is worth waiting for; anything that never gets better decides.
    kinds = {other.kind for _, other in failed}
    error.kind = next(kind for kind in ("config", "data", "quota", "transient") if kind in kinds)
    error.retry_after = max((other.retry_after for _, other in failed if other.retry_after), default=None)
    return error


def _parts(ready: PreparedInstance, recorder: Recorder, stop: Stop, watch: DriftWatch) -> list[_Part]:
    """What to sync, divided among as many pipelines as the instance may have."""
    run, instance = recorder.run, ready.instance
    if not ready.source.plugin.discover:
        if run.streams:
            raise SpecError(
                f"{ready.source.name} has no catalog to choose streams from.", hint="Run it without --stream."
            )
        return [_Part(None, None, None)]
    recorder.observer.phase("discovering streams")
    catalog = select(ready.discover(stop), instance.streams, run.streams)
    if run.kind == "backfill":
        catalog, left_out = backfill_catalog(catalog)
        if left_out:
            recorder.log("ipai", f"Not part of a backfill, for they are read whole: {', '.join(left_out)}")
            if not selected_streams(catalog):
                raise SpecError(
                    f"Nothing to backfill: {', '.join(left_out)} are read whole.",
                    hint=f"ipai run {instance.name} reads them again, with --full-refresh from the beginning.",
                )
    if not selected_streams(catalog):
        raise SpecError("No stream is selected.", hint=f"ipai discover {instance.name} lists what there is.")
    watch.discovered(catalog)
    costs = recorder.control_plane.runs.costs(instance.name) if instance.parallelism > 1 else {}
    catalogs = partition(catalog, instance.parallelism, costs, instance.together)
    everything = len(catalogs) == 1 and not run.streams
    return [
        _Part(each, tuple(selected_streams(each)), None if everything else selected_bookmarks(each))
        for each in catalogs
    ]


def _starting_state(ready: PreparedInstance, recorder: Recorder, parts: Sequence[_Part]) -> dict[str, Any]:
    """Take the STATE over, and say what the taps start from."""
    run, states = recorder.run, recorder.control_plane.states
    if run.kind == "backfill":
        state = states.take_over(run)  # what an earlier attempt at it has come to
        catalog = {"streams": [entry for part in parts if part.catalog for entry in part.catalog["streams"]]}
        return state or backfill_state(ready.source, catalog, run)
    if not run.full_refresh:
        return states.take_over(run)
    names = {name for part in parts if part.catalog for name in selected_bookmarks(part.catalog)}
    state = states.take_over(run, clear=names or True)
    recorder.control_plane.runs.mark_state_cleared(run)
    return state if run.streams else {}
