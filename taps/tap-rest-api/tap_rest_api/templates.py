"""The template language: `${scope.path|filter:argument}` in any text of a manifest.

A text that is exactly one template keeps the value's own type; otherwise values are put in as text. `$${` is a plain
`${`. What is not there is null.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any
from urllib.parse import quote

import msgspec

from tap_rest_api.moments import Duration, from_rfc3339, moment_format, time_zone, to_rfc3339
from tap_rest_api.paths import JsonPath

_encoder = msgspec.json.Encoder(decimal_format="number")

SCOPES = {
    "config": "the settings declared under `settings`",
    "now": "the time of this request",
    "sync_started_at": "when the run began, by the server's clock",
    "bookmark": "where the stream's last run ended; null in the first",
    "window": "`window.start` and `window.end` of what is being read",
    "parent": "the fields chosen from the parent's record; `parent.parent` is its parent",
    "partition": "the values named by `as`",
    "record": "the record (in `fields.add`, `detail`)",
    "job": "`job.id` of a running export",
}


def _identity(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    return as_text(value)


def _json(value: Any) -> str:
    return json_text(value)


def _split(value: Any, separator: str, index: str) -> Any:
    parts = as_text(value).split(separator)
    return parts[int(index)] if -len(parts) <= int(index) < len(parts) else None


@dataclass(frozen=True)
class Filter:
    """One filter: what it does to a value, how many arguments it takes, and whether null reaches it."""

    apply: Callable[..., Any]
    doc: str
    arguments: int = 0
    of_null: bool = False
    check: Callable[[str], Any] = _identity


FILTERS: dict[str, Filter] = {
    "default": Filter(lambda v, text: text if v is None else v, "this text instead of null", 1, of_null=True),
    "format": Filter(
        lambda v, name: moment_format(name, _zone_of(v)).write(as_moment(v)),
        "a moment as `rfc3339`, `date`, `epoch_s`, `epoch_ms` or a `%strftime` pattern",
        1,
        check=moment_format,
    ),
    "tz": Filter(
        lambda v, name: as_moment(v).astimezone(time_zone(name)), "a moment in a time zone", 1, check=time_zone
    ),
    "add": Filter(lambda v, text: Duration(text).after(as_moment(v)), "a moment, later by `1d`", 1, check=Duration),
    "sub": Filter(lambda v, text: Duration(text).before(as_moment(v)), "a moment, earlier by `1h`", 1, check=Duration),
    "int": Filter(lambda v: int(Decimal(str(v))), "as an integer"),
    "str": Filter(_text, "as text"),
    "lower": Filter(lambda v: as_text(v).lower(), "in lower case"),
    "upper": Filter(lambda v: as_text(v).upper(), "in upper case"),
    "split": Filter(_split, "one part of a text: `split:/,0`", 2),
    "join": Filter(lambda v, separator: separator.join(map(as_text, v)), "a list as one text: `join:,`", 1),
    "replace": Filter(lambda v, old, new: as_text(v).replace(old, new), "`replace:old,new`", 2),
    "json": Filter(_json, "as JSON text"),
    "b64": Filter(lambda v: base64.b64encode(as_text(v).encode()).decode(), "in base64"),
    "raw": Filter(_identity, "in a path: not percent-encoded"),
    "is_present": Filter(lambda v: v is not None, "whether it is there and not null", of_null=True),
}

_TEMPLATE = re.compile(r"(?<!\$)\$\{([^}]*)\}|\$(\$\{)")


@dataclass(frozen=True)
class Expression:
    """One `${…}`."""

    text: str
    scope: str
    path: tuple[str, ...] | JsonPath
    filters: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def first(self) -> str | None:
        """The first name behind the scope: of `${parent.id}`, `id`."""
        return self.path[0] if isinstance(self.path, tuple) and self.path else None

    @property
    def raw(self) -> bool:
        """Whether a path takes the value as it is."""
        return any(name == "raw" for name, _ in self.filters)

    def value(self, scope: Mapping[str, Any]) -> Any:
        """What it stands for.

        Raises:
            ValueError: a filter cannot be applied to the value.
        """
        value = scope.get(self.scope)
        if isinstance(self.path, JsonPath):
            value = self.path.first(value)
        else:
            for name in self.path:
                value = value.get(name) if isinstance(value, Mapping) else None
        for name, arguments in self.filters:
            used = FILTERS[name]
            if value is None and not used.of_null:
                continue
            try:
                value = used.apply(value, *arguments)
            except (ValueError, TypeError, ArithmeticError) as error:
                raise ValueError(f"${{{self.text}}}: {name} of {value!r} fails: {error}") from None
        return value


class Template:
    """Any JSON value whose texts may hold templates.

    Raises:
        ValueError: a template is written wrongly, with what is near.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self._compiled = _compile(source)

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    def render(self, scope: Mapping[str, Any]) -> Any:
        """The value, each template replaced."""
        return _render(self._compiled, scope)

    def text(self, scope: Mapping[str, Any]) -> str:
        """The value as text; null is empty."""
        return as_text(self.render(scope))

    def path(self, scope: Mapping[str, Any]) -> str:
        """The value as part of a URL's path: everything put in is percent-encoded, so that an id stays one segment.

        Raises:
            ValueError: something put in is null, or would climb out of the path.
        """
        return "".join(
            _segment(part, scope) if isinstance(part, Expression) else part for part in _parts(self._compiled)
        )

    @property
    def expression(self) -> Expression | None:
        """The template that it is, if it is exactly one."""
        return self._compiled if isinstance(self._compiled, Expression) else None

    def expressions(self) -> Iterator[Expression]:
        """Every `${…}` in it."""
        yield from _expressions(self._compiled)


