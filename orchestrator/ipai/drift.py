"""Schema drift: how a stream differs from what it was, and what is to be done about it. No I/O.

    stream_added, stream_removed          a stream that the instance's rules take in
    added, removed                        a property, at any depth: address.city, lines[].price
    widened, narrowed, type_changed       its values: more of them, fewer, or others (see `ipai.shapes`)
    key_changed, replication_key_changed

Properties that are not selected are nobody's business, before or after.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ipai.shapes import ITEMS, Shape, shape
from ipai.singer_catalog import Catalog, key_properties_of, left_out_of, replication_of, stream_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Kind = Literal[
    "stream_added",
    "stream_removed",
    "added",
    "removed",
    "widened",
    "narrowed",
    "type_changed",
    "key_changed",
    "replication_key_changed",
]
Policy = Literal["apply", "pause", "fail"]
Severity = Literal["info", "warning", "breaking"]

# What a destination takes without changing or losing anything it holds is applied. What changes the meaning of rows
# that are there already waits for a person: under another key old and new rows would never meet, another bookmark would
# skip rows, and a column of another type stays so for good.
DEFAULTS: Mapping[Kind, Policy] = {
    "stream_added": "apply",
    "stream_removed": "apply",
    "added": "apply",
    "removed": "apply",
    "widened": "apply",
    "narrowed": "apply",
    "type_changed": "pause",
    "key_changed": "pause",
    "replication_key_changed": "pause",
}
_SEVERITIES: Mapping[Kind, Severity] = {
    "stream_added": "info",
    "added": "info",
    "widened": "info",
    "removed": "warning",
    "narrowed": "warning",
    "stream_removed": "breaking",
    "type_changed": "breaking",
    "key_changed": "breaking",
    "replication_key_changed": "breaking",
}
_LONGEST = 300  # characters of a path


@dataclass(frozen=True)
class StreamSchema:
    """What a stream looks like. `schema` is the JSON schema of its records."""

    stream: str
    schema: Mapping[str, Any]
    key_properties: tuple[str, ...] = ()
    replication_key: str | None = None
    left_out: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        stream: str,
        schema: Mapping[str, Any],
        keys: Iterable[str],
        replication_key: str | None,
        left_out: Iterable[str] = (),
    ) -> StreamSchema:
        """As a tap tells it, made such that it can be stored."""
        return cls(
            storable(stream), schema, tuple(map(storable, keys)),
            None if replication_key is None else storable(replication_key), frozenset(map(storable, left_out)),
        )  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One difference. `property` is null for one of the whole stream; before and after are words for people."""

    stream: str
    property: str | None
    kind: Kind
    before: str | None
    after: str | None

    def __str__(self) -> str:
        what = self.stream if self.property is None else f"{self.stream}.{self.property}"
        verb = self.kind.removeprefix("stream_").replace("_", " ")
        if self.before is None or self.after is None:
            shown = self.before or self.after
            return f"{what} {verb}" + (f" ({shown})" if shown else "")
        return f"{what} {verb} ({self.before} → {self.after})"

    def column(self) -> str | None:
        """The column that holds the property."""
        return None if self.property is None else self.property.partition(".")[0].partition(ITEMS)[0]


def compare(before: StreamSchema, after: StreamSchema) -> list[Change]:
    """What is different now; nothing where it only is written differently."""
    if before == after:
        return []
    ignored = before.left_out | after.left_out
    sides = [
        {name: child for name, child in _properties(each).items() if name not in ignored} for each in (before, after)
    ]
    changes = [Change(after.stream, *found) for found in _compared(sides[0], sides[1], "")]
    if set(before.key_properties) != set(after.key_properties):
        keys = [", ".join(each.key_properties) or "none" for each in (before, after)]
        changes.append(Change(after.stream, None, "key_changed", keys[0], keys[1]))
    if before.replication_key != after.replication_key:
        marks = [each.replication_key or "none" for each in (before, after)]
        changes.append(Change(after.stream, None, "replication_key_changed", marks[0], marks[1]))
    return changes


def _properties(of: StreamSchema) -> Mapping[str, Shape]:
    return shape({"type": "object", "properties": of.schema.get("properties")}).children


def _compared(
    before: Mapping[str, Shape], after: Mapping[str, Shape], path: str
) -> Iterator[tuple[str, Kind, str | None, str | None]]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        at = path + name if name == ITEMS or not path else f"{path}.{name}"
        shown = storable(at)[:_LONGEST]
        if old is None:
            yield shown, "added", None, _words(new)
        elif new is None:
            yield shown, "removed", _words(old), None
        else:
            if kind := _relation(old, new):
                yield shown, kind, _words(old), _words(new)
            # What lies in an object or an array is compared where both sides are one.
            shared = [
                {key: child for key, child in side.children.items() if _container(key) in other.kinds}
                for side, other in ((old, new), (new, old))
            ]
            yield from _compared(shared[0], shared[1], at)


def _container(child: str) -> str:
    return "array" if child == ITEMS else "object"


def _relation(old: Shape, new: Shape) -> Literal["widened", "narrowed", "type_changed"] | None:
    wider, narrower = new.holds(old), old.holds(new)
    if wider and narrower:
        return None
    if wider or narrower:
        return "widened" if wider else "narrowed"
    return "type_changed"


def _words(of: Shape | None) -> str:
    return storable(str(of))


def storable(text: str) -> str:
    """A text without what Postgres cannot store: NUL and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def stream_schemas(catalog: Catalog) -> list[StreamSchema]:
    """What the streams of a catalog look like."""
    return [
        StreamSchema.of(
            stream_name(entry), entry.get("schema") or {}, key_properties_of(entry), replication_of(entry)[1],
            left_out_of(entry),
        )
        for entry in catalog["streams"]
    ]  # fmt: skip


def policies(spec: str | Mapping[str, str] | None) -> dict[str, str]:
    """The policies that an instance states, by kind: one word is about every kind."""
    if isinstance(spec, str):
        return dict.fromkeys(get_args(Kind), spec)
    return dict(spec or {})


def severity(kind: Kind, *, read: bool) -> Severity:
    """How bad it is for those who read the table; `read`: a dbt model does so."""
    found = _SEVERITIES[kind]
    return "breaking" if read and found == "warning" else found


def as_json(schema: Mapping[str, Any]) -> str:
    """A schema as it is stored: Postgres knows no NaN and no infinity."""
    finite = json.loads(json.dumps(schema), parse_constant=lambda _: None)
    return json.dumps(finite, separators=(",", ":"))
