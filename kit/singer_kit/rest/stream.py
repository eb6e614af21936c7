"""A stream of a REST API: read by several threads, written by one.

What a tap says of a stream is what the SDK's `RESTStream` asks for (`path`, `get_url_params`, `get_new_paginator`,
`parse_response`, `post_process`, …), or a `read` of its own. How it is asked, how many partitions at once, and when a
bookmark moves is here: a bookmark is written behind the rows that it covers, only forward, and stays where it was for
a partition that fails.
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.pagination import SinglePagePaginator
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL
from singer_sdk.streams.rest import PageContext

from singer_kit.emitting import StatesBehindRows
from singer_kit.errors import ConfigurationError, PluginError
from singer_kit.http import Call, QuotaExhaustedError, StoppedError, UnreachableError
from singer_kit.instants import format_instant, parse_instant
from singer_kit.rest.bookmarks import PartitionBookmarks
from singer_kit.rest.page import Page, Partition, SkippedError
from singer_kit.rest.reading import Ended, read_concurrently
from singer_kit.rest.writing import StreamWriter

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from datetime import datetime

    from singer_sdk.helpers.types import Context, Record

    from singer_kit.rest.page import State
    from singer_kit.rest.tap import RestTap

STATE_SECONDS = 1.0
_STATE_SHARE = 20


class RestStream(StatesBehindRows, RESTStream):
    """Stands in the place of the SDK's `RESTStream`; its tap is a `RestTap`.

    Attributes:
        bucket: which of the server's quotas its requests count in.
        tolerated: statuses for which a partition is skipped: logged, its bookmark kept, no failure.
        lookback: how far behind its bookmark an incremental stream begins, if the setting does not say.
        learns_types: its schema was only seen in samples: columns that turn out to hold more are declared anew.
    """

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE
    bucket = ""
    tolerated: frozenset[int] = frozenset()
    lookback = timedelta(0)
    learns_types = False
    _tap: RestTap

    def __init__(self, tap: RestTap, *args: Any, **kwargs: Any) -> None:
        super().__init__(tap, *args, **kwargs)
        self._bookmarks: PartitionBookmarks | None = None
        self._state_at = 0.0
        self._whole = True

    @property
    def rest_tap(self) -> RestTap:
        """The tap, as what it is."""
        return self._tap

    # What a tap may say

    @property
    def url_base(self) -> str:
        return self.rest_tap.client.base_url.rstrip("/")

    def partitions_to_read(self) -> Iterable[Partition]:
        """The parts that have a bookmark of their own; taken one by one, as threads become free.

        By default those of the SDK's `partitions`, or the stream as a whole.
        """
        return [Partition(dict(context)) for context in self.partitions or [{}]]

    def read(self, partition: Partition) -> Iterator[Page]:
        """Read a partition; on a thread of its own, several at once.

        By default page by page as the SDK's hooks say. An incremental stream that is sorted by its replication key has
        its bookmark moved by each page, another one at the end.

        Raises:
            SkippedError: it cannot be read, and that is tolerated.
            PluginError: it cannot be read.
        """
        context: Context | None = partition.context or None
        paginator = self.get_new_paginator() or SinglePagePaginator()
        newest = self.bookmark_of(partition).get("replication_key_value")
        while not paginator.finished:
            request = self.get_http_request(
                page=PageContext(stream_context=context, next_page_token=paginator.current_value)
            )
            response = self.rest_tap.client.send(
                Call(
                    request.url,
                    request.method,
                    params=request.params,
                    headers=request.headers,
                    json=request.data if self.payload_as_json else None,
                    data=None if self.payload_as_json else request.data,  # type: ignore[arg-type]
                    stream=self.name,
                    bucket=self.bucket,
                    tolerate=self.tolerated,
                )
            )
            if response.status_code in self.tolerated:
                raise SkippedError(f"{response.status_code} {response.reason}")
            rows = [row for row in (self.post_process(row, context) for row in self.parse_response(response)) if row]
            newest = self.newest(rows, newest)
            yield Page(rows, self.bookmark(newest) if self.is_sorted else None)
            if not rows and not paginator.continue_if_empty(response):
                break
            paginator.advance(response)
        if self.replication_key:
            yield Page([], self.bookmark(newest))

    # What readers need

    def bookmark_of(self, partition: Partition) -> State:
        """Where the partition was at the start of the run; readers of one partition see no other's."""
        return self.bookmarks.read(partition.context)

    @property
    def bookmarks(self) -> PartitionBookmarks:
        if self._bookmarks is None:
            self._bookmarks = PartitionBookmarks(self.stream_state)
        return self._bookmarks

    def starts_at(self, partition: Partition) -> datetime | None:
        """From which instant on to read: the bookmark less the lookback, or `start_date`."""
        if self.replication_method != REPLICATION_INCREMENTAL:
            return None
        value = self.bookmark_of(partition).get("replication_key_value")
        if value is None:
            return self.rest_tap.start_date
        seconds = self.option("lookback_seconds")
        return parse_instant(value) - (self.lookback if seconds is None else timedelta(seconds=seconds))

    def newest(self, rows: Iterable[Mapping[str, Any]], old: Any) -> Any:
        """The greatest of the rows' replication keys and the old value; None if there is none."""
        if not self.replication_key:
            return None
        values = [value for row in rows if (value := row.get(self.replication_key)) is not None]
        order = parse_instant if self.is_timestamp_replication_key else None
        return max([*values, *([] if old is None else [old])], default=None, key=order)

    def bookmark(self, value: Any, **more: Any) -> State | None:
        """A bookmark at a value of the replication key, never beyond what the server can have shown completely.

        Args:
            value: an instant as the API writes it, or another value that has an order; None: no bookmark yet.
            more: further members, for the stream's own use.
        """
        if value is None and not more:
            return None
        if (
            self.is_timestamp_replication_key
            and isinstance(value, str)
            and parse_instant(value) > self.rest_tap.horizon
        ):
            value = format_instant(self.rest_tap.horizon)
        key = {"replication_key": self.replication_key, "replication_key_value": value} if value is not None else {}
        return {**key, **{name: item for name, item in more.items() if item is not None}}

    def option(self, name: str) -> Any:
        """A setting, or what `stream_options` says for this stream."""
        own: Mapping[str, Any] = (self.config.get("stream_options") or {}).get(self.name, {})
        return own.get(name, self.config.get(name))

    def family(self) -> Iterator[RestStream]:
        """The stream and those that are read along with it: its children, and theirs."""
        yield self
        for child in self.child_streams:
            assert isinstance(child, RestStream)  # noqa: S101
            yield from child.family()

    # The SDK's hooks

    @property
    def emit_activate_version_messages(self) -> bool:
        """Never at the start, where the SDK would send it: it means that the rows are complete."""
        return False

    def get_records(self, context: Context | None) -> Iterable[Record]:
        for page in self.read(Partition(dict(context or {}))):
            yield from page.records

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        """Read all partitions and write what they bring; yields records only where somebody looks at each."""
        writers = {
            stream.name: StreamWriter(stream, announces=stream is not self, writes=write_messages)
            for stream in self.family()
            if stream.selected
        }
        self._whole = True
        self._state_at = time.monotonic() + STATE_SECONDS
        tap = self.rest_tap
        tap.reading = True
        # A dry run goes on with the next stream.
        stop = tap.client.stop if self.ABORT_AT_RECORD_COUNT is None else _nothing
        events = read_concurrently(
            self._partitions(context), self.read, workers=tap.workers, stop=stop, alive=tap.stop_if_asked
        )
        with self.get_record_counter() as counter, self.get_sync_timer(), closing(events):
            for partition, item in events:
                if isinstance(item, Ended):
                    self._end_partition(partition, item.error)
                elif (stream := item.stream or self).name in writers:
                    yield from writers[stream.name].write(item.records, counter)
                    if item.state is not None and partition is not None:
                        stream.bookmarks.write(partition.context, item.state)
                        self.state_manager.is_flushed = False
                self._tell_state(write_messages=write_messages)
                tap.stop_if_asked()
        if self._whole:
            for writer in writers.values():
                writer.finish()
        if write_messages:
            self._write_state_message()

    def _partitions(self, context: Context | None) -> Iterator[Partition]:
        """Listed by a reader, for that may take requests: the writer must hear of signals meanwhile."""
        if context:
            yield Partition(dict(context))
        else:
            yield from self.partitions_to_read()

    def _increment_stream_state(self, latest_record: Record, *, context: Context | None = None) -> None:
        """Bookmarks move with pages."""

    def get_replication_key_signpost(self, context: Context | None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Bookmarks end at the horizon; the SDK need not cap them."""
        return

    # Parts that fail

    def _end_partition(self, partition: Partition | None, error: Exception | None) -> None:
        """Decide what a partition's end means for the run."""
        if error is None:
            return
        self._whole = False
        if isinstance(error, StoppedError):
            return
        where = f"Stream '{self.name}'{f', {partition}' if partition and partition.context else ''}"
        if isinstance(error, SkippedError):
            self.logger.warning("%s is skipped: %s.", where, error)
            self.rest_tap.skipped[self.name] += 1
        elif (
            partition is None or isinstance(error, (ConfigurationError, QuotaExhaustedError, UnreachableError))
        ) or not isinstance(error, PluginError):
            raise error
        elif self.option("on_partition_error") == "skip":
            self.logger.error("%s is skipped (on_partition_error=skip): %s", where, error)
        else:
            self.logger.error("%s failed; other partitions go on: %s", where, error)
            self.rest_tap.failures.append((where, error))

    def _tell_state(self, *, write_messages: bool) -> None:
        begun = time.monotonic()
        if write_messages and begun >= self._state_at:
            self._write_state_message()
            # A STATE is written whole: with thousands of partitions it takes a while, and must not take most of it.
            took = time.monotonic() - begun
            self._state_at = begun + max(STATE_SECONDS, _STATE_SHARE * took)


def _nothing() -> None:
    pass
