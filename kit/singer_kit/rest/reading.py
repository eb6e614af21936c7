"""Several partitions are read at once, each in its order, and handed to one writer.

A partition's reader runs ahead of the writer by a few pages and no further: memory holds so many pages, however much
there is to read.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from singer_kit.rest.page import Page, Partition

_LOOK_UP = 0.5  # seconds after which the writer looks whether it is to stop
_PATIENCE = 2.0  # seconds for readers to end once nobody writes


@dataclass(frozen=True)
class Ended:
    """A partition, or all of reading, has come to its end.

    Attributes:
        error: what ended it early; None: it was read whole.
    """

    error: Exception | None = None


Item = tuple["Partition | None", "Page | Ended"]


def read_concurrently(
    partitions: Iterable[Partition],
    read: Callable[[Partition], Iterator[Page]],
    *,
    workers: int,
    ahead: int = 2,
    stop: Callable[[], None] = lambda: None,
    alive: Callable[[], None] = lambda: None,
) -> Generator[Item, None, None]:
    """Read partitions with so many threads.

    Args:
        partitions: taken from as threads become free.
        read: yields a partition's pages.
        workers: threads.
        ahead: pages for each thread that wait for the writer at most.
        stop: asks readers that wait to end; called when the writer leaves early.
        alive: called now and then while nothing comes; may raise.

    Yields:
        A partition's pages in their order, those of several mixed, and after its last page an `Ended`. An `Ended`
        without a partition is of the iterable itself, which has failed.
    """
    readers = _Readers(partitions, read, line=workers * ahead)
    for number in range(workers):
        threading.Thread(target=readers.work, name=f"reading-{number}", daemon=True).start()
    running = workers
    try:
        while running:
            try:
                item = readers.line.get(timeout=_LOOK_UP)
            except Empty:
                alive()
                continue
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        if running:
            readers.left.set()
            stop()
        # Whoever waits for room in the line must find some, to see that nobody reads on. One that waits for the server
        # is left behind: it dies with the process.
        until = time.monotonic() + _PATIENCE
        with suppress(Empty):
            while running:
                running -= readers.line.get(timeout=max(0.0, until - time.monotonic())) is None


class _Readers:
    """What the threads share. Each puts a None into the line as its last word."""

    def __init__(
        self, partitions: Iterable[Partition], read: Callable[[Partition], Iterator[Page]], *, line: int
    ) -> None:
        self._source = iter(partitions)
        self._taking = threading.Lock()
        self._read = read
        self.line: Queue[Item | None] = Queue(maxsize=line)
        self.left = threading.Event()

    def work(self) -> None:
        try:
            while not self.left.is_set() and (partition := self._take()) is not None:
                self.line.put((partition, self._run(partition)))
        except Exception as error:  # noqa: BLE001 - raised where the writer is
            self.line.put((None, Ended(error)))
        finally:
            self.line.put(None)

    def _take(self) -> Partition | None:
        with self._taking:
            return next(self._source, None)

    def _run(self, partition: Partition) -> Ended:
        try:
            for page in self._read(partition):
                self.line.put((partition, page))
                if self.left.is_set():
                    break
        except Exception as error:  # noqa: BLE001 - raised where the writer is
            return Ended(error)
        return Ended()
