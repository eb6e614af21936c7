"""Connections: how GraphQL pages, behind a key and by a cursor."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from fake_github.listing import by_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fake_github.shapes import Row

Object = dict[str, Any]

_LARGEST_PAGE = 100
_ORDER = {"UPDATED_AT": "updated_at", "CREATED_AT": "created_at", "STARRED_AT": "starred_at"}


def connection(
    rows: Iterable[Row],
    convert: Callable[[Row], Object],
    state: Callable[[Row], str] | None = None,
    edge: Callable[[Row], Object] | None = None,
) -> Callable[..., Object]:
    """A connection's resolver: its page begins behind a key, so it does not shift when rows come or go before it."""

    def resolve(
        _: Any,
        *,
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
        orderBy: Mapping[str, str] | None = None,  # noqa: N803  (GraphQL's name)
        states: list[str] | None = None,
        **__: Any,
    ) -> Object:
        size = first if first is not None else last
        if size is not None and not 1 <= size <= _LARGEST_PAGE:
            raise GraphQLError(f"Requesting {size} records on a connection exceeds the `first` limit of 100 records.",
                               extensions={"type": "EXCESSIVE_PAGINATION"})  # fmt: skip
        order = orderBy or {}
        name = _ORDER.get(order.get("field", ""), "created_at")
        descending = order.get("direction") == "DESC"
        chosen = [row for row in rows if not states or state is None or state(row) in states]
        key = by_time(name) if chosen and name in chosen[0] else (lambda row: ["", str(row.get("id"))])
        chosen.sort(key=key, reverse=descending)
        found = _between(chosen, key, descending, after, before)
        page = found if size is None else found[:size] if first is not None else found[-size:]
        extra = edge or (lambda _: {})
        return {
            "totalCount": len(chosen),
            "nodes": lambda info: _checked(size) and [convert(row) for row in page],  # noqa: ARG005
            "edges": lambda info: _checked(size) and [  # noqa: ARG005
                {"cursor": _sealed(key(row)), "node": convert(row), **extra(row)} for row in page],
            "pageInfo": {
                "hasNextPage": bool(page) and page[-1] is not found[-1],
                "hasPreviousPage": bool(page) and page[0] is not chosen[0],
                "startCursor": _sealed(key(page[0])) if page else None,
                "endCursor": _sealed(key(page[-1])) if page else None,
            },
        }  # fmt: skip

    return resolve


def _checked(size: int | None) -> bool:
    if size is None:
        raise GraphQLError("You must provide a `first` or `last` value to properly paginate the connection.",
                           extensions={"type": "MISSING_PAGINATION_BOUNDARIES"})  # fmt: skip
    return True


def _between(
    rows: list[Row], key: Callable[[Row], Any], descending: bool, after: str | None, before: str | None
) -> list[Row]:
    def behind(row: Row, cursor: str) -> bool:
        mark = _opened(cursor)
        return bool(key(row) < mark if descending else key(row) > mark)

    rows = [row for row in rows if after is None or behind(row, after)]
    return [row for row in rows if before is None or not (behind(row, before) or key(row) == _opened(before))]


def _sealed(key: Any) -> str:
    return base64.b64encode(json.dumps(key).encode()).decode()


def _opened(cursor: str) -> Any:
    try:
        return json.loads(base64.b64decode(cursor))
    except ValueError:
        raise GraphQLError(f"`{cursor}` does not appear to be a valid cursor.") from None
