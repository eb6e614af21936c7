"""How long to wait, as servers say it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from singer_kit.http.waits import seconds_to_wait

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("text", "unit", "seconds"),
    [
        ("30", "auto", 30),
        ("0.5", "auto", 0.5),
        ("-3", "auto", 0),
        (str(EPOCH + 90), "auto", 90),
        (str(EPOCH - 90), "auto", 0),
        (str((EPOCH + 90) * 1000 + 500), "auto", 90.5),
        ("120", "delta", 120),
        ("2000000000", "delta", 2_000_000_000),
        (str(EPOCH + 5), "epoch_s", 5),
        ("5", "epoch_s", 0),
        (str((EPOCH + 5) * 1000), "epoch_ms", 5),
        ("Thu, 01 Jan 2026 00:01:00 GMT", "auto", 60),
        ("Thu, 01 Jan 2026 01:01:00 +0100", "auto", 60),
        ("2026-01-01T00:00:10Z", "auto", 10),
        ("2026-01-01T00:00:10", "auto", 10),
        ("", "auto", None),
        (None, "auto", None),
        ("soon", "auto", None),
        ("nan", "auto", None),
        ("inf", "auto", None),
    ],
)
def test_seconds_to_wait(text, unit, seconds) -> None:
    assert seconds_to_wait(text, NOW, unit) == (None if seconds is None else pytest.approx(seconds))
