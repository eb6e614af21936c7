"""What no single key shows: that the parts of a manifest fit together."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from tap_rest_api.fields import check_cast
from tap_rest_api.inheriting import lineage, resolved
from tap_rest_api.language import Cursor, Manifest, NoPaging, Offset, PageNumber, Relay, Stream
from tap_rest_api.moments import moment_format
from tap_rest_api.templates import Template, near

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_rest_api.loading import Source

Problem = tuple[list[Any], str]


def check(manifest: Manifest, source: Source) -> None:
    """Refuse a manifest whose parts do not fit.

    Raises:
        ManifestError: all that is wrong, one line each.
    """
    problems = [source.error(path, text) for path, text in _problems(manifest)]
    if problems:
        raise type(problems[0])("\n".join(map(str, problems)))


def _problems(manifest: Manifest) -> Iterator[Problem]:
    names = [name for stream in manifest.streams for name in (stream.name, *_inline(manifest, stream))]
    for name, count in Counter(names).items():
        if count > 1:
            yield ["streams"], f"{count} streams are called {name!r}"
    for path, part in _parts(manifest):
        if part.extends is not None and part.extends not in manifest.templates:
            yield [*path, "extends"], f"there is no template {part.extends!r}{near(part.extends, manifest.templates)}"
    for path, template in _templates(manifest, []):
        for expression in template.expressions():
            setting = expression.first
            if expression.scope == "config" and setting not in manifest.settings:
                yield path, f"${{{expression.text}}}: no setting {setting!r}{near(str(setting), manifest.settings)}"
    parents = {stream.name: stream for stream in manifest.streams}
    for index, stream in enumerate(manifest.streams):
        whole = resolved(manifest, stream)
        for inner, text in (
            *_stream_problems(whole),
            *_parent_problems(whole, parents, manifest),
            *_time_problems(whole),
            *_paging_problems(whole),
        ):
            yield ["streams", index, *inner], text


def _stream_problems(stream: Stream) -> Iterator[Problem]:  # noqa: C901 - one after the other
    if stream.path is None and stream.job is None:
        yield [], f"stream {stream.name!r} has no path"
    assert stream.records and stream.fields and stream.deletion and stream.schema  # noqa: S101, PT018 - resolved
    if sum(body is not None for body in (stream.json, stream.form, stream.graphql)) > 1:
        yield [], "write one of json, form and graphql"
    formats = {stream.records.format, stream.records.inner_format if stream.records.format == "gzip" else ""}
    if "xml" in formats and stream.records.xml is None:
        yield ["records"], "xml needs the key xml: {record_tag: …}"
    for name, cast in stream.fields.cast.items():
        if problem := check_cast(cast):
            yield ["fields", "cast", name], problem
    if stream.deletion.mode == "field" and stream.deletion.field is None:
        yield ["deletion"], "mode field needs the key field"
    if stream.deletion.mode in {"snapshot", "soft"}:
        if stream.incremental:
            yield ["deletion"], f"mode {stream.deletion.mode} needs the whole list; leave out incremental"
        if stream.conditional:
            yield ["deletion"], f"mode {stream.deletion.mode} needs the whole list; leave out conditional"
    if stream.deletion.mode == "soft" and not stream.primary_key:
        yield ["deletion"], "mode soft needs a primary_key"


def _parent_problems(stream: Stream, parents: dict[str, Stream], manifest: Manifest) -> Iterator[Problem]:
    for number, partition in enumerate(stream.partitions or []):
        if partition.parent is not None and partition.parent not in parents:
            where = ["partitions", number, "parent"]
            yield where, f"there is no stream {partition.parent!r}{near(partition.parent, parents)}"
    if len(_parent_names(stream)) > 1:
        yield ["partitions"], "a stream has one parent; its parent's values are ${parent.parent.NAME}"
    seen, at = {stream.name}, stream
    while names := _parent_names(at):
        if names[0] in seen:
            yield ["partitions"], f"stream {stream.name!r} is its own ancestor"
            return
        if names[0] not in parents:
            return
        seen.add(names[0])
        at = resolved(manifest, parents[names[0]])
    known = {
        "partition": {partition.name for partition in stream.partitions or [] if partition.name},
        "parent": {name for partition in stream.partitions or [] for name in partition.fields} | {"parent"},
    }
    for path, template in _templates(stream, []):
        for expression in template.expressions():
            name = expression.first
            if expression.scope in known and name is not None and name not in known[expression.scope]:
                yield path, f"${{{expression.text}}}: no {name!r} there{near(name, known[expression.scope])}"


def _time_problems(stream: Stream) -> Iterator[Problem]:
    incremental = stream.incremental
    if incremental is None:
        return
    formats = [incremental.format] if isinstance(incremental.format, str) else incremental.format
    named: list[tuple[list[Any], str]] = [(["incremental", "format"], one) for one in formats]
    named += [
        (["incremental", key, "format"], bound.format)
        for key, bound in (("start", incremental.start), ("end", incremental.end))
        if bound
    ]
    for path, one in named:
        try:
            moment_format(one, incremental.timezone)
        except ValueError as error:
            yield path, str(error)
    if incremental.window and incremental.type not in {"datetime", "date"}:
        yield ["incremental", "window"], "windows are slices of time: the cursor's type has to be datetime or date"
    if incremental.window and not (incremental.start or _uses_window(stream)):
        yield ["incremental", "window"], "nothing in the request uses it: write start and end, or ${window.start}"
    if incremental.parallel_windows > 1 and not incremental.window:
        yield ["incremental", "parallel_windows"], "there is no window"


def _paging_problems(stream: Stream) -> Iterator[Problem]:
    paging = stream.pagination
    assert paging is not None  # noqa: S101 - resolved
    if isinstance(paging, PageNumber | Offset) and not (paging.param or paging.path_in_body):
        yield ["pagination"], f"kind {paging.__struct_config__.tag} needs param, or path_in_body"
    if isinstance(paging, Offset) and paging.step == "size" and not paging.size:
        yield ["pagination"], "step: size needs a size"
    if isinstance(paging, Relay) and not stream.graphql:
        yield ["pagination"], "kind relay needs graphql"
    in_body = isinstance(paging, Cursor | PageNumber | Offset) and paging.path_in_body is not None
    if in_body and stream.json is None and stream.graphql is None:
        yield ["pagination", "path_in_body"], "the request has no JSON body: write json"
    if isinstance(paging, NoPaging) and any(rule.action == "shrink_page" for rule in stream.errors) and paging.size:
        yield ["pagination"], "there are no pages to shrink"


def _uses_window(stream: Stream) -> bool:
    return any(
        expression.scope == "window" for _, template in _templates(stream, []) for expression in template.expressions()
    )


def _parent_names(stream: Stream) -> list[str]:
    return [partition.parent for partition in stream.partitions or [] if partition.parent is not None]


def _inline(manifest: Manifest, stream: Stream) -> list[str]:
    for part in (stream, *lineage(manifest, stream)):
        if part.children_inline is not None:
            return [child.name for child in part.children_inline]
    return []


def _parts(manifest: Manifest) -> Iterator[tuple[list[Any], Any]]:
    for name, template in manifest.templates.items():
        yield ["templates", name], template
    for index, stream in enumerate(manifest.streams):
        yield ["streams", index], stream


def _templates(value: Any, path: list[Any]) -> Iterator[tuple[list[Any], Template]]:
    """Every template below a value, with its path in the YAML."""
    if isinstance(value, Template):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for info in msgspec.structs.fields(value):
            yield from _templates(getattr(value, info.name), [*path, info.encode_name])
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _templates(inner, [*path, key])
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _templates(inner, [*path, index])
