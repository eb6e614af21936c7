"""The language as documents, made from its classes: a JSON Schema for editors, and the reference of all keys.

python -m tap_rest_api.reference          writes manifest.schema.json and REFERENCE.md into the current folder
"""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from tap_rest_api.absent import ABSENT
from tap_rest_api.conditions import FUNCTIONS, NAMES, Condition
from tap_rest_api.language import Manifest
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import FILTERS, SCOPES, Template

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: dict[Any, tuple[str, dict[str, Any]]] = {
    Template: ("template", {"$comment": "may hold ${templates}"}),
    Condition: ("condition", {"type": "string"}),
    JsonPath: ("JSONPath", {"type": "string"}),
    Duration: ("duration", {"type": ["string", "integer"]}),
    str: ("text", {}),
    int: ("integer", {}),
    float: ("number", {}),
    bool: ("true or false", {}),
    type(None): ("", {}),
}
_TEMPLATES = """\
`${scope.name|filter:argument|…}`. A text that is exactly one template keeps the value's own type; otherwise values are
put in as text. What is not there is null: in `params`, `headers` and `form` null leaves the entry out, in a path it is
an error. In a path values are percent-encoded. `$${` is a plain `${`. A name may be a JSONPath:
`${record.$['a.b']}`."""
_CALLED = {"Manifest": "Top level", "StreamPart": "Streams and templates", "Stream": "Streams"}


def json_schema() -> str:
    """The JSON Schema of a manifest, as text."""

    def custom(kind: type) -> dict[str, Any]:
        return _KINDS[kind][1]

    schema = msgspec.json.schema(Manifest, schema_hook=custom)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}, indent=1) + "\n"


def reference() -> str:
    """The reference of all keys, as Markdown."""
    lines = [
        "# The language of a manifest",
        "",
        "Made from the program itself; `manifest.schema.json` says the same to editors. Keys in bold are required.",
        "",
    ]
    for struct in _structs():
        tag = struct.__struct_config__.tag
        lines += [f"## {_title(struct)}", "", _prose(struct.__doc__ or ""), ""]
        rows = [
            f"| {'**' if info.required else ''}`{info.encode_name}`{'**' if info.required else ''} "
            f"| {_type(hint)} | {_default(info)} | {_doc(hint)} |"
            for info, hint in _fields(struct)
        ]
        if tag is not None:
            rows.insert(0, f"| **`kind`** | `{tag}` | | |")
        if rows:
            lines += ["| key | is | default | what |", "|---|---|---|---|", *rows, ""]
    lines += [
        "## Templates",
        "",
        _prose(_TEMPLATES),
        "",
        "| scope | what |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in SCOPES.items()),
        "",
        "| filter | what |",
        "|---|---|",
        *(f"| `{name}` | {one.doc} |" for name, one in FILTERS.items()),
        "",
        "## Conditions",
        "",
        "Small Python-like expressions: `not record['archived']`, `response['state'] in ('READY', 'DONE')`, "
        "`len(get(response, '$.items', [])) < 10`. What is not there is null. Names: "
        + ", ".join(f"`{name}`" for name in NAMES)
        + ". Functions: "
        + ", ".join(f"`{name}`" for name in FUNCTIONS)
        + ".",
        "",
        "## What is left out",
        "",
        "One way to say a thing, and nothing that no worked example and no common ask needs:",
        "",
        "| other tools have | here |",
        "|---|---|",
        *(f"| {name} | {reason} |" for name, reason in sorted(ABSENT.items())),
    ]
    return "\n".join(lines) + "\n"


def _structs() -> Iterator[type[msgspec.Struct]]:
    """Every object of the language, each once, in the order in which a reader meets it."""
    seen: list[type[msgspec.Struct]] = [Manifest]
    for struct in seen:  # grows
        yield struct
        for _, hint in _fields(struct):
            for kind in _leaves(hint):
                if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in seen:
                    seen.append(kind)


def _fields(struct: type[msgspec.Struct]) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = get_type_hints(struct, include_extras=True)
    return [(info, hints[info.name]) for info in msgspec.structs.fields(struct)]


def _leaves(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is Annotated:
        yield from _leaves(get_args(hint)[0])
    elif get_origin(hint) in {Union, types.UnionType, list, dict}:
        for inner in get_args(hint):
            yield from _leaves(inner)
    else:
        yield hint


def _title(struct: type[msgspec.Struct]) -> str:
    name = _CALLED.get(struct.__name__) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", struct.__name__).capitalize()
    tag = struct.__struct_config__.tag
    return f"{name} (`kind: {tag}`)" if tag is not None else name


def _prose(text: str) -> str:
    return " ".join(text.split())


def _type(hint: Any) -> str:  # noqa: PLR0911 - one for each form
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in {Union, types.UnionType}:
        parts = list(dict.fromkeys(filter(None, (_type(one) for one in arguments))))
        return " or ".join(parts)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"{_type(arguments[1])} by name"
    if origin is Literal:
        return ", ".join(f"`{json.dumps(one) if not isinstance(one, str) else one}`" for one in arguments)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        title = _title(hint)
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        return f"[{title.split(' (')[0].lower()}](#{anchor})"
    return _KINDS[hint][0] if hint in _KINDS else "anything"


def _doc(hint: Any) -> str:
    """The description of a field.

    Raises:
        ValueError: it has none.
    """
    for one in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(one, msgspec.Meta) and one.description:
            return one.description.replace("|", "\\|")
    raise ValueError(f"a key without a description: {hint}")


def _default(info: msgspec.structs.FieldInfo) -> str:
    value = info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory()
    if info.required or value in (None, "", msgspec.NODEFAULT) or isinstance(value, msgspec.Struct):
        return ""
    text = getattr(value, "text", value)
    return f"`{text if isinstance(text, str) else json.dumps(text)}`"


if __name__ == "__main__":
    Path("manifest.schema.json").write_text(json_schema(), encoding="utf-8")
    Path("REFERENCE.md").write_text(reference(), encoding="utf-8")
