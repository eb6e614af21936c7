"""What a channel may look like, and how its references are resolved."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ipai.errors import SpecError
from ipai.references import Resolver, is_reference
from ipai.secrets import SecretKeys, SecretReader

if TYPE_CHECKING:
    from ipai.control_plane import ControlPlane
    from ipai.control_plane.notifications import Channel

DEFAULT_KINDS = ("run.failed", "run.late", "schema.*", "secret.*")

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_REFERENCE = re.compile(r"\$\{[^}]*\}")
_GLOB = re.compile(r"[A-Za-z0-9_.*?-]+")
_SHORTEST_TOKEN = 8
_TOKEN = re.compile(r"(?=[^/]*[0-9])[A-Za-z0-9_-]{16,}")


def resolver(control_plane: ControlPlane, keys: SecretKeys | None, channel: Channel) -> Resolver:
    """What resolves the references of a channel; its secrets are read once, and on record."""
    return Resolver(
        {}, SecretReader(control_plane.secrets, keys or SecretKeys(), f"channel {channel.name}", None, "notify")
    )


def hide(text: str, url: str) -> str:
    """Take what may be a token in an address out of a text: receivers like to repeat the path they were asked for."""
    parts = urlsplit(url)
    pieces = {parts.password or "", parts.query, *re.split(r"[=&]", parts.query)}
    # A plain word is no token, nor is a host with dots in it.
    pieces |= {piece for piece in re.split(r"[/?&=:@#,]+", url) if not (piece.isalpha() and piece.islower())}
    pieces -= {parts.netloc.rpartition("@")[2].partition(":")[0]} if "." in parts.netloc else set()
    pieces |= {unquote(piece) for piece in pieces}
    for piece in sorted(pieces, key=len, reverse=True):
        if len(piece) >= _SHORTEST_TOKEN:
            text = text.replace(piece, "***")
    return text


def check(channel: Channel) -> None:
    """Look at a channel before it is stored.

    Raises:
        SpecError: it would not work, or would put a credential into the database.
    """
    if not _NAME.fullmatch(channel.name):
        raise SpecError(
            f"{channel.name!r} is no name for a channel.", hint="Small letters, digits, _ and -: ops-slack."
        )
    for glob in (*channel.kinds, *channel.instances):
        if not _GLOB.fullmatch(glob):
            raise SpecError(f"{glob!r} is no name or glob.", hint="Such as run.failed, schema.*, prod_*.")
    by_hand = _REFERENCE.sub("", channel.url)
    if channel.kind == "apprise":
        if by_hand == channel.url:
            raise SpecError(
                "An Apprise URL holds credentials; name a reference instead.",
                hint=f"export SLACK_URL=…; ipai notify add {channel.name} --apprise '${{env:SLACK_URL}}'",
            )
    elif not is_reference(channel.url):
        _check_webhook(channel, by_hand)
    if channel.secret is not None and not is_reference(channel.secret):
        raise SpecError(
            "A signing secret must not stand in the database; name a reference to it.",
            hint='export HOOK_SECRET="whsec_$(openssl rand -base64 32)"; '
            f"ipai notify add {channel.name} … --secret-ref '${{env:HOOK_SECRET}}'",
        )


def _check_webhook(channel: Channel, by_hand: str) -> None:
    try:
        parts = urlsplit(by_hand)
        well_formed = parts.scheme in ("http", "https") and (parts.hostname is not None or by_hand != channel.url)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise SpecError(f"{channel.name}: a webhook's address starts with https:// or http://.")
    if parts.password or parts.query or any(_TOKEN.fullmatch(part) for part in parts.path.split("/")):
        raise SpecError(
            f"{channel.name}: this address looks as if it held a token, which must not stand in the database.",
            hint=f"export HOOK_URL=…; ipai notify add {channel.name} --webhook '${{env:HOOK_URL}}'",
        )
