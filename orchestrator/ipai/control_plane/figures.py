"""What a scrape shows of the control plane, in a handful of statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipai.control_plane.database import Room

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READ = ("totals", "instances", "tiers", "queues", "running", "last_streams")


class FigureStore(Room):
    """Sums, queues and lateness."""

    statements_of = "figures"

    def read(self, fresh_seconds: float) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The rows of every statement in `figures.sql`, by its name, as of one moment.

        Args:
            fresh_seconds: a worker or scheduler that was seen so lately counts as alive.
        """
        with self._database.transaction():
            self._do("one_moment")
            figures = {name: self._rows(name) for name in _READ}
            figures["fleet"] = self._rows("fleet", fresh_seconds=fresh_seconds)
            (notifications,) = self._rows("has_deliveries")
            figures["deliveries"] = self._rows("deliveries") if notifications["there"] else []
            return figures
