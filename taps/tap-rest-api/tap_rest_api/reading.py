"""How the answers of one stream are asked for, page after page, within one span of its cursor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from singer_kit.http import Client, RefusedError, UnreadableError, decoded
from singer_kit.rest.page import Page, Partition
from singer_kit.rest.reading import Ended, read_concurrently
from tap_rest_api.decoding import ends_whole, in_rows, rows
from tap_rest_api.extraction import Extraction, Record
from tap_rest_api.fields import digest
from tap_rest_api.jobs import Jobs
from tap_rest_api.language import Call as CallSpec
from tap_rest_api.language import Incremental, Offset, PageNumber, Stream
from tap_rest_api.paging import Pager
from tap_rest_api.requesting import Draft, Scope, call_draft, file_of, send, stream_draft
from tap_rest_api.rules import IgnoredAnswer, Rule, ShrinkPage, SplitWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import requests

    from tap_rest_api.incremental import Cursor, Point, Span
    from tap_rest_api.language import Bound

# Of a file, so many rows are handed on at once, or fewer where so many bytes hold them.
_CHUNK = 1000
_CHUNK_BYTES = 1 << 20
_NOT_MODIFIED = 304


@dataclass(frozen=True)
class Rows:
    """Some rows of a stream.

    Attributes:
        records: as the answer has them.
        etag: of an answer that was all there is.
        unchanged: the server says that nothing is new.
        job: the id of an export that is under way.
    """

    records: list[Record]
    etag: str | None = None
    unchanged: bool = False
    job: str | None = None


class _Seen:
    """What is known of a page once its rows have gone by.

    Args:
        old: rows before it are not new; None: all are.
        walked: rows that have been handed on before.
    """

    def __init__(self, old: Point, walked: set[str]) -> None:
        self._old, self._walked = old, walked
        self._olds = self.count = 0
        self.last: Record | None = None
        self.newest: Point = None
        self.held: list[Record] = []

    @property
    def all_old(self) -> bool:
        """Whether none of its rows is new."""
        return 0 < self.count == self._olds

    def add(self, records: list[Record], points: list[Point]) -> list[Record]:
        """Take note of rows; those that have not been handed on yet."""
        self.count += len(records)
        self.last = records[-1] if records else self.last
        self.newest = max([*points, *([] if self.newest is None else [self.newest])], default=None)
        if self._old is not None:
            self._olds += sum(point < self._old for point in points)
        walked = self._walked
        self.held = [record for record in records if digest(record) not in walked] if walked else records
        return self.held


class _Walk:
    """Goes through an ascending list that changes while it is read.

    A row that changes moves to the end, and all rows behind it a place up; by a number of rows, the next page would
    then leave one out. So the next request begins at the cursor of the last row. Only where all rows of a page have
    the same cursor it has to go on by position; and if that brings something newer, it looks again from where it was.
    """

    def __init__(self, cursor: Cursor | None) -> None:
        self._cursor = cursor
        self._stepped = self._looked_again = False
        self.told: set[str] = set()

    def onward(self, span: Span, pager: Pager, seen: _Seen) -> Span:
        """What to ask for after a page; the pager stands at the page behind it."""
        assert self._cursor is not None  # noqa: S101 - see Reader._walks
        if seen.newest is None or (span.start is not None and seen.newest <= span.start):
            self._stepped = True
            return span
        pager.restart()
        if self._stepped and not self._looked_again:
            self._looked_again = True
            return span
        self._stepped = self._looked_again = False
        self.told = {digest(record) for record in seen.held if self._cursor.point(record) == seen.newest}
        return replace(span, start=seen.newest)


class Reader:
    """Reads one stream.

    Args:
        spec: of the manifest, with all that it inherits.
        client: of the API.
        cursor: of an incremental stream that is read so.
    """

    def __init__(self, spec: Stream, client: Client, cursor: Cursor | None) -> None:
        assert spec.records is not None and spec.pagination is not None  # noqa: S101, PT018 - see resolved
        self.spec = spec
        self.cursor = cursor
        self._client = client
        self._records = spec.records
        self._pagination = spec.pagination
        self._extraction = Extraction(spec.records)
        self._rules = tuple(map(Rule, spec.errors))
        self._jobs = Jobs(spec.job, client, spec.name) if spec.job else None
        self._detail = Extraction(spec.detail.records) if spec.detail else None

    def draft(self, span: Span, scope: Scope, pager: Pager | None = None) -> Draft:
        """The request for a page of a span; the first one without a pager."""
        draft = stream_draft(self.spec, self._in_span(span, scope))
        if self.cursor is not None and (incremental := self.spec.incremental):
            self._bound(draft, incremental.start, self.cursor.asked(span))
            self._bound(draft, incremental.end, span.end)
        (pager or Pager(self._pagination, self._client, scope)).write(draft)
        return draft

    def read(
        self, span: Span, scope: Scope, *, old: Point = None, etag: str | None = None, job: str | None = None
    ) -> Iterator[Rows]:
        """The rows of a span.

        Args:
            span: of the cursor.
            scope: for templates.
            old: rows before it are not new.
            etag: of the last answer to the same request.
            job: the id of an export that a former run has started.

        Raises:
            SplitWindow: it holds too much.
            SkippedError: a rule says to leave the partition out.
            PluginError: it cannot be read.
        """
        if self._jobs is not None:
            yield from self._export(scope, job)
            return
        pager = Pager(self._pagination, self._client, self._in_span(span, scope))
        walk = _Walk(self.cursor)
        first = True
        while True:
            answer = self._ask(pager, span, scope, etag)
            etag = None
            if answer is None or answer.status_code == _NOT_MODIFIED:
                yield Rows([], unchanged=answer is not None)
                return
            body = None if in_rows(self._records) else self._body(answer)
            if first:
                self._refuse_too_much(body)
            seen = _Seen(old, walk.told)
            for records in self._pages(answer, body, self._in_span(span, scope)):
                yield Rows(seen.add(records, self._points(records)))
            if not pager.advance(answer, body, seen.count, seen.last, old=seen.all_old):
                yield Rows([], etag=answer.headers.get("etag") if first else None)
                return
            if first and isinstance(pager.spec, PageNumber | Offset) and pager.spec.parallel_pages > 1:
                others = pager.others(body, seen.count)
                if len(others) > 1:
                    yield from self._at_once(others[:-1], span, scope, pager.spec.parallel_pages)
                    pager = others[-1]
            elif self._walks(pager):
                span = walk.onward(span, pager, seen)
            first = False

    def details(self, record: Record, scope: Scope) -> Record:
        """A record with what a second request says of it."""
        spec = self.spec.detail
        if (
            spec is None
            or self._detail is None
            or (spec.where and not spec.where.holds(**_names(scope), record=record))
        ):
            return record
        inside = {**scope, "record": record}
        asked = CallSpec(path=spec.path, params=spec.params, headers=self.spec.headers)
        try:
            response = send(self._client, call_draft(asked, inside, self.spec.name).call(self.spec.name, self._rules))
        except IgnoredAnswer:
            return record
        found = self._detail.records(self._body(response), inside)
        if not found:
            return record
        if spec.merge == "replace":
            return found[0]
        return deep_merged(record, found[0]) if spec.merge == "deep" else {**record, **found[0]}

    # One request

    def _ask(
        self, pager: Pager, span: Span, scope: Scope, etag: str | None = None, *, shrinks: bool = True
    ) -> requests.Response | None:
        """The answer to a page's request, of smaller pages where a rule says so; None where it counts as empty."""
        while True:
            draft = self.draft(span, scope, pager)
            streamed = in_rows(self._records)
            call = draft.call(
                self.spec.name,
                self._rules,
                etag=etag,
                to_file=streamed,
                reads_json=not streamed,
                is_whole=lambda body: ends_whole(body, self._records),
            )
            try:
                return send(self._client, call)
            except IgnoredAnswer:
                return None
            except ShrinkPage as error:
                if not shrinks or not pager.shrink():
                    raise RefusedError(
                        f"Stream '{self.spec.name}': {error}, even for the smallest page. Next: set pagination.size, "
                        "or see whether the API works."
                    ) from None

    def _bound(self, draft: Draft, bound: Bound | None, point: Point) -> None:
        if bound is None or point is None:
            return
        assert self.cursor is not None  # noqa: S101
        value = self.cursor.write(point, bound)
        if bound.place == "header":
            draft.headers[bound.name] = str(value)
        else:
            draft.params[bound.name] = value

    def _in_span(self, span: Span, scope: Scope) -> Scope:
        if self.cursor is None:
            return scope
        window = {"start": self.cursor.local(self.cursor.asked(span)), "end": self.cursor.local(span.end)}
        return {**scope, "window": window, "bookmark": window["start"]}

    def _body(self, response: requests.Response) -> Any:
        try:
            return decoded(response) if response.content else None
        except UnreadableError as error:
            raise UnreadableError(f"Stream '{self.spec.name}': {error}") from None

    def _pages(self, response: requests.Response, body: Any, scope: Scope) -> Iterator[list[Record]]:
        names = _names(scope)
        if not in_rows(self._records):
            yield self._extraction.records(body, names)
            return
        yield from self._file(response, names)

    def _file(self, response: requests.Response, names: Mapping[str, Any]) -> Iterator[list[Record]]:
        with file_of(response) as file:
            chunk: list[Record] = []
            begun = 0
            for row in rows(file, self._records):
                chunk += self._extraction.records(row, names)
                if len(chunk) >= _CHUNK or file.tell() - begun >= _CHUNK_BYTES:
                    yield chunk
                    chunk, begun = [], file.tell()
            if chunk:
                yield chunk

    def _export(self, scope: Scope, job: str | None) -> Iterator[Rows]:
        assert self._jobs is not None  # noqa: S101
        streamed = in_rows(self._records)
        for step in self._jobs.run(scope, self._rules, job, to_file=streamed):
            if isinstance(step, str):
                yield Rows([], job=step)
                continue
            body = None if streamed else self._body(step)
            for records in self._pages(step, body, scope):
                yield Rows(records)

    # Several at once

    def _at_once(self, pagers: Iterable[Pager], span: Span, scope: Scope, workers: int) -> Iterator[Rows]:
        def page(partition: Partition) -> Iterator[Page]:
            # Half of a page would be all that is read of it: the other half is nobody's.
            answer = self._ask(partition.data, span, scope, shrinks=False)
            if answer is not None:
                for records in self._pages(answer, self._body(answer), self._in_span(span, scope)):
                    yield Page(records)

        parts = (Partition(data=pager) for pager in pagers)
        yield from map(Rows, at_once(parts, page, workers))

    # What is in a page

    def _points(self, records: list[Record]) -> list[Point]:
        if self.cursor is None:
            return []
        return [point for record in records if (point := self.cursor.point(record)) is not None]

    def _walks(self, pager: Pager) -> bool:
        incremental: Incremental | None = self.spec.incremental
        return (
            self.cursor is not None
            and incremental is not None
            and incremental.order == "asc"
            and incremental.start is not None
            and pager.positional
        )

    def _refuse_too_much(self, body: Any) -> None:
        window = self.spec.incremental.window if self.cursor and self.spec.incremental else None
        if window and (split := window.split_when):
            total = split.total.first(body)
            if total is not None and int(total) > split.over:
                raise SplitWindow(f"{total} rows are more than {split.over}")


def at_once(
    parts: Iterable[Partition], read: Callable[[Partition], Iterator[Page]], workers: int
) -> Iterator[list[Record]]:
    """The records of several parts as they come; the first error ends it."""
    for _, item in read_concurrently(parts, read, workers=workers):
        if not isinstance(item, Ended):
            yield item.records
        elif item.error is not None:
            raise item.error


def deep_merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> Record:
    """Two objects as one; where both have objects these are merged too, otherwise the other's value counts."""
    merged = dict(one)
    for name, value in other.items():
        mine = merged.get(name)
        merged[name] = deep_merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return merged


def _names(scope: Scope) -> dict[str, Any]:
    """What conditions may use."""
    return {name: scope.get(name) for name in ("parent", "partition", "config")}
