"""Sending OpenLineage events without anybody waiting for it.

One thread a process takes what is to be sent, imports the client (which takes a second), and hands it to the transport
that the client's own configuration names. A receiver that is slow or away costs events, never a run.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import re
import threading
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

    Build = Callable[[], Iterable[RunEvent]]

_WAITING = 1_000  # more than this and new ones are dropped
_EXIT_SECONDS = 2.0  # what a process that ends grants to those still waiting …
_IMPORT_SECONDS = 10.0  # … once the client is there
_WARNING_SECONDS = 60.0

_logger = logging.getLogger(__name__)


def configured() -> bool:
    """Whether the client would find a configuration: OPENLINEAGE_… variables or an openlineage.yml."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").lower() in {"true", "1"}:
        return False
    if any(name.startswith(("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")) for name in os.environ):
        return True
    return any(Path(path).expanduser().is_file() for path in ("openlineage.yml", "~/.openlineage/openlineage.yml"))


@cache
def sender() -> Sender:
    """The process's own."""
    made = Sender()
    atexit.register(made.drain, _EXIT_SECONDS)
    return made


class Sender:
    """A thread and what waits for it."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Build] = queue.Queue(_WAITING)
        self._warned_at = float("-inf")
        self._client: OpenLineageClient | None = None
        self._tried = threading.Event()
        threading.Thread(target=self._work, name="lineage", daemon=True).start()

    def send(self, build: Build) -> None:
        """Build and send events later; returns at once and never fails."""
        try:
            self._waiting.put_nowait(build)
        except queue.Full:
            self._warn("too many wait already")

    def drain(self, seconds: float) -> None:
        """Wait until everything has been sent, but no longer than this from when the client is imported."""
        if self._waiting.unfinished_tasks:
            self._tried.wait(_IMPORT_SECONDS)
        deadline = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def _work(self) -> None:
        while True:
            build = self._waiting.get()
            try:
                if self._client is None:
                    from openlineage.client import OpenLineageClient  # noqa: PLC0415 - slow to import

                    self._client = OpenLineageClient()
                self._tried.set()
                for event in build():
                    self._client.emit(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, no run may suffer
                self._warn(f"{type(error).__name__}: {error}")
            finally:
                self._tried.set()
                self._waiting.task_done()

    def _warn(self, reason: str) -> None:
        """Say it, but not for every event."""
        if time.monotonic() - self._warned_at >= _WARNING_SECONDS:
            self._warned_at = time.monotonic()
            _logger.warning("OpenLineage events are lost: %s", re.sub(r"//[^/@\s]+@", "//***@", reason)[:300])
