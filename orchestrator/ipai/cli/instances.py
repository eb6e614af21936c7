"""Commands for looking at what there is: list, discover, check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import console, json_option, print_json, print_table, status_text
from ipai.singer_catalog import selected_streams, stream_name

if TYPE_CHECKING:
    from ipai.service import Platform


@click.command("list")
@click.option("--connectors", is_flag=True, help="List the connectors that instances can name, instead.")
@json_option
@click.pass_obj
def list_(platform: Platform, connectors: bool, as_json: bool) -> None:
    """List the instances, each with its newest run."""
    if connectors:
        known = platform.connectors()
        if as_json:
            print_json([each.spec for each in known])
        else:
            rows = [(each.name, each.role, each.title, " ".join(each.plugin.install) or "(on PATH)") for each in known]
            print_table(["name", "role", "title", "plugin"], rows)
        return
    instances = platform.instances()
    if as_json:
        print_json([{"spec": instance.spec, "latest_run": run} for instance, run in instances])
        return
    if not instances:
        click.echo("No instances yet. Next: ipai apply catalogs")
        return
    print_table(
        ["name", "source", "destination", "schedule", "latest run", "started"],
        [
            (
                instance.name, instance.source.connector, instance.destination.connector,
                "; ".join(each.cron for each in instance.schedules) or None,
                status_text(run.status) if run else "never ran", run.started_at if run else None,
            )
            for instance, run in instances
        ],
    )  # fmt: skip


@click.command()
@click.argument("name")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the catalog to a file.")
@json_option
@click.pass_obj
def discover(platform: Platform, name: str, output: Path | None, as_json: bool) -> None:
    """Show the source's streams; --json prints the Singer catalog."""
    catalog = platform.discover(name)
    if output:
        output.write_text(json.dumps(catalog, indent=2) + "\n")
    if as_json:
        print_json(catalog)
        return
    chosen = set(selected_streams(catalog))
    rows = []
    for entry in catalog["streams"]:
        stream = stream_name(entry)
        root: dict[str, Any] = next(
            (item["metadata"] for item in entry.get("metadata", []) if not item["breadcrumb"]), {}
        )
        method = entry.get("replication_method") or root.get("forced-replication-method")
        keys = entry.get("key_properties") or root.get("table-key-properties") or []
        properties = entry.get("schema", {}).get("properties", {})
        rows.append((stream in chosen, stream, method, entry.get("replication_key"), ", ".join(keys), len(properties)))
    print_table(
        ["selected", "stream", "replication", "bookmark", "keys", ">columns"],
        sorted(rows, key=lambda row: (not row[0], row[1])),
    )
    click.echo(f"{len(chosen)} of {len(rows)} streams selected.")


@click.command()
@click.argument("name")
@click.option("--reinstall", is_flag=True, help="Install both plugins anew, in their newest allowed versions.")
@json_option
@click.pass_obj
def check(platform: Platform, name: str, reinstall: bool, as_json: bool) -> None:
    """Install both plugins and see that each end accepts its settings and answers."""
    checked = platform.check(name, reinstall=reinstall)
    if as_json:
        print_json(checked)
        return
    out = console()
    out.print(f"tap     {checked.tap}", markup=False)
    out.print(f"target  {checked.target}", markup=False)
    out.print(f"{name} is ready: {len(checked.selected)} of {checked.streams} streams selected. Next: ipai run {name}")


COMMANDS = (list_, discover, check)
