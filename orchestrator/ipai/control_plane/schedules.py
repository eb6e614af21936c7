"""Schedules as rows, and the two statements of a tick that concern them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from ipai.control_plane.database import Room
from ipai.control_plane.records import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from ipai.specs import ScheduleSpec


class ScheduleStore(Room):
    """Table `connector_schedules`."""

    statements_of = "schedules"

    def declare(self, instance: str, schedules: Iterable[ScheduleSpec]) -> None:
        """Make an instance's schedules these; a pause stays."""
        named = list(schedules)
        for each in named:
            self._do(
                "upsert", instance=instance, name=each.name, cron=each.cron, time_zone=each.time_zone,
                jitter_seconds=each.jitter_seconds, catch_up=each.catch_up,
                blackouts=Jsonb([dict(window) for window in each.blackouts]),
                streams=None if each.streams is None else list(each.streams), full_refresh=each.full_refresh,
            )  # fmt: skip
        self._do("delete_others", instance=instance, names=[each.name for each in named])

    def all(self, instance: str | None = None) -> list[Schedule]:
        return self._records(Schedule, "schedules", instance=instance)

    def pause(self, instance: str | None, name: str | None, *, paused: bool) -> int:
        """Pause or resume schedules, all when nothing is named; how many changed."""
        return self._do("pause", instance=instance, name=name, paused=paused)

    def due(self, now: datetime, limit: int) -> list[Schedule]:
        """What is due and nobody else is seeing to, held to the end of the transaction."""
        return self._records(Schedule, "due", now=now, limit=limit)

    def move_on(self, moves: Sequence[tuple[Schedule, datetime | None, datetime | None]]) -> None:
        """Set when each is due next, and when it was due last (None leaves that)."""
        self._do(
            "moved_on", instances=[each.instance for each, _, _ in moves], names=[each.name for each, _, _ in moves],
            next_at=[next_at for _, next_at, _ in moves], last_due_at=[last for _, _, last in moves],
        )  # fmt: skip

    def enqueue(self, runs: Sequence[tuple[Schedule, datetime]]) -> int:
        """Enqueue a run of each, due at the moment given; how many are new or brought forward."""
        return self._do(
            "enqueue", instances=[each.instance for each, _ in runs], names=[each.name for each, _ in runs],
            due_at=[due_at for _, due_at in runs],
        )  # fmt: skip

    def now(self) -> datetime:
        """The database's clock, by which everything is due."""
        (row,) = self._rows("now")
        moment: datetime = row["now"]
        return moment

    def tell_late(self, now: datetime) -> list[str]:
        """Emit `run.late` for instances that should have succeeded by now; their names."""
        return [row["instance"] for row in self._rows("late", now=now)]
