"""Commands around the database: transform (Silver and Gold), local (the embedded Postgres)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from ipai.cli.output import console, json_option, print_json, print_table
from ipai.errors import DatabaseError, SpecError

if TYPE_CHECKING:
    from ipai.service import Platform
    from ipai.transform import NodeResult


@click.command()
@click.option("--select", "selection", multiple=True, metavar="SELECTOR", help="A dbt selector; repeatable.")
@click.option("--full-refresh", is_flag=True, help="Build incremental models from nothing.")
@click.option(
    "--var", "variables", multiple=True, metavar="NAME=VALUE", help="A dbt variable, such as as_of=2026-01-31."
)
@json_option
@click.pass_obj
def transform(
    platform: Platform, selection: tuple[str, ...], full_refresh: bool, variables: tuple[str, ...], as_json: bool
) -> None:
    """Build Silver and Gold from Bronze with dbt, and test them."""
    pairs = {}
    for variable in variables:
        name, separator, value = variable.partition("=")
        if not separator:
            raise SpecError(f"--var {variable}: a variable is NAME=VALUE.")
        pairs[name] = value
    with console(stderr=True).status("building and testing Silver and Gold …"):
        results = platform.transform(select=selection, full_refresh=full_refresh, variables=pairs or None)
    if as_json:
        print_json(results)
        return
    print_transform(results)


def print_transform(results: list[NodeResult]) -> None:
    models = [each for each in results if each.kind != "test"]
    tests = Counter(each.status for each in results if each.kind == "test")
    print_table(["model", "status", ">seconds"], [(each.name, each.status, each.seconds) for each in models])
    click.echo(f"{len(models)} models built, {tests.total()} tests: " + ", ".join(f"{n} {s}" for s, n in tests.items()))


@click.group()
def local() -> None:
    """The embedded Postgres, used when no --database is given."""


@local.command()
@json_option
@click.pass_obj
def start(platform: Platform, as_json: bool) -> None:
    """Start it; other commands do so by themselves."""
    _embedded(platform)
    platform.local.start()
    _print_status(platform, as_json)


@local.command()
@json_option
@click.pass_obj
def stop(platform: Platform, as_json: bool) -> None:
    """Stop it; its data stays."""
    stopped = platform.local.stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        click.echo("Stopped." if stopped else "It was not running.")


@local.command()
@json_option
@click.pass_obj
def status(platform: Platform, as_json: bool) -> None:
    """Say whether it runs, and where."""
    _print_status(platform, as_json)


@local.command()
@click.option("--name", "database", default="ipai", show_default=True, help="The database.")
@json_option
@click.pass_obj
def url(platform: Platform, database: str, as_json: bool) -> None:
    """Print its connection URL, password and all: psql "$(ipai local url)"."""
    _embedded(platform)
    platform.local.start()
    address = platform.local.url(database)
    if as_json:
        print_json({"url": address})
    else:
        click.echo(address)


def _embedded(platform: Platform) -> None:
    if platform.database_url is not None:
        raise DatabaseError(
            "A database is named with --database or IPAI_DATABASE_URL, so the embedded one is not in use.",
            hint="Leave that out to use the embedded Postgres.",
        )


def _print_status(platform: Platform, as_json: bool) -> None:
    running = platform.local.is_running()
    if as_json:
        print_json({"running": running, "home": platform.local.home})
    elif running:
        click.echo(
            f'The embedded Postgres runs; its data is in {platform.local.home}. Connect: psql "$(ipai local url)"'
        )
    else:
        click.echo("The embedded Postgres is not running. Next: ipai local start")


COMMANDS = (transform, local)
