"""Rows in pages: how a request says where it is, and how an answer says how to go on."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from singer_kit.testing.api.exchange import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Row = Mapping[str, Any]
    Key = Callable[[Row], Any]


def by_id(row: Row) -> Any:
    """The usual key of a row."""
    return row["id"]


@dataclass(frozen=True)
class Paging:
    """One way to page. The functions of this module make those that are usual.

    Args:
        by: what a position is: a page's number, an offset, an opaque cursor, or the key of the last row.
        position: query parameter that carries it.
        tells: how an answer tells the next position: as a `Link` header, in its body, as a URL in its body, or not.
        next: place in the body for it, such as `links.pages.next`; null or absent at the end.
        items: place of the rows in the body; empty: the body is the list.
        total: place of the number of all rows; empty: it is not told.
        limit: query parameter with the wanted size of a page.
        size: of a page if the request does not say.
        maximum: of a page, whatever the request says: a larger wish is cut without a word.
        first: number of the first page.
        key: of a row, for positions by cursor or key: rows are in its order, and a page begins behind it.
        descending: whether that order is from high to low.
        last: whether `Link` also tells the last page.
        omits: whether a body that has no next page lacks the place instead of holding null.

    """

    by: Literal["page", "offset", "cursor", "key"] = "page"
    position: str = "page"
    tells: Literal["link", "body", "url", "nothing"] = "nothing"
    next: str = ""
    items: str = ""
    total: str = ""
    limit: str = "per_page"
    size: int = 30
    maximum: int = 100
    first: int = 1
    key: Key = by_id
    descending: bool = False
    last: bool = True
    omits: bool = False

    def answer(
        self, request: Request, rows: Sequence[Row], *, path: str | None = None, around: Mapping[str, Any] | None = None
    ) -> Answer:
        """The page that a request asks for.

        Args:
            request: with the position and the size in its query.
            rows: all that its filters let through, in their order.
            path: of the links, if the API gives another than the one asked for.
            around: what else the body holds.

        """
        size = min(self.maximum, max(1, _number(request.query.get(self.limit), self.size)))
        start = self._start(request, rows)
        page = rows[start : start + size]
        following = self._following(start, size, page) if start + size < len(rows) else None
        body: Any = list(page)
        if self.items:
            body = {**(around or {})}
            _put(body, self.items, list(page))
            if self.total:
                _put(body, self.total, len(rows))
        if self.tells == "link":
            links = self._links(request, start, size, len(rows), following, path)
            return Answer(body, headers={"Link": ", ".join(links)} if links else {})
        if self.tells != "nothing" and not (following is None and self.omits):
            if following is not None and self.tells == "url":
                following = self._url(request, following, path)
            _put(body, self.next, following)
        return Answer(body)

    def _start(self, request: Request, rows: Sequence[Row]) -> int:
        text = request.query.get(self.position)
        if text is None or not text:
            return 0
        if self.by == "page":
            size = min(self.maximum, max(1, _number(request.query.get(self.limit), self.size)))
            return (max(self.first, _number(text, self.first)) - self.first) * size
        if self.by == "offset":
            return max(0, _number(text, 0))
        behind = _opened(text) if self.by == "cursor" else text
        for number, row in enumerate(rows):
            key = json.loads(json.dumps(self.key(row)))
            if self.by == "key":
                behind = type(key)(behind)
            if key < behind if self.descending else key > behind:
                return number
        return len(rows)

    def _following(self, start: int, size: int, page: Sequence[Row]) -> str | int:
        if self.by == "page":
            return start // size + 1 + self.first
        if self.by == "offset":
            return start + size
        key = self.key(page[-1])
        return _sealed(key) if self.by == "cursor" else str(key)

    def _links(
        self, request: Request, start: int, size: int, count: int, following: str | int | None, path: str | None
    ) -> list[str]:
        links = []
        if self.by == "page":
            number, end = start // size + self.first, max(0, count - 1) // size + self.first
            if number > self.first:
                links.append(f'<{self._url(request, number - 1, path)}>; rel="prev"')
            if following is not None:
                links.append(f'<{self._url(request, following, path)}>; rel="next"')
                if self.last:
                    links.append(f'<{self._url(request, end, path)}>; rel="last"')
            if number > self.first:
                links.append(f'<{self._url(request, self.first, path)}>; rel="first"')
        elif following is not None:
            links.append(f'<{self._url(request, following, path)}>; rel="next"')
        return links

    def _url(self, request: Request, position: str | int, path: str | None) -> str:
        pairs = [pair for pair in request.pairs if pair[0] != self.position] + [(self.position, str(position))]
        return f"{request.root}{quote(path or request.path)}?{urlencode(pairs)}"


def link_pages(**changes: Any) -> Paging:
    """`Link` headers with `page=2`, the body a list: GitHub's usual."""
    return Paging(**{"tells": "link", **changes})


def link_cursor(**changes: Any) -> Paging:
    """`Link` headers with an opaque `after`."""
    return Paging(**{"by": "cursor", "position": "after", "tells": "link", **changes})


def page_numbers(items: str, total: str = "", **changes: Any) -> Paging:
    """`page` and `per_page`; the end is a short or empty page, or where the total is reached."""
    return Paging(**{"items": items, "total": total, **changes})


def offsets(items: str = "", total: str = "", **changes: Any) -> Paging:
    """`offset` and `limit`."""
    return Paging(**{"by": "offset", "position": "offset", "limit": "limit", "items": items, "total": total, **changes})


def body_cursor(items: str, next: str, position: str = "cursor", **changes: Any) -> Paging:  # noqa: A002
    """An opaque cursor in the body, sent back as a parameter."""
    return Paging(
        **{
            "by": "cursor",
            "position": position,
            "tells": "body",
            "items": items,
            "next": next,
            "limit": "limit",
            **changes,
        }
    )


def body_url(items: str, next: str, **changes: Any) -> Paging:  # noqa: A002
    """The next page's URL in the body: DigitalOcean's `links.pages.next`."""
    return Paging(**{"tells": "url", "items": items, "next": next, **changes})


def keyset(position: str, **changes: Any) -> Paging:
    """Behind a key that the client knows from the last row: Stripe's `starting_after`."""
    return Paging(**{"by": "key", "position": position, "limit": "limit", **changes})


@dataclass(frozen=True)
class Collection:
    """A handler that pages through rows.

    Args:
        rows: all of them, in any order, as they are when the request comes.
        paging: how.
        keep: whether a request's filters let a row through.
        order: the rows' order for a request; None: as they are.

    """

    rows: Callable[[Request], Sequence[Row]]
    paging: Paging
    keep: Callable[[Row, Request], bool] = lambda *_: True
    order: Callable[[Sequence[Row], Request], Sequence[Row]] | None = None

    def __call__(self, request: Request) -> Answer:
        kept = [row for row in self.rows(request) if self.keep(row, request)]
        return self.paging.answer(request, self.order(kept, request) if self.order else kept)


def _number(text: str | None, default: int) -> int:
    try:
        return int(text) if text else default
    except ValueError:
        return default


def _sealed(key: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _opened(cursor: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))


def _put(body: dict[str, Any], place: str, value: Any) -> None:
    *above, name = place.split(".")
    for each in above:
        body = body.setdefault(each, {})
    body[name] = value
