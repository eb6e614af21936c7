"""Reading Singer messages, line by line, exactly: integers of any size, fractions to the last digit."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from singer_kit.errors import DataError
from target_postgres.errors import TerminatedError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

_BUFFER_BYTES = 1 << 18

_logger = logging.getLogger("target-postgres")

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class _StateLine(msgspec.Struct):
    value: msgspec.Raw


_decode_state = msgspec.json.Decoder(_StateLine).decode


class LineReader(GenericSingerReader[bytes]):
    """Knows where it is, and ends between two messages when a signal asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.line_number = 0
        self.line = b""
        self._unknown: set[str] = set()
        self._signal: int | None = None
        self._waiting = False
        self.on_start: Callable[[], None] = _nothing
        self.on_failure: Callable[[], None] = _nothing

    @property
    def default_input(self) -> IO[bytes]:
        # A larger buffer than sys.stdin's; the file descriptor stays the interpreter's.
        return open(sys.stdin.fileno(), "rb", buffering=_BUFFER_BYTES, closefd=False)

    def process_lines(
        self, file_input: IO[Any] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]
    ) -> Counter[str]:
        """Hand each message to its callback, then `on_failure` if one of them, or a signal, ends it."""
        try:
            self.on_start()
            return self._read(file_input, callbacks)
        except BaseException:
            self.on_failure()
            raise

    def _read(self, file_input: IO[Any] | None, callbacks: dict[str, Callable[[dict[str, Any]], None]]) -> Counter[str]:
        stats: Counter[str] = Counter()
        source: IO[Any] = file_input or self.default_input
        raws = iter(getattr(source, "buffer", source))
        while True:
            # In this order a signal is seen here, or its handler sees that the target waits.
            self._waiting = True
            self.check_interrupted()
            raw = next(raws, None)
            self._waiting = False
            if raw is None:
                return stats
            self.line_number += 1
            line = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
            if line.isspace():
                continue
            self.line = line
            message = self.deserialize_json(line)
            kind = message["type"]
            callback = callbacks.get(kind) if isinstance(kind, str) else None
            if callback is None:
                self._process_unknown_message(message)
            else:
                callback(message)
                stats[kind] += 1

    def interrupt(self, signal_number: int) -> None:
        """Handle a signal: at once while waiting for input, otherwise after the message in hand.

        A second signal does not wait: what is in hand may be stuck behind a lock.
        """
        again, self._signal = self._signal is not None, signal_number
        if self._waiting or again:
            raise TerminatedError(signal_number)

    def check_interrupted(self) -> None:
        if self._signal is not None:
            raise TerminatedError(self._signal)

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
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

    def _process_unknown_message(self, message_dict: dict[str, Any]) -> None:
        kind = str(message_dict["type"])
        if kind not in self._unknown:
            self._unknown.add(kind)
            _logger.warning(
                "Line %d: messages of type %s are not known and are ignored", self.line_number, shorten(kind)
            )


def _nothing() -> None:
    pass


def _start(line: bytes) -> str:
    return shorten(line[:400].decode("utf-8", "replace").strip())
