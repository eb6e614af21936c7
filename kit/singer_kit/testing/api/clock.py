"""The server's clock, which a test moves."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

EPOCH = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


class Clock:
    """Time as the server sees it: in its `Date` headers, its rate limits and its handlers.

    Args:
        start: with a zone.
        per_request: how far each request moves it.
        real: whether it also moves with real time.

    """

    def __init__(self, start: datetime = EPOCH, *, per_request: timedelta = timedelta(0), real: bool = False) -> None:
        self.per_request = per_request
        self._real = real
        self._base = start
        self._since = time.monotonic()

    @property
    def now(self) -> datetime:
        """With microseconds; the `Date` header cuts them off."""
        return self._base + (timedelta(seconds=time.monotonic() - self._since) if self._real else timedelta(0))

    def set(self, now: datetime) -> None:
        """Move it, forwards or backwards."""
        self._base, self._since = now, time.monotonic()

    def advance(self, by: timedelta | float) -> None:
        """Move it by a time or by seconds: what a test gives a client in the place of `time.sleep`."""
        self._base += by if isinstance(by, timedelta) else timedelta(seconds=by)


def http_date(moment: datetime) -> str:
    """As the headers `Date` and `Last-Modified` want it."""
    return format_datetime(moment.astimezone(timezone.utc).replace(microsecond=0), usegmt=True)
