"""Several pipelines of one run at once: their events in one place, one after another."""

from __future__ import annotations

import queue
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from ipai.pipeline import Pipeline, Quiet

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from ipai.pipeline import Event

_QUEUE_EVENTS = 1000


class Pipelines:
    """Runs once; iterate over `events`.

    One that fails does not end the others: what they load is loaded, and only its own streams have to be synced again.
    """

    def __init__(self, pipelines: Sequence[Pipeline]) -> None:
        self._pipelines = pipelines
        self._queue: queue.Queue[tuple[int, Event | BaseException | None]] = queue.Queue(_QUEUE_EVENTS)
        self._left = 0
        self._failed: BaseException | None = None

    def events(self) -> Generator[tuple[int, Event], None, None]:
        """Start all and yield what happens in which; each one's last event is its `Finished`.

        Raises:
            OSError: a process cannot be started.
        """
        threads = [
            threading.Thread(target=self._run, args=(index, pipeline), name=f"pipeline {index}", daemon=True)
            for index, pipeline in enumerate(self._pipelines)
        ]
        for thread in threads:
            thread.start()
        self._left = len(threads)
        try:
            while self._left:
                try:
                    index, event = self._next(timeout=0.1)
                except queue.Empty:
                    yield 0, Quiet()
                    continue
                if event is not None:
                    yield index, event
        finally:
            self._end()
        if self._failed is not None:
            raise self._failed

    def _next(self, timeout: float | None) -> tuple[int, Event | None]:
        index, event = self._queue.get(timeout=timeout)
        if event is None:
            self._left -= 1
        elif isinstance(event, BaseException):
            self._failed = event
            self.stop()
            return index, None
        return index, event

    def _end(self) -> None:
        """Whoever listened has gone away: leave no process behind."""
        if not self._left:
            return
        self.stop()
        try:
            while self._left:
                self._next(timeout=None)
        except BaseException:  # a second Ctrl-C
            self.kill()
            while self._left:
                self._next(timeout=None)
            raise

    def stop(self) -> None:
        """See `Pipeline.stop`."""
        for pipeline in self._pipelines:
            pipeline.stop()

    def kill(self) -> None:
        """See `Pipeline.kill`."""
        for pipeline in self._pipelines:
            pipeline.kill()

    def _run(self, index: int, pipeline: Pipeline) -> None:
        try:
            with closing(pipeline.events()) as events:
                for event in events:
                    if not isinstance(event, Quiet):
                        self._queue.put((index, event))
        except BaseException as error:  # noqa: BLE001 - it is raised where the events are read
            self._queue.put((index, error))
        finally:
            self._queue.put((index, None))
