"""Instants as GitHub writes them: RFC 3339 in UTC, mostly without fractions."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any


def instant(text: Any) -> datetime | None:
    """Read one; None for what is none, such as a commit's date before the year 1."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def written(moment: datetime) -> str:
    """The form that GitHub takes, a fraction left out if there is none."""
    return moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def in_utc(text: Any) -> Any:
    """A date with an offset, such as GraphQL's of commits, as REST has it; anything else stays."""
    moment = instant(text)
    return text if moment is None else written(moment)
