"""What a stream is read once for: values, and records of a parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError
from singer_kit.rest import Partition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_rest_api.language import Partition as PartitionSpec
    from tap_rest_api.language import Stream
    from tap_rest_api.requesting import Scope


@dataclass(frozen=True)
class ParentRow:
    """A record of a parent, as its child sees it.

    Attributes:
        fields: `${parent.NAME}`.
        above: the same of the parent's own parent, empty without one.
    """

    fields: Mapping[str, Any]
    above: Mapping[str, Any]

    @property
    def scope(self) -> dict[str, Any]:
        """`parent` for templates."""
        return {**self.fields, **({"parent": self.above} if self.above else {})}


def parent_of(stream: Stream) -> PartitionSpec | None:
    """How a stream depends on another one, if it does."""
    return next((spec for spec in stream.partitions or [] if spec.parent is not None), None)


def parent_row(spec: PartitionSpec, record: Mapping[str, Any], scope: Scope) -> ParentRow | None:
    """What a child gets of a parent's record; None where `where` leaves it out."""
    names = {name: scope.get(name) for name in ("parent", "partition", "config")}
    if spec.where and not spec.where.holds(**names, record=record):
        return None
    fields = {name: path.first(record) for name, path in spec.fields.items()}
    return ParentRow(fields, scope.get("parent") or {})


def products(stream: Stream, row: ParentRow | None, scope: Scope) -> Iterator[Partition]:
    """The partitions of a stream for one record of its parent; their data is the scope for templates.

    Raises:
        ConfigurationError: the values of one are no list.
    """
    combined: list[dict[str, Any]] = [{}]
    for spec in stream.partitions or []:
        if spec.values is not None:
            values = spec.values.render(scope)
            if not isinstance(values, list):
                raise ConfigurationError(
                    f"Stream '{stream.name}': the values of partition '{spec.name}' are {values!r} and no list. "
                    "Next: correct partitions.values."
                )
            combined = [{**each, str(spec.name): value} for each in combined for value in values]
    context: dict[str, Any] = {}
    inside = dict(scope)
    if row is not None:
        context = {**row.fields, **({"parent": dict(row.above)} if row.above else {})}
        inside["parent"] = row.scope
    for each in combined:
        yield Partition({**context, **each}, {**inside, "partition": each})
