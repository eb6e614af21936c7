"""Connectors, instances and quota groups as they were applied."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from ipai.control_plane.database import Room
from ipai.control_plane.records import QuotaGroup
from ipai.errors import NotFoundError
from ipai.specs import connector_from_spec, instance_from_spec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ipai.specs import Connector, Instance


class SpecStore(Room):
    """What exists and what runs."""

    statements_of = "specs"

    def connectors(self) -> dict[str, Connector]:
        rows = self._rows("definitions")
        return {row["name"]: connector_from_spec(row["spec"], Path(row["origin"])) for row in rows}

    def instances(self) -> dict[str, Instance]:
        return {row["name"]: instance_from_spec(row["spec"]) for row in self._rows("instances")}

    def instance(self, name: str) -> Instance:
        """One instance.

        Raises:
            NotFoundError: naming those that exist.
        """
        found = self._rows("instance", name=name)
        if not found:
            known = ", ".join(row["name"] for row in self._rows("instances"))
            raise NotFoundError(
                f"No instance {name!r}.", hint=f"Known: {known}." if known else "Run ipai apply catalogs first."
            )
        return instance_from_spec(found[0]["spec"])

    def save(self, connectors: Iterable[Connector], instances: Iterable[Instance], drop: Iterable[str]) -> None:
        """Store connectors and instances and drop the instances named. Within a transaction of the caller's."""
        for connector in connectors:
            self._do(
                "definition_upsert", name=connector.name, role=connector.role,
                spec=Jsonb(connector.spec), origin=str(connector.origin),
            )  # fmt: skip
            if connector.max_running is not None:
                self.set_quota(connector.name, connector.max_running)
        for instance in instances:
            self._do(
                "instance_upsert", name=instance.name, source=instance.source.connector,
                destination=instance.destination.connector, spec=Jsonb(instance.spec),
            )  # fmt: skip
        for name in drop:
            self._do("instance_delete", name=name)

    def variables(self) -> set[str]:
        """The environment variables that any setting or channel names."""
        return {row["name"] for row in self._rows("variables")}

    def quotas(self) -> list[QuotaGroup]:
        return self._records(QuotaGroup, "quotas")

    def set_quota(self, group: str, max_running: int) -> None:
        self._do("quota_upsert", name=group, max_running=max_running)

    def remove_quota(self, group: str) -> bool:
        """Lift a group's limit; false if it had none."""
        return bool(self._do("quota_delete", name=group))
