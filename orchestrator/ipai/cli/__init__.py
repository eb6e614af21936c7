"""The command `ipai`. Each module here holds the commands of one subject; all of them only call `ipai.service`."""

from __future__ import annotations

from pathlib import Path

import click

from ipai.cli import audit, demo, drift, fleet, instances, lake, notify, observe, retain, runs, secrets, specs, state
from ipai.cli.output import EXIT_CODES, ErrorReporting
from ipai.local import default_home
from ipai.service import Platform


@click.group(
    cls=ErrorReporting,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=f"\b\nExit codes:\n{EXIT_CODES}",
)
@click.option(
    "--database", metavar="URL", envvar="IPAI_DATABASE_URL", show_envvar=True,
    help="Postgres or Supabase that holds the control plane. Without it an embedded Postgres starts by itself.",
)  # fmt: skip
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), default=default_home, show_default=False,
    help="Where the embedded Postgres and the plugins' environments live (IPAI_HOME; by default in your user folder).",
)  # fmt: skip
@click.version_option(package_name="ipai")
@click.pass_context
def main(context: click.Context, database: str | None, home: Path) -> None:
    """Move data from any Singer tap to any Singer target, and from Bronze to Gold.

    \b
    First steps:
      ipai demo                 a whole pipeline on this machine, nothing to set up
      ipai validate catalogs    check the YAML specs
      ipai apply catalogs       make the platform match them
      ipai check NAME           do both ends answer?
      ipai run NAME             sync; run it again and only changes move
      ipai up                   let schedules run by themselves
      ipai transform            build and test Silver and Gold
    """
    context.obj = Platform(home.expanduser().resolve(), database or None)


for module in (specs, instances, runs, fleet, drift, observe, state, secrets, notify, retain, audit, lake, demo):
    for command in module.COMMANDS:
        main.add_command(command)
