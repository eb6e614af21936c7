"""The keys of the encrypted table: where they come from, and sealing with them.

A key is 32 random bytes in base64. Wherever keys are kept there may be several, one a line or with spaces between: the
first one seals, and each of them opens what it has sealed. The first of these that is there counts:

    IPAI_SECRET_KEY        the keys themselves, or the word `keyring`: the operating system's, entry `ipai secret-key`
    IPAI_SECRET_KEY_FILE   a file that only its owner can read
    <home>/secret.key      likewise; made when it is needed, where the control plane is the embedded one
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from filelock import FileLock

from ipai.control_plane.secrets import Sealed
from ipai.errors import SecretError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

_KEY_BYTES = 32
_NONCE_BYTES = 12
_ID_LENGTH = 12
_OTHERS_MAY = 0o077
_VARIABLE, _FILE_VARIABLE = "IPAI_SECRET_KEY", "IPAI_SECRET_KEY_FILE"
_KEYRING = "keyring"
_SERVICE, _ENTRY = "ipai", "secret-key"
_MAKE_ONE = "Make one with `openssl rand -base64 32`, and give the same to every process of ipai: see docs/secrets.md."


class KeyRing:
    """Keys by their ids; the first one seals.

    Raises:
        SecretError: a key is none, and where it stands.
    """

    def __init__(self, texts: Iterable[str], place: str) -> None:
        keys = [_key(text, place) for text in texts]
        self._keys = {key_id(key): key for key in keys}
        self.place = place

    @property
    def first(self) -> str | None:
        """The id of the key that seals; None where there is no key."""
        return next(iter(self._keys), None)

    def seal(self, name: str, value: str) -> Sealed:
        """Encrypt a value so that it opens only under the same name."""
        assert self.first is not None  # noqa: S101 - whoever seals has seen to it
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._keys[self.first]).encrypt(nonce, value.encode("utf-8"), name.encode())
        return Sealed(nonce + sealed, self.first)

    def open(self, name: str, sealed: Sealed) -> str:
        """The value.

        Raises:
            SecretError: its key is not here, or it was not sealed under this name.
        """
        if sealed.key_id not in self._keys:
            here = ", ".join(self._keys) or "none"
            raise SecretError(
                f"The secret {name} is sealed with the key {sealed.key_id}, which is not in {self.place} ({here}).",
                hint="Give this process the key that sealed it, beside its own: see docs/secrets.md.",
            )
        nonce, data = sealed.ciphertext[:_NONCE_BYTES], sealed.ciphertext[_NONCE_BYTES:]
        try:
            return AESGCM(self._keys[sealed.key_id]).decrypt(nonce, data, name.encode()).decode("utf-8")
        except (InvalidTag, ValueError):
            raise SecretError(
                f"What is stored for the secret {name} was not sealed by ipai under that name.",
                hint=f"Somebody changed it in the database. Give it its value again: ipai secret rotate {name}.",
            ) from None


@dataclass(frozen=True)
class _Place:
    """Where keys are kept, and what is there now; `write` is None where it is not ours to change."""

    name: str
    text: str
    write: Callable[[str], None] | None = field(default=None, repr=False)
    may_begin: bool = False  # with a key of our own making, when there is none


@dataclass(frozen=True)
class SecretKeys:
    """Finds the keys of this process, when they are needed.

    Args:
        home: the platform's home; None where only the environment tells of keys.
        makes_own: whether a key may be made in the home when there is none.
    """

    home: Path | None = None
    makes_own: bool = False

    def ring(self) -> KeyRing:
        """The keys there are, maybe none.

        Raises:
            SecretError: they cannot be read, are none, or others can read them.
        """
        place = self._place()
        return KeyRing(place.text.split(), place.name)

    def ring_for_sealing(self) -> KeyRing:
        """The keys, at least one.

        Raises:
            SecretError: as above; or there is none, and it is not for us to make one.
        """
        ring = self.ring()
        if ring.first is not None:
            return ring
        with self._lock():  # another process may be making one
            place = self._place()
            if not place.text:
                if place.write is None or not place.may_begin:
                    raise SecretError(f"There is no key to seal secrets with, neither in {place.name}.", hint=_MAKE_ONE)
                place.write(_new_key() + "\n")
        return self.ring()

    def add_key(self) -> KeyRing:
        """Put a new key before those there are; return all.

        Raises:
            SecretError: the keys are in the environment, which is not ours to change.
        """
        with self._lock():
            place = self._place()
            if place.write is None:
                raise SecretError(
                    f"The first key in {place.name} has sealed everything already.",
                    hint=f'Put a new one before it in every process of ipai, {_VARIABLE}="NEW OLD", and do this again. '
                    "`openssl rand -base64 32` makes one.",
                )
            place.write(f"{_new_key()}\n{place.text}")
        return self.ring()

    def _place(self) -> _Place:
        text = os.environ.get(_VARIABLE, "").strip()
        if text == _KEYRING:
            return _os_keyring()
        if text:
            return _Place(_VARIABLE, text)
        if given := os.environ.get(_FILE_VARIABLE):
            return _file(Path(given).expanduser(), may_begin=False)
        if self.home is None:
            return _Place(_VARIABLE, "")
        return _file(self.home / "secret.key", may_begin=self.makes_own)

    def _lock(self) -> AbstractContextManager[object]:
        if self.home is None or not self.makes_own:
            return nullcontext()
        self.home.mkdir(parents=True, exist_ok=True)
        return FileLock(self.home / "secret.key.lock")


def _file(path: Path, *, may_begin: bool) -> _Place:
    def write(text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
            new.replace(path)
        except OSError as error:
            raise SecretError(f"The keys in {path} cannot be written: {error.strerror}.") from None

    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return _Place(str(path), "", write, may_begin)
    except (OSError, ValueError) as error:
        raise SecretError(f"The keys in {path} cannot be read ({type(error).__name__}).", hint=_MAKE_ONE) from None
    if os.name == "posix" and mode & _OTHERS_MAY:
        raise SecretError(f"Others than its owner can read the keys in {path}.", hint=f"chmod 600 {path}")
    return _Place(str(path), text.strip(), write, may_begin)


def _os_keyring() -> _Place:
    place = "the operating system's keyring"
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise SecretError(
            f"{_VARIABLE}={_KEYRING} needs the package keyring.", hint="pip install 'ipai[keyring]'"
        ) from None
    try:
        text = keyring.get_password(_SERVICE, _ENTRY) or ""
    except keyring.errors.KeyringError as error:
        raise SecretError(
            f"There is no key to be had from {place}: {type(error).__name__}.",
            hint=f"Is it unlocked? A server has none: use {_FILE_VARIABLE} there.",
        ) from None
    return _Place(place, text.strip(), lambda new: keyring.set_password(_SERVICE, _ENTRY, new), may_begin=True)


def key_id(key: bytes) -> str:
    """A name for a key that does not tell it."""
    return hashlib.sha256(key).hexdigest()[:_ID_LENGTH]


def _key(text: str, place: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise SecretError(f"What stands in {place} is no key: a key is {_KEY_BYTES} bytes in base64.", hint=_MAKE_ONE)
    return key


def _new_key() -> str:
    return base64.b64encode(AESGCM.generate_key(8 * _KEY_BYTES)).decode()
