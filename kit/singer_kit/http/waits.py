"""How long a server asks to wait: `Retry-After` and the reset headers of rate limits, in all their forms.

Sources: RFC 9110 section 10.2.3 (seconds or an HTTP date); GitHub, DigitalOcean and Vercel send the second of the
epoch, some the millisecond, Supabase the seconds that are left.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Literal

from singer_kit.instants import parse_instant

Unit = Literal["auto", "delta", "epoch_s", "epoch_ms"]

# Seconds that are left are far fewer than 2001's epoch; milliseconds of an epoch, read as seconds, lie beyond 5138.
_FIRST_EPOCH, _FIRST_MILLISECONDS = 1e9, 1e11


def seconds_to_wait(text: str | None, now: datetime, unit: Unit = "auto") -> float | None:
    """Read a header or a value of a body.

    Args:
        text: a number, an HTTP date or an ISO 8601 instant.
        now: the server's clock, not this machine's.
        unit: what a number counts; "auto" tells by its size.

    Returns:
        Seconds from now, never below 0; None if the text says nothing.
    """
    text = (text or "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        moment = _moment(text)
        return None if moment is None else max(0.0, (moment - now).total_seconds())
    if not math.isfinite(number):
        return None
    if unit == "epoch_ms" or (unit == "auto" and number >= _FIRST_MILLISECONDS):
        number /= 1000
    elif unit == "delta" or (unit == "auto" and number < _FIRST_EPOCH):
        return max(0.0, number)
    return max(0.0, number - now.timestamp())


def http_date(text: str | None) -> datetime | None:
    """Read an HTTP date, such as the header `Date`."""
    try:
        moment = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _moment(text: str) -> datetime | None:
    if moment := http_date(text):
        return moment
    try:
        return parse_instant(text)
    except ValueError:
        return None
