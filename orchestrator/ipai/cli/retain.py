"""The command `retain`: deleting what is old."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipai.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from ipai.service import Platform


@click.command()
@click.option("--plan", "only_plan", is_flag=True, help="Only show what is old.")
@click.option(
    "--keep",
    "periods",
    type=(str, click.IntRange(min=1)),
    multiple=True,
    metavar="SUBJECT DAYS",
    help="From now on keep logs, metrics, deliveries, events or runs for so many days; repeatable.",
)
@json_option
@click.pass_obj  # fmt: skip
def retain(platform: Platform, only_plan: bool, periods: tuple[tuple[str, int], ...], as_json: bool) -> None:
    """Delete what is old: logs, metrics, events and runs of the platform, and rows of Bronze.

    The scheduler does it once a day by itself. For Bronze nothing is old unless an instance's spec says so under
    `retention`; rows are archived before they are deleted where it says so. See docs/retention.md.
    """
    if only_plan and periods:
        raise click.UsageError("--keep changes something, --plan does not: say one of them.")
    for subject, days in periods:
        platform.retention.set_period(subject, days)
    seen = platform.retention.plan() if only_plan else platform.retention.retain()
    if as_json:
        print_json({"done": not only_plan, "retained": seen})
        return
    print_table(
        ["what", "stream", "table", "is kept", "archive", ">old rows" if only_plan else ">deleted", "problem"],
        [
            (each.subject, each.stream, each.table, each.keeps, each.archive, each.rows, each.problem) for each in seen
        ],
    )  # fmt: skip
    if only_plan:
        click.echo("Nothing has been changed. Next: ipai retain")
    else:
        files = sum(len(each.files) for each in seen)
        click.echo(f"{sum(each.rows for each in seen):,} rows deleted, {files} archives written.")


COMMANDS = (retain,)
