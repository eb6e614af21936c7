"""The two places that values are kept in, behind one interface. Each call is within a transaction of the caller's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from ipai.errors import SecretError

if TYPE_CHECKING:
    from datetime import datetime

    from ipai.control_plane.secrets import Secret, SecretStore
    from ipai.secrets.keys import SecretKeys


class Backend(Protocol):
    """Keeps values; handing them out is the control plane's, see `ipai.secrets.reading`."""

    name: ClassVar[str]

    def add(self, secret: str, value: str, expires_at: datetime | None) -> None:
        """Keep a value under a new name."""

    def renew(self, secret: Secret, value: str, expires_at: datetime | None) -> None:
        """Put another value in its place."""

    def remove(self, secret: Secret) -> None:
        """Forget it."""


@dataclass(frozen=True)
class SealedTable:
    """The control plane's own table, encrypted here: the database never sees a value."""

    name: ClassVar[str] = "table"
    store: SecretStore
    keys: SecretKeys

    def add(self, secret: str, value: str, expires_at: datetime | None) -> None:
        sealed = self.keys.ring_for_sealing().seal(secret, value)
        self.store.add(secret, self.name, sealed=sealed, vault_id=None, expires_at=expires_at)

    def renew(self, secret: Secret, value: str, expires_at: datetime | None) -> None:
        sealed = self.keys.ring_for_sealing().seal(secret.name, value)
        self.store.renew(secret.name, sealed=sealed, expires_at=expires_at)

    def remove(self, secret: Secret) -> None:
        self.store.remove(secret.name)


@dataclass(frozen=True)
class Vault:
    """Supabase Vault in the control plane's database; the table only has its ids."""

    name: ClassVar[str] = "vault"
    store: SecretStore

    def add(self, secret: str, value: str, expires_at: datetime | None) -> None:
        if not self.store.vault_there():
            raise SecretError(
                "This database has no Supabase Vault.",
                hint="create extension supabase_vault; or leave out --backend vault.",
            )
        vault_id = self.store.vault_create(secret, value)
        self.store.add(secret, self.name, sealed=None, vault_id=vault_id, expires_at=expires_at)

    def renew(self, secret: Secret, value: str, expires_at: datetime | None) -> None:
        assert secret.vault_id is not None  # noqa: S101 - the table sees to it
        self.store.vault_update(secret.vault_id, value)
        self.store.renew(secret.name, sealed=None, expires_at=expires_at)

    def remove(self, secret: Secret) -> None:
        assert secret.vault_id is not None  # noqa: S101 - as above
        self.store.vault_delete(secret.vault_id)
        self.store.remove(secret.name)
