"""A message writer that takes whole pages of ready-made lines.

The SDK's own writer serialises, writes and flushes once per message, which is most of what a fast source costs.
Here bytes gather in one buffer and leave it in large writes: when it is full, after every STATE, so that a
bookmark never waits behind rows that have already been read, and when rows come that slowly that a full buffer would
keep the target waiting.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from singer_sdk.singerlib.encoding.base import GenericSingerWriter, SingerMessageType
from singer_sdk.singerlib.encoding.simple import Message
from singer_sdk.singerlib.json import serialize_json

if TYPE_CHECKING:
    from collections.abc import Iterable

BUFFER_BYTES = 1 << 16
FLUSH_SECONDS = 0.05


class LineWriter(GenericSingerWriter[bytes, Message]):
    """Set it as a tap's `message_writer_class`; it writes to the process's stdout.

    Attributes:
        owes_state: rows were written that no STATE stands behind yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self.owes_state = False
        self._parts: list[bytes] = []
        self._size = 0
        self._flushed_at = time.monotonic()

    def serialize_message(self, message: Message) -> bytes:
        return serialize_json(message.to_dict()).encode()

    def write_message(self, message: Message) -> None:
        """Write one message; anything but a RECORD also flushes."""
        self._add(self.serialize_message(message) + b"\n")
        if message.type in {SingerMessageType.RECORD, SingerMessageType.STATE}:
            self.owes_state = message.type == SingerMessageType.RECORD
        if message.type != SingerMessageType.RECORD:
            self.flush()

    def write_records(self, stream: str, records: Iterable[bytes], *, envelope: bytes = b"") -> None:
        """Write RECORD messages from records that are JSON already.

        Args:
            stream: the stream's name.
            records: one JSON object each, without line breaks.
            envelope: further members of the message, each with its leading comma,
                such as `b',"version":7'`.
        """
        head = b'{"type":"RECORD","stream":' + serialize_json(stream).encode() + b',"record":'
        tail = envelope + b"}\n"
        body = (tail + head).join(records)
        if body:
            self._add(head + body + tail)
            self.owes_state = True

    def flush(self) -> None:
        """Hand everything gathered so far to the reader."""
        data, self._parts, self._size = memoryview(b"".join(self._parts)), [], 0
        self._flushed_at = time.monotonic()
        # Under PYTHONUNBUFFERED stdout is the bare file, and a signal ends its write in the middle of a line.
        while data:
            data = data[sys.stdout.buffer.write(data) :]
        sys.stdout.buffer.flush()

    def _add(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= BUFFER_BYTES or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self.flush()
