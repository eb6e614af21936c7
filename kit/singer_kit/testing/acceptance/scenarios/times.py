"""Dates and times: the same instant comes back, to the microsecond, or the record is refused."""

from __future__ import annotations

import datetime as dt

from singer_kit.testing.acceptance.messages import DATE, DATE_TIME, TIME, nullable
from singer_kit.testing.acceptance.scenarios.single import refusal, values
from singer_kit.testing.acceptance.values import Either

UTC = dt.timezone.utc
TWO_EAST = dt.timezone(dt.timedelta(hours=2))


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


SCENARIOS = (
    values(
        "date-times with zones",
        "Whatever its offset, the instant is the same.",
        DATE_TIME,
        ('"2024-02-29T23:59:59Z"', utc(2024, 2, 29, 23, 59, 59)),
        ('"2024-03-01T01:59:59+02:00"', utc(2024, 2, 29, 23, 59, 59)),
        ('"2024-02-29T18:14:59-05:45"', utc(2024, 2, 29, 23, 59, 59)),
        ('"2024-02-29T23:59:59+00:00"', utc(2024, 2, 29, 23, 59, 59)),
        ("null", None),
    ),
    values(
        "date-times without a zone",
        "Taken as UTC, not as the zone of the machine.",
        DATE_TIME,
        ('"2024-07-01T12:00:00"', utc(2024, 7, 1, 12)),
        ('"2024-07-01 12:00:00"', utc(2024, 7, 1, 12)),
    ),
    values(
        "microseconds",
        "All six digits are kept.",
        DATE_TIME,
        ('"2024-01-01T00:00:00.123456Z"', utc(2024, 1, 1, 0, 0, 0, 123456)),
        ('"2024-01-01T00:00:00.000001Z"', utc(2024, 1, 1, 0, 0, 0, 1)),
        ('"2024-01-01T00:00:00.1Z"', utc(2024, 1, 1, 0, 0, 0, 100000)),
    ),
    values(
        "nanoseconds",
        "More digits than a microsecond are rounded or cut there, or refused by place.",
        DATE_TIME,
        (
            '"2024-01-01T00:00:00.123456789Z"',
            Either(utc(2024, 1, 1, 0, 0, 0, 123457), utc(2024, 1, 1, 0, 0, 0, 123456)),
        ),
        or_refused=True,
    ),
    values(
        "years 1 and 9999",
        "The first and the last year that ISO 8601 writes with four digits are kept.",
        DATE_TIME,
        ('"0001-01-01T00:00:00Z"', utc(1, 1, 1)),
        ('"9999-12-31T23:59:59.999999Z"', utc(9999, 12, 31, 23, 59, 59, 999999)),
    ),
    values(
        "a leap second",
        "23:59:60 is the next second, or refused by place.",
        DATE_TIME,
        ('"2016-12-31T23:59:60Z"', utc(2017, 1, 1)),
        or_refused=True,
    ),
    values(
        "24:00",
        "Midnight at a day's end is the next day's beginning, or refused by place.",
        DATE_TIME,
        ('"2024-12-31T24:00:00Z"', utc(2025, 1, 1)),
        or_refused=True,
    ),
    values(
        "a date for a date-time",
        "A bare day is its midnight UTC, or refused by place.",
        DATE_TIME,
        ('"2024-01-02"', utc(2024, 1, 2)),
        or_refused=True,
    ),
    refusal(
        "a thirteenth month", "A day that does not exist is refused by place.", DATE_TIME, '"2024-13-01T00:00:00Z"'
    ),
    refusal(
        "a word for a date-time", "The database's own `tomorrow` is no value of a source.", DATE_TIME, '"tomorrow"'
    ),
    values(
        "dates",
        "Days are kept, the first and the last of four digits too.",
        DATE,
        ('"2024-02-29"', dt.date(2024, 2, 29)),
        ('"0001-01-01"', dt.date(1, 1, 1)),
        ('"9999-12-31"', dt.date(9999, 12, 31)),
        ("null", None),
    ),
    values(
        "a date-time for a date",
        "A time of day under format date is kept or refused by place, never cut off.",
        DATE,
        ('"2024-01-01T10:30:00Z"', Either(utc(2024, 1, 1, 10, 30), "2024-01-01T10:30:00Z")),
        or_refused=True,
    ),
    refusal("30 February", "A day that does not exist is refused by place.", DATE, '"2024-02-30"'),
    refusal("a word for a date", "The database's own `today` is no value of a source.", DATE, '"today"'),
    values(
        "times of day",
        "To the microsecond.",
        TIME,
        ('"23:59:59.999999"', dt.time(23, 59, 59, 999999)),
        ('"00:00:00"', dt.time()),
        ('"10:20:30Z"', dt.time(10, 20, 30)),
    ),
    values(
        "a time with an offset",
        "The offset is kept, or the record is refused by place; 10:00+02:00 is not 10:00.",
        TIME,
        ('"10:00:00+02:00"', Either(dt.time(10, tzinfo=TWO_EAST), "10:00:00+02:00")),
        or_refused=True,
    ),
    values("the time 24:00", "Kept as it is, or refused by place.", TIME, ('"24:00:00"', "24:00:00"), or_refused=True),
    values(
        "date-time or null by anyOf",
        "The way the SDK writes an optional date-time.",
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        ('"2024-01-01T00:00:00.5Z"', utc(2024, 1, 1, 0, 0, 0, 500000)),
        ("null", None),
    ),
    values(
        "date-time or text by anyOf",
        "Where any text may come, each is kept as it is.",
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string"}, {"type": "null"}]},
        ('"2024-01-01T00:00:00Z"', Either("2024-01-01T00:00:00Z", utc(2024, 1, 1))),
        ('"soon"', "soon"),
    ),
    values(
        "x-sql-datatype timestamp",
        "A tap that asks for a timestamp without zone gets the instant in UTC.",
        nullable("string", format="date-time", **{"x-sql-datatype": "timestamp"}),
        ('"2024-01-01T00:00:00+01:00"', utc(2023, 12, 31, 23)),
    ),
)
