"""From YAML to a checked manifest; an error names the file, the line, the key's path and what is near.

shop.yaml:14: streams[3].pagination.siez: there is no such key; did you mean 'size'?
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Hashable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import yaml

from singer_kit.errors import ConfigurationError
from tap_rest_api.absent import ABSENT
from tap_rest_api.conditions import Condition
from tap_rest_api.language import Manifest
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import Template, near

_COMPILED = (Template, Condition, JsonPath, Duration)
_MESSAGE = re.compile(r"(.*?)(?: - at `(?:key in )?\$(.*)`)?", re.DOTALL)
_TAG = "kind"
_TOKEN = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


class ManifestError(ConfigurationError):
    """A manifest says something that cannot be."""


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: no dates, `no` is a word, a key written twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own form
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:timestamp" and (tag != "tag:yaml.org,2002:bool" or first in "tTfF")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class Source:
    """The text of a manifest: where it stands, and on which line what is said.

    Args:
        text: YAML or JSON; None where the manifest came as an object.
        name: of the file, for errors.
        folder: what files that it names are relative to.
    """

    def __init__(self, text: str | None, name: str, folder: Path) -> None:
        self.text, self.name, self.folder = text, name, folder

    def error(self, path: list[Any], text: str) -> ManifestError:
        """An error about the key at this path."""
        line = self._line(path)
        where = self.name + (f":{line}" if line else "")
        dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        return ManifestError(f"{where}: {dotted + ': ' if dotted else ''}{text}")

    def _line(self, path: list[Any]) -> int | None:
        if self.text is None:
            return None
        node: yaml.Node | None = yaml.compose(self.text, _Loader)
        line: int | None = None
        for part in path:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == str(part)]
                if not found:
                    break
                line, node = found[-1][0].start_mark.line + 1, found[-1][1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


def read_source(config: Mapping[str, Any]) -> tuple[Source, Any]:
    """The manifest that the tap's config names, as plain values.

    Raises:
        ConfigurationError: none or several are named, or it cannot be read as YAML.
    """
    given = [name for name in ("manifest", "manifest_path", "manifest_yaml") if config.get(name) is not None]
    if len(given) != 1:
        raise ConfigurationError(
            f"The config names {'no manifest' if not given else ' and '.join(given)}. Next: set exactly one of "
            "manifest_path (a YAML file), manifest_yaml (its text) and manifest (an object)."
        )
    if given == ["manifest"]:
        return Source(None, "manifest", Path()), config["manifest"]
    if given == ["manifest_yaml"]:
        source = Source(config["manifest_yaml"], "manifest_yaml", Path())
    else:
        path = Path(config["manifest_path"]).expanduser()
        try:
            source = Source(path.read_text(encoding="utf-8"), path.name, path.parent)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The manifest {path} cannot be read: {error}. Next: check manifest_path."
            ) from None
    return source, read_yaml(source)


def read_yaml(source: Source) -> Any:
    """The values of a YAML or JSON text.

    Raises:
        ManifestError: it is neither.
    """
    assert source.text is not None  # noqa: S101
    if source.text.lstrip().startswith("{"):
        with suppress(ValueError):  # JSON is YAML too, and is read a hundred times as fast as such
            return json.loads(source.text)
    try:
        return yaml.load(source.text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ManifestError(f"{source.name}{line}: {error.problem}. Next: check the YAML there.") from None


def parse_manifest(data: Any, source: Source) -> Manifest:
    """Values as a manifest.

    Raises:
        ManifestError: a key is unknown, missing, or has a value that it cannot have.
    """
    try:
        return msgspec.convert(data, Manifest, dec_hook=_compiled)
    except msgspec.ValidationError as error:
        raise _explained(str(error), data, source) from None


def _compiled(kind: type, value: Any) -> Any:
    if kind not in _COMPILED:
        raise NotImplementedError
    if kind is not Template and not isinstance(value, str) and not (kind is Duration and isinstance(value, int)):
        raise ValueError(f"{value!r} has to be a text")
    return kind(value)


# From msgspec's words to ours


def _explained(message: str, data: Any, source: Source) -> ManifestError:
    match = _MESSAGE.fullmatch(message)
    assert match is not None  # noqa: S101
    text, place = match[1], match[2] or ""
    tokens = [int(index) if index.isdigit() else name or ... for name, index in _TOKEN.findall(place)]
    path, value, kind = _walk(tokens, data, Manifest)
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text):
        return source.error([*path, unknown[1]], f"there is no such key{_hint(unknown[1], kind)}")
    if missing := re.fullmatch(r"Object missing required field `(.*)`", text):
        return source.error(path, f"the key {missing[1]!r} is missing")
    if re.fullmatch(r"Invalid (enum )?value '?.*'?", text, re.DOTALL):
        return source.error(path, f"{value!r} is none of the values it may have{_choices(value, kind, path)}")
    text = re.sub(r"Expected `(.*?)`, got `(.*?)`", lambda m: f"has to be {m[1]}, is {m[2]}", text)
    return source.error(path, text)


def _hint(key: str, kind: Any) -> str:
    names = _keys(kind)
    if key in ABSENT and key not in names:
        return f", it is left out of the language: {ABSENT[key]}"
    return near(key, names)


def _choices(value: Any, kind: Any, path: list[Any]) -> str:
    if path and path[-1] == "kind":
        tags = [_tag(one) for one in _structs(kind)]
        if value in ABSENT:
            return f", it is left out of the language: {ABSENT[value]}"
        return near(str(value), filter(None, tags))
    return near(str(value), [str(choice) for one in _unwrapped(kind) for choice in get_args(one)])


def _walk(tokens: list[Any], value: Any, kind: Any) -> tuple[list[Any], Any, Any]:
    """Follow msgspec's path through values and types at once: the real path, the value there, and its type."""
    path: list[Any] = []
    for part in tokens:
        token = part
        if token is ...:  # msgspec does not tell which key of a mapping
            inner = next((get_args(one)[1] for one in _unwrapped(kind) if get_origin(one) is dict), Any)
            token, value = _culprit(value, inner)
            kind = inner
        elif isinstance(token, int):
            kind = next((get_args(one)[0] for one in _unwrapped(kind) if get_origin(one) is list), Any)
            value = value[token]
        else:
            struct = _struct_of(value, kind)
            if struct is not None and token != _TAG:
                kind = _types(struct).get(token, Any)
            value = value.get(token) if isinstance(value, Mapping) else None
        path.append(token)
    return path, value, kind if path and path[-1] == "kind" else (_struct_of(value, kind) or kind)


