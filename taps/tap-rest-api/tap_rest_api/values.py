"""What the user decides: the values of a manifest's settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError
from tap_rest_api.moments import from_rfc3339
from tap_rest_api.templates import near

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_rest_api.language import Manifest, Setting

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "datetime": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


@dataclass(frozen=True)
class UserValues:
    """The settings' values, and which texts among them must never be printed."""

    values: dict[str, Any]
    secrets: frozenset[str]


def user_values(manifest: Manifest, config: Mapping[str, Any], environment: Mapping[str, str]) -> UserValues:
    """Look every setting up: `settings.x` of the config, `x` at its top, the environment variable, the default.

    Raises:
        ConfigurationError: names all that is missing, unknown or of the wrong type.
    """
    given: Mapping[str, Any] = config.get("settings") or {}
    problems = [
        f"settings.{name} is not a setting of this manifest{near(name, manifest.settings)}"
        for name in given
        if name not in manifest.settings
    ]
    values: dict[str, Any] = {}
    for name, setting in manifest.settings.items():
        value = given.get(name, config.get(name))
        if value is None and setting.env and (text := environment.get(setting.env)):
            value = _from_text(text, setting.type)
        if value is None:
            value = setting.default
        if value is None:
            if setting.required:
                env = f" or the environment variable {setting.env}" if setting.env else ""
                problems.append(f"{name} is missing: set settings.{name}{env}")
        elif problem := _problem(value, setting):
            problems.append(f"{name} {problem}")
        values[name] = value
    if problems:
        raise ConfigurationError("Settings: " + "; ".join(problems) + ". Next: correct them in the config file.")
    secrets = {str(values[name]) for name, setting in manifest.settings.items() if setting.secret and values[name]}
    return UserValues(values, frozenset(secrets))


def _from_text(text: str, kind: str) -> Any:
    """An environment variable's text as a setting of this type; what cannot be read stays text and is refused."""
    if kind in {"string", "datetime"}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _problem(value: Any, setting: Setting) -> str | None:
    shown = "that value" if setting.secret else repr(value)
    fits = isinstance(value, _TYPES[setting.type]) and (setting.type == "boolean" or not isinstance(value, bool))
    if not fits:
        return f"has to be {setting.type}, not {shown}"
    if setting.type == "datetime":
        try:
            from_rfc3339(value)
        except ValueError as error:
            return f"has to be a date or a timestamp: {error}"
    if setting.enum is not None and value not in setting.enum:
        return f"has to be one of {', '.join(map(str, setting.enum))}, not {shown}"
    return None
