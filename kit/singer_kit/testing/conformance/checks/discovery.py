"""What `--discover` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema_rs

from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.subject import described

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("discovery")

_INCOMPARABLE = {"object", "array", "boolean"}


@CHECKS.add("stable")
def stable(subject: Subject) -> Iterator[str]:
    """Twice the same source, twice the same bytes."""
    again = subject.run("--discover")
    if again.exit_code != 0:
        yield f"the second time it ended with {described(again, subject.command)}"
    elif again.stdout != subject.discovered.stdout:
        yield "it printed something else the second time"


@CHECKS.add("valid")
def valid(subject: Subject) -> Iterator[str]:
    """Streams have names of their own and schemas that are JSON Schema; metadata belongs to properties that exist."""
    streams = subject.catalog.streams
    if not streams:
        yield "there is no stream"
    names = [stream.name for stream in streams]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"stream {name!r} is there twice"
    for stream in streams:
        if not stream.properties:
            yield f"stream {stream.name!r} has no properties"
        try:
            jsonschema_rs.meta.validate(stream.entry["schema"])
        except jsonschema_rs.ValidationError as error:
            yield f"stream {stream.name!r}: its schema is no JSON Schema: {error.message[:200]}"
        for each in stream.entry.get("metadata", []):
            path = list(each["breadcrumb"])
            if path[:1] == ["properties"] and path[1] not in stream.properties:
                yield f"stream {stream.name!r}: metadata for property {path[1]!r}, which is not there"


@CHECKS.add("keys")
def keys(subject: Subject) -> Iterator[str]:
    """Keys are properties; a stream without one is read whole, for nothing could tell a row that comes twice."""
    for stream in subject.catalog.streams:
        for name in stream.keys:
            if name not in stream.properties:
                yield f"stream {stream.name!r}: key {name!r} is no property"
            elif _nullable(stream.properties[name]):
                yield f"stream {stream.name!r}: key {name!r} may be null"
        if not stream.keys and stream.incremental:
            yield f"stream {stream.name!r} is incremental without a key"


@CHECKS.add("replication keys")
def replication_keys(subject: Subject) -> Iterator[str]:
    """A replication key is a property whose values have an order, and an incremental stream has one."""
    for stream in subject.catalog.streams:
        key = stream.replication_key
        if key is None:
            if stream.incremental:
                yield f"stream {stream.name!r} is incremental without a replication key"
            continue
        allowed = stream.metadata().get("valid-replication-keys", [key])
        if key not in stream.properties:
            yield f"stream {stream.name!r}: replication key {key!r} is no property"
        elif key not in allowed:
            yield f"stream {stream.name!r}: replication key {key!r} is not among its valid-replication-keys"
        elif _types(stream.properties[key]) & _INCOMPARABLE:
            yield f"stream {stream.name!r}: replication key {key!r} has a type without an order"


@CHECKS.add("nullable")
def nullable(subject: Subject) -> Iterator[str]:
    """Any property but a key may be null: sources leave out what their descriptions promise."""
    for stream in subject.catalog.streams:
        strict = [
            name for name, schema in stream.properties.items() if name not in stream.keys and not _nullable(schema)
        ]
        if strict:
            yield f"stream {stream.name!r}: {', '.join(strict[:5])} may not be null"


def _types(schema: dict[str, Any]) -> set[str]:
    kinds = schema.get("type", [])
    found = {kinds} if isinstance(kinds, str) else set(kinds)
    for name in ("anyOf", "oneOf"):
        for each in schema.get(name, []):
            found |= _types(each)
    return found


def _nullable(schema: dict[str, Any]) -> bool:
    kinds = _types(schema)
    return not kinds or "null" in kinds
