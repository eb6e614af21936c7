"""References in settings: `${env:NAME}` and `${ipai:NAME}`, resolved for one run.

    ${env:NAME}            an environment variable of the process that runs; always text, always treated as a secret
    ${ipai:database_url}   the platform's database, whole or in parts: database_host, database_port, database_name,
                           database_user, database_password
    ${ipai:instance}, ${ipai:source}, ${ipai:run_id}
    ${ipai:state_table}, ${ipai:state_id}, ${ipai:fencing_token}
                           only in a destination's `state_in_destination`, see docs/specs.md

A setting that is nothing but one reference gets its value with its type (a port stays a number).
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from psycopg.conninfo import conninfo_to_dict

from ipai.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\{(env|ipai):([A-Za-z_][A-Za-z0-9_]*)\}")
_SHORTEST_SECRET = 4  # shorter values would blank out half of every log line


def is_reference(value: Any) -> bool:
    """Whether a setting is nothing but one reference."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def mentions(value: Any, reference: str) -> bool:
    """Whether a setting, or one within it, is nothing but this reference."""
    if isinstance(value, dict):
        return any(mentions(item, reference) for item in value.values())
    return bool(value == reference)


def platform_values(database_url: str, **names: str) -> dict[str, str | int]:
    """The values of `${ipai:NAME}`: the database in parts, and the names given."""
    parts = conninfo_to_dict(database_url)
    port = str(parts.get("port") or "5432")
    return {
        "database_url": database_url,
        "database_host": str(parts.get("host") or "localhost"),
        "database_port": int(port) if port.isdigit() else port,  # several hosts have several ports
        "database_name": str(parts.get("dbname") or ""),
        "database_user": str(parts.get("user") or ""),
        "database_password": str(parts.get("password") or ""),
        **names,
    }


@dataclass
class Resolver:
    """Resolves references and remembers which values must never be seen.

    Args:
        platform: values of `${ipai:NAME}`.
        used_variables: filled with the names of the environment variables that were asked for.
    """

    platform: Mapping[str, str | int]
    used_variables: set[str] = field(default_factory=set)
    _secrets: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name in ("database_url", "database_password"):
            if value := str(self.platform.get(name, "")):
                self._keep_secret(value)

    def resolve(self, value: Any, *, where: str, secret_keys: frozenset[str] = frozenset()) -> Any:
        """Replace references everywhere in a setting.

        Args:
            value: any JSON value.
            where: what an error calls the place, such as `prod_odoo.source`.
            secret_keys: settings whose values are secrets however they are given.

        Raises:
            SpecError: a reference leads nowhere.
        """
        if isinstance(value, dict):
            resolved = {key: self.resolve(item, where=f"{where}.{key}") for key, item in value.items()}
            for key in secret_keys & resolved.keys():
                self._keep_secret(str(resolved[key]))
            return resolved
        if isinstance(value, list):
            return [self.resolve(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, str):
            if whole := _REFERENCE.fullmatch(value):
                return self._look_up(whole[1], whole[2], where)
            return _REFERENCE.sub(lambda match: str(self._look_up(match[1], match[2], where)), value)
        return value

    def knowing(self, **names: str | int) -> Resolver:
        """The same, with more `${ipai:NAME}`; what one learns the other redacts."""
        return Resolver({**self.platform, **names}, self.used_variables, self._secrets)

    def redact(self, text: str) -> str:
        """Take every secret seen so far out of a text."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _look_up(self, kind: str, name: str, where: str) -> str | int:
        if kind == "env":
            if name not in os.environ:
                raise SpecError(
                    f"{where} needs the environment variable {name}, which is not set.",
                    hint=f"Set it: export {name}=…",
                )
            self.used_variables.add(name)
            self._keep_secret(os.environ[name])
            return os.environ[name]
        if name not in self.platform:
            raise SpecError(f"{where}: no ${{ipai:{name}}}; there are {', '.join(sorted(self.platform))}.")
        return self.platform[name]

    def _keep_secret(self, value: str) -> None:
        # As it is, line by line as logs have it (a PEM key), and as it looks in JSON, in Python's and in a URL.
        for form in (
            value,
            *value.splitlines(),
            json.dumps(value)[1:-1],
            repr(value)[1:-1],
            quote(value, safe=""),
            quote_plus(value),
        ):
            if len(form) >= _SHORTEST_SECRET:
                self._secrets.add(form)
