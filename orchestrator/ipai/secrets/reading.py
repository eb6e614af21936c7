"""Reading secrets for one run, or for one look at an instance without a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipai.control_plane.secrets import Sealed
from ipai.errors import BusyError, SecretError, SpecError

if TYPE_CHECKING:
    from ipai.control_plane import Run
    from ipai.control_plane.secrets import SecretStore
    from ipai.secrets.keys import SecretKeys

_NOT_OURS = {"not_running", "not_held", "lease_expired"}


@dataclass
class SecretReader:
    """Gives the values of `${secret:NAME}`, each read once and on record.

    Args:
        why: what the record says they are for.
    """

    store: SecretStore
    keys: SecretKeys
    instance: str
    run: Run | None
    why: str
    _values: dict[str, str] = field(default_factory=dict, repr=False)

    def __call__(self, name: str, where: str) -> str:
        """The value of a secret.

        Args:
            where: the setting that names it, for the error.

        Raises:
            SpecError: there is none of that name.
            SecretError: it cannot be opened here.
            BusyError: the run is not ours any more.
        """
        if name not in self._values:
            self._values[name] = self._read(name, where)
        return self._values[name]

    def _read(self, name: str, where: str) -> str:
        if self.run is None:
            answer = self.store.read_for_check(self.instance, name, self.why)
        else:
            answer = self.store.read(self.run, name, self.why)
        if answer.outcome == "missing":
            raise SpecError(
                f"{where} needs the secret {name}, and there is none of that name.", hint=f"ipai secret set {name}"
            )
        if answer.outcome in _NOT_OURS:
            raise BusyError(
                f"The secret {name} is refused: this process does not hold the run any more ({answer.outcome})."
            )
        if answer.outcome == "not_referenced":
            raise SpecError(
                f"The secret {name} is refused: {self.instance} does not name it in the control plane.",
                hint="It was changed a moment ago; try again.",
            )
        if answer.outcome != "read":
            raise SecretError(
                f"Supabase Vault does not give out the secret {name} ({answer.outcome}).",
                hint=f"If it was deleted there: ipai secret rm {name} && ipai secret set {name}. Otherwise the owner "
                "of schema connectors must be able to select from vault.decrypted_secrets.",
            )
        if answer.value is not None:
            return answer.value
        return self.keys.ring().open(name, Sealed(answer.ciphertext or b"", answer.key_id or ""))
