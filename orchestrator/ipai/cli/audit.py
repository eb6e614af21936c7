"""The command audit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipai.service import Platform


@click.command()
@click.option("--instance", metavar="NAME", help="Only changes of this instance, its schedules, bookmarks and runs.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many changes.")
@json_option
@click.pass_obj
def audit(platform: Platform, instance: str | None, limit: int, as_json: bool) -> None:
    """Show who changed what: specs, schedules, limits, bookmarks by hand, runs asked for and cancelled. Newest first.

    Of specs and bookmarks only the keys that changed are kept, never the values. What Supabase users do by RPC is here
    too; see docs/access.md.
    """
    entries = platform.audit(instance, limit=limit)
    if as_json:
        print_json(entries)
        return
    print_table(
        ["at", "who", "did", "to", "what"],
        [(each.at, each.actor, each.action, each.subject, "; ".join(_words(each.details))) for each in entries],
    )


def _words(details: Mapping[str, Any]) -> Iterator[str]:
    for key, value in details.items():
        if key == "changed":
            for name, (before, after) in value.items():
                yield f"{name}: {_cell(after)}" if before is None else f"{name}: {_cell(before)} → {_cell(after)}"
        elif key == "keys":
            yield ", ".join(value)
        elif value not in (False, None):
            yield f"{key} {_cell(value)}"


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


COMMANDS = (audit,)
