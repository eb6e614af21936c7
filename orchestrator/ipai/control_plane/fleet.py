"""Who serves the queue: signs of life, and whether everything they need is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipai.control_plane.database import Room
from ipai.control_plane.records import FleetMember

if TYPE_CHECKING:
    from collections.abc import Sequence
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

    def make_login(self, name: str, password: str, loads: Sequence[str]) -> tuple[bool, str]:
        """Make a login that may only work, or give one this password: whether it is new, and the login that did so.

        Args:
            loads: schemas of this database that its targets load into; they are made, or handed over.

        Raises:
            DatabaseError: this login may not do that, or the name is another role's.
        """
        with self._database.explained():
            # Not the password itself, which would stand in the server's log where that has statements.
            verifier = self._database.connection.pgconn.encrypt_password(password.encode(), name.encode()).decode()
        (row,) = self._rows("make_login", name=name, password=verifier, loads=list(loads))
        return row["is_new"], row["session_login"]

    def has_queue(self) -> bool:
        (row,) = self._rows("queue_tables")
        return bool(row["there"])