def _culprit(values: Mapping[str, Any], kind: Any) -> tuple[str, Any]:
    for name, value in values.items():
        try:
            msgspec.convert(value, kind, dec_hook=_compiled)
        except msgspec.ValidationError:
            return name, value
    return "…", None


def _unwrapped(kind: Any) -> list[Any]:
    """The alternatives of a type, without `Annotated`."""
    if get_origin(kind) is Annotated:
        return _unwrapped(get_args(kind)[0])
    if get_origin(kind) in {Union, types.UnionType}:
        return [inner for one in get_args(kind) for inner in _unwrapped(one)]
    return [kind]


def _structs(kind: Any) -> list[type[msgspec.Struct]]:
    return [one for one in _unwrapped(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct)]


def _struct_of(value: Any, kind: Any) -> type[msgspec.Struct] | None:
    structs = _structs(kind)
    tag = value.get("kind") if isinstance(value, Mapping) else None
    return next((one for one in structs if _tag(one) == tag), None) if len(structs) > 1 else next(iter(structs), None)


def _tag(struct: type[msgspec.Struct]) -> str | None:
    tag = struct.__struct_config__.tag
    return None if tag is None else str(tag)


def _types(struct: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(struct)
    return {info.encode_name: hints[info.name] for info in msgspec.structs.fields(struct)}


def _keys(kind: Any) -> list[str]:
    return [key for struct in _structs(kind) for key in (*_types(struct), *(["kind"] if _tag(struct) else []))]
