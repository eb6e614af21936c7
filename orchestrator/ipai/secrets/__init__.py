"""Secrets: the keys that seal them, the two places they are kept in, and reading them for a run.

The control plane holds sealed values and the record of who had them; the keys never get there.
"""

from ipai.secrets.backends import Backend, SealedTable, Vault
from ipai.secrets.keys import KeyRing, SecretKeys
from ipai.secrets.reading import SecretReader

__all__ = ["Backend", "KeyRing", "SealedTable", "SecretKeys", "SecretReader", "Vault"]
