"""Who asks: tokens, and installations of a GitHub App, whose tokens last an hour.

Source: https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError
from singer_kit.http import Call, Credential, Token, decoded
from singer_kit.pem import is_pem, with_line_ends
from tap_github.times import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import requests

    from singer_kit.http import Client

_EARLY = timedelta(minutes=5)  # a token is renewed so long before it ends


class AppKey(Credential):
    """The App itself: each request is signed with its private key. Good for its installations only.

    Args:
        issuer: the App's id or client id.
        pem: its private key.
    """

    def __init__(self, issuer: str, pem: str) -> None:
        super().__init__(f"App {issuer}")
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - takes a while

        self._issuer = issuer
        try:
            self._key: Any = load_pem_private_key(pem.encode(), None)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(
                f"Setting app_private_key cannot be read: {error}. Next: paste the whole .pem file that GitHub gave, "
                "from -----BEGIN to END-----; line breaks may be written as \\n."
            ) from None
        self.clock: Callable[[], datetime]

    def apply(self, request: requests.PreparedRequest) -> None:
        """Sign for ten minutes less a margin, a minute ago: by GitHub's clock, which does not forgive a future one."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        now = int(self.clock().timestamp())
        claims = {"iat": now - 60, "exp": now + 480, "iss": self._issuer}
        signed = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        signature = self._key.sign(signed, PKCS1v15(), SHA256())
        request.headers["Authorization"] = f"Bearer {(signed + b'.' + _encoded(signature)).decode()}"

    def refresh(self) -> bool:
        """A refusal tells GitHub's clock, which the next signature goes by."""
        return True


class Installation(Credential):
    """An installation of an App: fetches a token, and another before it ends.

    Args:
        number: of the installation.
        account: whose it is; its token opens nothing of others.
        app: speaks as the App.
        clock: GitHub's.
        remember: told each token, so that it is never printed.
    """

    def __init__(
        self,
        number: int,
        account: str,
        app: Client,
        clock: Callable[[], datetime],
        remember: Callable[[Iterable[str]], object],
    ) -> None:
        super().__init__(f"installation {number} ({account})")
        self._number = number
        self._account = account.lower()
        self._app = app
        self._clock = clock
        self._remember = remember
        self._lock = threading.Lock()
        self._token = ""
        self._expires: datetime | None = None

    def serves(self, call: Call) -> bool:
        return call.account.lower() in {"", self._account}

    def apply(self, request: requests.PreparedRequest) -> None:
        with self._lock:
            if self._expires is None or self._clock() >= self._expires - _EARLY:
                self._fetch()
            request.headers["Authorization"] = f"Bearer {self._token}"

    def refresh(self) -> bool:
        with self._lock:
            self._expires = None
        return True

    def _fetch(self) -> None:
        response = self._app.send(Call(f"app/installations/{self._number}/access_tokens", "POST"))
        answer = decoded(response)
        self._token, self._expires = answer["token"], instant(answer["expires_at"])
        self._remember([self._token])


def tokens(config: Mapping[str, Any]) -> list[Token]:
    """The tokens of the settings, or the environment's where they hold no credential at all."""
    values = [value for value in [config.get("auth_token"), *config["auth_tokens"]] if value]
    if not values and not issuer(config) and (found := os.environ.get("GITHUB_TOKEN")):
        values = [found]
    return [Token(f"token {number}", value) for number, value in enumerate(dict.fromkeys(values), 1)]


def issuer(config: Mapping[str, Any]) -> str | None:
    """Who an App is, if one is set."""
    return config.get("app_client_id") or config.get("app_id")


def app_key(config: Mapping[str, Any]) -> AppKey | None:
    """The App of the settings.

    Raises:
        ConfigurationError: it has no key, or none that can be read.
    """
    name = issuer(config)
    if name is None:
        return None
    text = config.get("app_private_key")
    if not text and (path := config.get("app_private_key_path")):
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise ConfigurationError(
                f"Setting app_private_key_path: {error.strerror}: {path}. Next: name a file that the tap may read."
            ) from None
    if not text:
        raise ConfigurationError("A GitHub App is set without its key. Next: set app_private_key or its _path.")
    return AppKey(str(name), _pem(text))


def installations(
    config: Mapping[str, Any],
    accounts: Iterable[str],
    app: Client,
    clock: Callable[[], datetime],
    remember: Callable[[Iterable[str]], object],
) -> list[Installation]:
    """The installations that the settings name, or those of some accounts, or all that there are."""
    found: dict[int, str] = {}
    chosen = config["app_installations"]
    listed: list[dict[str, Any]] = []
    if not chosen and not (chosen := [{"org": account} for account in accounts]):
        listed = decoded(app.send(Call("app/installations", params={"per_page": 100})))
    for choice in chosen:
        if number := choice.get("installation_id"):
            known = decoded(app.send(Call(f"app/installations/{number}")))
            listed.append(known)
        else:
            response = app.send(Call(f"orgs/{choice['org']}/installation", tolerate=frozenset({404})))
            if response.status_code == 404:  # noqa: PLR2004
                response = app.send(Call(f"users/{choice['org']}/installation"))
            listed.append(decoded(response))
    for each in listed:
        found[each["id"]] = each["account"]["login"]
    return [Installation(number, account, app, clock, remember) for number, account in found.items()]


def _pem(text: str) -> str:
    if is_pem(text):
        return with_line_ends(text)
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text  # the key's reader says what is wrong


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
