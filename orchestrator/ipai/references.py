"""References in settings: `${secret:NAME}`, `${env:NAME}` and `${ipai:NAME}`, resolved for one run.

    ${secret:NAME}         a secret kept by the platform, see docs/secrets.md; read when it is asked for, and on record
    ${env:NAME}            an environment variable of the process that runs; always text, always treated as a secret
    ${ipai:database_url}   the platform's database, whole or in parts: database_host, database_port, database_name,
                           database_user, database_password
    ${ipai:instance}, ${ipai:source}, ${ipai:run_id}
    ${ipai:state_table}, ${ipai:state_id}, ${ipai:fencing_token}
                           only in a destination's `state_in_destination`, see docs/specs.md

A setting that is nothing but one reference gets its value with its type (a port stays a number).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from ipai.errors import SpecError
from ipai.redaction import EVERYTHING, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REFERENCE = re.compile(r"\$\{(env|ipai|secret):([A-Za-z_][A-Za-z0-9_]*)\}")


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
        secret: gives the value of a `${secret:NAME}` for a place in the settings.
        used_variables: filled with the names of the environment variables that were asked for.
    """

    platform: Mapping[str, str | int]
    secret: Callable[[str, str], str] | None = None
    used_variables: set[str] = field(default_factory=set)
    redactor: Redactor = field(default_factory=lambda: Redactor(EVERYTHING), repr=False)

    def __post_init__(self) -> None:
        for name in ("database_url", "database_password"):
            self.redactor.learn(str(self.platform.get(name, "")))

    def resolve(self, value: Any, *, where: str, secret_keys: frozenset[str] = frozenset()) -> Any:
        """Replace references everywhere in a setting.

        Args:
            value: any JSON value.
            where: what an error calls the place, such as `prod_odoo.source`.
            secret_keys: settings whose values are secrets however they are given.

        Raises:
            SpecError: a reference leads nowhere.
            SecretError: a secret cannot be opened.
            BusyError: the run that its secrets are for is not ours any more.
        """
        if isinstance(value, dict):
            resolved = {key: self.resolve(item, where=f"{where}.{key}") for key, item in value.items()}
            for key in secret_keys & resolved.keys():
                self.redactor.learn(resolved[key] if isinstance(resolved[key], (dict, list)) else str(resolved[key]))
            return resolved
        if isinstance(value, list):
            return [self.resolve(item, where=f"{where}[{index}]") for index, item in enumerate(value)]
        if isinstance(value, str):
            if whole := _REFERENCE.fullmatch(value):
                return self._look_up(where, whole)
            return _REFERENCE.sub(partial(self._as_text, where), value)
        return value

    def knowing(self, **names: str | int) -> Resolver:
        """The same, with more `${ipai:NAME}`; what one learns the other redacts."""
        return Resolver({**self.platform, **names}, self.secret, self.used_variables, self.redactor)

    def redact(self, text: str) -> str:
        """Take every secret seen so far out of a text."""
        return self.redactor.redact(text)

    def _as_text(self, where: str, reference: re.Match[str]) -> str:
        return str(self._look_up(where, reference))

    def _look_up(self, where: str, reference: re.Match[str]) -> str | int:
        kind, name = reference.groups()
        if kind == "ipai":
            if name not in self.platform:
                raise SpecError(f"{where}: no ${{ipai:{name}}}; there are {', '.join(sorted(self.platform))}.")
            return self.platform[name]
        value = self._secret(where, name) if kind == "secret" else self._variable(where, name)
        self.redactor.learn(value)
        return value

    def _secret(self, where: str, name: str) -> str:
        if self.secret is None:
            raise SpecError(f"{where} needs the secret {name}, and there is no control plane to ask for it.")
        return self.secret(name, where)

    def _variable(self, where: str, name: str) -> str:
        if name not in os.environ:
            raise SpecError(
                f"{where} needs the environment variable {name}, which is not set.", hint=f"Set it: export {name}=…"
            )
        self.used_variables.add(name)
        return os.environ[name]
