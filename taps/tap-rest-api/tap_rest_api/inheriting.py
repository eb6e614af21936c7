"""What a stream really says: its own keys, then its template's, then the top's.

A value takes the place of an inherited one whole; only `headers`, `params`, `errors` and `fields` add up, the nearest
first. `pagination: {kind: none}` switches paging off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from tap_rest_api.language import Deletion, Fields, Manifest, Records, Stream, StreamPart

if TYPE_CHECKING:
    from collections.abc import Iterator

_Part = TypeVar("_Part", bound=StreamPart)


def resolved(manifest: Manifest, stream: Stream) -> Stream:
    """The stream with everything that it inherits."""
    for template in lineage(manifest, stream):
        stream = _over(stream, template)
    return replace(
        stream,
        method=stream.method or ("POST" if stream.graphql else "GET"),
        headers={**manifest.headers, **stream.headers},
        params={**manifest.params, **stream.params},
        errors=[*stream.errors, *manifest.errors],
        fields=_fields(manifest.fields, stream.fields),
        pagination=stream.pagination or manifest.pagination,
        records=stream.records or Records(),
        schema=stream.schema or manifest.schema,
        partitions=stream.partitions or [],
        primary_key=stream.primary_key or [],
        deletion=stream.deletion or Deletion(),
        children_inline=stream.children_inline or [],
    )


def lineage(manifest: Manifest, part: StreamPart) -> Iterator[StreamPart]:
    """The templates that a stream extends, nearest first; an unknown or repeated one ends it."""
    seen: set[str] = set()
    while part.extends is not None and part.extends in manifest.templates and part.extends not in seen:
        seen.add(part.extends)
        part = manifest.templates[part.extends]
        yield part


def _over(near: _Part, far: StreamPart) -> _Part:
    own: dict[str, Any] = {}
    for name in StreamPart.__struct_fields__:
        if name == "extends":
            continue
        mine, theirs = getattr(near, name), getattr(far, name)
        if name in {"headers", "params"}:
            own[name] = {**theirs, **mine}
        elif name == "errors":
            own[name] = [*mine, *theirs]
        elif name == "fields":
            own[name] = _fields(theirs, mine) if theirs and mine else mine or theirs
        else:
            own[name] = theirs if mine in (None, "") else mine
    return replace(near, **own)


def _fields(far: Fields | None, near: Fields | None) -> Fields:
    far, near = far or Fields(), near or Fields()
    return Fields(
        null_values=[*far.null_values, *near.null_values],
        add={**far.add, **near.add},
        hash={**far.hash, **near.hash},
        drop=[*far.drop, *near.drop],
        secret=[*far.secret, *near.secret],
        cast={**far.cast, **near.cast},
        case=far.case if near.case == "keep" else near.case,
    )
