"""Signs of life of workers and schedulers: a row each, which `ipai health` and the metrics look at.

A scheduler beats from within its tick and a worker from its event loop, so that one that hangs falls silent.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipai.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ipai.control_plane import ControlPlane

BEAT_SECONDS = 10.0
FRESH_SECONDS = 45.0  # silence of this length means trouble


def member_name(kind: str) -> str:
    """How this process is called: what it is, where, and its number."""
    return f"{kind} {socket.gethostname()}:{os.getpid()}"


@dataclass(frozen=True)
class Heartbeat:
    """Of one worker or scheduler; its name starts with what it is."""

    name: str

    def beat(self, control_plane: ControlPlane) -> None:
        control_plane.fleet.beat(self.name, self.name.partition(" ")[0], socket.gethostname())

    def end(self, control_plane: ControlPlane) -> None:
        control_plane.fleet.leave(self.name)


@asynccontextmanager
async def beating(connect: Callable[[], ControlPlane], name: str) -> AsyncIterator[None]:
    """Beat while the block lasts; a database that is away is a beat left out."""
    heartbeat = Heartbeat(name)

    def do(what: Callable[[ControlPlane], None]) -> None:
        with suppress(DatabaseError), connect() as control_plane:
            what(control_plane)

    ending = asyncio.Event()

    async def beat() -> None:
        while not ending.is_set():
            await asyncio.to_thread(do, heartbeat.beat)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ending.wait(), BEAT_SECONDS)
        await asyncio.to_thread(do, heartbeat.end)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        ending.set()
        await task
