"""What is remembered of an incremental stream between runs.

A finished stream has the plain Singer form, `{"replication_key": ..., "replication_key_value": ...}`: every row dated
before the value has been sent. `"exact": false` joins it after a run without the transaction guard: rows dated before
the value may still turn up, so the next run looks back.

A stream under way also has `"window": {"from": ..., "to": ..., "last_id": ...}`: of the rows dated within [from, to),
those with a key up to last_id have been sent. Whatever changes after that is dated after `to` and belongs to the next
window, so a resumed run ends where an undisturbed one would have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError
from singer_kit.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Window:
    """Rows dated within [start, end) with a key above `last_id`; None leaves a side open."""

    start: datetime | None
    end: datetime
    exact: bool
    last_id: int | None = None


@dataclass(frozen=True)
class Bookmark:
    """Up to where a stream has been read (`value`), whether that is exact, and the window that was interrupted."""

    value: datetime | None = None
    exact: bool = True
    window: Window | None = None

    @classmethod
    def from_state(cls, state: Mapping[str, Any], key: str, stream: str) -> Bookmark:
        """Read a stream's state; one of another replication key counts as none.

        Raises:
            ConfigurationError: for what is no instant.
        """
        if state.get("replication_key") != key:
            return cls()
        try:
            exact = state.get("exact") is not False
            value = state.get("replication_key_value")
            window = state.get("window")
            return cls(
                value=None if value is None else parse_instant(value),
                exact=exact,
                window=None
                if window is None
                else Window(
                    start=None if window.get("from") is None else parse_instant(window["from"]),
                    end=parse_instant(window["to"]),
                    exact=window.get("exact") is not False,
                    last_id=int(window["last_id"]),
                ),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(
                f"Stream '{stream}': its bookmark in the state file cannot be read ({error}). "
                "Next: restore the state, or remove the stream's bookmark to read it from the start."
            ) from None

    def after(self, window: Window) -> Bookmark:
        """The bookmark once a window has been read. It never goes back."""
        # Behind a guess, rows of the very last instant are read again: another may have joined them.
        value = window.end if window.exact else window.end - timedelta(microseconds=1)
        if self.value is not None and self.value > value:
            return Bookmark(self.value, exact=self.exact)
        return Bookmark(value, exact=window.exact)

    def write_state(self, state: dict[str, Any], key: str) -> None:
        """Replace what a stream's state says about its bookmark."""
        for name in ("replication_key", "replication_key_value", "exact", "window"):
            state.pop(name, None)
        state["replication_key"] = key
        if self.value is not None:
            state["replication_key_value"] = format_instant(self.value)
            if not self.exact:
                state["exact"] = False
        if self.window is not None:
            state["window"] = {
                "from": None if self.window.start is None else format_instant(self.window.start),
                "to": format_instant(self.window.end),
                "last_id": self.window.last_id,
            }
            if not self.window.exact:
                state["window"]["exact"] = False


def format_instant(instant: datetime) -> str:
    """Write an instant in UTC with microseconds, so that texts sort as instants do."""
    return instant.astimezone(timezone.utc).isoformat(timespec="microseconds")
