"""Moments and durations: how an API writes time, and how long `30d` or `2mo` is."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

UTC = timezone.utc
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DURATION = re.compile(r"(\d+)\s*(ms|s|m|h|d|w|mo|y)?")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?)?",
    re.IGNORECASE,
)


class Duration:
    """A length of time: seconds as a number, or `90s`, `15m`, `2h`, `30d`, `2w`, `1mo`, `1y`.

    Raises:
        ValueError: it is written differently.
    """

    def __init__(self, text: str | int) -> None:
        match = _DURATION.fullmatch(str(text).strip())
        if isinstance(text, bool) or not match:
            raise ValueError(f"{text!r} is not a duration; write seconds, or a number with ms, s, m, h, d, w, mo or y")
        count, unit = int(match[1]), match[2] or "s"
        self.text = str(text)
        self.months = count * {"mo": 1, "y": 12}.get(unit, 0)
        self.delta = timedelta(seconds=count * _SECONDS.get(unit, 0))

    def __repr__(self) -> str:
        return f"Duration({self.text!r})"

    @property
    def seconds(self) -> float:
        """Its length, a month taken as 30 days."""
        return self.delta.total_seconds() + self.months * 30 * 86400

    def after(self, moment: datetime) -> datetime:
        """The moment this much later; a month ends on the last day where the day does not exist."""
        return _add_months(moment, self.months) + self.delta

    def before(self, moment: datetime) -> datetime:
        """The moment this much earlier."""
        return _add_months(moment, -self.months) - self.delta


@dataclass(frozen=True)
class MomentFormat:
    """How moments are written: `rfc3339`, `date`, `epoch_s`, `epoch_ms`, or a strftime pattern.

    `zone` is where a pattern without an offset is meant; the others need none.
    """

    name: str
    zone: tzinfo = UTC

    def write(self, moment: datetime) -> str | int:
        """The moment in this format."""
        if self.name == "rfc3339":
            return to_rfc3339(moment)
        if self.name == "epoch_s":
            return int((moment - EPOCH) // timedelta(seconds=1))
        if self.name == "epoch_ms":
            return int((moment - EPOCH) // timedelta(milliseconds=1))
        return moment.astimezone(self.zone).strftime("%Y-%m-%d" if self.name == "date" else self.name)

    def read(self, value: Any) -> datetime:
        """The moment that a value in this format stands for, in UTC; of two in a repeated hour the earlier.

        Raises:
            ValueError: it is in another format.
        """
        if self.name in {"epoch_s", "epoch_ms"}:
            number = Decimal(str(value)) if re.fullmatch(r"-?\d+(\.\d+)?", str(value)) else None
            if number is None:
                raise ValueError(f"{value!r} is not a number")
            micros = int(number * (1_000_000 if self.name == "epoch_s" else 1000))
            return EPOCH + timedelta(microseconds=micros)
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not text")  # noqa: TRY004 - as any other wrong value
        if self.name in {"rfc3339", "date"}:
            return from_rfc3339(value, self.zone)
        moment = datetime.strptime(value, self.name)  # noqa: DTZ007 - the zone follows
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)


def unambiguous(moment: datetime, zone: tzinfo) -> datetime:
    """The moment, or the last one before it whose local time happens once.

    In autumn 02:30 happens twice. A server that takes our bound for the other one would leave out an hour.
    """
    while _offset(moment, zone, 0) != _offset(moment, zone, 1):
        moment -= timedelta(minutes=15)
    return moment


def moment_format(name: str, zone: str | None = None) -> MomentFormat:
    """A checked format.

    Raises:
        ValueError: no such format or time zone.
    """
    if name not in {"rfc3339", "date", "epoch_s", "epoch_ms"} and "%" not in name:
        raise ValueError(
            f"{name!r} is not a format of time; write rfc3339, date, epoch_s, epoch_ms or a %strftime pattern"
        )
    return MomentFormat(name, time_zone(zone) if zone else UTC)


def time_zone(name: str) -> tzinfo:
    """A time zone by its IANA name.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
        raise ValueError(f"{name!r} is not a time zone; write one such as Europe/Berlin") from None


def to_rfc3339(moment: datetime) -> str:
    """UTC with a `Z`, fractions only where there are any."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def from_rfc3339(text: str, zone: tzinfo = UTC) -> datetime:
    """A date (also just a year and month) or timestamp as a moment in UTC.

    Digits behind microseconds are cut and a leap second becomes the second before it: never later than it was.

    Raises:
        ValueError: it is neither.
    """
    match = _RFC3339.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not an RFC 3339 timestamp")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    next_day = hour == 24 and minute == second == 0  # noqa: PLR2004 - 24:00 is the end of the day
    moment = datetime(
        year,
        month,
        day or 1,
        0 if next_day else hour,
        minute,
        min(second, 59),
        int((match[7] or "0")[:6].ljust(6, "0")),
        tzinfo=zone if match[8] is None else _fixed(match[8]),
    )
    return (moment + timedelta(days=1) if next_day else moment).astimezone(UTC)


def _fixed(offset: str) -> tzinfo:
    if offset in "Zz":
        return UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    minutes = int(digits[:2]) * 60 + int(digits[2:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _add_months(moment: datetime, months: int) -> datetime:
    if not months:
        return moment
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _offset(moment: datetime, zone: tzinfo, fold: int) -> timedelta | None:
    return moment.astimezone(zone).replace(fold=fold).utcoffset()
