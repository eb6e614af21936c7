"""The streams of a manifest, as the SDK has them: their partitions, what is new, and where bookmarks are then."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from singer_kit.errors import DataError, SourceError
from singer_kit.rest import Page, Partition, RestStream, State
from singer_kit.rest.reading import Ended, read_concurrently
from tap_rest_api.decoding import BrokenBodyError
from tap_rest_api.deletions import Deletions
from tap_rest_api.fields import FieldError
from tap_rest_api.incremental import Cursor, Point, Span
from tap_rest_api.partitions import ParentRow, parent_of, parent_row, products
from tap_rest_api.progress import Progress
from tap_rest_api.rules import IgnoredAnswer, ShrinkPage, SplitWindow
from tap_rest_api.schemas import inline_rows
from tap_rest_api.templates import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_rest_api.extraction import Record
    from tap_rest_api.language import InlineChild
    from tap_rest_api.language import Partition as PartitionSpec
    from tap_rest_api.language import Stream as StreamSpec
    from tap_rest_api.requesting import Scope
    from tap_rest_api.tap import TapRestApi

_PARENT_STATE = "parent_replication_key_value"


class InlineStream(RestStream):
    """Lists inside another stream's records."""

    path = ""

    def __init__(self, tap: TapRestApi, parent: ManifestStream, spec: InlineChild, schema: dict[str, Any]) -> None:
        super().__init__(tap, schema=schema, name=spec.name)
        self.spec = spec
        self.primary_keys = spec.primary_key
        self.learns_types = parent.learns_types
        self._shaping = tap.inline_shaping(parent.spec, schema["properties"])
        # On the object alone: the SDK would make every stream of a class the parent of every other's.
        self.parent_stream_type = type(parent)

    def rows(self, record: Record) -> list[Record]:
        """The rows in a record of the parent."""
        return [self._shaping.conformed(self._shaping.named(row)) for row in inline_rows(self.spec, record)]


class ManifestStream(RestStream):
    """One stream of the manifest.

    Args:
        tap: the tap.
        spec: of the manifest, with all that it inherits.
        schema: of its records.
    """

    path = ""
    _tap: TapRestApi

    def __init__(self, tap: TapRestApi, spec: StreamSpec, schema: dict[str, Any]) -> None:
        super().__init__(tap, schema=schema, name=spec.name)
        assert spec.schema is not None  # noqa: S101 - see resolved
        self.spec = spec
        self._shaping = tap.shaping(spec, schema["properties"])
        self.primary_keys = spec.primary_key or []
        self.replication_key = self._shaping.name(spec.incremental.cursor) if spec.incremental else None
        self.learns_types = spec.schema.mode == "infer"
        self._for_children: dict[str, list[ParentRow]] = {}
        self._newest_for_children: Point = None
        self._is_collected = False

    @cached_property
    def _cursor(self) -> Cursor | None:
        return self._tap.cursor(self.spec) if self.replication_method == REPLICATION_INCREMENTAL else None

    @cached_property
    def _deletions(self) -> Deletions:
        return Deletions(
            self.spec, self._tap.memory, self.config.get("max_delete_fraction", 0.3), self._tap.client.now()
        )

    def option(self, name: str) -> Any:
        mode = self.spec.deletion.mode if self.spec.deletion else "none"
        if name == "deletion_detection" and mode != "none":
            return "snapshot" if mode == "snapshot" else "none"
        return super().option(name)

    # Parents and children

    @property
    def _parent(self) -> tuple[ManifestStream, PartitionSpec] | None:
        spec = parent_of(self.spec)
        if spec is None or spec.parent is None:
            return None
        parent = self._tap.streams[spec.parent]
        assert isinstance(parent, ManifestStream)  # noqa: S101
        return parent, spec

    @cached_property
    def _children(self) -> list[tuple[ManifestStream, PartitionSpec]]:
        """The streams that this run reads once for each record of this one."""
        streams = [each for each in self._tap.streams.values() if isinstance(each, ManifestStream)]
        return [(each, up[1]) for each in streams if (up := each._parent) and up[0] is self and each.is_read]  # noqa: SLF001

    @cached_property
    def is_read(self) -> bool:
        """Whether this run has to read it: it is selected, or a stream below it is."""
        return bool(self.selected or self.has_selected_descendents or self._children)

    def _rows_for(self, child: ManifestStream) -> list[ParentRow]:
        """The records that a child is read for. A stream that is not selected is read for its children's sake now."""
        if not self._is_collected:
            self._whole = True
            tap = self._tap
            events = read_concurrently(
                self.partitions_to_read(), self.read, workers=tap.workers, stop=tap.client.stop, alive=tap.stop_if_asked
            )
            for partition, item in events:
                if isinstance(item, Ended):
                    self._end_partition(partition, item.error)
            self._is_collected = True
        return self._for_children.get(child.name, [])

    def partitions_to_read(self) -> Iterator[Partition]:
        up = self._parent
        rows: list[ParentRow | None] = [None]
        if up is not None:
            rows = list(up[0]._rows_for(self))  # noqa: SLF001 - its own class
            self._whole = self._whole and up[0]._whole  # noqa: SLF001
        scope = {**self._tap.scope, "now": self._tap.client.now()}
        found = {
            json_text(partition.context): partition for row in rows for partition in products(self.spec, row, scope)
        }
        if self._whole and self.spec.partitions and not (up and up[1].changed_only):
            self.bookmarks.forget_others([partition.context for partition in found.values()])
        yield from found.values()

    def _sync_records(self, context: Any = None, *, write_messages: bool = True) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        yield from super()._sync_records(context, write_messages=write_messages)
        self._is_collected = True
        if not write_messages or self.ABORT_AT_RECORD_COUNT is not None:
            return
        self._deletions.remember()
        up = self._parent
        if up is not None and up[1].changed_only and self._whole and up[0]._cursor is not None:  # noqa: SLF001
            parent = up[0]
            horizon = self._tap.horizon
            reached = parent._cursor.bookmark(parent._newest_for_children, horizon)  # type: ignore[union-attr]  # noqa: SLF001
            if reached is not None:
                kept = self.bookmarks.read({})
                self.bookmarks.write({}, {**kept, _PARENT_STATE: reached["replication_key_value"]})
                self.state_manager.is_flushed = False
                self._write_state_message()

    # Reading

    def read(self, partition: Partition) -> Iterator[Page]:
        where = f"Stream '{self.name}'{f', {partition}' if partition.context else ''}"
        try:
            yield from _Reading(self, partition).pages()
        except SplitWindow as error:
            raise SourceError(
                f"{where}: {error}, and the window cannot be split further. Next: lower incremental.window.min_step, "
                "or read by another path."
            ) from None
        except (ShrinkPage, IgnoredAnswer) as error:
            raise SourceError(
                f"{where}: {error}. Next: a request that is no page of the list cannot be ignored or made smaller; "
                "correct the rule in errors."
            ) from None
        except BrokenBodyError as error:
            raise BrokenBodyError(f"{where}: {error}") from None
        except FieldError as error:
            raise DataError(f"{where}: {error}. Next: correct fields or schema in the manifest.") from None
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        except ValueError as error:  # of a template or a condition
            raise DataError(f"{where}: {error}. Next: correct it in the manifest.") from None


