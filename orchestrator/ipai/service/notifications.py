"""Channels, and what has been delivered to them."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ipai.control_plane.notifications import Channel, Delivery, Event
from ipai.notifications.channels import DEFAULT_KINDS, check, resolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipai.notifications.outcomes import Outcome
    from ipai.service.platform import Platform


@dataclass(frozen=True)
class Tested:
    """What came back from a test event, and after how many seconds."""

    channel: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class Notifications:
    """Telling programs and people what happened."""

    _platform: Platform

    def add(
        self,
        name: str,
        *,
        kind: str,
        url: str,
        secret: str | None = None,
        kinds: Sequence[str] = (),
        instances: Sequence[str] = (),
    ) -> Channel:
        """Add a channel, or give one other settings and enable it.

        Args:
            kind: webhook or apprise.
            url: a reference, or the address of a webhook that holds no credentials.
            secret: a reference to the signing secret of a webhook.
            kinds: of events, as globs; by default those that somebody should look at.
            instances: as globs; all by default.
        """
        channel = Channel(name, kind, url, secret, list(kinds or DEFAULT_KINDS), list(instances or ("*",)))
        check(channel)
        with self._platform.control_plane() as control_plane:
            control_plane.notifications.save(channel)
            return control_plane.notifications.channel(name)

    def channels(self) -> list[Channel]:
        with self._platform.control_plane() as control_plane:
            return control_plane.notifications.channels()

    def remove(self, name: str) -> int:
        """Remove a channel; how many deliveries went with it."""
        with self._platform.control_plane() as control_plane:
            return control_plane.notifications.remove(name)

    def test(self, name: str) -> Tested:
        """Send a test event from here, past the outbox."""
        from ipai.notifications import webhooks  # noqa: PLC0415 - its HTTP client is slow to import
        from ipai.notifications.deliverer import attempt  # noqa: PLC0415

        with self._platform.control_plane() as control_plane:
            channel = control_plane.notifications.channel(name)
            event = Event(
                0, datetime.now(timezone.utc), "channel.test", None, None,
                {"message": f"This is a test of channel {name}.", "hint": "Nothing to do: it works."},
            )  # fmt: skip

            resolved = resolver(control_plane, self._platform.secret_keys, channel)

            async def send() -> Outcome:
                async with webhooks.client() as client:
                    return await attempt(resolved, client, channel, event, f"msg_test_{uuid.uuid4().hex}")

            started = time.monotonic()
            return Tested(name, asyncio.run(send()), time.monotonic() - started)

    def deliveries(self, channel: str | None = None, *, failing: bool = False, limit: int = 50) -> list[Delivery]:
        """Deliveries, newest first; `failing`: dead ones and those that failed and are tried again."""
        with self._platform.control_plane() as control_plane:
            if channel is not None:
                control_plane.notifications.channel(channel)
            return control_plane.notifications.deliveries(channel, failing=failing, limit=limit)

    def retry(self, channel: str | None = None, delivery: int | None = None) -> int:
        """Make dead and failed deliveries due at once; how many."""
        with self._platform.control_plane() as control_plane:
            if channel is not None:
                control_plane.notifications.channel(channel)
            return control_plane.notifications.retry(channel, delivery)
