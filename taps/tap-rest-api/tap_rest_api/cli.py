"""The command line: what every Singer tap has, `--dry-run`, and `init`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from singer_kit.cli import clean_exit
from tap_rest_api.starting import starting_manifest
from tap_rest_api.tap import TapRestApi


class Command(TapRestApi):
    """The tap with `--dry-run`."""

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--dry-run"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_dry_run,
                help="Print the first request of each stream, without secrets, and send nothing.",
            )
        )
        return command


def _dry_run(_context: click.Context, _option: click.Parameter, value: bool) -> None:
    TapRestApi.dry_run = TapRestApi.dry_run or value


@click.command(help="Write a starting manifest from an OpenAPI document to stdout.")
@click.option("--openapi", "document", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def init(document: Path) -> None:
    """Print a manifest."""
    with clean_exit(TapRestApi.logger):
        click.echo(starting_manifest(document), nl=False)


def main(arguments: list[str] | None = None) -> Any:
    """The command `tap-rest-api`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["init"]:
        return init(arguments[1:], prog_name="tap-rest-api init")
    return Command.cli(arguments)
