"""Commands for running and looking back: run, backfill, status, logs."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import console, json_option, plain, print_json, print_table, show, status_text
from ipai.cli.progress import RunProgress
from ipai.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipai.control_plane import LogLine, Run, StreamMetrics
    from ipai.service import Platform

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


def _detach_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--wait", is_flag=True, help="With --detach: until it has ended, retries and all."),
        click.option("--detach", is_flag=True, help="Leave it to a worker (ipai worker, ipai up)."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Only this stream (or glob); repeatable.")
@click.option("--full-refresh", is_flag=True, help="Start from nothing; other streams' bookmarks are not touched.")
@_detach_options
@click.option("-v", "--verbose", is_flag=True, help="Show everything the tap and the target say.")
@json_option
@click.pass_obj
def run(
    platform: Platform, name: str, streams: tuple[str, ...], full_refresh: bool, detach: bool, wait: bool,
    verbose: bool, as_json: bool,
) -> None:  # fmt: skip
    """Sync an instance: what has changed since its bookmarks, or everything the first time."""
    _run(platform, name, detach, wait, verbose, as_json, streams=streams or None, full_refresh=full_refresh)


@click.command()
@click.argument("name")
@click.option("--from", "start", type=_TIME, required=True, help="Where the span begins, such as 2026-01-01; in UTC.")
@click.option("--to", "end", type=_TIME, help="Where it ends; not every source can tell.")
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Only this stream (or glob); repeatable.")
@_detach_options
@click.option("-v", "--verbose", is_flag=True, help="Show everything the tap and the target say.")
@json_option
@click.pass_obj
def backfill(
    platform: Platform, name: str, start: datetime, end: datetime | None, streams: tuple[str, ...], detach: bool,
    wait: bool, verbose: bool, as_json: bool,
) -> None:  # fmt: skip
    """Sync a span of the past again. The instance's bookmarks stay as they are."""
    span = (start.replace(tzinfo=timezone.utc), end and end.replace(tzinfo=timezone.utc))
    if span[1] is not None and span[1] <= span[0]:
        raise click.UsageError("--to must be later than --from.")
    _run(platform, name, detach, wait, verbose, as_json, streams=streams or None, backfill=span)


def _run(platform: Platform, name: str, detach: bool, wait: bool, verbose: bool, as_json: bool, **asked: Any) -> None:
    if wait and not detach:
        raise click.UsageError("--wait goes with --detach; without it the run is waited for anyway.")
    if detach:
        _enqueue(platform, name, wait, as_json, **asked)
        return
    with RunProgress(verbose=verbose, quiet=as_json) as progress:
        result = platform.run(name, observer=progress, **asked)
    if as_json:
        print_json(result)
        return
    _print_notes(platform, result.run)
    _print_streams(result.streams)
    rows = sum(stream.rows or 0 for stream in result.streams)
    console().print(f"Run {result.run.id} of {name} succeeded: {rows:,} rows in {result.run.seconds:.1f} s.")


def _enqueue(platform: Platform, name: str, wait: bool, as_json: bool, **asked: Any) -> None:
    queued = platform.enqueue(name, **asked)
    ended = platform.wait(queued.id) if wait else None
    if as_json:
        print_json(ended or queued)
    elif ended is None:
        click.echo(f"Run {queued.id} of {name} is in the queue. Watch it with ipai status {name}.")
    elif ended.status == "succeeded":
        _print_notes(platform, ended)
        console().print(f"Run {ended.id} of {name} succeeded in {ended.seconds or 0:.1f} s.")
    if ended is not None and ended.status != "succeeded":
        message = ended.error["message"] if ended.error else f"Run {ended.id} was {ended.status}."
        raise RunFailedError(message, hint=f"ipai logs {name} --run {ended.id}")


def _print_notes(platform: Platform, run: Run) -> None:
    """What ipai itself has to say of a run, such as streams that are no part of a backfill."""
    for line in platform.logs(run.instance, run_id=run.id, side="ipai", limit=None)[1]:
        click.echo(line.message)


@click.command()
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="How many runs.")
@json_option
@click.pass_obj
def status(platform: Platform, name: str | None, limit: int, as_json: bool) -> None:
    """Show an instance's newest runs with what each stream moved, or the newest run of every instance."""
    if name is None:
        newest = [run for _, run in platform.instances() if run]
        if as_json:
            print_json(newest)
        else:
            print_table(_RUN_HEADINGS, [_run_row(run) for run in newest])
        return
    reports = platform.status(name, limit=limit)
    if as_json:
        print_json(reports)
        return
    if not reports:
        click.echo(f"{name} has not run yet. Next: ipai run {name}")
        return
    rows = [(*_run_row(each.run), sum(stream.rows or 0 for stream in each.streams)) for each in reports]
    print_table([*_RUN_HEADINGS, ">rows"], rows)
    newest_report = reports[0]
    if newest_report.run.error:
        console().print(f"\n{newest_report.run.error['message']}", markup=False)
        click.echo(f"Next: ipai logs {name}")
    elif newest_report.streams:
        click.echo(f"\nStreams of run {newest_report.run.id}:")
        _print_streams(newest_report.streams)


@click.command()
@click.argument("name")
@click.option("--run", "run_id", type=click.IntRange(1, 2**63 - 1), help="The run's number; the newest by default.")
@click.option("--side", type=click.Choice(["tap", "target", "ipai"]), help="Only what one side said.")
@click.option("--tail", type=click.IntRange(min=1), default=None, help="Only the last lines.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until the run ends.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: an object a line, with run, instance, line, at, side, level, stream, message.",
)  # fmt: skip
@json_option
@click.pass_obj
def logs(
    platform: Platform, name: str, run_id: int | None, side: str | None, tail: int | None, follow: bool, form: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what the tap and the target said during a run. With --follow, --json means --format json."""
    found, lines = platform.logs(name, run_id=run_id, side=side, limit=tail)
    if as_json and not follow:
        print_json({"run": found, "lines": lines})
        return
    as_json |= form == "json"
    for line in lines:
        _print_line(found, line, as_json)
    if follow:
        for line in platform.watch.follow(found, side=side, after=lines[-1].line if lines else 0):
            _print_line(found, line, as_json)


def _print_line(run: Run, line: LogLine, as_json: bool) -> None:
    if not as_json:
        click.echo(f"{show(line.logged_at)} {line.side:<6} {line.message}")
        return
    document = {
        "run": run.id, "instance": run.instance, "line": line.line, "at": line.logged_at, "side": line.side,
        "level": line.level, "stream": line.stream, "message": line.message,
    }  # fmt: skip
    click.echo(json.dumps(plain(document), ensure_ascii=False))


_RUN_HEADINGS = [">run", "instance", "status", "started", ">seconds", "because", ">attempt"]


def _run_row(run: Run) -> tuple[Any, ...]:
    return (run.id, run.instance, status_text(run.status), run.started_at, run.seconds, run.trigger, run.attempt)


def _print_streams(streams: Sequence[StreamMetrics]) -> None:
    if streams:
        columns: dict[str, list[Any]] = {
            "stream": [each.stream for each in streams],
            ">rows": [each.rows for each in streams],
            ">bytes": [each.bytes for each in streams],
            ">seconds": [each.seconds for each in streams],
            ">http calls": [each.http_requests for each in streams],
            ">retries": [each.retries for each in streams],
        }
        # Only taps of HTTP sources have something to say in the last two.
        said = {name: column for name, column in columns.items() if any(value is not None for value in column)}
        print_table(list(said), list(zip(*said.values(), strict=True)))


COMMANDS = (run, backfill, status, logs)
