"""Who serves the queue: signs of life, and whether everything they need is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipai.control_plane.database import Room
from ipai.control_plane.records import FleetMember

if TYPE_CHECKING:
    from uuid import UUID


class FleetStore(Room):
    """Table `fleet_members`."""

    statements_of = "fleet"

    def beat(self, name: str, kind: str, host: str) -> None:
        """Say that a worker or a scheduler is alive."""
        self._do("beat", name=name, kind=kind, host=host)

    def leave(self, name: str) -> None:
        self._do("leave", name=name)

    def members(self, kind: str | None = None, host: str | None = None) -> list[FleetMember]:
        return self._records(FleetMember, "members", kind=kind, host=host)

    def platform_id(self) -> UUID:
        """Which control plane this is, among all there are."""
        (row,) = self._rows("platform_id")
        found: UUID = row["id"]
        return found

    def has_queue(self) -> bool:
        (row,) = self._rows("queue_tables")
        return bool(row["there"])
