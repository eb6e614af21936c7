"""What is kept for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipai.retention import Retained, plan, retain

if TYPE_CHECKING:
    from datetime import timedelta

    from ipai.service.platform import Platform


@dataclass(frozen=True)
class Retention:
    """Old rows: the platform's own, and those of Bronze."""

    _platform: Platform

    def plan(self) -> list[Retained]:
        """What is old by now."""
        with self._platform.control_plane() as control_plane:
            return plan(control_plane)

    def retain(self) -> list[Retained]:
        """Delete what is old, archived first where that is declared; see `ipai.retention.retain`."""
        with self._platform.control_plane() as control_plane:
            return retain(control_plane)

    def periods(self) -> dict[str, timedelta]:
        with self._platform.control_plane() as control_plane:
            return control_plane.retention.periods()

    def set_period(self, subject: str, days: int) -> None:
        """Keep the logs, metrics, deliveries, events or runs for so many days."""
        with self._platform.control_plane() as control_plane:
            control_plane.retention.set_period(subject, days)
