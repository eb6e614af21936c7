"""Whether a failed run is worth another try, by what the plugin said."""

from __future__ import annotations

import pytest

from ipai.failures import failure
from ipai.pipeline import Exit
from ipai.references import Resolver


@pytest.mark.parametrize(
    ("code", "line", "kind", "retry_after"),
    [
        (1, "ERROR 429 Too Many Requests, Retry-After: 120", "quota", 120),
        (1, "CRITICAL quotaExceeded (403): retry in 45.5 seconds", "quota", 45),
        (1, "CRITICAL API rate limit exceeded", "quota", None),
        (1, "ERROR 401 Client Error: Unauthorized for url", "config", None),
        (1, "CRITICAL invalid_grant: Token has been expired or revoked.", "config", None),
        (1, 'FATAL: password authentication failed for user "x"', "config", None),
        (1, "CRITICAL permission denied for table orders", "config", None),
        (2, "CRITICAL Setting host is missing.", "config", None),
        (5, "CRITICAL stream orders, line 7: id is missing", "data", None),
        (3, "CRITICAL Cannot connect to Postgres: Connection refused.", "transient", None),
        (1, "ConnectionResetError: [Errno 104] Connection reset by peer", "transient", None),
        (1, "CRITICAL order 4291 has no customer", "transient", None),
        (-9, "", "transient", None),
    ],
)
def test_kinds(code: int, line: str, kind: str, retry_after: float | None) -> None:
    error = failure(Exit("tap", code, (line,)), Resolver({}))
    assert (error.kind, error.retry_after) == (kind, retry_after)


@pytest.mark.parametrize(
    ("code", "line", "named"),
    [
        (1, 'CRITICAL could not extend file "base/1": No space left on device', "A disk is full"),
        (-9, "", "want of memory"),
    ],
)
def test_what_the_machine_lacks_is_named(code: int, line: str, named: str) -> None:
    error = failure(Exit("target", code, (line,)), Resolver({}))
    assert error.hint is not None
    assert named in error.hint
    assert error.details["hint"] == error.hint
