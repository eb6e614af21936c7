"""How GitHub lists: sorting, `since`, ranges of dates, ETags, and links that bear a repository's number."""

from __future__ import annotations

import hashlib
import operator
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fake_github.world import read_stamp
from singer_kit.testing.api import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fake_github.shapes import Row

_RANGE = re.compile(r"(>=|<=|>|<)?(.+)")
_COMPARE: dict[str, Callable[[datetime, datetime], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def problem(status: int, message: str, **more: Any) -> Answer:
    """An error in GitHub's form."""
    documentation = "https://docs.github.com/rest"
    return Answer({"message": message, "documentation_url": documentation, "status": str(status), **more}, status)


def by_time(name: str) -> Callable[[Row], list[Any]]:
    """The key of a row in the order of one of its times; ids decide among equals."""
    return lambda row: [row[name] or "", row["id"]]


def since(rows: Iterable[Row], request: Request, name: str = "updated_at") -> list[Row]:
    """Rows changed at or after the query's `since`."""
    start = request.query.get("since")
    if not start:
        return list(rows)
    moment = read_stamp(start)
    return [row for row in rows if read_stamp(row[name]) >= moment]


def within(text: str) -> Callable[[str], bool]:
    """A range as the search syntax has it: `A..B`, `>=A`, `<A`, a day; `*` is open. Both ends belong to it."""
    if ".." in text:
        low, high = text.split("..", 1)
        return lambda stamp: _fits(stamp, ">=", low) and _fits(stamp, "<=", high)
    found = _RANGE.fullmatch(text)
    assert found is not None
    if found[1] is None:
        return lambda stamp: _fits(stamp, ">=", found[2]) and _fits(stamp, "<=", found[2])
    return lambda stamp: _fits(stamp, found[1], found[2])


def _fits(stamp: str, sign: str, bound: str) -> bool:
    if bound == "*":
        return True
    moment = read_stamp(bound)
    if sign in {"<=", ">"} and "T" not in bound:  # a day is all of it
        moment += timedelta(days=1) - timedelta(seconds=1)
    return _COMPARE[sign](read_stamp(stamp), moment)


def conditional(handler: Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    """Give answers an ETag, and answer 304 to who has the same already. Credential and media type belong to it."""

    def handle(request: Request) -> Answer:
        answer = handler(request)
        if answer.status != 200:
            return answer
        digest = hashlib.sha256(answer.content)
        digest.update(f"{answer.headers.get('Link')} {request.credential} {request.headers.get('Accept')}".encode())
        etag = f'W/"{digest.hexdigest()}"'
        if etag in request.headers.get("If-None-Match", ""):
            return Answer(status=304, headers={"ETag": etag})
        return answer.with_headers({"ETag": etag, "Cache-Control": "private, max-age=60, s-maxage=60"})

    return handle
