"""Commands for bookmarks: state get, set, clear, export, import."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any

import click

from ipai import bookmarks
from ipai.cli.output import json_option, print_json
from ipai.errors import NotFoundError, SpecError

if TYPE_CHECKING:
    from ipai.service import Platform


@click.group()
def state() -> None:
    """Look at and change how far an instance has come."""


@state.command()
@click.argument("name")
@click.option("--stream", help="Only this stream's bookmark.")
@json_option
@click.pass_obj
def get(platform: Platform, name: str, stream: str | None, as_json: bool) -> None:  # noqa: ARG001 - it is JSON anyway
    """Print the STATE, or one stream's bookmark."""
    stored = platform.state(name)
    if stream is None:
        print_json(stored)
        return
    bookmark = bookmarks.bookmark_of(stored, stream)
    if bookmark is None:
        raise NotFoundError(f"{name} has no bookmark for {stream!r}.", hint=f"ipai state get {name} shows all.")
    print_json(bookmark)


@state.command("set")
@click.argument("name")
@click.argument("stream")
@click.argument("bookmark")
@json_option
@click.pass_obj
def set_(platform: Platform, name: str, stream: str, bookmark: str, as_json: bool) -> None:
    """Set one stream's bookmark to a JSON object.

    \b
    ipai state set prod_odoo account_move \\
      '{"replication_key": "write_date", "replication_key_value": "2026-01-01T00:00:00+00:00"}'
    """
    value = _parse(bookmark, "BOOKMARK")
    if not isinstance(value, dict):
        raise SpecError(
            "BOOKMARK must be a JSON object.", hint=f"ipai state get {name} --stream {stream} shows today's."
        )
    _report(platform.set_bookmark(name, stream, value), as_json, f"Set the bookmark of {stream}.")


@state.command()
@click.argument("name")
@click.option("--stream", "streams", multiple=True, help="Only this stream; repeatable.")
@json_option
@click.pass_obj
def clear(platform: Platform, name: str, streams: tuple[str, ...], as_json: bool) -> None:
    """Forget bookmarks: the next run syncs these streams from the start."""
    left = platform.clear_state(name, streams or None)
    _report(left, as_json, f"Cleared {', '.join(streams) or 'every stream'}.")


@state.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["singer", "meltano"]), default="singer", show_default=True)
@click.option("--output", type=click.File("w"), default="-", help="A file; standard output by default.")
@json_option
@click.pass_obj
def export(platform: Platform, name: str, form: str, output: IO[str], as_json: bool) -> None:  # noqa: ARG001 - it is JSON anyway
    """Write the STATE as any Singer tap takes it, or as `meltano state set` does."""
    stored = platform.state(name)
    json.dump(bookmarks.to_meltano(stored) if form == "meltano" else stored, output, indent=2)
    output.write("\n")


@state.command("import")
@click.argument("name")
@click.argument("file", type=click.File("r"))
@json_option
@click.pass_obj
def import_(platform: Platform, name: str, file: IO[str], as_json: bool) -> None:
    """Replace the STATE from FILE (- for standard input), in Singer's or Meltano's form."""
    document = bookmarks.from_document(_parse(file.read(), file.name))
    _report(platform.replace_state(name, document), as_json, "Imported.")


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise SpecError(f"{what} is not valid JSON: {error}") from None


def _report(state_now: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print_json(state_now)
    else:
        click.echo(text)


COMMANDS = (state,)
