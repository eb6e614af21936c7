"""Bookmarks in a state of the usual form: `bookmarks.STREAM`, by partition or not."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VALUE = "replication_key_value"


def bookmarks(state: Mapping[str, Any] | None, stream: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each bookmark of a stream with its partition's context, which is empty for the whole stream."""
    found = ((state or {}).get("bookmarks") or {}).get(stream)
    if not isinstance(found, dict):
        return
    for each in found.get("partitions") or []:
        if each.get(_VALUE) is not None:
            yield each.get("context") or {}, each[_VALUE]
    if found.get(_VALUE) is not None:
        yield {}, found[_VALUE]


def bookmark_of(state: Mapping[str, Any] | None, stream: str, row: Mapping[str, Any]) -> Any:
    """The bookmark that covers a row; None if none can be found."""
    for context, value in bookmarks(state, stream):
        if all(row.get(name) == each for name, each in context.items()):
            return value
    return None


def earlier(left: Any, right: Any, by_seconds: float = 0) -> bool:
    """Whether a replication value lies before another, by more than so many seconds if they are moments."""
    moments = _moment(left), _moment(right)
    if moments[0] is not None and moments[1] is not None:
        return moments[0] < moments[1] - dt.timedelta(seconds=by_seconds)
    numbers = (int, float)
    if isinstance(left, numbers) and isinstance(right, numbers):
        return left < right - by_seconds
    return str(left) < str(right)


def _moment(value: Any) -> dt.datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
