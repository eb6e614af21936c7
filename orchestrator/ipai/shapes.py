"""What values a JSON schema admits, in a form in which two ways of writing the same are equal.

    {"type": ["null", "string"], "maxLength": 5}                            string(5) or null
    {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]}       string(5) or null

One schema *holds* another when a column made for it takes the other's values whole:

    integer < number < string        date < date-time < string        boolean, time, uuid, base64 < string
    fewer < more: characters, range, values of an enum, kinds, null          anything < a schema that says nothing

Order, titles, descriptions, defaults, `required`, `pattern`, `multipleOf` and the like decide about no column and are
not looked at. `$ref` counts as a schema that says nothing.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ITEMS = "[]"  # the child of an array
_ANY = "any"
_DEEPEST = 50  # levels; what lies deeper may be anything
_LONGEST = 300  # characters of a description
_NUMERIC = frozenset({"integer", "number"})
_WIDER: Mapping[str, frozenset[str]] = {
    "integer": frozenset({"number", "string"}),
    "date": frozenset({"date-time", "string"}),
    **dict.fromkeys(("number", "boolean", "date-time", "time", "uuid", "base64", "base16"), frozenset({"string"})),
}
_FORMATS = {
    **{name: name for name in ("date", "date-time", "time", "uuid")},
    "singer.decimal": "number",
    "x-singer.decimal": "number",
}


@dataclass(frozen=True)
class Bounds:
    """What limits the values of one kind. `values` are those of an enum, as JSON; None means any."""

    longest: float = math.inf
    least: float = -math.inf
    most: float = math.inf
    values: frozenset[str] | None = None

    def hold(self, other: Bounds) -> bool:
        return self.longest >= other.longest and self.least <= other.least and self.most >= other.most

    def union(self, other: Bounds) -> Bounds:
        values = None if self.values is None or other.values is None else self.values | other.values
        return Bounds(
            max(self.longest, other.longest), min(self.least, other.least), max(self.most, other.most), values
        )


@dataclass(frozen=True)
class Shape:
    """The values that a schema admits.

    Args:
        kinds: integer, number, string, boolean, date, date-time, time, uuid, base64, base16, object, array, any.
        children: of an object its properties; of an array its items, under `ITEMS`.
    """

    kinds: Mapping[str, Bounds]
    nullable: bool
    children: Mapping[str, Shape] = field(default_factory=dict)

    def holds(self, other: Shape) -> bool:
        """Whether everything that the other admits has a place here. Children are not looked at."""
        return (self.nullable or not other.nullable) and all(
            any(_holds(wide, bounds, kind, inner) for wide, bounds in self.kinds.items())
            for kind, inner in other.kinds.items()
        )

    def union(self, other: Shape) -> Shape:
        kinds = dict(self.kinds)
        for kind, bounds in other.kinds.items():
            kinds[kind] = kinds[kind].union(bounds) if kind in kinds else bounds
        children = dict(self.children)
        for name, child in other.children.items():
            children[name] = children[name].union(child) if name in children else child
        return Shape(kinds, self.nullable or other.nullable, children)

    def __str__(self) -> str:
        kinds = [_described(kind, self.kinds[kind], self.children.get(ITEMS)) for kind in sorted(self.kinds)]
        if _ANY in self.kinds:
            return _ANY
        return " or ".join([*kinds, *(["null"] if self.nullable else [])])[:_LONGEST]


ANY = Shape({_ANY: Bounds()}, nullable=True)
_NOTHING = Shape({}, nullable=False)


def _holds(wide: str, bounds: Bounds, kind: str, inner: Bounds) -> bool:
    if wide == _ANY:
        return True
    if wide != kind and wide not in _WIDER.get(kind, ()):
        return False
    if bounds.values is not None and (inner.values is None or not inner.values <= bounds.values):
        return False
    comparable = wide == kind or {wide, kind} <= _NUMERIC
    return bounds.hold(inner) if comparable else True


def _described(kind: str, bounds: Bounds, items: Shape | None) -> str:
    text = kind
    if bounds.longest < math.inf:
        text += f"({bounds.longest:.0f})"
    if bounds.least > -math.inf or bounds.most < math.inf:
        ends = ("" if math.isinf(end) else str(end) for end in (bounds.least, bounds.most))
        text += f" {'..'.join(ends)}"
    if bounds.values is not None:
        text += f" in {', '.join(sorted(bounds.values))}"
    return f"array of {items}" if kind == "array" and items is not None and items != ANY else text


def shape(schema: Any, *, depth: int = 0) -> Shape:
    """The shape of a property's JSON schema."""
    if not isinstance(schema, dict) or "$ref" in schema or depth > _DEEPEST:
        return ANY
    names = schema.get("type")
    if names is None:
        return _untyped(schema, depth)
    every = [names] if isinstance(names, str) else names
    if not isinstance(every, list) or not all(isinstance(name, str) for name in every):
        return ANY
    return _union(_single(name, schema, depth) for name in every)


def _union(shapes: Iterable[Shape]) -> Shape:
    return reduce(Shape.union, shapes, _NOTHING)


def _untyped(schema: Mapping[str, Any], depth: int) -> Shape:
    variants = [each for key in ("anyOf", "oneOf") if isinstance(schema.get(key), list) for each in schema[key]]
    if isinstance(schema.get("allOf"), list) and schema["allOf"]:
        parts = [part for part in schema["allOf"] if isinstance(part, dict)]
        variants.append({key: value for part in parts for key, value in part.items()})
    if variants:
        return _union(shape(each, depth=depth + 1) for each in variants)
    if (values := _values(schema)) is not None:
        return _union(_single(_json_type(value), {"enum": [value]}, depth) for value in values)
    for key, kind in (("properties", "object"), ("items", "array")):
        if key in schema:
            return _single(kind, schema, depth)
    return ANY


def _single(name: str, schema: Mapping[str, Any], depth: int) -> Shape:
    values = _values(schema)
    if name == "null":
        return Shape({}, nullable=True)
    # An enum without null refuses it, whatever the type says; but no column is ever made so.
    kind, children = name, {}
    longest, least, most = math.inf, -math.inf, math.inf
    if name == "string":
        kind = _string_kind(schema)
        if kind == "string":
            longest = _number(schema.get("maxLength"), math.inf)
    elif name == "object":
        properties = schema.get("properties")
        if isinstance(properties, dict):
            children = {str(key): shape(value, depth=depth + 1) for key, value in properties.items()}
    elif name == "array":
        children = {ITEMS: shape(schema.get("items"), depth=depth + 1)}
    if kind in _NUMERIC:
        least, most = _number(schema.get("minimum"), least), _number(schema.get("maximum"), most)
    allowed = (
        None if values is None else frozenset(json.dumps(each, sort_keys=True) for each in values if each is not None)
    )
    return Shape({kind: Bounds(longest, least, most, allowed)}, nullable=False, children=children)


def _string_kind(schema: Mapping[str, Any]) -> str:
    if schema.get("contentEncoding") in ("base64", "base16"):
        return str(schema["contentEncoding"])
    return _FORMATS.get(str(schema.get("format")), "string")


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    """Those of an enum. NaN and infinities count as null, which is what is stored of them."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if not isinstance(values, list):
        return None
    return [None if isinstance(each, float) and not math.isfinite(each) else each for each in values]


def _json_type(value: Any) -> str:
    kinds = (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (type(None), "null"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "object")


def _number(value: Any, default: float) -> float:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    return value if usable else default
