"""OpenAPI 3.x and Swagger 2.0: what a request may hold and what an answer must."""

from __future__ import annotations

import json
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from singer_kit.testing.api.routes import nameless, parameter_names
from singer_kit.testing.api.schemas import Schemas, from_openapi

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from singer_kit.testing.api.exchange import Answer, Request

_FIRST_ERROR = 400
_NOT_MODIFIED = 304
_SCHEMA_KEYS = ("type", "format", "enum", "items", "minimum", "maximum", "pattern", "minLength", "maxLength")
_SEPARATORS = {"ssv": " ", "spaceDelimited": " ", "pipes": "|", "pipeDelimited": "|", "tsv": "\t"}


class OpenApi:
    """A document of OpenAPI 3.x or Swagger 2.0.

    An answer's status has to be described unless it is an error: descriptions list few of those.

    Args:
        document: parsed, with its references inside itself.
        maxima: the largest values of query parameters that the API states in words only, such as `per_page`.

    """

    def __init__(self, document: Mapping[str, Any], *, maxima: Mapping[str, int] | None = None) -> None:
        self._document = document
        self._maxima = maxima or {}
        swagger = "swagger" in document
        prefix = "#/definitions/" if swagger else "#/components/schemas/"
        definitions = document.get("definitions") if swagger else document.get("components", {}).get("schemas")
        self._schemas = Schemas(definitions or {}, partial(from_openapi, prefix=prefix))
        self._parameters: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def request_problems(self, template: str, request: Request, also: Collection[str]) -> list[str]:
        operation = self._operation(template, request.method)
        if operation is None:
            return [f"the description has no {request.method} {template}"]
        parameters = self._all_parameters(template, request.method)
        names = parameter_names(self._templates[nameless(template)][0])
        texts = list(request.parameters.values())
        given = {name: [text] for name, text in zip(names, texts, strict=True)} if len(names) == len(texts) else {}
        found = self._given_problems([each for each in parameters if each["in"] == "path"], given, "path")
        query: dict[str, list[str]] = {}
        for name, text in request.pairs:
            query.setdefault(name, []).append(text)
        known = [each for each in parameters if each["in"] == "query"]
        deep = tuple(f"{each['name']}[" for each in known if each.get("style") == "deepObject")
        names = [each["name"] for each in known]
        for name in query:
            if name not in names and name.removesuffix("[]") not in names and name not in also:
                if deep and name.startswith(deep):
                    continue
                found.append(f"query parameter {name!r} is unknown")
        found += self._given_problems(known, query, "query parameter")
        headers = {
            each["name"]: [request.headers[each["name"]]]
            for each in parameters
            if each["in"] == "header" and each["name"] in request.headers
        }
        found += self._given_problems([each for each in parameters if each["in"] == "header"], headers, "header")
        return found + self._body_problems(operation, parameters, request)

    def answer_problems(self, template: str, request: Request, answer: Answer) -> list[str]:
        operation = self._operation(template, request.method)
        if operation is None or answer.status == _NOT_MODIFIED:
            return []
        responses = operation["responses"]
        status = str(answer.status)
        response = responses.get(status) or responses.get(f"{status[0]}XX") or responses.get("default")
        if response is None:
            return [] if answer.status >= _FIRST_ERROR else [f"status {status} is not described"]
        response = self._resolved(response)
        schema = response.get("schema") or self._media(response.get("content", {}), answer.headers.get("Content-Type"))
        if schema is None:
            return []
        try:
            value = json.loads(answer.content)
        except ValueError:
            return [f"the body of status {status} is no JSON"]
        return self._schemas.problems((template, request.method, status, id(schema)), schema, value)

    # Operations

    @cached_property
    def _templates(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        return {nameless(template): (template, item) for template, item in self._document["paths"].items()}

    def _operation(self, template: str, method: str) -> Mapping[str, Any] | None:
        _, item = self._templates.get(nameless(template), ("", {}))
        operation: Mapping[str, Any] | None = item.get(method.lower())
        return operation

    def _resolved(self, value: Mapping[str, Any]) -> dict[str, Any]:
        while "$ref" in value:
            found: Any = self._document
            for name in value["$ref"].removeprefix("#/").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")]
            value = found
        return dict(value)

    def _all_parameters(self, template: str, method: str) -> list[dict[str, Any]]:
        key = (method, template)
        if key not in self._parameters:
            _, item = self._templates[nameless(template)]
            found = {}
            for each in [*item.get("parameters", []), *item[method.lower()].get("parameters", [])]:
                parameter = self._resolved(each)
                found[parameter["name"], parameter["in"]] = parameter
            self._parameters[key] = list(found.values())
        return self._parameters[key]

    # Requests

    def _given_problems(
        self,
        parameters: list[dict[str, Any]],
        given: Mapping[str, list[str]],
        what: str,
    ) -> list[str]:
        found = []
        for each in parameters:
            name = each["name"]
            texts = given.get(name) or given.get(f"{name}[]")
            if texts is None:
                if each.get("required") and each.get("style") != "deepObject" and what != "path":
                    found.append(f"{what} {name!r} is required")
                continue
            schema = each.get("schema") or {key: each[key] for key in _SCHEMA_KEYS if key in each}
            resolved = self._resolved(schema)
            value = _value(texts, resolved, each, self._resolved(resolved.get("items", {})))
            if name in self._maxima and isinstance(value, int) and value > self._maxima[name]:
                found.append(f"{what} {name!r}: {value} is more than {self._maxima[name]}")
            problems = self._schemas.problems(id(each), schema, value)
            found += [f"{what} {name!r}: {problem.removeprefix('it: ')}" for problem in problems]
        return found

    def _body_problems(
        self, operation: Mapping[str, Any], parameters: list[dict[str, Any]], request: Request
    ) -> list[str]:
        body = next((each for each in parameters if each["in"] == "body"), None)
        required = bool(body and body.get("required"))
        schema = body["schema"] if body else None
        if "requestBody" in operation:
            described = self._resolved(operation["requestBody"])
            required = bool(described.get("required"))
            kind = request.headers.get("Content-Type", "").partition(";")[0].strip()
            if request.body and kind and not _media_of(described["content"], kind):
                return [f"a body of type {kind!r} is not described"]
            schema = self._media(described["content"], kind)
        if not request.body:
            return ["a body is required"] if required else []
        if schema is None:
            form = [each for each in parameters if each["in"] == "formData"]
            given = {name: [text] for name, text in request.form.items()} if form else {}
            return self._given_problems(form, given, "field")
        if "form" in request.headers.get("Content-Type", ""):
            value: Any = dict(request.form)
        else:
            try:
                value = request.json
            except ValueError:
                return ["the body is no JSON"]
        problems = self._schemas.problems(id(schema), schema, value)
        return [f"body: {problem}" for problem in problems]

    def _media(self, content: Mapping[str, Any], kind: str | None) -> Mapping[str, Any] | None:
        """The schema of a body: of its own type, else of JSON."""
        media = _media_of(content, (kind or "").partition(";")[0]) or next(
            (each for name, each in content.items() if "json" in name), None
        )
        schema: Mapping[str, Any] | None = media.get("schema") if media else None
        return schema


def _media_of(content: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    for name, media in content.items():
        if name.partition(";")[0] == kind or name == "*/*" or (name.endswith("/*") and kind.startswith(name[:-1])):
            found: Mapping[str, Any] = media
            return found
    return None


def _value(texts: list[str], schema: Mapping[str, Any], parameter: Mapping[str, Any], items: Mapping[str, Any]) -> Any:
    """What the texts of a parameter mean; a text that does not fit its type stays, to be refused."""
    if schema.get("type") == "array":
        separator = _separator(parameter)
        parts = [part for text in texts for part in (text.split(separator) if separator else [text])]
        return [scalar(part, items.get("type")) for part in parts]
    return scalar(texts[-1], schema.get("type"))


def _separator(parameter: Mapping[str, Any]) -> str:
    """Between the elements of a list in one text; empty where each element is a parameter of its own."""
    style = parameter.get("collectionFormat") or parameter.get("style")
    if style in _SEPARATORS and not parameter.get("explode"):
        return _SEPARATORS[style]
    if "collectionFormat" in parameter or "schema" not in parameter:
        return "" if style == "multi" else ","
    exploded = parameter.get("explode", parameter["in"] == "query")
    return "" if exploded else ","


def scalar(text: str, kind: Any) -> Any:
    """What a text means as a value of a type; as it is if it is none."""
    kinds = kind if isinstance(kind, list) else [kind]
    try:
        if "integer" in kinds:
            return int(text)
        if "number" in kinds:
            return float(text)
    except ValueError:
        return text
    if "boolean" in kinds and text in {"true", "false"}:
        return text == "true"
    return text
