"""A worker: takes runs off the queue and executes them, as many at once as it may."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipai import queue
from ipai.errors import IpaiError
from ipai.heartbeat import beating, member_name
from ipai.leases import LEASE_SECONDS, LeaseKeeper
from ipai.runs import execute
from ipai.secrets import SecretKeys
from ipai.stopping import Reason, Stop, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ipai.control_plane import ControlPlane
    from ipai.plugins import PluginEnvironments

_logger = logging.getLogger(__name__)


@dataclass
class Worker:
    """Executes runs of the queue.

    Args:
        connect: opens a connection to the control plane; each run has one of its own.
        concurrency: runs at once.
        queues: the only queues it serves; None means all.
        keys: open the secrets of its runs.
    """

    connect: Callable[[], ControlPlane]
    environments: PluginEnvironments
    url: str
    concurrency: int = 1
    queues: Sequence[str] | None = None
    lease_seconds: float = LEASE_SECONDS
    keys: SecretKeys = field(default_factory=SecretKeys)

    async def work(self, stop: asyncio.Event) -> None:
        """Serve the queue until `stop` is set; runs under way then end at their last STATE and go on elsewhere."""
        with LeaseKeeper(self.connect, self.lease_seconds) as leases:

            async def interrupt() -> None:
                await stop.wait()
                leases.stop_all(Reason.INTERRUPTED)

            interrupting = asyncio.create_task(interrupt())
            try:
                async with beating(self.connect, member_name("worker")):
                    await queue.work(
                        self.url, lambda run_id: self.run(run_id, leases),
                        queues=self.queues, concurrency=self.concurrency, stop=stop,
                    )  # fmt: skip
            finally:
                interrupting.cancel()

    def run(self, run_id: int, leases: LeaseKeeper) -> None:
        """Execute one run of the queue; whatever goes wrong is written into its row."""
        try:
            with self.connect() as control_plane:
                run = control_plane.runs.claim(run_id, member_name("worker"), self.lease_seconds)
                if isinstance(run, str):
                    _logger.info("run %s is not started: %s", run_id, run)
                    return
                stop = Stop()
                with leases.hold(run, stop):
                    _logger.info("run %s of %s started", run.id, run.instance)
                    execute(control_plane, self.environments, run, stop=stop, keys=self.keys)
                _logger.info("run %s of %s succeeded", run.id, run.instance)
        except StoppedError as stopped:
            _logger.info("run %s: %s", run_id, stopped)
        except IpaiError as error:
            _logger.warning("run %s failed: %s", run_id, error)
        except Exception:
            _logger.exception("run %s failed", run_id)


def stop_on_signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` at SIGTERM and Ctrl-C; at a second signal the process ends as signals end processes."""

    def told(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, told, number)
