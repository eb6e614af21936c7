"""A tap that is asked to end does so at a STATE, and says that it has not finished."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from singer_kit.writer import LineWriter

if TYPE_CHECKING:
    import logging
    from types import FrameType

    from singer_sdk.singerlib.encoding.base import GenericSingerWriter


class StopsAtState:
    """Mixin for an SDK `Tap`; stands before it in the bases.

    Streams call `stop_if_asked` where all that was read is written and no STATE is ahead of its rows, and set
    `reading` once rows are under way.
    """

    logger: logging.Logger
    message_writer: GenericSingerWriter[Any, Any]

    reading = False
    _signal: int | None = None

    @property
    def stopping(self) -> bool:
        """Whether a signal has asked the tap to end."""
        return self._signal is not None

    def stop_if_asked(self) -> None:
        """End here, with 128 + the signal: exit code 0 would say that the tap had finished."""
        if self._signal is not None:
            if isinstance(self.message_writer, LineWriter):
                self.message_writer.flush()
            self.logger.warning("Stopped by signal %d. Next: run again with the last state.", self._signal)
            sys.exit(128 + self._signal)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Ask the tap to end. A handler may interrupt the writing of a line; a second signal does not wait."""
        if self.reading and self._signal is None:
            self._signal = signum
            return
        sys.exit(128 + signum)
