"""Commands for the queue and those who serve it: worker, scheduler, up, worker-login, cancel, schedule, quota."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from ipai.cli.observe import metrics_options
from ipai.cli.output import json_option, print_json, print_table
from ipai.leases import LEASE_SECONDS
from ipai.redaction import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ipai.service import Platform


_json_lines = click.option("--json", "as_json", is_flag=True, help="Log JSON, one object a line.")


def _worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--lease-seconds", type=click.FloatRange(min=1), default=LEASE_SECONDS, show_default=True,
                     help="After this long without word from a worker its runs count as stalled."),
        click.option("--queue", "queues", multiple=True, metavar="NAME", help="Serve only this queue; repeatable."),
        click.option("--concurrency", type=click.IntRange(min=1), default=2, show_default=True, help="Runs at once."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command()
@_worker_options
@metrics_options
@_json_lines
@click.pass_obj
def worker(
    platform: Platform, concurrency: int, queues: tuple[str, ...], lease_seconds: float, metrics_host: str,
    metrics_port: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Execute queued runs until SIGTERM or Ctrl-C.

    Start as many as you like, on as many machines: they share the database and nothing else. A worker that is told to
    end stops its runs at their last STATE; others go on from there.
    """
    _log_to_stderr(as_json)
    with platform.watch.serving(metrics_host, metrics_port):
        platform.fleet.work(concurrency=concurrency, queues=queues or None, lease_seconds=lease_seconds, schedule=False)


@click.command()
@metrics_options
@_json_lines
@click.pass_obj
def scheduler(platform: Platform, metrics_host: str, metrics_port: int | None, as_json: bool) -> None:
    """Enqueue what is due, and find stalled and late runs, until SIGTERM or Ctrl-C.

    Any number may run at once: each thing is done by one of them.
    """
    _log_to_stderr(as_json)
    with platform.watch.serving(metrics_host, metrics_port):
        platform.fleet.schedule()


@click.command()
@_worker_options
@metrics_options
@_json_lines
@click.pass_obj
def up(
    platform: Platform, concurrency: int, queues: tuple[str, ...], lease_seconds: float, metrics_host: str,
    metrics_port: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Be scheduler and worker in one process: all that a small server needs."""
    _log_to_stderr(as_json)
    with platform.watch.serving(metrics_host, metrics_port):
        platform.fleet.work(concurrency=concurrency, queues=queues or None, lease_seconds=lease_seconds, schedule=True)


@click.command("worker-login")
@click.argument("name")
@click.option(
    "--loads", multiple=True, metavar="SCHEMA",
    help="A schema of this database that targets load into, such as bronze; it is made, or handed over. Repeatable.",
)  # fmt: skip
@json_option
@click.pass_obj
def worker_login(platform: Platform, name: str, loads: tuple[str, ...], as_json: bool) -> None:
    """Make a database login that may execute runs and nothing else, and print its URL, once.

    Give it to `ipai worker` as IPAI_DATABASE_URL. A login that is there already gets a new password.
    """
    made = platform.fleet.worker_login(name, loads)
    if as_json:
        print_json(made)
    else:
        click.echo(made.url)


@click.command()
@click.argument("run", type=click.IntRange(1, 2**63 - 1))
@json_option
@click.pass_obj
def cancel(platform: Platform, run: int, as_json: bool) -> None:
    """End a run at its last STATE, or take it out of the queue. The next run goes on from there."""
    status = platform.cancel(run)
    if as_json:
        print_json({"run": run, "status": status})
    elif status == "running":
        click.echo(f"Run {run} is asked to end. Watch it with ipai status.")
    else:
        click.echo(f"Run {run} is {status}.")


@click.group()
def schedule() -> None:
    """Look at schedules, pause and resume them. They are declared in YAML, see docs/specs.md."""


@schedule.command("list")
@click.argument("name", required=False)
@json_option
@click.pass_obj
def list_(platform: Platform, name: str | None, as_json: bool) -> None:
    """List schedules with the times they were due last and are due next."""
    schedules = platform.fleet.schedules(name)
    if as_json:
        print_json(schedules)
        return
    print_table(
        ["instance", "schedule", "cron", "time zone", "due next", "was due", "paused"],
        [
            (
                each.instance, each.name, each.cron, each.time_zone, each.next_at, each.last_due_at,
                f"by {each.paused_by}" if each.paused_by else each.paused,
            )
            for each in schedules
        ],
    )  # fmt: skip


def _pausing(name: str, *, paused: bool, text: str) -> click.Command:
    @schedule.command(name, help=text)
    @click.argument("instance", required=False)
    @click.argument("schedule", required=False)
    @click.option("--all", "everything", is_flag=True, help="Every schedule there is.")
    @json_option
    @click.pass_obj
    def command(
        platform: Platform, instance: str | None, schedule: str | None, everything: bool, as_json: bool
    ) -> None:
        if everything == bool(instance):
            raise click.UsageError("Name an instance, or say --all.")
        changed = platform.fleet.pause(instance, schedule, paused=paused)
        if as_json:
            print_json({"changed": changed})
        else:
            click.echo(f"{changed} schedules {name}d.")

    return command


_pausing("pause", paused=True, text="Let schedules rest; runs by hand go on working.")
_pausing("resume", paused=False, text="Let schedules go on, without making up for the pause.")


@click.group()
def quota() -> None:
    """Limit how many runs of a source (or of a quota_group) are under way at once, over all workers."""


@quota.command("list")
@json_option
@click.pass_obj
def list_quotas(platform: Platform, as_json: bool) -> None:
    """List the limits, and what runs and waits under each."""
    quotas = platform.fleet.quotas()
    if as_json:
        print_json(quotas)
        return
    rows = [(each.name, each.max_running, each.running, each.waiting) for each in quotas]
    print_table(["group", ">at most", ">running", ">waiting"], rows)


@quota.command("set")
@click.argument("group")
@click.argument("max_running", type=click.IntRange(1, 2**31 - 1))
@json_option
@click.pass_obj
def set_quota(platform: Platform, group: str, max_running: int, as_json: bool) -> None:
    """Let at most MAX_RUNNING runs of GROUP be under way at once."""
    platform.fleet.set_quota(group, max_running)
    _done(as_json, {"group": group, "max_running": max_running}, f"At most {max_running} runs of {group} at once.")


@quota.command("remove")
@click.argument("group")
@json_option
@click.pass_obj
def remove_quota(platform: Platform, group: str, as_json: bool) -> None:
    """Lift the limit of GROUP."""
    platform.fleet.set_quota(group, None)
    _done(as_json, {"group": group, "max_running": None}, f"{group} has no limit any more.")


def _done(as_json: bool, document: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(text)


class _Lines(logging.Formatter):
    """Plain lines, without any secret this process has met."""

    def format(self, record: logging.LogRecord) -> str:
        return EVERYTHING.redact(super().format(record))


class _JsonLines(logging.Formatter):
    """One JSON object a line, for whatever gathers logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(EVERYTHING.redacted(line), ensure_ascii=False)


def _log_to_stderr(as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("procrastinate").setLevel(logging.ERROR)


COMMANDS = (worker, scheduler, up, worker_login, cancel, schedule, quota)
