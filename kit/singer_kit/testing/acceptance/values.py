"""What a scenario may expect of a stored value, and when a stored value is that.

Representation is the target's own business as long as nothing is lost: an instant may be stored without a zone (it is
then read as UTC), an object as JSON or as the text of it. Numbers are compared by value and to the last digit, so a
float column fails where a float cannot hold the number.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class JsonNull:
    """JSON's `null` as a value of its own, which is something else than a missing value."""


@dataclass(frozen=True)
class Present:
    """Expected: any value, but one."""


@dataclass(frozen=True)
class Repeated:
    """A long text, kept short in a scenario. In a message and as an expectation."""

    unit: str
    times: int

    @property
    def text(self) -> str:
        return self.unit * self.times


class Either:
    """Expected: one of several values, where a careful user would accept each."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __repr__(self) -> str:
        return " or ".join(map(repr, self.values))


class Raw:
    """JSON text that goes into a message as it is: `1.0`, `NaN`, a name that comes twice."""

    def __init__(self, text: str) -> None:
        self.text = text


def to_json(value: Any) -> str:
    """Write JSON with `Decimal`, `Repeated` and `Raw` in it; a Decimal keeps its digits."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Repeated):
        return json.dumps(value.text)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{to_json(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(to_json, value)) + "]"
    return json.dumps(value)


def from_json(text: str | bytes) -> Any:
    """Read JSON with every number as an exact `Decimal` (or int); null at the top is `JsonNull`.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply for Python.

    """
    value = json.loads(text, parse_float=Decimal)
    return JsonNull() if value is None else value


def same(expected: Any, stored: Any) -> bool:
    """Whether a stored value is what is expected.

    Args:
        expected: a Python value, or one of the classes above.
        stored: None, bool, int, Decimal, str, bytes, date, time, datetime, UUID, dict, list or `JsonNull`.

    """
    match expected:
        case Either():
            right = any(same(each, stored) for each in expected.values)
        case Present():
            right = stored is not None and not isinstance(stored, JsonNull)
        case Repeated():
            right = stored == expected.text
        case dict() | list():
            right = _same_json(expected, _parsed(stored))
        case None | bool():
            right = expected is stored
        case int() | float() | Decimal():
            right = _is_number(stored) and _same_number(Decimal(str(expected)), Decimal(stored))
        case dt.datetime():
            right = isinstance(stored, dt.datetime) and _instant(expected) == _instant(stored)
        case dt.time():
            # To Python, times with and without an offset differ even if it is 0; 10:00Z stored as 10:00 lost nothing.
            right = isinstance(stored, dt.time) and _offset(expected) == _offset(stored)
        case _:
            right = type(expected) is type(stored) and expected == stored
    return bool(right)


def shown(value: Any, limit: int = 60) -> str:
    """A value in a difference: short, however long it is."""
    text = value.text if isinstance(value, Repeated) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 20]}… ({len(text)} characters)"


def _parsed(stored: Any) -> Any:
    if not isinstance(stored, str):
        return stored
    try:
        return from_json(stored)
    except (ValueError, RecursionError):
        return stored


def _same_json(expected: Any, stored: Any) -> bool:
    """Compare without recursion: nesting is as deep as a hostile input likes."""
    waiting = [(expected, stored)]
    while waiting:
        left, right = waiting.pop()
        if isinstance(left, dict):
            if not isinstance(right, dict) or left.keys() != right.keys():
                return False
            waiting += [(left[name], right[name]) for name in left]
        elif isinstance(left, list):
            if not isinstance(right, list) or len(left) != len(right):
                return False
            waiting += zip(left, right, strict=True)
        elif not same(left, right):
            return False
    return True


def _is_number(stored: Any) -> bool:
    return isinstance(stored, (int, Decimal)) and not isinstance(stored, bool)


def _same_number(expected: Decimal, stored: Decimal) -> bool:
    return (expected.is_nan() and stored.is_nan()) or expected == stored


def _instant(value: dt.datetime) -> dt.datetime:
    return value if value.tzinfo else value.replace(tzinfo=dt.timezone.utc)


def _offset(value: dt.time) -> tuple[dt.time, dt.timedelta]:
    return value.replace(tzinfo=None), value.utcoffset() or dt.timedelta()