class _Reading:
    """One partition of a stream, in one run."""

    def __init__(self, stream: ManifestStream, partition: Partition) -> None:
        self._stream, self._partition = stream, partition
        self._tap = stream._tap  # noqa: SLF001 - a part of it
        self._scope: Scope = partition.data or self._tap.scope
        self._cursor = stream._cursor  # noqa: SLF001
        self._state: State = stream.bookmark_of(partition)
        self._reader = self._tap.reader(stream.spec, self._cursor)
        self._index = 0
        self._present: set[str] = set()
        self._progress: Progress | None = None
        self._whole_answer: Mapping[str, Any] = {}
        self._needed_from: dict[str, Point] = {}

    def pages(self) -> Iterator[Page]:
        """Its pages, each with the bookmark behind it where that moves."""
        cursor, stream = self._cursor, self._stream
        if cursor is None:
            yield from self._span(Span())
            yield from self._ended({})
            return
        emits_from = cursor.begin(self._state, self._scope)
        begin = self._begin(emits_from)
        incremental = cursor.spec
        leaves_out = incremental.client_filter or begin != emits_from
        self._progress = Progress(
            cursor,
            lambda: self._tap.horizon.replace(microsecond=0),
            self._state,
            emits_from if leaves_out else None,
            stream.name,
        )
        spans = cursor.spans(begin, self._tap.started)
        if incremental.parallel_windows > 1:
            yield from self._at_once(spans, incremental.parallel_windows)
        else:
            for span in spans:
                yield from self._split(span)
                if incremental.window:
                    self._progress.reach(span.end)
                    yield Page([], self._progress.bookmark)
        yield from self._ended(self._progress.finished() or {})

    def _begin(self, emits_from: Point) -> Point:
        """Where reading has to begin so that children get the parents that they need."""
        assert self._cursor is not None  # noqa: S101
        begin = emits_from if self._stream.selected or self._stream.has_selected_descendents else _LATEST
        for child, spec in self._stream._children:  # noqa: SLF001
            known = child.bookmarks.read({}).get(_PARENT_STATE) if spec.changed_only else None
            needed = self._cursor.begin({} if known is None else {"replication_key_value": known}, self._scope)
            self._needed_from[child.name] = needed if spec.changed_only else None
            begin = needed if begin is _LATEST else None if needed is None or begin is None else min(begin, needed)
        return begin

    def _ended(self, state: Mapping[str, Any]) -> Iterator[Page]:
        gone = self._stream._deletions.vanished(self._partition.context, self._present)  # noqa: SLF001
        if gone:
            yield Page(gone)
        state = {**state, **self._whole_answer}
        if state or self._state:
            yield Page([], state or None if self._cursor is not None else state)

    def _split(self, span: Span) -> Iterator[Page]:
        """A window, in halves of halves where it holds too much."""
        assert self._cursor is not None  # noqa: S101
        spans = deque([span])
        while spans:
            one = spans.popleft()
            try:
                yield from self._span(one)
            except SplitWindow:
                halves = self._cursor.split(one)
                if halves is None:
                    raise
                spans.extendleft(reversed(halves))

    def _at_once(self, spans: Iterator[Span], workers: int) -> Iterator[Page]:
        """Windows several at a time; the bookmark follows those of which none before is missing."""
        assert self._progress is not None  # noqa: S101
        failed: list[Exception] = []

        def parts() -> Iterator[Partition]:
            for number, span in enumerate(spans):
                if failed:
                    return
                yield Partition({"window": number}, span)

        done: dict[int, Span] = {}
        reached = 0
        for part, item in read_concurrently(parts(), lambda each: self._split(each.data), workers=workers):
            if not isinstance(item, Ended):
                yield item
                continue
            if item.error is not None:
                failed.append(item.error)  # what is under way may still move the bookmark
                continue
            assert part is not None  # noqa: S101
            done[part.context["window"]] = part.data
            while reached in done:
                self._progress.reach(done.pop(reached).end)
                reached += 1
                yield Page([], self._progress.bookmark)
        if failed:
            raise failed[0]

    def _span(self, span: Span) -> Iterator[Page]:
        """One sequence of requests."""
        for rows in self._reader.read(
            span, self._scope, old=span.start, etag=self._etag(span), job=self._state.get("job")
        ):
            if rows.job is not None:
                self._state = {**self._state, "job": rows.job}
                yield Page([], self._state)
                continue
            if rows.unchanged:
                self._whole_answer = {name: self._state[name] for name in ("etag", "etag_of")}
            elif rows.etag is not None and self._may_be_unchanged():
                self._whole_answer = {"etag": rows.etag, "etag_of": self._mark(span)}
            yield from self._page(rows.records, span)

    def _page(self, raw: list[Record], span: Span) -> Iterator[Page]:
        stream, spec = self._stream, self._stream.spec
        name = spec.records.index_as if spec.records else None
        if name is not None:
            raw = [{**record, name: number} for number, record in enumerate(raw, start=self._index)]
        self._index += len(raw)
        self._hand_down(raw)
        kept = self._progress.keep(raw, span) if self._progress else raw
        if spec.filter is not None:
            names = {each: self._scope.get(each) for each in ("parent", "partition", "config")}
            kept = [record for record in kept if spec.filter.holds(**names, record=record)]
        if not (stream.selected or stream.has_selected_descendents):
            return
        if spec.detail is not None and kept:
            kept = self._detailed(kept)
        deletions, shaping = stream._deletions, stream._shaping  # noqa: SLF001
        records = [deletions.mark(record, shaping.apply(record, self._scope)) for record in kept]
        self._present |= deletions.ids(records)
        for child in stream.child_streams:
            if isinstance(child, InlineStream) and child.selected:
                yield Page([row for record in kept for row in child.rows(record)], stream=child)
        yield Page(records, self._progress.between if self._progress else None)

    def _detailed(self, records: list[Record]) -> list[Record]:
        with ThreadPoolExecutor(min(self._tap.workers, len(records))) as pool:
            return list(pool.map(lambda record: self._reader.details(record, self._scope), records))

    def _hand_down(self, records: list[Record]) -> None:
        """Keep what children need of these records."""
        stream, cursor = self._stream, self._cursor
        if not stream._children:  # noqa: SLF001
            return
        points = [cursor.point(record) if cursor else None for record in records]
        for child, spec in stream._children:  # noqa: SLF001
            needed = self._needed_from.get(child.name)
            fresh = [
                record
                for record, point in zip(records, points, strict=True)
                if needed is None or point is None or point >= needed
            ]
            found = (parent_row(spec, record, self._scope) for record in fresh)
            stream._for_children.setdefault(child.name, []).extend(row for row in found if row is not None)  # noqa: SLF001
        known = [point for point in (*points, stream._newest_for_children) if point is not None]  # noqa: SLF001
        stream._newest_for_children = max(known, default=None)  # noqa: SLF001

    # Answers that may be "not modified"

    def _may_be_unchanged(self) -> bool:
        """Whether an answer can be left out: nobody needs its rows but the target, which has them."""
        spec = self._stream.spec
        windowed = spec.incremental is not None and spec.incremental.window is not None
        return bool(spec.conditional and spec.conditional.etag and not windowed and not self._stream._children)  # noqa: SLF001

    def _etag(self, span: Span) -> str | None:
        if not self._may_be_unchanged() or self._state.get("etag_of") != self._mark(span):
            return None
        return self._state.get("etag")

    def _mark(self, span: Span) -> str:
        """Names the request; a digest, because it may hold secrets and the state is no place for them."""
        draft = self._reader.draft(span, self._scope)
        text = json_text([draft.url, draft.method, draft.params, draft.json, draft.form])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


_LATEST: Any = object()
