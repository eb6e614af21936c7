"""Keeping secrets: setting, rotating, removing them, and looking at who read them. No value ever comes out of here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipai.errors import SecretError
from ipai.redaction import EVERYTHING
from ipai.secrets import Backend, SealedTable, Vault

if TYPE_CHECKING:
    from datetime import datetime

    from ipai.control_plane.secrets import Secret, SecretAccess, SecretStore
    from ipai.service.platform import Platform

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True)
class Resealed:
    """What `rotate_key` did: how many secrets were sealed anew, under which key, and where that is kept."""

    secrets: int
    key_id: str
    place: str


@dataclass(frozen=True)
class Secrets:
    """The secrets of one platform."""

    _platform: Platform

    def set(self, name: str, value: str, *, expires_at: datetime | None, backend: str | None) -> Secret:
        """Keep a new secret.

        Args:
            backend: table or vault; None means Vault where the database has it.

        Raises:
            SecretError: there is one of that name, the value cannot be kept, or there is no key.
        """
        if not _NAME.fullmatch(name):
            raise SecretError(
                f"{name!r} is no name for a secret.",
                hint="Letters, digits and underscores, up to 63, and no digit first.",
            )
        _check(value)
        with self._platform.control_plane() as control_plane, control_plane.transaction():
            store = control_plane.secrets
            if backend is None:
                backend = "vault" if store.vault_there() else "table"
            store.refuse_twice(name)
            self._backend(store, backend).add(name, value, expires_at)
            store.note(name, "set")
            return store.one(name)

    def rotate(self, name: str, value: str, *, expires_at: datetime | None) -> Secret:
        """Give a secret another value, and the expiry of that; where it is kept stays.

        Raises:
            NotFoundError: there is none of that name.
            SecretError: the value cannot be kept, or there is no key.
        """
        _check(value)
        with self._platform.control_plane() as control_plane, control_plane.transaction():
            store = control_plane.secrets
            secret = store.one(name)
            self._backend(store, secret.backend).renew(secret, value, expires_at)
            store.note(name, "rotate")
            return store.one(name)

    def remove(self, name: str) -> list[str]:
        """Forget a secret; the instances that still name it.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._platform.control_plane() as control_plane, control_plane.transaction():
            store = control_plane.secrets
            secret = store.one(name)
            self._backend(store, secret.backend).remove(secret)
            store.note(name, "remove")
            return store.named_by(name)

    def rotate_key(self) -> Resealed:
        """Seal every secret of the table under the first key; under a new one, where the first has sealed all already.

        Raises:
            SecretError: a secret cannot be opened (nothing has changed then), or the keys are not ours to change.
        """
        keys = self._platform.secret_keys
        with self._platform.control_plane() as control_plane, control_plane.transaction():
            store = control_plane.secrets
            stored = list(store.sealed())
            ring = keys.ring_for_sealing()
            if all(sealed.key_id == ring.first for _, sealed in stored):
                ring = keys.add_key()
            for name, sealed in stored:
                store.reseal(name, ring.seal(name, ring.open(name, sealed)))
                store.note(name, "rotate-key")
        return Resealed(len(stored), ring.first or "", ring.place)

    def all(self) -> list[Secret]:
        with self._platform.control_plane() as control_plane:
            return control_plane.secrets.all()

    def accesses(self, name: str | None, limit: int) -> list[SecretAccess]:
        """Who read or changed what, the newest first."""
        with self._platform.control_plane() as control_plane:
            return control_plane.secrets.accesses(name, limit)

    def _backend(self, store: SecretStore, name: str) -> Backend:
        return Vault(store) if name == "vault" else SealedTable(store, self._platform.secret_keys)


def _check(value: str) -> None:
    EVERYTHING.learn(value)  # whatever goes wrong from here on, it will not be shown
    if not value.strip() or "\0" in value:
        raise SecretError("The value is empty, or holds a NUL character.", hint="Is what you pipe into it there?")
