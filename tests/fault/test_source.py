"""The comparison finds what it is there to find."""

from __future__ import annotations

import pytest

from .source import STREAMS, Log, Stream

SEED, SIZE, BOOKMARK = 5, 400, 250
CUSTOMERS, _, EVENTS = STREAMS


def upserted(stream: Stream, size: int) -> list[tuple]:
    log = Log(stream, SEED, size)
    return list({log.key(row): row for row in log.rows}.values())


def differences(stream: Stream, rows: list[tuple], *, exact: bool = True, repeated: bool = False) -> str:
    return "\n".join(Log(stream, SEED, SIZE).differences(rows, BOOKMARK, exact=exact, repeated=repeated))


@pytest.mark.parametrize("stream", STREAMS)
def test_what_the_bookmark_says_is_right(stream: Stream) -> None:
    rows = upserted(stream, BOOKMARK) if stream.keys else Log(stream, SEED, BOOKMARK).rows
    assert differences(stream, rows) == ""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows[1:], "1 of 250 rows are missing"),
        (lambda rows: [*rows, rows[7]], "1 rows more than once"),
        (lambda rows: [*rows, *Log(EVENTS, SEED, SIZE).rows[BOOKMARK : BOOKMARK + 2]], "2 rows beyond 250"),
        (lambda rows: [*rows[1:], (*rows[0][:-1], "else")], "1 rows that were never sent"),
    ],
)
def test_rows_without_keys(change: object, found: str) -> None:
    assert found in differences(EVENTS, change(Log(EVENTS, SEED, BOOKMARK).rows))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows[1:], "1 keys are missing"),
        (lambda rows: [*rows, rows[3]], "1 keys more than once"),
        (
            lambda rows: [*{row[0]: row for row in [*rows, *upserted(CUSTOMERS, 200)]}.values()],
            "older than the bookmark",
        ),
        (lambda rows: [*{row[0]: row for row in [*rows, *upserted(CUSTOMERS, 300)]}.values()], "rows beyond 250"),
        (lambda rows: [*rows[1:], (*rows[0][:-1], "else")], "1 rows that were never sent"),
    ],
)
def test_rows_with_keys(change: object, found: str) -> None:
    assert found in differences(CUSTOMERS, change(upserted(CUSTOMERS, BOOKMARK)))


def test_what_is_allowed_is_not_found() -> None:
    assert differences(CUSTOMERS, upserted(CUSTOMERS, 300), exact=False) == ""
    rows = Log(EVENTS, SEED, 300).rows
    assert differences(EVENTS, [*rows, rows[0]], exact=False, repeated=True) == ""
