"""What `apply` would change: the folder's specs beside those the control plane holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipai.control_plane import ControlPlane
    from ipai.specs import Catalogs, Connector, Instance

Action = Literal["create", "update", "unchanged", "delete", "not in folder"]


@dataclass(frozen=True)
class Change:
    """One spec and what happens to it; `keys` names what differs, as dotted paths."""

    kind: Literal["connector", "instance"]
    name: str
    action: Action
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything an apply would do, and the specs to do it with."""

    changes: tuple[Change, ...]
    connectors: Mapping[str, Connector]
    instances: Mapping[str, Instance]

    @property
    def is_empty(self) -> bool:
        return all(change.action in ("unchanged", "not in folder") for change in self.changes)

    def apply(self, control_plane: ControlPlane) -> None:
        names = {(change.kind, change.name): change.action for change in self.changes}
        changed = [each for each in self.instances.values() if names["instance", each.name] in ("create", "update")]
        with control_plane.transaction():
            control_plane.specs.save(
                [each for each in self.connectors.values() if names["connector", each.name] in ("create", "update")],
                changed,
                [change.name for change in self.changes if change.action == "delete"],
            )
            for instance in changed:
                control_plane.schedules.declare(instance.name, instance.schedules)


def make_plan(control_plane: ControlPlane, declared: Catalogs, known: Mapping[str, Connector], *, prune: bool) -> Plan:
    """Compare.

    Args:
        declared: the folder's connectors and instances.
        known: connectors that come with the platform; those that instances use are applied along.
        prune: delete instances that the folder does not declare; otherwise they are only pointed out.
    """
    used = {end.connector for each in declared.instances.values() for end in (each.source, each.destination)}
    connectors = {name: known[name] for name in sorted(used) if name in known} | dict(declared.connectors)
    stored_connectors, stored_instances = control_plane.specs.connectors(), control_plane.specs.instances()
    changes = []
    for name, connector in connectors.items():
        stored = stored_connectors.get(name)
        keys = () if stored is None else tuple(_differences(stored.spec, connector.spec))
        if stored is not None and stored.origin != connector.origin:
            keys = (*keys, "folder")
        changes.append(Change("connector", name, _action(stored, keys), keys))
    for name, instance in declared.instances.items():
        held = stored_instances.get(name)
        keys = () if held is None else tuple(_differences(held.spec, instance.spec))
        changes.append(Change("instance", name, _action(held, keys), keys))
    changes += [
        Change("instance", name, "delete" if prune else "not in folder")
        for name in stored_instances
        if name not in declared.instances
    ]
    return Plan(tuple(changes), connectors, declared.instances)


def _action(stored: object | None, keys: tuple[str, ...]) -> Action:
    if stored is None:
        return "create"
    return "update" if keys else "unchanged"


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield path
