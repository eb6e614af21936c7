"""The ground of the language: what every object of it is, and what several of them hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, field

from tap_rest_api.templates import Template


def doc(text: str) -> Meta:
    """What a key means, in one line of Markdown."""
    return Meta(description=text)


def preset(value: Any) -> Any:
    """A default that is an object of this language."""
    return field(default_factory=lambda: value)


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object of the manifest."""


Templates: TypeAlias = dict[str, Template]


class Setting(Node, frozen=True):
    """Something that the user of the manifest decides. Looked up in the tap's config under `settings`, then at its top,
    then in `env`, then `default`.
    """

    type: Annotated[
        Literal["string", "integer", "number", "boolean", "array", "object", "datetime"], doc("what it has to be")
    ] = "string"
    secret: Annotated[bool, doc("never printed, in no log and no error")] = False
    required: Annotated[bool, doc("the tap does not start without it")] = False
    default: Annotated[Any, doc("where nobody gives one")] = None
    env: Annotated[str | None, doc("environment variable to look in")] = None
    enum: Annotated[list[Any] | None, doc("what it may be")] = None
    description: Annotated[str, doc("for people")] = ""


class Call(Node, frozen=True):
    """One request beside the streams': a login, the start of an export."""

    path: Annotated[Template, doc("below `base_url`, or a whole URL of an allowed host")]
    method: Annotated[str, doc("HTTP method")] = "GET"
    params: Annotated[Templates, doc("query parameters; null leaves one out, a list repeats it")] = {}
    headers: Annotated[Templates, doc("request headers")] = {}
    json: Annotated[Template | None, doc("body, as JSON")] = None
    form: Annotated[Templates | None, doc("body, as a form")] = None
