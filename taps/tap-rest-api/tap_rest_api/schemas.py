"""The schema of each stream: from a catalog, the manifest, an OpenAPI document, or samples."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tap_rest_api import deletions
from tap_rest_api.decoding import literal_columns
from tap_rest_api.inference import infer
from tap_rest_api.loading import ManifestError, Source, read_yaml
from tap_rest_api.openapi import Document
from tap_rest_api.partitions import parent_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tap_rest_api.fields import Shaping
    from tap_rest_api.language import InlineChild, Manifest, Schema, Stream
    from tap_rest_api.memory import Memory
    from tap_rest_api.sampling import Sample
    from tap_rest_api.templates import Expression, Template

Properties = dict[str, Any]

_BY_FILTER = {"is_present": "boolean", "int": "integer"}
_TEXT_FILTERS = {"str", "lower", "upper", "split", "join", "replace", "json", "b64"}
_BY_SETTING = {"datetime": "string"}


class Schemas:
    """Finds schemas out, each once.

    Args:
        manifest: of which settings are looked up.
        streams: its streams, resolved, by their names.
        source: what files that the manifest names are relative to.
        memory: keeps inferred schemas.
        sample: reads samples of a stream.
        shaping: makes the shaping of a stream.
        base_url: of the API.
    """

    def __init__(
        self,
        manifest: Manifest,
        streams: Mapping[str, Stream],
        source: Source,
        memory: Memory,
        sample: Callable[[Stream, int], Iterable[Sample]],
        shaping: Callable[[Stream], Shaping],
        base_url: str,
    ) -> None:
        self._manifest, self._streams, self._source, self._memory = manifest, streams, source, memory
        self._sample, self._shaping, self._base_url = sample, shaping, base_url
        self._found: dict[str, Properties] = {}
        self._documents: dict[str, Document] = {}

    def known(self, name: str, schema: Mapping[str, Any]) -> None:
        """Take a schema from a catalog."""
        self._found[name] = dict(schema.get("properties", {}))

    def of(self, stream: Stream) -> dict[str, Any]:
        """The schema of a stream.

        Raises:
            PluginError: the document does not describe it, or no samples can be read.
        """
        if stream.name not in self._found:
            self._find(stream)
        return {"type": "object", "properties": self._found[stream.name]}

    def of_child(self, stream: Stream, child: InlineChild) -> dict[str, Any]:
        """The schema of a list inside a stream's records."""
        if child.name not in self._found:
            self.of(stream)
        if child.name not in self._found:  # the parent's came from a catalog that does not have it
            self._found[child.name] = _with_key({}, child.primary_key)
        return {"type": "object", "properties": self._found[child.name]}

    # By mode

    def _find(self, stream: Stream) -> None:
        schema = _schema(stream)
        found: dict[str, Properties]
        if schema.mode == "infer":
            found = self._inferred(stream, schema)
        else:
            raw, inside = self._described(stream, schema)
            found = {stream.name: self._shaping(stream).schema(raw, self._added(stream, raw))}
            for child in stream.children_inline or []:
                found[child.name] = {**inside.get(child.name, {}), **{name: {} for name in child.keep}}
        for child in stream.children_inline or []:
            properties = {self._shaping(stream).name(name): each for name, each in found[child.name].items()}
            self._found.setdefault(child.name, _with_key(_declared(properties), child.primary_key))
        self._found[stream.name] = self._completed(stream, schema, found[stream.name])

    def _completed(self, stream: Stream, schema: Schema, properties: Properties) -> Properties:
        properties = {**_declared(properties), **schema.overrides}
        if stream.incremental and (name := self._shaping(stream).name(stream.incremental.cursor)) not in properties:
            properties[name] = _of_cursor(stream)
        if deletions.marks(stream):
            properties[deletions.DELETED_AT] = deletions.SCHEMA
        return _with_key(properties, stream.primary_key or [])

    def _described(self, stream: Stream, schema: Schema) -> tuple[Properties, dict[str, Properties]]:
        """What the manifest or a document says of the answer's rows, and of the lists inside them."""
        decimals = schema.numbers_as_decimal
        document, row = self._from_document(stream, schema)
        inside = {
            child.name: document.properties(document.rows(row, child.path.text), decimals=decimals)
            for child in stream.children_inline or []
        }
        records = stream.records
        assert records is not None  # noqa: S101 - see resolved
        kept: Properties = {}
        if records.explode is not None:
            kept = {
                name: document.property(document.inside(row, path.text), decimals=decimals)
                for name, path in records.keep.items()
            }
            row = document.rows(row, records.explode.text)
        properties = document.properties(row, decimals=decimals)
        if records.columns_path:
            properties = {name: {} for name in literal_columns(records.columns_path)}
        properties |= kept
        if records.key_as:
            properties[records.key_as] = {"type": ["string", "null"]}
        if records.index_as:
            properties[records.index_as] = {"type": ["integer", "null"]}
        return properties, inside

    def _from_document(self, stream: Stream, schema: Schema) -> tuple[Document, Mapping[str, Any]]:
        if schema.inline is not None:
            return Document({}), schema.inline
        assert schema.openapi is not None and stream.records is not None  # noqa: S101, PT018 - see Schema
        name = schema.openapi.document
        if name not in self._documents:
            path = self._source.folder / Path(name).expanduser()
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ManifestError(f"schema.openapi.document: {path} cannot be read: {error}.") from None
            self._documents[name] = Document(read_yaml(Source(text, path.name, path.parent)))
        document = self._documents[name]
        asked = f"{urlsplit(self._base_url).path}{stream.path.source if stream.path else ''}"
        try:
            _, operation = document.find(stream.method or "GET", asked, schema.openapi.operation)
        except ValueError as error:
            raise ManifestError(f"{self._source.name}: stream '{stream.name}': schema.openapi: {error}.") from None
        return document, document.rows(document.answer(operation), stream.records.path.text)

    def _inferred(self, stream: Stream, schema: Schema) -> dict[str, Properties]:
        mark = hashlib.sha256(repr(stream).encode()).hexdigest()
        kept = self._memory.read(f"schema.{stream.name}")
        if kept and kept["of"] == mark:
            found: dict[str, Properties] = kept["properties"]
            return found
        shaping = self._shaping(stream)
        samples = list(self._sample(stream, schema.sample_records))
        decimals = schema.numbers_as_decimal
        records = [shaping.apply(record, scope) for record, scope in samples]
        added = {shaping.name(name): each for name, each in self._added(stream, {}).items()}
        found = {stream.name: {**added, **infer(records, numbers_as_decimal=decimals)}}
        for child in stream.children_inline or []:
            rows = [row for record, _ in samples for row in inline_rows(child, record)]
            found[child.name] = infer(rows, numbers_as_decimal=decimals)
        if samples:
            self._memory.write(f"schema.{stream.name}", {"of": mark, "properties": found})
        return found

    # Fields that the manifest adds

    def _added(self, stream: Stream, raw: Properties) -> Properties:
        assert stream.fields is not None  # noqa: S101 - see resolved
        return {name: self._of_template(template, stream, raw) for name, template in stream.fields.add.items()}

    def _of_template(self, template: Template, stream: Stream, raw: Properties) -> dict[str, Any]:
        """The type of what a template gives; empty where it is not known before it is seen."""
        only = template.expression
        if only is None:
            return _nullable(_kind_of(template.source))
        for name, arguments in reversed(only.filters):
            if name == "format" and arguments[0].startswith("epoch"):
                return _nullable("integer")
            if name in _TEXT_FILTERS | {"format"}:
                return _nullable("string")
            if name in _BY_FILTER:
                return _nullable(_BY_FILTER[name])
        return self._of_reference(only, stream, raw)

    def _of_reference(self, reference: Expression, stream: Stream, raw: Properties) -> dict[str, Any]:
        name = reference.first
        if name is None or (isinstance(reference.path, tuple) and len(reference.path) > 1):
            return {}
        if reference.scope == "record":
            found: dict[str, Any] = raw.get(name, {})
            return found
        if reference.scope == "config":
            kind = self._manifest.settings[name].type
            return _nullable(_BY_SETTING.get(kind, kind))
        if reference.scope == "partition":
            values = next((each.values for each in stream.partitions or [] if each.name == name), None)
            listed = values.source if values and isinstance(values.source, list) else []
            kinds = {_kind_of(value) for value in listed}
            return _nullable(kinds.pop()) if len(kinds) == 1 else {}
        up = parent_of(stream)
        if reference.scope == "parent" and up and up.parent and name in up.fields:
            parent = self._streams[up.parent]
            properties = self.of(parent)["properties"]
            field = self._shaping(parent).name(up.fields[name].text.removeprefix("$."))
            return {**properties.get(field, {}), **_optional(properties.get(field, {}))}
        return {}


