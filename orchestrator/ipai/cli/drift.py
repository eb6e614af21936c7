"""Commands for schema drift: drift, drift accept, drift reject, drift baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipai.control_plane import Drift
    from ipai.service import Platform


class _ShowByDefault(click.Group):
    """`ipai drift [NAME]` is `ipai drift show [NAME]`. No instance is called like a command: each has a `_` in it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ShowByDefault)
def drift() -> None:
    """See what has changed in the sources' schemas, and decide on what waits.

    \b
    ipai drift            of every instance
    ipai drift NAME       of one
    """


@drift.command()
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many changes.")
@json_option
@click.pass_obj
def show(platform: Platform, name: str | None, limit: int, as_json: bool) -> None:
    """List changes, those that wait for a decision first, with the dbt models they concern."""
    found = platform.drift.all(name, limit)
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo(f"No run{f' of {name}' if name else ''} has found a change.")
        return
    _print(found)
    if waiting := sorted({each.instance for each in found if each.status == "pending"}):
        click.echo("\nNext: " + "; ".join(f"ipai drift accept {each} (or reject)" for each in waiting))


def _print(found: list[Drift]) -> None:
    print_table(
        ["instance", "what", "change", "was", "is", "severity", "status", "run", "read by", "built on those"],
        [
            (
                each.instance, each.stream if each.property is None else f"{each.stream}.{each.property}",
                each.kind.replace("_", " "), each.before, each.after, each.severity,
                f"{each.status} by {each.decided_by}" if each.decided_by else each.status,
                str(each.run_id or ""), _models(each, reads=True), _models(each, reads=False),
            )
            for each in found
        ],
    )  # fmt: skip


def _models(of: Drift, *, reads: bool) -> str:
    return ", ".join(model["name"] for model in of.models if model["reads"] == reads)


def _deciding(name: str, past: str, text: str) -> None:
    @drift.command(name, help=text)
    @click.argument("name")
    @click.option("--stream", metavar="NAME", help="Only what concerns this stream.")
    @json_option
    @click.pass_obj
    def command(platform: Platform, name: str, stream: str | None, as_json: bool) -> None:
        decide: Callable[..., list[Drift]] = platform.drift.accept if past == "accepted" else platform.drift.reject
        decided = decide(name, stream)
        if as_json:
            print_json(decided)
            return
        waiting = sum(each.status == "pending" for each in platform.drift.all(name))
        rest = f"{waiting} still wait." if waiting else f"Next: ipai run {name}"
        click.echo(f"{len(decided)} changes {past}. {rest}")


_deciding("accept", "accepted", "Let loads go by the new schemas. Schedules that rest for them go on.")
_deciding(
    "reject", "rejected",
    "Hold on to the old schemas: the source is to be mended. Schedules go on; a run that meets the same change fails.",
)  # fmt: skip


@drift.command()
@click.argument("name")
@click.option("--reset", is_flag=True, help="Forget them: the next run begins anew, as if it were the first.")
@json_option
@click.pass_obj
def baseline(platform: Platform, name: str, reset: bool, as_json: bool) -> None:
    """Show the schemas that the next run is compared with."""
    if reset:
        forgotten = platform.drift.reset(name)
        _say(as_json, {"forgotten": forgotten}, f"{forgotten} schemas forgotten. The next run begins anew.")
        return
    schemas = platform.drift.baseline(name)
    if as_json:
        print_json(schemas)
        return
    if not schemas:
        click.echo(f"No run of {name} has seen a schema yet. Next: ipai run {name}")
        return
    rows = [
        (
            each.stream, each.seen_by, each.status, len((each.schema or {}).get("properties") or ()),
            ", ".join(each.key_properties), each.replication_key, str(each.run_id or ""), each.seen_at,
        )
        for each in schemas
    ]  # fmt: skip
    print_table(["stream", "seen by", "status", ">properties", "keys", "bookmark", "run", "since"], rows)


def _say(as_json: bool, document: dict[str, Any], text: str) -> None:
    if as_json:
        print_json(document)
    else:
        click.echo(text)


COMMANDS = (drift,)
