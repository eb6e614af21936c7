"""A starting manifest from an OpenAPI document: what can be read off it, and guesses that are marked as such."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from tap_rest_api.loading import Source, read_yaml
from tap_rest_api.openapi import Document

if TYPE_CHECKING:
    from pathlib import Path

_KEYS = ("id", "uuid", "key", "slug", "name")
_LISTS = ("data", "items", "results", "records", "value")
_PAGE = ("page", "page_number", "pageNumber")
_OFFSET = ("offset", "skip", "$skip")
_CURSOR = ("cursor", "page_token", "pageToken", "after", "starting_after")
_SIZE = ("per_page", "page_size", "pageSize", "limit", "$top", "size")
_SINCE = ("since", "updated_after", "updated_since", "modified_since", "start_time")
_CHANGED = ("updated_at", "updatedAt", "modified_at", "modified", "last_modified", "created_at")
_BIGGEST = 100

_HEADER = """\
# A start, made from {name}. Look through it before you run it:
# - paging, keys and incremental are guesses from names; take out the streams that you do not need
# - see the first requests with: tap-rest-api --config config.json --dry-run
"""


def starting_manifest(path: Path) -> str:
    """A manifest as YAML text.

    Raises:
        ManifestError: the document cannot be read.
    """
    content = read_yaml(Source(path.read_text(encoding="utf-8"), path.name, path.parent))
    document = Document(content if isinstance(content, Mapping) else {})
    auth, settings = _auth(document.content)
    streams = _streams(document)
    manifest = {
        "version": 1,
        "name": re.sub(r"\W+", "-", str(document.content.get("info", {}).get("title", path.stem)).lower()).strip("-"),
        **({"settings": settings} if settings else {}),
        "base_url": _base_url(document.content),
        **({"auth": auth} if auth else {}),
        "schema": {"mode": "openapi", "openapi": {"document": str(path)}},
        "streams": streams,
    }
    return _HEADER.format(name=path.name) + yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=110)


def _base_url(content: Mapping[str, Any]) -> str:
    if "swagger" in content:
        scheme = (content.get("schemes") or ["https"])[-1]
        return f"{scheme}://{content.get('host', 'example.com')}{content.get('basePath', '')}".rstrip("/")
    server = (content.get("servers") or [{"url": "https://example.com"}])[0]
    url = str(server["url"])
    for name, variable in server.get("variables", {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", name)))
    return url.rstrip("/")


def _auth(content: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How to ask, and the settings for it: the first way that the document names and this language has."""
    schemes = content.get("securityDefinitions") or content.get("components", {}).get("securitySchemes") or {}
    for scheme in schemes.values():
        kind, form = scheme.get("type"), str(scheme.get("scheme", "")).lower()
        if (kind, form) == ("http", "bearer"):
            return {"kind": "bearer", "token": "${config.token}"}, {"token": _secret()}
        if kind == "basic" or (kind, form) == ("http", "basic"):
            return (
                {"kind": "basic", "username": "${config.username}", "password": "${config.password}"},
                {"username": {"required": True}, "password": _secret()},
            )
        if kind == "apiKey":
            return (
                {"kind": "api_key", "in": scheme["in"], "name": scheme["name"], "value": "${config.key}"},
                {"key": _secret()},
            )
        flow = scheme.get("flows", {}).get("clientCredentials")
        if kind == "oauth2" and flow:
            return (
                {
                    "kind": "oauth2",
                    "token_url": flow["tokenUrl"],
                    "client_id": "${config.client_id}",
                    "client_secret": "${config.client_secret}",
                },
                {"client_id": {"required": True}, "client_secret": _secret()},
            )
    return {}, {}


def _secret() -> dict[str, Any]:
    return {"secret": True, "required": True}


def _streams(document: Document) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    by_path: dict[str, dict[str, Any]] = {}
    operations = sorted(document.operations(), key=lambda each: (each[0].count("{"), each[0]))
    for path, method, operation in operations:
        if method != "GET" or path.count("{") > 1:
            continue
        place = _rows(document, document.answer(operation))
        if place is None:
            continue
        records, row = place
        partition = _parent(path, by_path)
        if "{" in path and partition is None:
            continue
        stream: dict[str, Any] = {"name": _name(path, found), "path": re.sub(r"\{.*?\}", "${parent.id}", path)}
        stream |= partition or {}
        keys = document.properties(row, decimals=False)
        key = next((name for name in _KEYS if name in keys), None)
        if key is not None:
            stream["primary_key"] = [key]
        stream["records"] = {"path": records}
        stream |= _paging(document, path, operation)
        stream |= _incremental(document, path, operation, keys)
        found[stream["name"]] = by_path[path] = stream
    return list(found.values())


def _rows(document: Document, answer: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Where an answer has a list of objects, and what is in it."""
    if "items" in answer:
        row = document.resolve(answer["items"])
        return ("$[*]", row) if document.properties(row, decimals=False) else None
    lists = []
    for name, schema in document.properties(answer, decimals=False).items():
        if "array" in schema.get("type", []) and "object" in schema.get("items", {}).get("type", []):
            lists.append(name)
    chosen = next((name for name in _LISTS if name in lists), lists[0] if len(lists) == 1 else None)
    if chosen is None:
        return None
    return f"$.{chosen}[*]", document.rows(answer, f"$.{chosen}")


def _parent(path: str, streams: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    """What a path such as `/orders/{id}/lines` is read once for, if `/orders` is a stream with a key."""
    above = path.partition("/{")[0]
    parent = streams.get(above)
    if "{" not in path or parent is None or "primary_key" not in parent:
        return None
    return {"partitions": [{"parent": parent["name"], "fields": {"id": f"$.{parent['primary_key'][0]}"}}]}


def _name(path: str, taken: Mapping[str, Any]) -> str:
    parts = [re.sub(r"\W+", "_", part).strip("_").lower() for part in path.split("/") if part and "{" not in part]
    for count in range(1, len(parts) + 1):
        if (name := "_".join(parts[-count:])) not in taken:
            return name
    return f"{'_'.join(parts)}_{len(taken)}"


def _parameters(document: Document, path: str, operation: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for each in [*document.content["paths"][path].get("parameters", []), *operation.get("parameters", [])]:
        parameter = document.resolve(each)
        if parameter.get("in") == "query":
            yield parameter


def _paging(document: Document, path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {each["name"]: each for each in _parameters(document, path, operation)}
    size = next((name for name in _SIZE if name in parameters), None)
    sized: dict[str, Any] = {}
    if size is not None:
        schema = document.resolve(parameters[size].get("schema", parameters[size]))
        sized = {"size": int(schema.get("maximum", _BIGGEST)), "size_param": size}
    for names, kind in ((_PAGE, "page"), (_OFFSET, "offset")):
        if name := next((each for each in names if each in parameters), None):
            return {"pagination": {"kind": kind, "param": name, **sized}}
    if name := next((each for each in _CURSOR if each in parameters), None):
        return {"pagination": {"kind": "cursor", "from": {"body": f"$.next_{name}"}, "param": name, **sized}}
    return {}


def _incremental(
    document: Document, path: str, operation: Mapping[str, Any], keys: Mapping[str, Any]
) -> dict[str, Any]:
    parameters = {each["name"] for each in _parameters(document, path, operation)}
    since = next((name for name in _SINCE if name in parameters), None)
    changed = next((name for name in _CHANGED if name in keys), None)
    if since is None or changed is None:
        return {}
    return {"incremental": {"cursor": changed, "start": {"name": since}}}
