"""The one kind of stream: a table read whole, or by the date of its rows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import psycopg
from singer_sdk import Stream, metrics
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import Schema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL

from singer_kit.emitting import StatesBehindRows, takes_pages, write_page
from singer_kit.errors import ConfigurationError
from singer_kit.instants import parse_instant
from tap_odoo.bookmarks import Bookmark, Window, format_instant
from tap_odoo.client import explain
from tap_odoo.queries import either, in_window, select_newest, select_rows, undatable
from tap_odoo.sources import DATED_BY

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from datetime import datetime

    from psycopg import sql
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog, RecordMessage

    from tap_odoo.client import Snapshot
    from tap_odoo.sources import Field, Source
    from tap_odoo.tap import TapOdoo

STATE_ROWS = 10_000
STATE_BYTES = 16 << 20
LOG_SECONDS = 2.0
LOOSE_LOOKBACK = 3600


class OdooStream(StatesBehindRows, Stream):
    """A stream of a table, a view, or the invoices among the account moves."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE  # Postgres has written each value in its own type

    def __init__(self, tap: TapOdoo, source: Source, *, selected_by_default: bool) -> None:
        super().__init__(tap, schema=source.json_schema(), name=source.name)
        self.selected_by_default = selected_by_default
        self.source = source
        self.primary_keys = list(source.key)
        if source.incremental:
            self.replication_key = DATED_BY
        self._odoo = tap
        self._snapshot: Snapshot | None = None
        self._sent = 0

    # The SDK's hooks

    @property
    def emit_activate_version_messages(self) -> bool:
        """Never at the start, where the SDK would send it: it means that the rows are complete."""
        return False

    def get_replication_key_signpost(self, context: Context | None = None) -> None:  # noqa: ARG002
        """Bookmarks end at the horizon; the SDK need not cap them."""
        return

    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:
        """Bookmarks move with pages, see `_sync_records`."""

    def get_record_counter(self, *, endpoint: str | None = None, log_interval: float = LOG_SECONDS) -> metrics.Counter:
        return super().get_record_counter(endpoint=endpoint, log_interval=log_interval)

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Read the records as the SDK would have them; `_sync_records` has its own way."""
        for page in self._pages(None, ordered=False):
            yield from map(_parse, page)

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the catalog's selection, but the types from the database: they are what the records will hold."""
        if entry := catalog.get_stream(self.tap_stream_id):
            live: Mapping[str, Any] = self.schema["properties"]
            listed = entry.schema.to_dict().get("properties", {})
            mask = entry.metadata.resolve_selection()
            for name, schema in listed.items():
                if name not in live and mask["properties", name]:
                    self.logger.warning(
                        "Stream '%s': column '%s' is in the catalog but not readable (gone, renamed or excluded): "
                        "it is skipped. Run discovery to bring the catalog up to date.",
                        self.name,
                        name,
                    )
                elif name in live and {**schema, "type": _types(schema)} != {**live[name], "type": _types(live[name])}:
                    self.logger.info(
                        "Stream '%s': column '%s' has another type than in the catalog: %s instead of %s.",
                        self.name,
                        name,
                        live[name],
                        schema,
                    )
            entry.schema = Schema.from_dict(
                {"type": "object", "properties": {name: live[name] for name in listed if name in live}}
            )
        super().apply_catalog(catalog)

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        for message in super()._generate_record_messages(record):
            if self._snapshot:
                message.time_extracted = self._snapshot.time
            yield message

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        """Read the stream and write its messages.

        A page's rows go to the writer as they come from Postgres. Only where something wants to see each record
        (stream maps, flattening, a dry run's limit, batches) are they parsed and take the SDK's own way.
        """
        del context
        self._sent = 0
        with self.get_record_counter() as counter, self.get_sync_timer():
            try:
                self._snapshot = self._odoo.snapshot()
                if self.replication_method == REPLICATION_INCREMENTAL:
                    yield from self._read_incremental(counter, write_messages=write_messages)
                elif self.replication_method == REPLICATION_FULL_TABLE:
                    yield from self._read_whole(counter, write_messages=write_messages)
                else:
                    raise ConfigurationError(
                        f"Stream '{self.name}': replication method {self.replication_method} is not supported. "
                        "Next: use INCREMENTAL or FULL_TABLE."
                    )
            except psycopg.Error as error:
                raise explain(error, self.source, self._odoo.session) from None
        self.state_manager.is_flushed = False
        if write_messages:
            self._write_state_message()

    # Reading

    def _read_whole(self, counter: metrics.Counter, *, write_messages: bool) -> Iterator[dict[str, Any]]:
        """Read all rows under one version, and declare the version complete once the last one is out.

        There is no resuming: the rest would come from another snapshot, and rows deleted in between would stay.
        """
        self._stream_version = self._initialized_at
        for page in self._pages(None, ordered=False):
            yield from self._emit(page, counter, write_messages=write_messages)
            self._odoo.stop_if_asked()
        if write_messages:  # records in batch files carry no version
            self._write_activate_version_message(self._stream_version)
            self.stream_state["version"] = self._stream_version

    def _read_incremental(self, counter: metrics.Counter, *, write_messages: bool) -> Iterator[dict[str, Any]]:
        """Finish the window of an interrupted run, then read what is new."""
        self._stream_version = None
        key = self._dating_column()
        bookmark = Bookmark.from_state(self.stream_state, key, self.name)
        window = bookmark.window
        if window is not None and self.source.sequence:
            self.logger.info("Stream '%s': resuming an interrupted run behind id %s.", self.name, window.last_id)
            yield from self._read_window(
                bookmark, window, in_window(self.source, key, window), counter, write_messages=write_messages
            )
            bookmark = bookmark.after(window)
            bookmark.write_state(self.stream_state, key)
        snapshot = self._odoo.snapshot()
        window = self._next_window(bookmark, snapshot, key)
        condition = undatable(self.source, key, snapshot.time)
        if window is not None:
            condition = either(in_window(self.source, key, window), condition)
        yield from self._read_window(bookmark, window, condition, counter, write_messages=write_messages)
        if window is not None:
            bookmark = bookmark.after(window)
        bookmark.write_state(self.stream_state, key)

    def _read_window(
        self,
        bookmark: Bookmark,
        window: Window | None,
        condition: sql.Composable,
        counter: metrics.Counter,
        *,
        write_messages: bool,
    ) -> Iterator[dict[str, Any]]:
        """Read rows in the order of their key, noting every so often how far it has come."""
        sequence = self.source.sequence
        rows = size = 0
        for page in self._pages(condition, ordered=True):
            yield from self._emit(page, counter, write_messages=write_messages)
            rows += len(page)
            size += sum(map(len, page))
            if rows >= STATE_ROWS or size >= STATE_BYTES or self._odoo.stopping:
                rows = size = 0
                last = _parse(page[-1]).get(sequence) if sequence else None
                if window is not None and last is not None:
                    reached = replace(window, last_id=last)
                    replace(bookmark, window=reached).write_state(self.stream_state, self._dating_column())
                    self.state_manager.is_flushed = False
                    if write_messages:
                        self._write_state_message()
            self._odoo.stop_if_asked()

    def _next_window(self, bookmark: Bookmark, snapshot: Snapshot, key: str) -> Window | None:
        """Work out which dates to read; None when none are left."""
        horizon = snapshot.horizon
        if horizon is None:
            raise AssertionError
        start = bookmark.value
        if start is None:
            start = self._date("start_date")
        else:
            lookback = self.config.get("lookback_seconds")
            if lookback is None:
                lookback = 0 if horizon.exact and bookmark.exact else LOOSE_LOOKBACK
            start -= timedelta(seconds=lookback)
        end = horizon.instant
        if not horizon.exact:
            # The clock says nothing about a standby that lags behind; the newest row that is there does.
            newest = self._odoo.session.scalar(select_newest(self.source, key, start, snapshot.time))
            if newest is None:
                return None
            end = newest + timedelta(microseconds=1)
        if (limit := self._date("end_date")) is not None:
            end = min(end, limit)
        self.logger.info(
            "Stream '%s': reading rows by %s from %s to %s.",
            self.name,
            key,
            format_instant(start) if start else "the beginning",
            format_instant(end),
        )
        return None if start is not None and start >= end else Window(start, end, exact=horizon.exact)

    def _date(self, setting: str) -> datetime | None:
        text = self.config.get(setting)
        try:
            return parse_instant(text) if text else None
        except ValueError as error:
            raise ConfigurationError(
                f"Setting {setting} is {text!r}: {error}. Next: write it like 2024-01-31T00:00:00Z."
            ) from None

    def _dating_column(self) -> str:
        key = self.replication_key
        if key is None or key not in self.source.timestamps:
            raise ConfigurationError(
                f"Stream '{self.name}': {key or 'nothing'} cannot be its replication key, only a timestamp column of "
                "the table can. Next: set replication-key to write_date, or the replication method to FULL_TABLE."
            )
        return key

    def _pages(self, condition: sql.Composable | None, *, ordered: bool) -> Iterator[list[bytes]]:
        limit = None if self.ABORT_AT_RECORD_COUNT is None else self.ABORT_AT_RECORD_COUNT + 1
        query = select_rows(self.source, self._selected_fields(), condition=condition, ordered=ordered, limit=limit)
        pages = self._odoo.session.read_pages(query)
        # A dry run stops in the middle; a statement that has not ended would take the transaction with it.
        return pages if limit is None else iter(list(pages))

    def _selected_fields(self) -> list[Field]:
        listed = self.effective_schema["properties"]
        return [item for item in self.source.fields if item.name in listed and self.mask["properties", item.name]]

    # Writing

    def _emit(self, page: list[bytes], counter: metrics.Counter, *, write_messages: bool) -> Iterator[dict[str, Any]]:
        """Hand a page on; yields records only where somebody looks at them."""
        if write_messages and takes_pages(self):
            assert self._snapshot is not None  # noqa: S101
            write_page(self, page, extracted_at=self._snapshot.time, version=self._stream_version)
            counter.increment(len(page))
        else:
            for record in map(_parse, page):
                self._check_max_record_limit(self._sent)
                self._sent += 1
                if write_messages:
                    self._write_record_message(record)
                counter.increment()
                yield record


def _parse(row: bytes) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(bytes(row), parse_float=Decimal))


def _types(schema: Mapping[str, Any]) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)
