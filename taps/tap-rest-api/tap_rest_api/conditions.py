"""Conditions: small Python-like expressions such as `not record['archived']`, evaluated by simpleeval.

No imports, no attributes but `get` of an object, no loops. What is not there is null.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from simpleeval import EvalWithCompoundTypes, InvalidExpression  # type: ignore[import-untyped]

from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import near

NAMES = {
    "record": "the record",
    "parent": "the fields chosen from the parent's record",
    "partition": "the values named by `as`",
    "response": "the answer's body",
    "config": "the settings declared under `settings`",
}

FUNCTIONS: dict[str, Any] = {
    "get": lambda value, path, default=None: JsonPath(path).first(value, default),
    "len": len,
    "int": int,
    "float": float,
    "str": str,
    "lower": lambda text: text.lower(),
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "startswith": lambda text, start: text.startswith(start),
}


class Condition:
    """One compiled condition.

    Raises:
        ValueError: it is not such an expression, or uses what there is not.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._parsed = EvalWithCompoundTypes.parse(text)
        except (InvalidExpression, SyntaxError) as error:
            raise ValueError(f"{text!r} is not a condition: {error}") from None
        for node in ast.walk(self._parsed):
            if isinstance(node, ast.Attribute) and node.attr != "get":
                raise ValueError(f"{text!r}: a field is written x['{node.attr}'], not x.{node.attr}")
            if isinstance(node, ast.Name) and node.id not in NAMES and node.id not in FUNCTIONS:
                raise ValueError(f"{text!r}: there is no {node.id!r}{near(node.id, [*NAMES, *FUNCTIONS])}")

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def holds(self, **names: Any) -> bool:
        """Whether it is true of these.

        Raises:
            ValueError: it cannot be evaluated, such as comparing text with a number.
        """
        evaluator = _Evaluator(names={**dict.fromkeys(NAMES), **names}, functions=dict(FUNCTIONS))
        try:
            return bool(evaluator.eval(self.text, previously_parsed=self._parsed))
        except (InvalidExpression, TypeError, ValueError, AttributeError, KeyError, ArithmeticError) as error:
            raise ValueError(f"{self.text!r} cannot be evaluated: {error}") from None


class _Evaluator(EvalWithCompoundTypes):  # type: ignore[misc]
    def _eval_subscript(self, node: ast.Subscript) -> Any:
        container, key = self._eval(node.value), self._eval(node.slice)
        if isinstance(container, Mapping):
            return container.get(key)
        if isinstance(container, list) and isinstance(key, int):
            return container[key] if -len(container) <= key < len(container) else None
        return None

    def _eval_attribute(self, node: ast.Attribute) -> Any:
        # Only `get` comes this far, and only of an object; of null it gives null, as x['y'] does.
        value = self._eval(node.value)
        return value.get if isinstance(value, Mapping) else lambda _key, default=None: default
