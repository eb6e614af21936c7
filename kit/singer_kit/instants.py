"""Instants as text: ISO 8601 in, UTC out."""

from __future__ import annotations

import re
from datetime import datetime, timezone

# What Python 3.10 does not read: other fractions than of 3 or 6 digits, and an offset without its colon.
_FRACTION = re.compile(r"[.,](\d+)")
_OFFSET = re.compile(r"(?<=\d)([+-]\d\d)(\d\d)$")


def parse_instant(text: str) -> datetime:
    """Read an instant; one without a zone is UTC, a fraction beyond microseconds is cut.

    Raises:
        ValueError: it is none.
    """
    text = text.strip()
    if text[-1:] in {"Z", "z"}:
        text = text[:-1] + "+00:00"
    date, rest = text[:10], text[10:]
    if rest:
        rest = _FRACTION.sub(lambda match: f".{match[1][:6]:0<6}", rest, count=1)
        rest = _OFFSET.sub(r"\1:\2", rest)
    instant = datetime.fromisoformat(date + rest.upper())
    return instant.replace(tzinfo=timezone.utc) if instant.tzinfo is None else instant.astimezone(timezone.utc)


def format_instant(instant: datetime) -> str:
    """Write an instant as most APIs do: RFC 3339, UTC, with a Z, a fraction only where there is one."""
    return instant.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
