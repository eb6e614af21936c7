"""Commands for those who look after the platform: metrics, health, install."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipai.service import Platform


def metrics_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of the commands that can answer Prometheus."""
    for option in (
        click.option("--metrics-host", default="127.0.0.1", show_default=True, help="The address to answer on."),
        click.option("--metrics-port", type=click.IntRange(0, 65535), help="Answer Prometheus here, at /metrics."),
    ):
        command = option(command)
    return command


@click.command()
@json_option
@click.pass_obj
def metrics(platform: Platform, as_json: bool) -> None:
    """Print the platform's metrics once, in Prometheus' text format.

    For a textfile collector or a look. To be scraped, start one process with --metrics-port: all of them would say the
    same, since the figures are the control plane's. docs/observability.md lists them.
    """
    text = platform.watch.metrics()
    if not as_json:
        click.echo(text, nl=False)
        return
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - slow to import

    print_json(
        [
            {"name": sample.name, "labels": sample.labels, "value": sample.value}
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
    )


@click.command()
@click.option(
    "--role", type=click.Choice(["worker", "scheduler"]), help="Also: has one on this host been heard of lately?"
)
@json_option
@click.pass_context
def health(context: click.Context, role: str | None, as_json: bool) -> None:
    """Say whether the database answers, its schema fits this version and, with --role, a process lives.

    Changes and starts nothing, so it suits a container's healthcheck. Exit code 0: healthy; 6: the database does not
    answer or needs ipai init; 1: no worker (or scheduler) of this host has given a sign of life for 45 seconds.
    """
    platform: Platform = context.obj
    found = platform.watch.health(role)
    if as_json:
        print_json({"healthy": found.code == 0, "checks": found.checks})
    else:
        print_table(
            ["check", "", "detail"],
            [
                (
                    each.name,
                    "ok" if each.healthy else "FAILED",
                    f"{each.detail.rstrip('.')}. Next: {each.hint}" if each.hint else each.detail,
                )
                for each in found.checks
            ],
        )
    context.exit(found.code)


@click.command()
@click.argument("connectors", nargs=-1, required=True, metavar="CONNECTOR...")
@json_option
@click.pass_obj
def install(platform: Platform, connectors: tuple[str, ...], as_json: bool) -> None:
    """Install the plugins of connectors that come with the platform, before any run needs them.

    Needs no database, so it suits the building of an image. dbt is a name, too.
    """
    installed = platform.install(connectors)
    if as_json:
        print_json(installed)
        return
    for name, executable in installed.items():
        click.echo(f"{name}  {executable}")


COMMANDS = (metrics, health, install)
