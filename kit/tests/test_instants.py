"""Instants as APIs and databases write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from singer_kit.instants import format_instant, parse_instant

UTC = timezone.utc


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-05-01T10:00:00Z", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01t10:00:00z", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        ("2024-05-01 10:00:00.5+02:00", datetime(2024, 5, 1, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2024-05-01T10:00:00.12Z", datetime(2024, 5, 1, 10, 0, 0, 120_000, tzinfo=UTC)),
        ("2024-05-01T10:00:00.123456789Z", datetime(2024, 5, 1, 10, 0, 0, 123_456, tzinfo=UTC)),
        ("2024-05-01T10:00:00+0530", datetime(2024, 5, 1, 4, 30, tzinfo=UTC)),
        ("2024-05-01T10:00", datetime(2024, 5, 1, 10, tzinfo=UTC)),
        (" 2024-05-01 ", datetime(2024, 5, 1, tzinfo=UTC)),
    ],
)
def test_read(text, instant) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "20240", "2024-05-01T25:00:00Z"])
def test_what_is_none_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_instant(text)


def test_written() -> None:
    assert format_instant(datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))) == "2024-05-01T10:00:00Z"
    assert format_instant(datetime(2024, 5, 1, 0, 0, 0, 5, tzinfo=UTC)) == "2024-05-01T00:00:00.000005Z"
