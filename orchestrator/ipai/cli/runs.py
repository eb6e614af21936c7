"""Commands for running and looking back: run, status, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import console, json_option, print_json, print_table, show, status_text
from ipai.cli.progress import RunProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipai.control_plane import Run, StreamMetrics
    from ipai.service import Platform


@click.command()
@click.argument("name")
@click.option("--stream", "streams", multiple=True, metavar="NAME", help="Only this stream (or glob); repeatable.")
@click.option("--full-refresh", is_flag=True, help="Start from nothing; other streams' bookmarks are not touched.")
@click.option("-v", "--verbose", is_flag=True, help="Show everything the tap and the target say.")
@json_option
@click.pass_obj
def run(
    platform: Platform, name: str, streams: tuple[str, ...], full_refresh: bool, verbose: bool, as_json: bool
) -> None:
    """Sync an instance: what has changed since its bookmarks, or everything the first time."""
    with RunProgress(verbose=verbose, quiet=as_json) as progress:
        result = platform.run(name, streams=streams or None, full_refresh=full_refresh, observer=progress)
    if as_json:
        print_json(result)
        return
    _print_streams(result.streams)
    rows = sum(stream.rows or 0 for stream in result.streams)
    console().print(f"Run {result.run.id} of {name} succeeded: {rows:,} rows in {_seconds(result.run):.1f} s.")


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
@click.option("--run", "run_id", type=int, help="The run's number; the newest by default.")
@click.option("--side", type=click.Choice(["tap", "target", "ipai"]), help="Only what one side said.")
@click.option("--tail", type=click.IntRange(min=1), default=None, help="Only the last lines.")
@json_option
@click.pass_obj
def logs(platform: Platform, name: str, run_id: int | None, side: str | None, tail: int | None, as_json: bool) -> None:
    """Show what the tap and the target said during a run."""
    found, lines = platform.logs(name, run_id=run_id, side=side, limit=tail)
    if as_json:
        print_json({"run": found, "lines": lines})
        return
    for line in lines:
        click.echo(f"{show(line.logged_at)} {line.side:<6} {line.message}")


_RUN_HEADINGS = [">run", "instance", "status", "started", ">seconds"]


def _run_row(run: Run) -> tuple[Any, ...]:
    return (run.id, run.instance, status_text(run.status), run.started_at, _seconds(run))


def _seconds(run: Run) -> float | None:
    return (run.finished_at - run.started_at).total_seconds() if run.finished_at else None


def _print_streams(streams: Sequence[StreamMetrics]) -> None:
    if streams:
        rows = [(each.stream, each.rows, each.bytes, each.seconds) for each in streams]
        print_table(["stream", ">rows", ">bytes", ">seconds"], rows)


COMMANDS = (run, status, logs)
