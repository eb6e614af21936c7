"""A credential that has to be fetched and runs out: an access token, a session, a signed assertion."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from singer_kit.http.credentials import Credential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import requests

_MARGIN_SECONDS = 60.0


@dataclass(frozen=True)
class Fetched:
    """A token and how many seconds it lasts; None: until it is refused."""

    token: str
    seconds: float | None = None


class RenewingCredential(Credential):
    """Fetches a token when one is first needed, a minute before it runs out, and when it is refused.

    Threads that need one at the same time wait for the same fetch.

    Args:
        name: see `Credential`.
        fetch: gets a new token; may raise what ends the tap.
        put: puts a token into a request.
        learn: told each token, for redaction.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[], Fetched],
        put: Callable[[requests.PreparedRequest, str], None],
        learn: Callable[[Iterable[str]], object],
    ) -> None:
        super().__init__(name)
        self._fetch = fetch
        self._put = put
        self._learn = learn
        self._lock = threading.Lock()
        self._token: str | None = None
        self._until = float("inf")

    @property
    def token(self) -> str | None:
        """The one in use, if any."""
        return self._token

    def apply(self, request: requests.PreparedRequest) -> None:
        with self._lock:
            if self._token is None or time.monotonic() >= self._until:
                self._renew()
            token = self._token
        assert token is not None  # noqa: S101
        self._put(request, token)

    def refresh(self) -> bool:
        with self._lock:
            self._renew()
        return True

    def _renew(self) -> None:
        fetched = self._fetch()
        self._learn([fetched.token])
        self._token = fetched.token
        self._until = float("inf")
        if fetched.seconds is not None:
            # A token that lasts less than two minutes is used for half of its time.
            self._until = time.monotonic() + max(fetched.seconds - _MARGIN_SECONDS, fetched.seconds / 2)
