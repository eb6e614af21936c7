"""JSONPath: where something lies in an answer.

The grammar is jsonpath-ng's, with its filters (`$.link[?(@.relation=='next')].url`). Most paths are plain steps, and
those are walked directly: a page of records costs microseconds instead of an object for every value on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from jsonpath_ng import Child, Fields, Index, Root
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext.parser import parse

_EVERY = object()


class JsonPath:
    """One compiled path.

    Raises:
        ValueError: the text is not a JSONPath.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._compiled = parse(text)
        except (JSONPathError, AttributeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"{text!r} is not a JSONPath: {reason}") from None

    def __repr__(self) -> str:
        return f"JsonPath({self.text!r})"

    def find(self, value: Any) -> list[Any]:
        """Everything that the path leads to, in document order."""
        if self._steps is None:
            return [match.value for match in self._compiled.find(value)]
        found = [value]
        for step in self._steps:
            found = [inner for outer in found for inner in _step(outer, step)]
        return found

    def first(self, value: Any, default: Any = None) -> Any:
        """The first thing that the path leads to, or the default."""
        found = self.find(value)
        return found[0] if found else default

    def put(self, target: Any, value: Any) -> None:
        """Set what the path leads to in `target`, making objects on the way that are not there."""
        self._compiled.update_or_create(target, value)

    @cached_property
    def _steps(self) -> list[Any] | None:
        return _plain_steps(self._compiled)


def _plain_steps(node: Any) -> list[Any] | None:
    """The path as names, indexes and `_EVERY`, or None where it needs more than that."""
    match node:
        case Root():
            return []
        case Child(left=left, right=right):
            before, after = _plain_steps(left), _plain_steps(right)
            return None if before is None or after is None else before + after
        case Fields(fields=(str(name),)) if name != "*":
            return [name]
        case Index(indices=(int(index),)):
            return [index]
    # jsonpath-ng calls [*] a Slice, and since 1.9 a Wildcard.
    return [_EVERY] if type(node).__name__ != "Fields" and str(node) in {"*", "[*]"} else None


def _step(value: Any, step: Any) -> list[Any]:
    if step is _EVERY:
        return value if isinstance(value, list) else []
    if isinstance(step, int):
        return [value[step]] if isinstance(value, list) and -len(value) <= step < len(value) else []
    return [value[step]] if isinstance(value, Mapping) and step in value else []
