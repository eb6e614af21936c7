"""Records to stdout by the page: what the SDK does for each record is done once for a stream.

The SDK takes a record apart, conforms, maps, wraps and writes it on its own, which is most of what a fast source
costs. Where nothing wants to see each record (stream maps, flattening, batches, a dry run's limit), rows go to a
`LineWriter` as they are.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from singer_sdk import Stream
from singer_sdk.mapper import SameRecordTransform

from singer_kit.writer import LineWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


class StatesBehindRows(Stream):
    """Mixin for an SDK `Stream`: rows have a STATE behind them, even one that says what the last one said.

    The SDK leaves out a STATE that has not changed, as after a lookback that brings old rows only. But rows without one
    behind them wait: in the `LineWriter`, and in a target that commits at STATEs.
    """

    def _write_state_message(self) -> None:
        writer = self._tap.message_writer
        if isinstance(writer, LineWriter) and writer.owes_state:
            self._tap.state_writer._last_emitted_state = None  # noqa: SLF001 - it then writes what it has written
        super()._write_state_message()


def takes_pages(stream: Stream) -> bool:
    """Whether the stream's records are written just as they are read."""
    transform = stream.stream_maps[0]
    return (
        isinstance(stream._tap.message_writer, LineWriter)  # noqa: SLF001 - the SDK has no other name for it
        and stream.ABORT_AT_RECORD_COUNT is None
        and len(stream.stream_maps) == 1
        and type(transform) is SameRecordTransform
        and transform.stream_alias == stream.name
        and not transform.flattening_enabled
    )


def write_page(
    stream: Stream, rows: Iterable[bytes], *, extracted_at: datetime | None, version: int | None = None
) -> None:
    """Write records of a stream that `takes_pages`.

    Args:
        stream: whose they are.
        rows: a JSON object each, without line breaks.
        extracted_at: when they were read.
        version: of a stream that is read whole.
    """
    writer = stream._tap.message_writer  # noqa: SLF001
    assert isinstance(writer, LineWriter)  # noqa: S101 - see takes_pages
    members = {"version": version, "time_extracted": extracted_at.isoformat() if extracted_at else None}
    text = json.dumps({name: value for name, value in members.items() if value is not None}, separators=(",", ":"))
    writer.write_records(stream.name, rows, envelope=b"," + text[1:-1].encode() if len(text) > 2 else b"")  # noqa: PLR2004
    stream.state_manager.is_flushed = False
