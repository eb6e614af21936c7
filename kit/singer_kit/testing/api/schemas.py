"""Schemas of API descriptions as JSON Schema, compiled once each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import jsonschema_rs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

_DEFINITIONS = "urn:definitions"
_SHOWN = 5  # problems of one value that are worth reading
_LONGEST = 300  # characters: some quote the whole value
_IGNORED = frozenset({"example", "examples", "description", "title", "default", "externalDocs", "xml", "discriminator"})


def defined(name: str) -> str:
    """What refers to a definition of the document."""
    return f"{_DEFINITIONS}#/$defs/{name}"


class Schemas:
    """Compiled validators over the definitions of one document.

    Args:
        definitions: the document's schemas by name.
        convert: from the document's dialect to JSON Schema 2020-12, whose references are `defined(NAME)`.

    """

    def __init__(self, definitions: Mapping[str, Any], convert: Callable[[Any], Any]) -> None:
        self._convert = convert
        converted = {name: convert(schema) for name, schema in definitions.items()}
        self._registry = jsonschema_rs.Registry([(_DEFINITIONS, {"$defs": converted})])
        self._compiled: dict[Hashable, jsonschema_rs.Draft202012Validator] = {}

    def problems(self, key: Hashable, schema: Mapping[str, Any], value: Any) -> list[str]:
        """In what a value does not fit.

        Args:
            key: under which the compiled schema is kept.
            schema: in the document's dialect; read at the first use of the key.
            value: as `json.loads` gives it.

        """
        validator = self._compiled.get(key)
        if validator is None:
            validator = self._compiled[key] = jsonschema_rs.Draft202012Validator(
                self._convert(schema), validate_formats=True, registry=self._registry
            )
        if validator.is_valid(value):
            return []
        return [_told(error) for error in itertools.islice(validator.iter_errors(value), _SHOWN)]


def _told(error: jsonschema_rs.ValidationError) -> str:
    """An error in words: of several alternatives, what is wrong with the one that comes nearest."""
    branches = [branch for branch in getattr(error.kind, "context", ()) if branch]
    near = [branch for branch in branches if any(each.kind.name != "type" for each in branch) or len(branch) > 1]
    if near:
        return _told(min(near, key=len)[0])
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.instance_path)
    return f"{place.lstrip('.') or 'it'}: {error.message[:_LONGEST]}"


def from_openapi(schema: Any, prefix: str) -> Any:
    """A schema of OpenAPI 3.0 or Swagger 2.0 as JSON Schema 2020-12; one of 3.1 is that already and stays.

    Args:
        schema: of any depth.
        prefix: of references to definitions, such as `#/components/schemas/`.

    """
    if isinstance(schema, list):
        return [from_openapi(each, prefix) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(reference := schema.get("$ref"), str):
        return _nullable({"$ref": reference.replace(prefix, defined(""), 1)}, schema)
    written = {
        name: {each: from_openapi(value, prefix) for each, value in inner.items()}
        if name == "properties"
        else inner
        if name in {"enum", "const", "required"}
        else from_openapi(inner, prefix)
        for name, inner in schema.items()
        if name not in _IGNORED and not name.startswith("x-") and inner != []
    }
    for bound, edge in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if written.get(edge) is True:
            written[edge] = written.pop(bound)
        elif written.get(edge) is False:
            del written[edge]
    if written.get("type") == "file":
        del written["type"]
    return _nullable(written, schema)


def _nullable(written: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    if not (schema.get("nullable") or schema.get("x-nullable")):
        return written
    written.pop("nullable", None)
    if "enum" in written and None not in written["enum"]:
        written = {**written, "enum": [*written["enum"], None]}
    if isinstance(written.get("type"), str):
        return {**written, "type": [written["type"], "null"]}
    return {"anyOf": [written, {"type": "null"}]}
