"""Channels and deliveries: tables `channels`, `deliveries`, and the events that are delivered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipai.control_plane.database import Room
from ipai.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Channel:
    """Where events go. `url` and `secret` are references, or a plain address without credentials.

    `kinds` and `instances` are globs. `waiting` and `dead` count deliveries.
    """

    name: str
    kind: str
    url: str
    secret: str | None
    kinds: list[str]
    instances: list[str]
    enabled: bool = True
    resume_at: datetime | None = None
    waiting: int = 0
    dead: int = 0
    last_delivered_at: datetime | None = None


@dataclass(frozen=True)
class Event:
    """Something that happened. `run` holds facts of the run it is about: kind, trigger, streams, rows …."""

    id: int
    at: datetime
    kind: str
    instance: str | None
    run_id: int | None
    payload: Mapping[str, Any]
    run: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Parcel:
    """A delivery that this process has taken: what, where to, and until when it is nobody else's."""

    id: int
    leased_until: datetime
    message_id: str
    channel: Channel
    event: Event


@dataclass(frozen=True)
class Delivery:
    """What became of one event on one channel. `next_at` is null unless it waits."""

    id: int
    message_id: str
    channel: str
    event_id: int
    kind: str
    instance: str | None
    run_id: int | None
    at: datetime
    status: str
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    response_status: int | None
    error: str | None


class NotificationStore(Room):
    """The outbox is filled by a trigger on `events`; here it is emptied."""

    statements_of = "notifications"

    def save(self, channel: Channel) -> None:
        """Add a channel, or give one of this name other settings; either way it is enabled."""
        self._do(
            "channel_upsert", name=channel.name, kind=channel.kind, url=channel.url, secret=channel.secret,
            kinds=channel.kinds, instances=channel.instances,
        )  # fmt: skip

    def channels(self) -> list[Channel]:
        return self._records(Channel, "channels", name=None)

    def channel(self, name: str) -> Channel:
        """One channel.

        Raises:
            NotFoundError: there is none of that name.
        """
        found = self._records(Channel, "channels", name=name)
        if not found:
            raise NotFoundError(f"No channel {name!r}.", hint="ipai notify list shows those there are.")
        return found[0]

    def remove(self, name: str) -> int:
        """Remove a channel; how many deliveries went with it."""
        self.channel(name)
        return self._do("channel_delete", name=name)

    def claim(self, limit: int, lease_seconds: float) -> list[Parcel]:
        """Take up to `limit` deliveries that are due; nobody else gets them before the lease ends."""
        taken = self._rows("claim", limit=limit, lease_seconds=lease_seconds)
        return [_parcel(row) for row in self._rows("messages", ids=[row["id"] for row in taken])] if taken else []

    def settle(
        self, parcel: Parcel, outcome: str, *, status: int | None, error: str | None, pause: float | None
    ) -> str | None:
        """Write down what came of an attempt; the delivery's status now.

        Args:
            outcome: delivered, failed or gone.
            status: of the HTTP answer.
            pause: seconds for which the receiver wants nothing at all.

        Returns:
            None if the lease had run out and somebody else took the delivery: nothing was written.
        """
        (row,) = self._rows(
            "settle", id=parcel.id, leased_until=parcel.leased_until, outcome=outcome, response_status=status,
            error=error, pause=pause,
        )  # fmt: skip
        settled: str | None = row["status"]
        return settled

    def deliveries(self, channel: str | None, *, failing: bool, limit: int) -> list[Delivery]:
        """Deliveries, newest first; `failing`: only dead ones and those that failed and are tried again."""
        return self._records(Delivery, "deliveries", channel=channel, failing=failing, limit=limit)

    def retry(self, channel: str | None, delivery: int | None) -> int:
        """Make dead and failed deliveries due at once, with all their time before them; how many."""
        (row,) = self._rows("retry", channel=channel, id=delivery)
        again: int = row["again"]
        return again


def _parcel(row: Mapping[str, Any]) -> Parcel:
    return Parcel(
        row["id"], row["leased_until"], row["message_id"],
        Channel(row["channel"], row["channel_kind"], row["url"], row["secret"], [], []),
        Event(row["event_id"], row["at"], row["kind"], row["instance"], row["run_id"], row["payload"], row["run"]),
    )  # fmt: skip
