"""A tap that does what a good one does: begins at its bookmark, and says with each STATE what it has sent.

It also fails on request: after so many records with a broken line, with an exit code, or by waiting to be killed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .source import STREAMS, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

PAUSE_AFTER = 100


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--size", type=int, required=True, help="records of each stream")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--states", default="often")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--chunk", type=int)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--stop-after", type=int, help="records")
    parser.add_argument("--stop", choices=["tell", "wait", "broken line", "exit"])
    parser.add_argument("--tell", type=int, help="descriptor that is written to at the stop")
    parser.add_argument("--go", type=int, help="descriptor whose end of file ends the wait")
    parser.add_argument("--count", type=Path, help="file that gets a byte for each STATE sent")
    Tap(parser.parse_args()).sync()


class Tap:
    """One run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.output = sys.stdout.buffer
        self.count = arguments.count.open("ab", buffering=0)
        self.bookmarks: dict[str, int] = {stream.name: 0 for stream in STREAMS}
        if arguments.state:
            self.bookmarks |= json.loads(arguments.state.read_text())["bookmarks"]
        self.sent = 0

    def sync(self) -> None:
        if self.arguments.states == "both ends":
            self.state()
        for stream in STREAMS:
            self.write(stream.schema())
        for stream, number in self.order():
            if self.sent == self.arguments.stop_after:
                self.stop()
            record = stream.record(self.arguments.seed, number)
            self.write({"type": "RECORD", "stream": stream.name, "record": record})
            self.bookmarks[stream.name] = number + 1
            self.sent += 1
            if self.arguments.states == "often" and self.sent % self.arguments.every == 0:
                self.state()
            if self.sent % PAUSE_AFTER == 0 and self.arguments.pause:
                self.output.flush()
                time.sleep(self.arguments.pause)
        if self.sent == self.arguments.stop_after:
            self.stop()
        if self.arguments.states != "never":
            self.state()

    def order(self) -> Iterator[tuple[Stream, int]]:
        """Streams one after the other, or in turns."""
        turns = [iter(range(self.bookmarks[stream.name], self.arguments.size)) for stream in STREAMS]
        left = list(zip(STREAMS, turns, strict=True))
        while left:
            stream, numbers = left.pop(0)
            for taken, number in enumerate(numbers, 1):
                yield stream, number
                if taken == self.arguments.chunk:
                    left.append((stream, numbers))
                    break

    def state(self) -> None:
        # Counted first: what was counted may not have been sent, what was sent has been counted.
        self.count.write(b".")
        self.write({"type": "STATE", "value": {"bookmarks": self.bookmarks}})
        self.output.flush()

    def stop(self) -> None:
        self.output.flush()
        if self.arguments.stop in {"tell", "wait"}:
            os.close(self.arguments.tell)
            if self.arguments.stop == "wait":
                os.read(self.arguments.go, 1)
        elif self.arguments.stop == "broken line":
            self.output.write(b'{"type": "RECORD", "stream": "eve boom: the source has gone\n')
        elif self.arguments.stop == "exit":
            raise SystemExit(3)

    def write(self, message: dict[str, Any]) -> None:
        self.output.write(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
