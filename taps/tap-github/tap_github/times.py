"""Instants as GitHub writes them: RFC 3339 in UTC, mostly without fractions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_kit.instants import format_instant as written
from singer_kit.instants import parse_instant

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["in_utc", "instant", "written"]


def instant(text: Any) -> datetime | None:
    """Read one; None for what is none, such as a commit's date before the year 1."""
    try:
        return parse_instant(text) if isinstance(text, str) else None
    except ValueError:
        return None


def in_utc(text: Any) -> Any:
    """A date with an offset, such as GraphQL's of commits, as REST has it; anything else stays."""
    moment = instant(text)
    return text if moment is None else written(moment)
