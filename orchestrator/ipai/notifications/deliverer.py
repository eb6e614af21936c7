"""The deliverer: empties the outbox, in a thread of the scheduler's process and out of everybody's way.

At least once: a delivery is taken under a lease, sent, and what came of it is written down. If this process dies in
between, the lease runs out and somebody else sends it again, with the same id. Several deliverers may work at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ipai.errors import DatabaseError, IpaiError
from ipai.notifications import people, webhooks
from ipai.notifications.channels import hide, resolver
from ipai.notifications.messages import body, words
from ipai.notifications.outcomes import Outcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import httpx

    from ipai.control_plane import ControlPlane
    from ipai.control_plane.notifications import Channel, Event, Parcel
    from ipai.references import Resolver
    from ipai.secrets import SecretKeys

LEASE_SECONDS = 60.0  # longer than any attempt
_AT_ONCE = 64
_POLL_SECONDS = 1.0
_GRACE_SECONDS = 5.0
_PEOPLE_SECONDS = 40.0
_SECRETS_SECONDS = 300.0

_logger = logging.getLogger(__name__)


def run_deliverer(
    connect: Callable[[], ControlPlane],
    stop: threading.Event,
    lease_seconds: float = LEASE_SECONDS,
    keys: SecretKeys | None = None,
) -> None:
    """Deliver until `stop` is set; a database that is away is waited for."""
    while not stop.is_set():
        try:
            with connect() as control_plane:
                asyncio.run(Deliverer(control_plane, lease_seconds, keys).work(stop))
        except DatabaseError as error:
            _logger.warning("The database is away, notifications wait: %s", error)
            stop.wait(_POLL_SECONDS)
        except Exception:
            _logger.exception("Delivering notifications failed")
            stop.wait(_POLL_SECONDS)


@dataclass
class Deliverer:
    """Sends what is due, many at once."""

    control_plane: ControlPlane
    lease_seconds: float = LEASE_SECONDS
    keys: SecretKeys | None = None
    _resolvers: dict[str, tuple[float, Resolver]] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(16, thread_name_prefix="apprise"))

    async def work(self, stop: threading.Event) -> None:
        """Go on until `stop` is set; what is being sent then has a few seconds to come to its end."""
        sending: set[asyncio.Task[None]] = set()
        async with webhooks.client() as client:
            try:
                while not stop.is_set():
                    for parcel in self.control_plane.notifications.claim(_AT_ONCE - len(sending), self.lease_seconds):
                        sending.add(asyncio.create_task(self._send(client, parcel)))
                    ended, sending = await _first_of(sending)
                    for task in ended:
                        task.result()
            finally:
                if sending:
                    await asyncio.wait(sending, timeout=_GRACE_SECONDS)
                for task in sending:
                    task.cancel()
                await asyncio.gather(*sending, return_exceptions=True)
                self._threads.shutdown(wait=False, cancel_futures=True)

    async def _send(self, client: httpx.AsyncClient, parcel: Parcel) -> None:
        outcome = await attempt(
            self._resolver(parcel.channel), client, parcel.channel, parcel.event, parcel.message_id, self._threads
        )
        status = self.control_plane.notifications.settle(
            parcel, outcome.result, status=outcome.status, error=outcome.error, pause=outcome.pause
        )
        if outcome.result == "gone":
            _logger.warning("channel %s is disabled: %s", parcel.channel.name, outcome.error)
        elif status == "dead":
            _logger.warning("channel %s: event %s is given up: %s", parcel.channel.name, parcel.event.id, outcome.error)

    def _resolver(self, channel: Channel) -> Resolver:
        """One that is kept for a while, so that not every delivery is on record as a reading of its secrets."""
        until, kept = self._resolvers.get(channel.name, (0.0, None))
        if kept is None or time.monotonic() > until:
            kept = resolver(self.control_plane, self.keys, channel)
            self._resolvers[channel.name] = (time.monotonic() + _SECRETS_SECONDS, kept)
        return kept


async def attempt(
    resolved: Resolver,
    client: httpx.AsyncClient,
    channel: Channel,
    event: Event,
    message_id: str,
    threads: ThreadPoolExecutor | None = None,
) -> Outcome:
    """Try once to deliver an event; secrets are taken out of what is told of it."""
    url = channel.url
    try:
        url = str(resolved.resolve(channel.url, where=f"channel {channel.name}"))
        secrets = channel.secret and str(resolved.resolve(channel.secret, where=f"channel {channel.name}"))
        if channel.kind == "webhook":
            outcome = await webhooks.post(client, url, message_id=message_id, body=body(event), secrets=secrets)
        else:
            telling = asyncio.get_running_loop().run_in_executor(threads, people.tell, url, words(event))
            outcome = await asyncio.wait_for(telling, _PEOPLE_SECONDS)
    except DatabaseError:
        raise
    except asyncio.TimeoutError:
        outcome = Outcome("failed", error=f"No answer within {_PEOPLE_SECONDS:g} seconds.")
    except IpaiError as error:
        outcome = Outcome("failed", error=f"{error} {error.hint or ''}".strip())
    except Exception as error:  # noqa: BLE001 - one message that cannot be sent must not keep the others
        outcome = Outcome("failed", error=f"{type(error).__name__}: {error}")

    def without_secrets(text: str) -> str:
        text = resolved.redact(text)
        return text if url == channel.url else hide(text, url)

    return replace(
        outcome, error=outcome.error and without_secrets(outcome.error), answer=without_secrets(outcome.answer)
    )


async def _first_of(
    tasks: set[asyncio.Task[None]],
) -> tuple[set[asyncio.Task[None]], set[asyncio.Task[None]]]:
    """Wait until one of them has ended, or a moment; those that ended and the others."""
    if not tasks:
        await asyncio.sleep(_POLL_SECONDS)
        return set(), set()
    return await asyncio.wait(tasks, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