def inline_rows(child: InlineChild, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a list inside a record."""
    kept = {name: path.first(record) for name, path in child.keep.items()}
    items = [item for value in child.path.find(record) for item in (value if isinstance(value, list) else [value])]
    return [{**(item if isinstance(item, dict) else {"value": item}), **kept} for item in items if item is not None]


def _schema(stream: Stream) -> Schema:
    assert stream.schema is not None  # noqa: S101 - see resolved
    return stream.schema


def _declared(properties: Properties) -> Properties:
    """Without fields of which nothing is known: they are declared when their first value comes."""
    return {name: schema for name, schema in properties.items() if schema}


def _with_key(properties: Properties, key: list[str]) -> Properties:
    """With each column of the key, which is never null."""
    for name in key:
        schema = properties.get(name) or {"type": ["string"]}
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        properties[name] = {**schema, **({"type": [kind for kind in kinds if kind != "null"]} if kinds else {})}
    return properties


def _of_cursor(stream: Stream) -> dict[str, Any]:
    assert stream.incremental is not None  # noqa: S101
    kind, form = stream.incremental.type, stream.incremental.format
    if kind == "integer" or (isinstance(form, str) and form.startswith("epoch")):
        return _nullable("integer")
    if kind == "datetime" and form == "rfc3339":
        return {**_nullable("string"), "format": "date-time"}
    return _nullable("string")


def _optional(schema: Mapping[str, Any]) -> dict[str, Any]:
    kinds = schema.get("type")
    return {"type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]} if kinds and "null" not in kinds else {}


def _nullable(kind: str) -> dict[str, Any]:
    return {"type": [kind, "null"]} if kind else {}


def _kind_of(value: Any) -> str:
    if value is None:
        return ""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]
