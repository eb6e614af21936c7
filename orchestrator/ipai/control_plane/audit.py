"""The audit log: who changed what. The database writes it, by triggers; here it is only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ipai.control_plane.database import Room

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class AuditEntry:
    """One change.

    `subject` is an instance, `instance/schedule`, a connector, a quota group or a tier. `details` holds what changed:
    columns as `changed: {name: [before, after]}`, of specs and STATE only the keys.
    """

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]


class AuditLog(Room):
    """Table `audit_log`."""

    statements_of = "audit"

    def newest(self, limit: int, subject: str | None = None) -> list[AuditEntry]:
        """The newest changes, newest first; of one subject and what belongs to it, or of all."""
        return self._records(AuditEntry, "newest", subject=subject, limit=limit)
