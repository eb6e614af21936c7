"""Google discovery documents: what a request may hold and what an answer must."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from singer_kit.testing.api.openapi import scalar
from singer_kit.testing.api.routes import nameless
from singer_kit.testing.api.schemas import Schemas, defined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from singer_kit.testing.api.exchange import Answer, Request

_FIRST_ERROR = 400
_LONG = frozenset({"int64", "uint64"})


class Discovery:
    """A discovery document. Errors are not described in one: any is let through.

    Args:
        document: parsed. Routes are its flat paths: `/v1beta/properties/{id}:runReport`.

    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = Schemas(document.get("schemas", {}), _converted)
        self._common: Mapping[str, Any] = document.get("parameters", {})
        self._methods = {
            (each["httpMethod"], nameless(f"/{document.get('servicePath', '')}{_path(each)}")): each
            for each in _methods(document)
        }

    def request_problems(self, template: str, request: Request, also: Collection[str]) -> list[str]:
        method = self._methods.get((request.method, nameless(template)))
        if method is None:
            return [f"the description has no {request.method} {template}"]
        own: Mapping[str, Any] = {
            name: each for name, each in method.get("parameters", {}).items() if each["location"] == "query"
        }
        known = {**self._common, **own}
        found = [f"query parameter {name!r} is required" for name in own if _lacks(own[name], name, request)]
        for name, text in request.pairs:
            if name not in known:
                found += [] if name in also else [f"query parameter {name!r} is unknown"]
                continue
            problems = self._schemas.problems((id(known[name]), name), known[name], scalar(text, known[name]["type"]))
            found += [f"query parameter {name!r}: {problem.removeprefix('it: ')}" for problem in problems]
        if not request.body:
            return found
        if "request" not in method:
            return [*found, "it takes no body"]
        try:
            value = request.json
        except ValueError:
            return [*found, "the body is no JSON"]
        problems = self._schemas.problems(method["request"]["$ref"], method["request"], value)
        return found + [f"body: {problem}" for problem in problems]

    def answer_problems(self, template: str, request: Request, answer: Answer) -> list[str]:
        method = self._methods.get((request.method, nameless(template)), {})
        if "response" not in method or answer.status >= _FIRST_ERROR:
            return []
        try:
            value = json.loads(answer.content)
        except ValueError:
            return [f"the body of status {answer.status} is no JSON"]
        return self._schemas.problems(method["response"]["$ref"], method["response"], value)


def _methods(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from resource.get("methods", {}).values()
    for each in resource.get("resources", {}).values():
        yield from _methods(each)


def _path(method: Mapping[str, Any]) -> str:
    path: str = method.get("flatPath") or method["path"]
    return path.replace("{+", "{")


def _lacks(parameter: Mapping[str, Any], name: str, request: Request) -> bool:
    return bool(parameter.get("required")) and name not in request.query


def _converted(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema, or a parameter, as JSON Schema: unknown properties fail, 64-bit integers are strings."""
    if "$ref" in schema:
        return {"$ref": defined(schema["$ref"])}
    kind = schema.get("type")
    if kind == "any" or kind is None:
        return {}
    written: dict[str, Any] = {"type": kind}
    if kind == "object":
        more = schema.get("additionalProperties")
        written["properties"] = {name: _converted(each) for name, each in schema.get("properties", {}).items()}
        written["additionalProperties"] = False if more is None else _converted(more)
    elif kind == "array":
        written["items"] = _converted(schema["items"])
    elif kind == "string" and schema.get("format") in _LONG:
        written["pattern"] = r"^-?\d+$"
    if "enum" in schema:
        written["enum"] = schema["enum"]
    for name in ("minimum", "maximum"):
        if name in schema and kind in {"integer", "number"}:
            written[name] = float(schema[name])
    if "pattern" in schema:
        written["pattern"] = schema["pattern"]
    return written