def as_text(value: Any) -> str:
    """A value put into text: JSON's words for booleans, RFC 3339 for moments, every digit of a number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return to_rfc3339(value)
    if isinstance(value, Mapping | list):
        return json_text(value)
    return str(value)


def json_text(value: Any) -> str:
    """A value as JSON, every digit of a number kept."""
    return _encoder.encode(value).decode()


def as_moment(value: Any) -> datetime:
    """A moment from a value that is one, or is written as RFC 3339.

    Raises:
        ValueError: it is something else.
    """
    return value if isinstance(value, datetime) else from_rfc3339(as_text(value))


def _zone_of(value: Any) -> str | None:
    return str(value.tzinfo) if isinstance(value, datetime) and hasattr(value.tzinfo, "key") else None


def _compile(source: Any) -> Any:
    if isinstance(source, str):
        parts: list[str | Expression] = []
        end = 0
        for match in _TEMPLATE.finditer(source):
            parts.append(source[end : match.start()])
            parts.append(match[2] or _expression(match[1]))
            end = match.end()
        parts.append(source[end:])
        parts = [part for part in parts if part != ""]
        if any("${" in part for part in parts if isinstance(part, str) and part != "${"):
            raise ValueError(f"{source!r} opens a template that it does not close; a plain ${{ is written $${{")
        if len(parts) == 1 and isinstance(parts[0], Expression):
            return parts[0]
        if any(isinstance(part, Expression) for part in parts):
            return tuple(parts)
        return "".join(part for part in parts if isinstance(part, str))
    if isinstance(source, Mapping):
        return {key: _compile(value) for key, value in source.items()}
    if isinstance(source, list):
        return [_compile(value) for value in source]
    return source


def _expression(text: str) -> Expression:
    reference, *filters = text.strip().split("|")
    scope, _, rest = reference.strip().partition(".")
    if scope not in SCOPES:
        raise ValueError(f"${{{text}}}: there is no {scope!r}{near(scope, SCOPES)}")
    path = JsonPath(rest) if rest.startswith("$") else tuple(filter(None, rest.split(".")))
    return Expression(text, scope, path, tuple(_filter(text, one) for one in filters))


def _filter(text: str, one: str) -> tuple[str, tuple[str, ...]]:
    name, has_arguments, rest = one.partition(":")
    name = name.strip()
    if name not in FILTERS:
        raise ValueError(f"${{{text}}}: there is no filter {name!r}{near(name, FILTERS)}")
    wanted = FILTERS[name].arguments
    # From the right, so that the separator of split and join may itself be a comma.
    arguments = tuple(rest.rsplit(",", wanted - 1)) if has_arguments and wanted else ()
    if len(arguments) != wanted or (has_arguments and not wanted):
        raise ValueError(f"${{{text}}}: filter {name!r} takes {wanted} argument{'' if wanted == 1 else 's'}")
    if arguments:
        FILTERS[name].check(arguments[0])
    return name, arguments


def near(word: str, words: Any) -> str:
    """` (did you mean …?)`, or nothing where no word is near."""
    close = get_close_matches(word, list(words), 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(sorted(words))}" if words else ""


def _render(compiled: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(compiled, Expression):
        return compiled.value(scope)
    if isinstance(compiled, tuple):
        return "".join(as_text(part.value(scope)) if isinstance(part, Expression) else part for part in compiled)
    if isinstance(compiled, dict):
        return {key: _render(value, scope) for key, value in compiled.items()}
    if isinstance(compiled, list):
        return [_render(value, scope) for value in compiled]
    return compiled


def _parts(compiled: Any) -> tuple[str | Expression, ...]:
    return compiled if isinstance(compiled, tuple) else (compiled,)


def _segment(expression: Expression, scope: Mapping[str, Any]) -> str:
    value = expression.value(scope)
    if value is None:
        raise ValueError(f"${{{expression.text}}} is null, and a path cannot do without it")
    if expression.raw:
        return as_text(value)
    text = as_text(value)
    if text in {"", ".", ".."}:
        raise ValueError(f"${{{expression.text}}} is {text!r}, which would change the path around it")
    return quote(text, safe="")


def _expressions(compiled: Any) -> Iterator[Expression]:
    if isinstance(compiled, Expression):
        yield compiled
    elif isinstance(compiled, tuple | list):
        for part in compiled:
            yield from _expressions(part)
    elif isinstance(compiled, dict):
        for value in compiled.values():
            yield from _expressions(value)
