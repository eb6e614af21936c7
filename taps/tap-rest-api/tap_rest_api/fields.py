"""What happens to a record's fields between the answer and the output."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from tap_rest_api.moments import MomentFormat, from_rfc3339, moment_format, to_rfc3339
from tap_rest_api.templates import as_text, json_text, near

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_rest_api.language import Fields

Record = dict[str, Any]

DECIMAL: dict[str, Any] = {"type": ["string", "null"], "format": "singer.decimal"}
TYPES: dict[str, dict[str, Any]] = {
    "integer": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "decimal": DECIMAL,
    "boolean": {"type": ["boolean", "null"]},
    "string": {"type": ["string", "null"]},
    "datetime": {"type": ["string", "null"], "format": "date-time"},
    "date": {"type": ["string", "null"], "format": "date"},
    "json": {"type": ["string", "null"]},
}


class FieldError(ValueError):
    """A value cannot become what the manifest says."""


class Shaping:
    """The `fields` of one stream, compiled.

    Args:
        fields: of the manifest.
        include_secrets: whether fields that hold secrets stay.
        comma: the source writes decimals with a comma.
    """

    def __init__(self, fields: Fields, *, include_secrets: bool, comma: bool = False) -> None:
        self._fields = fields
        self._nulls = {_comparable(value) for value in fields.null_values}
        self._dropped = {*fields.drop, *(() if include_secrets else fields.secret)}
        self._casts = {name: cast(kind, comma=comma) for name, kind in fields.cast.items()}
        self._named = {"keep": lambda name: name, "snake": snake, "lower": str.lower}[fields.case]
        self._names: dict[str, str] = {}
        self._typed: dict[str, Callable[[Any], Any]] = {}
        self._comma = comma

    def apply(self, record: Record, scope: Mapping[str, Any]) -> Record:
        """The record as it leaves the tap.

        Args:
            record: of the answer; not changed.
            scope: for templates; the record is added to it.

        Raises:
            FieldError: a value cannot be cast.
        """
        fields = self._fields
        if self._nulls:
            record = {k: None if _comparable(v) in self._nulls else v for k, v in record.items()}
        if fields.add or fields.hash:
            inside = {**scope, "record": record}
            record = {
                **record,
                **{name: _json_value(template.render(inside)) for name, template in fields.add.items()},
                **{name: digest(path.first(record)) for name, path in fields.hash.items()},
            }
        if self._dropped:
            record = {name: value for name, value in record.items() if name not in self._dropped}
        for name, convert in self._casts.items():
            if record.get(name) is not None:
                try:
                    record = {**record, name: convert(record[name])}
                except (ValueError, TypeError, InvalidOperation) as error:
                    kind = fields.cast[name]
                    raise FieldError(f"field '{name}' cannot be cast to {kind}: {record[name]!r} ({error})") from None
        # By both of its names, so that a secret does not come out under the other one.
        return self.conformed({name: value for name, value in self.named(record).items() if name not in self._dropped})

    def conforms_to(self, properties: Mapping[str, Any], *, text: bool) -> None:
        """Bring values to their declared types: decimals always, all others where the source has nothing but text.

        Args:
            properties: of the stream's schema.
            text: the source is CSV or XML.
        """
        for name, schema in properties.items():
            kinds = set(schema.get("type", ()))
            if schema.get("format") == "singer.decimal":
                self._typed[name] = cast("decimal", comma=self._comma)
            elif text and not kinds & {"string", "object", "array"}:
                kind = next((kind for kind in ("number", "integer", "boolean") if kind in kinds), None)
                if kind:
                    self._typed[name] = cast(kind, comma=self._comma)

    def conformed(self, record: Record) -> Record:
        """A record with the types that its schema declares.

        Raises:
            FieldError: a value cannot have its type.
        """
        for name, convert in self._typed.items():
            value = record.get(name)
            if value is None:
                continue
            try:
                record = {**record, name: None if value == "" else convert(value)}
            except (ValueError, TypeError, InvalidOperation) as error:
                raise FieldError(f"field '{name}' holds {value!r}, which is not of its type ({error})") from None
        return record

    def schema(self, properties: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
        """The types behind `apply`, from those of the answer and of the fields that are added."""
        fields = self._fields
        known = {**properties, **added}
        known.update(dict.fromkeys(fields.hash, TYPES["string"]))
        known = {name: schema for name, schema in known.items() if name not in self._dropped}
        known.update({name: TYPES[kind.partition(":")[0]] for name, kind in fields.cast.items() if name in known})
        named = {self.name(name): schema for name, schema in known.items()}
        return {name: schema for name, schema in named.items() if name not in self._dropped}

    def named(self, record: Record) -> Record:
        """A record with its fields' names as they leave the tap, and nothing else changed."""
        return record if self._fields.case == "keep" else {self.name(name): value for name, value in record.items()}

    def name(self, name: str) -> str:
        """A field's name as it leaves the tap."""
        if name not in self._names:
            self._names[name] = self._named(name)
        return self._names[name]


def check_cast(kind: str) -> str | None:
    """What is wrong with a cast, if anything."""
    name, _, pattern = kind.partition(":")
    if name not in TYPES or (pattern and name != "datetime"):
        return f"there is no type {kind!r}{near(name, TYPES)}"
    try:
        moment_format(pattern or "rfc3339")
    except ValueError as error:
        return str(error)
    return None


def cast(kind: str, *, comma: bool = False) -> Callable[[Any], Any]:
    """The function that makes a value of this type. It raises ValueError where it cannot."""
    name, _, pattern = kind.partition(":")
    if name == "datetime":
        written = MomentFormat(pattern or "rfc3339", timezone.utc)
        return lambda value: to_rfc3339(written.read(value))

    def number(value: Any) -> Decimal:
        text = as_text(value).strip()
        return Decimal(text.replace(".", "").replace(",", ".") if comma else text)

    return {
        "integer": lambda value: _whole(number(value)),
        "number": number,
        "decimal": lambda value: _finite(number(value)),
        "boolean": _boolean,
        "string": as_text,
        "date": lambda value: from_rfc3339(as_text(value)).date().isoformat(),
        "json": json_text,
    }[name]


def digest(value: Any) -> str:
    """SHA-256 of a value's JSON, members in alphabetical order, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, default=str, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def snake(name: str) -> str:
    """`orderLine`, `Order-Line` and `OrderLINE` as `order_line`."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"\W+", "_", name).strip("_").lower() or name


def _whole(number: Decimal) -> int:
    if number != number.to_integral_value():
        raise ValueError("it has a fraction")
    return int(number)


def _finite(number: Decimal) -> str:
    if not number.is_finite():
        raise ValueError("it is no number")
    return f"{number:f}"


def _boolean(value: Any) -> bool:
    text = as_text(value).strip().lower()
    if text in {"true", "1", "yes", "y", "t"}:
        return True
    if text in {"false", "0", "no", "n", "f"}:
        return False
    raise ValueError("it is neither true nor false")


def _comparable(value: Any) -> Any:
    return (type(value).__name__, value) if isinstance(value, str | int | float | bool | Decimal) else None


def _json_value(value: Any) -> Any:
    """A template's value as JSON has it: a moment is text."""
    return as_text(value) if hasattr(value, "isoformat") else value
