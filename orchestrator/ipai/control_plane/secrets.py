"""Secrets as rows: sealed values and references into Vault, and the record of who had them. Nothing here has a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ipai.control_plane.database import Room
from ipai.errors import DatabaseError, NotFoundError, SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from uuid import UUID

    from ipai.control_plane.records import Run


@dataclass(frozen=True)
class Secret:
    """What may be seen of a secret. `backend` is table or vault; the times are null where it never happened."""

    name: str
    backend: str
    key_id: str | None
    vault_id: UUID | None
    expires_at: datetime | None
    created_at: datetime
    rotated_at: datetime | None
    last_read_at: datetime | None


@dataclass(frozen=True)
class Sealed:
    """A value that only the key of that id opens."""

    ciphertext: bytes = field(repr=False)
    key_id: str


@dataclass(frozen=True)
class HandedOut:
    """The answer to a request for a secret, see `connectors.read_secret`: Vault's `value`, or the sealed one."""

    outcome: str
    ciphertext: bytes | None = field(repr=False)
    key_id: str | None
    value: str | None = field(repr=False)


@dataclass(frozen=True)
class SecretAccess:
    """One line of the record: a secret was read (or not: `outcome` says why) or changed."""

    id: int
    at: datetime
    secret: str
    action: str
    allowed: bool
    outcome: str
    actor: str
    run_id: int | None
    instance: str | None
    why: str | None


class SecretStore(Room):
    """Tables `secrets` and `secret_access`."""

    statements_of = "secrets"

    def transaction(self) -> AbstractContextManager[None]:
        return self._database.transaction()

    # Looking

    def vault_there(self) -> bool:
        """Whether the database has Supabase Vault."""
        (row,) = self._rows("vault_there")
        there: bool = row["there"]
        return there

    def all(self) -> list[Secret]:
        return self._records(Secret, "secrets", name=None)

    def one(self, name: str) -> Secret:
        """One secret.

        Raises:
            NotFoundError: there is none of that name.
        """
        found = self._records(Secret, "secrets", name=name)
        if not found:
            raise NotFoundError(f"No secret {name!r}.", hint="ipai secret list shows those there are.")
        return found[0]

    def accesses(self, name: str | None, limit: int) -> list[SecretAccess]:
        """The newest lines of the record first."""
        return self._records(SecretAccess, "accesses", name=name, limit=limit)

    # Handing out

    def read(self, run: Run, name: str, why: str) -> HandedOut:
        """Ask for a secret of a run that is held."""
        (answer,) = self._records(HandedOut, "read", run=run.id, token=run.fencing_token, name=name, why=why)
        return answer

    def read_for_check(self, instance: str, name: str, why: str) -> HandedOut:
        """Ask for a secret of an instance without a run: only for the owner of the schema."""
        (answer,) = self._records(HandedOut, "read_for_check", instance=instance, name=name, why=why)
        return answer

    def named_by(self, name: str) -> list[str]:
        """The instances whose settings name a secret."""
        return [row["instance"] for row in self._rows("named_by", name=name)]

    # Changing; the caller holds a transaction

    def refuse_twice(self, name: str) -> None:
        """See that a name is free, and stays so to the end of the transaction.

        Raises:
            SecretError: there is a secret of that name.
        """
        self._rows("hold_name", name=name)
        if self._records(Secret, "secrets", name=name):
            raise SecretError(
                f"There is a secret {name!r} already.", hint=f"ipai secret rotate {name} gives it a new value."
            )

    def add(
        self, name: str, backend: str, *, sealed: Sealed | None, vault_id: UUID | None, expires_at: datetime | None
    ) -> None:
        self._do(
            "insert", name=name, backend=backend, ciphertext=sealed and sealed.ciphertext,
            key_id=sealed and sealed.key_id, vault_id=vault_id, expires_at=expires_at,
        )  # fmt: skip

    def renew(self, name: str, *, sealed: Sealed | None, expires_at: datetime | None) -> None:
        """Note a new value, sealed or put into Vault by the caller."""
        self._do(
            "update", name=name, ciphertext=sealed and sealed.ciphertext, key_id=sealed and sealed.key_id,
            expires_at=expires_at,
        )  # fmt: skip

    def remove(self, name: str) -> None:
        self._do("delete", name=name)

    def note(self, name: str, action: str, why: str | None = None) -> None:
        """Put a change on record."""
        self._do("note", name=name, action=action, why=why)

    def sealed(self) -> Iterator[tuple[str, Sealed]]:
        """Every sealed value with its name, held to the end of the transaction."""
        for row in self._rows("sealed"):
            yield row["name"], Sealed(row["ciphertext"], row["key_id"])

    def reseal(self, name: str, sealed: Sealed) -> None:
        self._do("reseal", name=name, ciphertext=sealed.ciphertext, key_id=sealed.key_id)

    def tell_expiring(self) -> list[str]:
        """Emit `secret.expiring` for secrets that expire soon, once for each expiry; their names."""
        return [row["name"] for row in self._rows("tell_expiring")]

    # Vault, by its public interface

    def vault_create(self, name: str, value: str) -> UUID:
        rows = self._in_vault(
            lambda: self._rows(
                "vault_create", value=value, vault_name=f"ipai.{name}", description="A secret of IPAI Data Connectors"
            )
        )
        found: UUID = rows[0]["id"]
        return found

    def vault_update(self, vault_id: UUID, value: str) -> None:
        self._in_vault(lambda: self._rows("vault_update", id=vault_id, value=value))

    def vault_delete(self, vault_id: UUID) -> None:
        self._in_vault(lambda: self._do("vault_delete", id=vault_id))

    def _in_vault(self, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except DatabaseError:  # whose text is about the control plane
            raise SecretError(
                "Supabase Vault did not do it.",
                hint="The role needs vault.create_secret, vault.update_secret, and to select and delete vault.secrets.",
            ) from None
