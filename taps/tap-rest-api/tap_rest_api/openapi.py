"""Types from an OpenAPI document (3.x, Swagger 2.0): what it says of an operation's answer, as Singer has it.

Everything is nullable: documents are wrong about that more often than not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tap_rest_api.templates import near

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_METHODS = ("get", "post", "put", "patch", "query")
_FORMATS = {"date-time", "date", "time", "uuid"}
_DEEPEST = 12  # levels; documents describe things that hold themselves


class Document:
    """An OpenAPI document.

    Args:
        content: parsed.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def operations(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Path, method and description of each operation."""
        for path, item in self.content.get("paths", {}).items():
            for method in _METHODS:
                if method in item:
                    yield path, method.upper(), item[method]

    def find(self, method: str, path: str, operation: str | None) -> tuple[str, Mapping[str, Any]]:
        """The operation of a stream: by its id, or by method and path, where `{…}` and `${…}` stand for anything.

        Raises:
            ValueError: the document has none, or none of that id.
        """
        if operation is not None:
            ids = {each.get("operationId", ""): (where, each) for where, _, each in self.operations()}
            if operation not in ids:
                raise ValueError(f"there is no operation {operation!r}{near(operation, ids)}")
            return ids[operation]
        wanted = [_wild(part) for part in path.strip("/").split("/")]
        for where, verb, each in self.operations():
            parts = [_wild(part) for part in where.strip("/").split("/")]
            # The servers' base path may be part of the stream's path, or of the base URL.
            fits = len(parts) <= len(wanted) and all(
                None in (a, b) or a == b for a, b in zip(parts, wanted[len(wanted) - len(parts) :], strict=True)
            )
            if verb == method and fits:
                return where, each
        raise ValueError(f"the document has no {method} {path}; name the operation")

    def answer(self, operation: Mapping[str, Any]) -> Mapping[str, Any]:
        """The schema of an operation's good answer; empty where it says nothing."""
        responses = operation.get("responses", {})
        for status in ("200", "201", "2XX", "default"):
            if status in responses:
                response = self.resolve(responses[status])
                if "schema" in response:
                    return self.resolve(response["schema"])
                for kind, media in response.get("content", {}).items():
                    if "json" in kind:
                        return self.resolve(media.get("schema", {}))
        return {}

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema with its own reference followed and its `allOf` put together."""
        for _ in range(_DEEPEST):
            if "$ref" not in schema:
                break
            found: Any = self.content
            for part in schema["$ref"].removeprefix("#/").split("/"):
                found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
            schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
        if "allOf" in schema:
            merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in map(self.resolve, schema["allOf"]):
                properties = {**part.get("properties", {}), **merged.get("properties", {})}
                merged = {**part, **merged, **({"properties": properties} if properties else {})}
            return merged
        return schema

    def inside(self, schema: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        """What the document says of a place in a value, such as `$.data[*]`; empty where it does not say."""
        for name, index in re.findall(r"(?:\.|\['?)([\w@-]+)'?\]?|(\[[*\d]+\])", path):
            for one in self._alternatives(schema):
                inner = one.get("items") if index else one.get("properties", {}).get(name)
                if inner is not None:
                    schema = self.resolve(inner)
                    break
            else:
                return {}
        return schema

    def rows(self, schema: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        """The same of the rows there: a list's items, an object itself."""
        found = self.inside(schema, path)
        return self.resolve(found["items"]) if "items" in found else found

    def properties(self, schema: Mapping[str, Any], *, decimals: bool) -> dict[str, Any]:
        """The properties of a row, as a stream's schema has them."""
        found: dict[str, Any] = {}
        for one in self._alternatives(schema):
            for name, inner in one.get("properties", {}).items():
                found.setdefault(name, self._singer(inner, decimals=decimals, depth=1))
        return found

    def property(self, schema: Mapping[str, Any], *, decimals: bool) -> dict[str, Any]:
        """One of them."""
        return self._singer(schema, decimals=decimals, depth=1)

    def _alternatives(self, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        schema = self.resolve(schema)
        yield schema
        for key in ("oneOf", "anyOf"):
            for one in schema.get(key, ()):
                yield from self._alternatives(one)

    def _singer(self, schema: Mapping[str, Any], *, decimals: bool, depth: int) -> dict[str, Any]:
        alternatives = list(self._alternatives(schema))
        kinds = {kind for one in alternatives for kind in _kinds(one)}
        if not kinds:
            return {}  # anything: declared when it is seen
        if kinds >= {"integer", "number"}:
            kinds.discard("integer")
        if kinds == {"number"} and decimals:
            return {"type": ["string", "null"], "format": "singer.decimal"}
        found: dict[str, Any] = {"type": [*sorted(kinds), "null"]}
        formats = {one["format"] for one in alternatives if "format" in one}
        if kinds == {"string"} and len(formats) == 1 and formats <= _FORMATS:
            found["format"] = formats.pop()
        if "object" in kinds:
            found["additionalProperties"] = True
            inner = [one for one in alternatives if "properties" in one]
            if len(inner) == 1 and depth < _DEEPEST:
                found["properties"] = {
                    name: self._singer(each, decimals=False, depth=depth + 1)
                    for name, each in inner[0]["properties"].items()
                }
        items = [one["items"] for one in alternatives if "items" in one]
        if "array" in kinds and len(items) == 1 and depth < _DEEPEST:
            found["items"] = self._singer(items[0], decimals=False, depth=depth + 1)
        return found


def _wild(part: str) -> str | None:
    return None if "{" in part else part


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    kind = schema.get("type")
    kinds = set(kind) if isinstance(kind, list) else {kind} if kind else set()
    if not kinds and "properties" in schema:
        kinds = {"object"}
    return kinds - {"null"}
