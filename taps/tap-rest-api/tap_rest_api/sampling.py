"""A few records of a stream, for finding out its types: read like any others, from as few parents as will do."""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

from singer_kit.errors import SourceError
from singer_kit.rest import SkippedError
from tap_rest_api.extraction import Record
from tap_rest_api.incremental import Cursor, Span
from tap_rest_api.partitions import parent_of, parent_row, products
from tap_rest_api.requesting import Scope
from tap_rest_api.rules import SplitWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_rest_api.language import Stream
    from tap_rest_api.reading import Reader

_logger = logging.getLogger("tap_rest_api")
_PARTITIONS = 20
_WINDOWS = 3
_SPLITS = 8

Sample = tuple[Record, Scope]


class Sampler:
    """Reads samples.

    Args:
        streams: of the manifest, resolved, by their names.
        reader: makes the reader of a stream.
        cursor: makes the cursor of a stream.
        scope: for templates.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        reader: Callable[[Stream, Cursor | None], Reader],
        cursor: Callable[[Stream], Cursor | None],
        scope: Scope,
    ) -> None:
        self._streams, self._reader, self._cursor, self._scope = streams, reader, cursor, scope
        self._parents: dict[str, list[Sample]] = {}

    def records(self, stream: Stream, count: int) -> Iterator[Sample]:
        """So many records as their answers have them, each with the scope for templates.

        Raises:
            PluginError: the stream cannot be read.
        """
        return islice(self._all(stream), count)

    def _all(self, stream: Stream) -> Iterator[Sample]:
        cursor = self._cursor(stream)
        reader = self._reader(stream, cursor)
        for scope in self._scopes(stream):
            try:
                for span in self._spans(cursor, scope):
                    for record in self._span(reader, cursor, span, scope):
                        yield reader.details(record, scope), scope
            except SkippedError:
                continue
            except SourceError as error:
                # Reading will meet it again, and say so; the other parts and streams are none the worse.
                _logger.warning("No sample for the types of stream '%s': %s", stream.name, error)

    def _scopes(self, stream: Stream) -> Iterator[Scope]:
        spec = parent_of(stream)
        rows: list[Any] = [None]
        if spec is not None and spec.parent is not None:
            parent = self._streams[spec.parent]
            if parent.name not in self._parents:
                self._parents[parent.name] = list(self.records(parent, _PARTITIONS))
            found = (parent_row(spec, record, scope) for record, scope in self._parents[parent.name])
            rows = [row for row in found if row is not None]
        partitions = (partition for row in rows for partition in products(stream, row, self._scope))
        for partition in islice(partitions, _PARTITIONS):
            yield partition.data

    def _spans(self, cursor: Cursor | None, scope: Scope) -> list[Span]:
        """What to look at: of windows the latest, which are the likeliest to hold something, then the first."""
        if cursor is None:
            return [Span()]
        spans = list(cursor.spans(cursor.begin({}, scope), lambda: scope["sync_started_at"]))
        return list(dict.fromkeys([*spans[: -_WINDOWS - 1 : -1], *spans[:_WINDOWS]]))

    def _span(self, reader: Reader, cursor: Cursor | None, span: Span, scope: Scope) -> Iterator[Record]:
        for _ in range(_SPLITS):
            try:
                for rows in reader.read(span, scope):
                    yield from rows.records
            except SplitWindow:
                halves = cursor.split(span) if cursor else None
                if halves is None:
                    raise
                span = halves[1]
            else:
                return
