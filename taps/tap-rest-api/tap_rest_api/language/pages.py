"""The language of `pagination`: page after page."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import field

from tap_rest_api.conditions import Condition
from tap_rest_api.language.base import Node, doc
from tap_rest_api.paths import JsonPath


class Stop(Node, frozen=True):
    """What ends paging; exactly one key each, and any of a list suffices."""

    empty_page: Annotated[bool | None, doc("a page without rows; true unless switched off")] = None
    short_page: Annotated[bool | None, doc("fewer rows than `size`; servers that cap sizes make it wrong")] = None
    total: Annotated[JsonPath | None, doc("where the answer has the number of rows")] = None
    total_pages: Annotated[JsonPath | None, doc("where the answer has the number of pages")] = None
    max_pages: Annotated[int | None, doc("after so many pages, with a warning")] = None
    when: Annotated[Condition | None, doc("this is true of the answer")] = None
    older_than_bookmark: Annotated[
        bool | None, doc("every row of a page of a descending list is older than the bookmark")
    ] = None
    cursor_absent: Annotated[Literal[True] | None, doc("always so; may be written for the reader")] = None
    repeat_cursor: Annotated[
        Literal["error", "stop"] | None, doc("the same cursor twice: an error unless switched to `stop`")
    ] = None

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in self.__struct_fields__) != 1:
            raise ValueError("each entry of stop holds exactly one key")


class _Paging(Node, frozen=True):
    size: Annotated[int | None, doc("rows to ask for per page")] = None
    size_param: Annotated[str | None, doc("query parameter that takes the size")] = None
    stop: Annotated[list[Stop], doc("what ends paging, besides what the kind itself says")] = []


class NoPaging(_Paging, tag_field="kind", tag="none", frozen=True):
    """One request; the way to switch off inherited paging."""


class LinkHeader(_Paging, tag_field="kind", tag="link_header", frozen=True):
    """The `Link` header's URL, followed as it is (RFC 8288; GitHub, GitLab)."""

    rel: Annotated[str, doc("which link")] = "next"


class NextUrl(_Paging, tag_field="kind", tag="next_url", kw_only=True, frozen=True):
    """A URL in the body, absolute or relative (OData, HAL, JSON:API, FHIR)."""

    path: Annotated[JsonPath, doc("where the answer has it")]


class CursorFrom(Node, frozen=True):
    """Where the next cursor is; one of the three."""

    body: Annotated[JsonPath | None, doc("in the answer's body")] = None
    header: Annotated[str | None, doc("in a header of the answer")] = None
    record: Annotated[JsonPath | None, doc("in the last record (keyset paging)")] = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.body, self.header, self.record)) != 1:
            raise ValueError("write exactly one of body, header and record")


class Cursor(_Paging, tag_field="kind", tag="cursor", kw_only=True, frozen=True):
    """A token from the answer, sent with the next request."""

    source: Annotated[CursorFrom, doc("where the answer has it")] = field(name="from")
    param: Annotated[str | None, doc("query parameter that takes it")] = None
    place: Annotated[Literal["query", "body"], doc("where it goes")] = field(default="query", name="in")
    path_in_body: Annotated[JsonPath | None, doc("where in the JSON body")] = None

    def __post_init__(self) -> None:
        if (self.path_in_body if self.place == "body" else self.param) is None:
            raise ValueError("a cursor in the query needs param, one in the body path_in_body")


class _Counted(_Paging, frozen=True):
    param: Annotated[str | None, doc("query parameter that takes the number")] = None
    path_in_body: Annotated[JsonPath | None, doc("or where it goes in the JSON body")] = None
    parallel_pages: Annotated[int, doc("pages to ask for at once; needs `total` or `total_pages` in `stop`")] = 1

    def __post_init__(self) -> None:
        if self.parallel_pages > 1 and not any(stop.total or stop.total_pages for stop in self.stop):
            raise ValueError("parallel_pages needs total or total_pages in stop, to know where the end is")


class PageNumber(_Counted, tag_field="kind", tag="page", frozen=True):
    """Page 1, 2, 3, …"""

    start: Annotated[int, doc("number of the first page")] = 1


class Offset(_Counted, tag_field="kind", tag="offset", frozen=True):
    """So many rows on."""

    start: Annotated[int, doc("offset of the first page")] = 0
    step: Annotated[Literal["size", "returned"], doc("by what was asked for, or by what came")] = "returned"


class Relay(_Paging, tag_field="kind", tag="relay", kw_only=True, frozen=True):
    """GraphQL connections: `pageInfo { hasNextPage endCursor }`."""

    page_info: Annotated[JsonPath, doc("where the answer has it")]
    variable: Annotated[str, doc("variable that takes the cursor")] = "after"
    size_variable: Annotated[str | None, doc("variable that takes the size")] = None


Pagination: TypeAlias = NoPaging | LinkHeader | NextUrl | Cursor | PageNumber | Offset | Relay
