"""Who asks: one token, or one that has to be fetched and runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import requests


class Credential:
    """What a request is sent with. Threads share it.

    Attributes:
        name: tells it from others in logs and in the limiter; no secret.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def secrets(self) -> Iterable[str]:
        """What must never be printed."""
        return ()

    def apply(self, request: requests.PreparedRequest) -> None:
        """Put it into a request that is about to be sent; may fetch a token first."""

    def refresh(self) -> bool:
        """The server does not take it any more: renew it. True if that is worth one more try."""
        return False


class Token(Credential):
    """A token in a header.

    Args:
        name: see `Credential`.
        value: the token.
        header: which header.
        scheme: the word before the token, if any.
    """

    def __init__(self, name: str, value: str, *, header: str = "Authorization", scheme: str = "Bearer") -> None:
        super().__init__(name)
        self._value = value
        self._header = header
        self._scheme = scheme

    @property
    def secrets(self) -> Iterable[str]:
        return (self._value,)

    def apply(self, request: requests.PreparedRequest) -> None:
        request.headers[self._header] = f"{self._scheme} {self._value}".strip()
