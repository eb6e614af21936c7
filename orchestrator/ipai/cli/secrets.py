"""Commands for secrets: secret set, list, rotate, rm, rotate-key, log. None of them prints a value."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import json_option, print_json, print_table
from ipai.errors import SecretError

if TYPE_CHECKING:
    from ipai.control_plane.secrets import Secret
    from ipai.service import Platform

_expires_option = click.option(
    "--expires", type=click.DateTime(["%Y-%m-%d"]),
    help="When it will be refused; secret.expiring is told 14 days before.",
)  # fmt: skip


@click.group()
def secret() -> None:
    """Keep what ${secret:NAME} in a setting stands for: encrypted here or in Supabase Vault, never shown again.

    \b
    ipai secret set odoo_db_password            asks for it without showing it
    ipai secret set ga4_oauth < client.json     takes it from a file
    """


_backend_option = click.option(
    "--backend", type=click.Choice(["table", "vault"]), envvar="IPAI_SECRET_BACKEND", show_envvar=True,
    help="Where to keep it; by default in Vault where the database has it, else in the encrypted table.",
)  # fmt: skip


# The value of both is never an argument: it would stand in `ps`.


@secret.command("set")
@click.argument("name")
@_expires_option
@_backend_option
@json_option
@click.pass_obj
def set_(platform: Platform, name: str, expires: datetime | None, backend: str | None, as_json: bool) -> None:
    """Keep a new secret. The value comes from standard input or a hidden prompt."""
    kept = platform.secrets.set(name, _value(name), expires_at=_utc(expires), backend=backend)
    _report(kept, as_json, f"Kept in {_PLACES[kept.backend]}. A setting names it ${{secret:{name}}}.")


@secret.command()
@click.argument("name")
@_expires_option
@json_option
@click.pass_obj
def rotate(platform: Platform, name: str, expires: datetime | None, as_json: bool) -> None:
    """Give a secret another value, from standard input or a hidden prompt, and the expiry of that."""
    kept = platform.secrets.rotate(name, _value(name), expires_at=_utc(expires))
    _report(kept, as_json, f"{name} has a new value. Runs that start from now on use it.")


@secret.command("list")
@json_option
@click.pass_obj
def list_(platform: Platform, as_json: bool) -> None:
    """List names, where each is kept, when it expires and was read last."""
    secrets = platform.secrets.all()
    if as_json:
        print_json([_visible(each) for each in secrets])
        return
    if not secrets:
        click.echo("No secrets yet. Next: ipai secret set NAME")
        return
    print_table(
        ["name", "kept in", "expires", "last read", "set", "key"],
        [
            (
                each.name, _PLACES[each.backend], each.expires_at, each.last_read_at,
                each.rotated_at or each.created_at, each.key_id,
            )
            for each in secrets
        ],
    )  # fmt: skip


@secret.command("rm")
@click.argument("name")
@json_option
@click.pass_obj
def remove(platform: Platform, name: str, as_json: bool) -> None:
    """Forget a secret."""
    still = platform.secrets.remove(name)
    if as_json:
        print_json({"removed": name, "still_named_by": still})
        return
    click.echo(f"{name} is gone." + (f" Still named by: {', '.join(still)}." if still else ""))


@secret.command("rotate-key")
@json_option
@click.pass_obj
def rotate_key(platform: Platform, as_json: bool) -> None:
    """Seal every secret of the encrypted table anew.

    Under the first key, if another one has sealed some; otherwise a new key is put first where the keys are in a file
    or in the operating system's keyring. The old ones stay, for other machines and backups, until you take them out.
    """
    done = platform.secrets.rotate_key()
    if as_json:
        print_json(done)
        return
    click.echo(f"{done.secrets} secrets are sealed with the key {done.key_id}, the first one in {done.place}.")
    click.echo("Next: give it to every other process of ipai; then older keys can be taken out.")


@secret.command("log")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many lines.")
@json_option
@click.pass_obj
def log(platform: Platform, name: str | None, limit: int, as_json: bool) -> None:
    """Show who read or changed which secret, when and why; refusals too."""
    lines = platform.secrets.accesses(name, limit)
    if as_json:
        print_json(lines)
        return
    print_table(
        ["at", "secret", "what", "outcome", "who", ">run", "instance", "why"],
        [
            (each.at, each.secret, each.action, each.outcome, each.actor, each.run_id, each.instance, each.why)
            for each in lines
        ],
    )


_PLACES = {"table": "the encrypted table", "vault": "Vault"}


def _value(name: str) -> str:
    if sys.stdin.isatty():
        value: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True)
        return value
    try:
        text = sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError:
        raise SecretError("The value is not text in UTF-8.", hint="Encode it first, as with base64.") from None
    return text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")  # what echo and editors add


def _utc(date: datetime | None) -> datetime | None:
    return date and date.replace(tzinfo=timezone.utc)


def _visible(each: Secret) -> dict[str, Any]:
    return {
        "name": each.name, "backend": each.backend, "expires_at": each.expires_at, "last_read_at": each.last_read_at,
        "created_at": each.created_at, "rotated_at": each.rotated_at, "key_id": each.key_id,
    }  # fmt: skip


def _report(kept: Secret, as_json: bool, text: str) -> None:
    if as_json:
        print_json(_visible(kept))
    else:
        click.echo(text)


COMMANDS = (secret,)
