"""Reading Singer messages: blocks of lines for the scanner, and line by line what it leaves.

Exactly: integers of any size, fractions to the last digit.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import time
from datetime import datetime, timezone
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec

from singer_kit.errors import DataError
from target_postgres.errors import TerminatedError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Scan = Callable[[bytes, int, int], tuple[int, int]]

_BLOCK_BYTES = 1 << 20
_IDLE_SECONDS = 0.5
_NAP_SECONDS = 0.1
_IMPATIENT = 2  # signals
_F_SETPIPE_SZ = 1031  # Linux; `fcntl` names it only from Python 3.10 on

_logger = logging.getLogger("target-postgres")

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class _StateLine(msgspec.Struct):
    value: msgspec.Raw


_decode_state = msgspec.json.Decoder(_StateLine).decode


class Reader:
    """Knows where it is, and ends between two messages when a signal asks for it.

    Args:
        process: takes one message.
        tick: called between blocks, and every now and then while the input is silent.

    Attributes:
        scan: takes a block, an offset and the number of the line there; handles the lines from there on that it
            understands, and says where it stopped and how many they were. None leaves every line to `process`.
        line: the current line.
        line_number: its number, from 1.
        read_at: when the block in hand was read.
    """

    def __init__(self, process: Callable[[dict[str, Any]], None], tick: Callable[[], None]) -> None:
        self._process = process
        self._tick = tick
        self.scan: Scan | None = None
        self.line_number = 0
        self.line = b""
        self.read_at = datetime.now(tz=timezone.utc)
        self._unknown: set[str] = set()
        self._signal: int | None = None
        self._signals = 0
        self._wake_up: int | None = None

    def run(self, source: IO[Any] | None) -> None:
        """Read to the end of the input.

        Args:
            source: messages, a line each, as text or bytes; None reads stdin.
        """
        source = sys.stdin if source is None else source
        descriptor = _descriptor(source)
        chunks = self._chunks(source) if descriptor is None else self._arrivals(descriptor)
        for block in _whole_lines(chunks):
            self._take(block)
            self._tick()
            self.check_interrupted()

    def _take(self, block: bytes) -> None:
        at = 0
        self.read_at = datetime.now(tz=timezone.utc)
        while at < len(block):
            if self.scan is not None:
                at, lines = self.scan(block, at, self.line_number + 1)
                self.line_number += lines
                if at >= len(block):
                    return
            end = block.find(b"\n", at) + 1 or len(block)
            self._take_line(block[at:end])
            at = end
            self.check_interrupted()

    def _take_line(self, line: bytes) -> None:
        self.line_number += 1
        if not line.isspace():
            self.line = line
            self._process(self.message(line))

    # Input

    def _arrivals(self, descriptor: int) -> Iterator[bytes]:
        """What has come so far, as soon as something has."""
        _widen_pipe(descriptor)
        woken, self._wake_up = os.pipe()
        try:
            while True:
                self.check_interrupted()
                ready, _, _ = select.select([descriptor, woken], [], [], _IDLE_SECONDS)
                self.check_interrupted()
                if not ready:
                    self._tick()
                elif data := os.read(descriptor, _BLOCK_BYTES):
                    yield data
                else:
                    return
        finally:
            wake_up, self._wake_up = self._wake_up, None
            os.close(woken)
            os.close(wake_up)

    def _chunks(self, source: IO[Any]) -> Iterator[bytes]:
        """From what is no file."""
        while data := source.read(_BLOCK_BYTES):
            self.check_interrupted()
            yield data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")

    # Signals

    def interrupt(self, signal_number: int) -> None:
        """Handle a signal: the next message is not read any more, and waiting for one ends.

        A second signal does not wait: what is in hand may be stuck behind a lock. (Only that one raises. Python runs
        handlers within handlers: one that raises undoes another that has not begun.)
        """
        self._signal, self._signals = signal_number, self._signals + 1
        if self._wake_up is not None:
            os.write(self._wake_up, b"!")
        if self._signals == _IMPATIENT:
            raise TerminatedError(signal_number)

    @property
    def impatient(self) -> bool:
        """Whether a second signal has come: it may have been raised on the way out, where nobody waited."""
        return self._signals >= _IMPATIENT

    def sleep(self, seconds: float) -> None:
        """Wait, but not on after a signal. On any thread."""
        give_up_at = time.monotonic() + seconds
        while (left := give_up_at - time.monotonic()) > 0:
            self.check_interrupted()
            time.sleep(min(left, _NAP_SECONDS))

    def check_interrupted(self) -> None:
        if self._signal is not None:
            raise TerminatedError(self._signal)

    # Messages

    def message(self, line: bytes) -> dict[str, Any]:
        """Parse a line.

        Raises:
            DataError: it is not a Singer message.
        """
        try:
            message = _decode(line)
        except RecursionError:
            raise DataError(f"Line {self.line_number} is nested too deeply: {_start(line)}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            message = self._second_reading(line)
        if not isinstance(message, dict) or "type" not in message:
            raise self._no_message(line)
        # Limits in a schema take part in generated code, which knows no Decimal.
        exact: dict[str, Any] = json.loads(line) if message["type"] == "SCHEMA" else message
        return exact

    def _second_reading(self, line: bytes) -> Any:
        """What msgspec refuses and taps still write: NaN, halves of surrogate pairs, a byte order mark."""
        try:
            return json.loads(line.decode("utf-8-sig"), parse_float=Decimal, parse_constant=Decimal)
        except UnicodeDecodeError as error:
            raise DataError(
                f"Line {self.line_number} is not valid UTF-8 (byte {error.start + 1}): {_start(line)}. Next: "
                "have the tap write UTF-8."
            ) from None
        except RecursionError:
            raise DataError(f"Line {self.line_number} is nested too deeply: {_start(line)}.") from None
        except ValueError:
            raise self._no_message(line) from None

    def _no_message(self, line: bytes) -> DataError:
        return DataError(
            f"Line {self.line_number} is not a Singer message: {_start(line)} — "
            "the tap printed something else than a message to stdout, or its last line was cut off."
        )

    def state_text(self) -> bytes:
        """The value of the STATE on the current line, byte for byte."""
        try:
            return bytes(_decode_state(self.line).value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return json.dumps(json.loads(self.line.decode("utf-8-sig"))["value"]).encode()

    def warn_of_unknown(self, message: dict[str, Any]) -> None:
        """Say once that a kind of message is not known."""
        kind = str(message["type"])
        if kind not in self._unknown:
            self._unknown.add(kind)
            _logger.warning(
                "Line %d: messages of type %s are not known and are ignored", self.line_number, shorten(kind)
            )


def _descriptor(source: IO[Any]) -> int | None:
    try:
        return source.fileno()
    except (AttributeError, OSError):
        return None


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut behind line breaks; a line that has not ended waits for its end."""
    waiting: list[bytes] = []
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if not end:
            waiting.append(chunk)
            continue
        yield b"".join([*waiting, chunk[:end]]) if waiting else chunk[:end]
        waiting = [chunk[end:]] if end < len(chunk) else []
    if rest := b"".join(waiting):
        yield rest


def _widen_pipe(descriptor: int) -> None:
    """A wider pipe spares both sides most of their turns; not every system and file can have one."""
    try:
        import fcntl  # noqa: PLC0415 - there is none on Windows

        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _BLOCK_BYTES)
    except (ImportError, OSError):
        pass


def _start(line: bytes) -> str:
    return shorten(line[:400].decode("utf-8", "replace").strip())
