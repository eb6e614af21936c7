"""The first request of a stream, as text: what a manifest makes of its templates, before anything is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import requests

from tap_rest_api.incremental import Span
from tap_rest_api.partitions import ParentRow, parent_of, products
from tap_rest_api.requesting import Draft, call_draft
from tap_rest_api.templates import as_text, json_text

if TYPE_CHECKING:
    from tap_rest_api.language import Stream
    from tap_rest_api.tap import TapRestApi


def first_request(tap: TapRestApi, spec: Stream) -> str:
    """What a stream asks for first. What comes from a parent's record is shown as `<name>`.

    Raises:
        ConfigurationError: the request cannot be made.
    """
    up = parent_of(spec)
    row = None if up is None else ParentRow({name: f"<{name}>" for name in up.fields}, {})
    partition = next(products(spec, row, tap.scope))
    draft = _draft(tap, spec, partition.data)
    url = draft.url if "://" in draft.url else f"{tap.client.base_url}{draft.url.lstrip('/')}"
    request = requests.Request(draft.method, url, params=_repeated(draft.params)).prepare()
    assert request.url is not None  # noqa: S101
    lines = [f"{draft.method} {_shown(request.url)}"]
    lines += [f"{name}: {value}" for name, value in draft.headers.items()]
    if draft.json is not None or draft.form is not None:
        lines.append(json_text(draft.form if draft.json is None else draft.json))
    return f"{spec.name} (auth: {tap.manifest.auth.__struct_config__.tag})\n" + "".join(f"  {line}\n" for line in lines)


def _shown(url: str) -> str:
    """A URL with `<name>` as it was put in: once encoded in the query, and twice in the path."""
    return re.sub(r"%(25)?3C(\w+)%(25)?3E", r"<\2>", url)


def _draft(tap: TapRestApi, spec: Stream, scope: dict[str, Any]) -> Draft:
    if spec.job is not None:
        return call_draft(spec.job.create, scope, f"Stream '{spec.name}'")
    cursor = tap.cursor(spec)
    span = Span()
    if cursor is not None:
        span = next(cursor.spans(cursor.begin({}, scope), lambda: scope["sync_started_at"]), span)
    return tap.reader(spec, cursor).draft(span, scope)


def _repeated(params: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, as_text(each))
        for name, value in params.items()
        for each in (value if isinstance(value, list) else [value])
    ]
