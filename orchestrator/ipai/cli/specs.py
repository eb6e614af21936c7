"""Commands for setting up and declaring: init, validate, apply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipai.cli.output import json_option, print_json, print_table
from ipai.service import Platform

if TYPE_CHECKING:
    from ipai.plans import Plan

_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), default=Path("catalogs"))


@click.command()
@json_option
@click.pass_obj
def init(platform: Platform, as_json: bool) -> None:
    """Set up or upgrade the control plane in the database.

    Applies the migrations that `supabase db push --workdir sql` applies, and keeps the same book, so either may be
    used on a database at any time.
    """
    applied = platform.init()
    if as_json:
        print_json({"applied": [{"version": each.version, "name": each.name} for each in applied]})
        return
    for each in applied:
        click.echo(f"applied {each.version} {each.name}")
    click.echo(
        "The control plane is up to date." if not applied else "The control plane is ready. Next: ipai apply catalogs"
    )


@click.command()
@_folder
@json_option
def validate(folder: Path, as_json: bool) -> None:
    """Check the YAML specs under DIR (or one file); every problem is named with file, line and key.

    Needs no database, so it suits a pull request.
    """
    catalogs = Platform.validate(folder)
    if as_json:
        print_json({"connectors": sorted(catalogs.connectors), "instances": sorted(catalogs.instances)})
        return
    click.echo(f"{len(catalogs.connectors)} connectors and {len(catalogs.instances)} instances are valid.")


@click.command()
@_folder
@click.option("--plan", "plan_only", is_flag=True, help="Show what would change and change nothing.")
@click.option("--prune", is_flag=True, help="Also delete instances that DIR does not declare; their history stays.")
@json_option
@click.pass_obj
def apply(platform: Platform, folder: Path, plan_only: bool, prune: bool, as_json: bool) -> None:
    """Make the platform match the specs under DIR."""
    plan = platform.plan(folder, prune=prune)
    if not plan_only:
        platform.apply(plan)
    if as_json:
        print_json({"applied": not plan_only, "changes": plan.changes})
        return
    _print_plan(plan)
    if plan.is_empty:
        click.echo("Nothing to change.")
    elif plan_only:
        click.echo("Nothing has been changed; without --plan it will be.")
    else:
        click.echo("Applied. Next: ipai list")


def _print_plan(plan: Plan) -> None:
    print_table(
        ["", "kind", "name", "changed keys"],
        [(change.action, change.kind, change.name, ", ".join(change.keys)) for change in plan.changes],
    )


COMMANDS = (init, validate, apply)
