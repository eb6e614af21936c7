"""One stream's records and its version, to stdout."""

# ruff: noqa: SLF001 - what the SDK has for subclasses is used from beside the class
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from singer_kit.emitting import takes_pages, write_page
from singer_kit.rest.unknown import learn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk import metrics

    from singer_kit.rest.stream import RestStream

_encode = msgspec.json.Encoder(decimal_format="number").encode


class StreamWriter:
    """Writes pages of one stream in one run.

    Args:
        stream: whose.
        announces: whether the SCHEMA has still to be written; the SDK does so for the stream that it starts itself.
        writes: whether messages are written at all.
    """

    def __init__(self, stream: RestStream, *, announces: bool, writes: bool) -> None:
        self._stream = stream
        self._writes = writes
        self._passes_unknown = bool(stream.config.get("pass_unknown_fields", True))
        declared = frozenset(stream.effective_schema["properties"])
        self._known = declared | frozenset(stream.schema["properties"])
        left_out = [breadcrumb for breadcrumb, selected in stream.mask.items() if not selected]
        self._columns = declared - {breadcrumb[1] for breadcrumb in left_out if breadcrumb}
        # ("properties", name, "properties", …): a part of a column is deselected, which the SDK does record by record.
        self._by_page = writes and takes_pages(stream) and all(len(each) <= 2 for each in left_out)  # noqa: PLR2004
        self._left_out = self._known - self._columns
        self._count = 0
        snapshot = stream.replication_method == REPLICATION_FULL_TABLE
        if snapshot and stream.option("deletion_detection") == "snapshot":
            stream._stream_version = int(time.time() * 1000)
        else:
            stream._stream_version = None
        if announces and writes:
            stream._write_schema_message()

    def write(self, records: list[dict[str, Any]], counter: metrics.Counter) -> Iterator[dict[str, Any]]:
        """Write a page; yields records only where somebody looks at each."""
        if not records:
            return
        stream = self._stream
        if self._by_page:
            self._declare_unknown(records)
            rows = map(_encode, map(self._selected, records))
            write_page(stream, rows, extracted_at=stream.rest_tap.client.now(), version=stream._stream_version)
            counter.increment(len(records))
            return
        for record in records:
            stream._check_max_record_limit(self._count)
            self._count += 1
            if self._writes:
                stream._write_record_message(record)
            counter.increment()
            yield record

    def finish(self) -> None:
        """All of the stream was read: what was not among it is gone."""
        if self._writes and self._stream._stream_version is not None:
            self._stream._write_activate_version_message(self._stream._stream_version)

    def _selected(self, record: dict[str, Any]) -> dict[str, Any]:
        if self._columns.issuperset(record):
            return record
        if self._passes_unknown:
            left_out = self._left_out
            return {name: value for name, value in record.items() if name not in left_out} if left_out else record
        return {name: value for name, value in record.items() if name in self._columns}

    def _declare_unknown(self, records: list[dict[str, Any]]) -> None:
        properties = self._stream.stream_maps[0].transformed_schema["properties"]
        # What is deselected counts as known either way: it is not written, and so not declared.
        known = self._left_out if self._stream.learns_types else self._known
        if self._passes_unknown and learn(properties, records, known, stream=self._stream.name):
            self._stream._write_schema_message()
