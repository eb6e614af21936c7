"""What commands print: tables for people, JSON for machines, errors that end with the next step."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import traceback
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ipai import errors, interrupts
from ipai.errors import IpaiError
from ipai.redaction import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_INTERRUPTED = 130
_TERMINATED = 143
_NOBODY_READS = 141


def _kinds() -> list[type[IpaiError]]:
    kinds = (
        kind for kind in vars(errors).values() if kind is IpaiError or getattr(kind, "__base__", None) is IpaiError
    )
    return sorted(kinds, key=lambda kind: kind.exit_code)


EXIT_CODES = "\n".join(
    [
        "  0    it worked",
        *(f"  {kind.exit_code:<4} {(kind.__doc__ or '').strip().rstrip('.')}" for kind in _kinds()[:1]),
        "  2    the command line is wrong",
        *(f"  {kind.exit_code:<4} {(kind.__doc__ or '').strip().rstrip('.')}" for kind in _kinds()[1:]),
        f"  {_INTERRUPTED}  interrupted (Ctrl-C)",
        f"  {_TERMINATED}  terminated (SIGTERM)",
    ]
)


def console(*, stderr: bool = False) -> Console:
    """A console on today's stdout; lines of a file or a pipe are not folded."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=True)
    return made if made.is_terminal else Console(stderr=stderr, highlight=False, soft_wrap=True, width=200)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")(command)


def print_json(value: Any) -> None:
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """JSON values of dataclasses, times and paths."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    # A decimal as text: a JSON number would be read as a float and rounded.
    return str(value) if isinstance(value, (Path, Decimal)) else value


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table; headings that start with `>` stand to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        right = heading.startswith(">")
        table.add_column(heading.lstrip(">"), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(show(cell)) for cell in row))
    console().print(table)


def show(value: Any) -> str:
    """A cell: thousands separated, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def status_text(status: str) -> Text:
    colours = {"succeeded": "green", "failed": "red", "running": "yellow", "cancelled": "yellow"}
    return Text(status, style=colours.get(status, ""))


def _report(error: IpaiError) -> None:
    if "--json" in sys.argv:
        document: dict[str, Any] = {"message": str(error), "hint": error.hint}
        document |= {"details": getattr(error, "details", None)}
        print_json({"error": {"code": error.code, **EVERYTHING.redacted(plain(document))}})
    else:
        out = console(stderr=True)
        out.print(Text("Error: ", style="bold red") + Text(EVERYTHING.redact(str(error))))
        if error.hint:
            out.print(Text("Next:  ", style="bold") + Text(EVERYTHING.redact(error.hint)))


class ErrorReporting(click.Group):
    """Turns an `IpaiError` into its text, its next step and its exit code; with --json into a JSON document."""

    def invoke(self, context: click.Context) -> Any:
        try:
            with interrupts.handled():
                return super().invoke(context)
        except IpaiError as error:
            _report(error)
            context.exit(error.exit_code)
        except (click.exceptions.ClickException, click.exceptions.Exit, click.exceptions.Abort):
            raise
        except BrokenPipeError:
            # Whoever read our output has seen enough. So that the interpreter's last flush stays quiet too:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(_NOBODY_READS)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told without its secrets
            if os.environ.get("IPAI_DEBUG"):
                click.echo(EVERYTHING.redact(traceback.format_exc()), err=True)
            _report(
                IpaiError(
                    f"{type(error).__name__}: {' '.join(EVERYTHING.redact(str(error)).split())[:500]}",
                    hint="This was not foreseen. Set IPAI_DEBUG=1 to see where it comes from.",
                )
            )
            context.exit(1)
        except interrupts.Terminated:
            click.echo("Terminated.", err=True)
            context.exit(_TERMINATED)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            context.exit(_INTERRUPTED)
