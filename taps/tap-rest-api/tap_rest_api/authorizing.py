"""From a manifest's `auth` to credentials."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from singer_kit.errors import ConfigurationError
from singer_kit.http import Call, Client, Credential, Token, UnauthorizedError, Verdict, decoded
from singer_kit.http.renewing import Fetched, RenewingCredential
from singer_kit.http.verdict import describe, excerpt
from tap_rest_api.language import AllOf, ApiKey, Auth, Basic, Bearer, Jwt, NoAuth, OAuth2, Pool, Session
from tap_rest_api.requesting import plain_call
from tap_rest_api.templates import Template, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import requests

    from tap_rest_api.memory import Memory

_logger = logging.getLogger("tap_rest_api")
_DENIED = frozenset({400, 401, 403})
_BACKDATE = 30  # seconds; a server whose clock is behind refuses a token from the future


@dataclass(frozen=True)
class Surroundings:
    """What credentials need of the tap.

    Attributes:
        base_url: of the API.
        scope: for templates.
        new_client: makes a client for a token endpoint.
        learn: told each secret, for redaction.
        memory: keeps a rotated refresh token.
    """

    base_url: str
    scope: Mapping[str, Any]
    new_client: Callable[..., Client]
    learn: Callable[[Iterable[str]], object]
    memory: Memory


class KeyCredential(Credential):
    """A key in the query or a cookie."""

    def __init__(self, name: str, value: str, place: str, key: str) -> None:
        super().__init__(name)
        self._value, self._place, self._key = value, place, key

    @property
    def secrets(self) -> Iterable[str]:
        return (self._value,)

    def apply(self, request: requests.PreparedRequest) -> None:
        put(request, self._value, self._place, self._key)


class JoinedCredential(Credential):
    """Several at once."""

    def __init__(self, name: str, members: Sequence[Credential]) -> None:
        super().__init__(name)
        self.members = members

    @property
    def secrets(self) -> Iterable[str]:
        return [secret for member in self.members for secret in member.secrets]

    def apply(self, request: requests.PreparedRequest) -> None:
        for member in self.members:
            member.apply(request)

    def refresh(self) -> bool:
        renewed = [member.refresh() for member in self.members]  # each of them, not only until one has done
        return any(renewed)


class SessionCredential(RenewingCredential):
    """A session that can be closed."""

    close: Callable[[], None] = staticmethod(lambda: None)


def credentials(auth: Auth, around: Surroundings) -> list[Credential]:
    """The credentials of an API; several where the manifest says `pool`.

    Raises:
        ConfigurationError: a value is missing.
    """
    if isinstance(auth, NoAuth):
        return []
    members = auth.members if isinstance(auth, Pool) else [auth]
    return [_credential(member, around, f"credential {number}") for number, member in enumerate(members, start=1)]


def sessions(credential: Credential) -> list[SessionCredential]:
    """The sessions in a credential."""
    if isinstance(credential, JoinedCredential):
        return [session for member in credential.members for session in sessions(member)]
    return [credential] if isinstance(credential, SessionCredential) else []


def put(request: requests.PreparedRequest, value: str, place: str, name: str) -> None:
    """Put a key into a request."""
    if place == "header":
        request.headers[name] = value
    elif place == "cookie":
        others = request.headers.get("Cookie")
        request.headers["Cookie"] = f"{others}; {name}={value}" if isinstance(others, str) else f"{name}={value}"
    elif name not in dict(parse_qsl(urlsplit(request.url or "").query)):
        request.prepare_url(request.url or "", {name: value})


def _credential(auth: Auth, around: Surroundings, name: str) -> Credential:  # noqa: PLR0911 - one for each kind
    match auth:
        case ApiKey():
            value = _text(auth.value, around, "auth.value")
            if auth.place == "header":
                return Token(name, value, header=auth.name, scheme="")
            return KeyCredential(name, value, auth.place, auth.name)
        case Bearer():
            return Token(name, _text(auth.token, around, "auth.token"), scheme=auth.scheme)
        case Basic():
            user = _text(auth.username, around, "auth.username")
            password = auth.password.text(around.scope) if auth.password else ""
            around.learn([password] if password else [user])
            return Token(name, base64.b64encode(f"{user}:{password}".encode()).decode(), scheme="Basic")
        case Jwt():
            return RenewingCredential(
                name, lambda: Fetched(_signed(auth, around), auth.ttl.seconds), _bearer, around.learn
            )
        case OAuth2():
            return RenewingCredential(name, _Tokens(auth, around).fetch, _bearer, around.learn)
        case Session():
            return _session(auth, around, name, ())
        case AllOf():
            return _joined(auth, around, name)
    raise ConfigurationError(f"auth: kind {auth.__struct_config__.tag} cannot stand there. Next: put it at the top.")


def _joined(auth: AllOf, around: Surroundings, name: str) -> Credential:
    """Members of `all`; a session's login is sent with the other ones."""
    plain = [_credential(member, around, name) for member in auth.members if not isinstance(member, Session)]
    opened = [_session(member, around, name, plain) for member in auth.members if isinstance(member, Session)]
    return JoinedCredential(name, [*plain, *opened])


def _session(auth: Session, around: Surroundings, name: str, others: Sequence[Credential]) -> Credential:
    joined = [JoinedCredential(name, others)] if others else []
    client = around.new_client(around.base_url, credentials=joined, judge=_denied)

    def login() -> Fetched:
        response = client.send(plain_call(auth.login, around.scope, "auth.login"))
        token = auth.token_path.first(decoded(response) if response.content else None)
        if token is None:
            raise UnauthorizedError(
                f"auth.login: the answer has nothing at {auth.token_path.text}. Next: correct auth.token_path."
            )
        return Fetched(as_text(token), auth.ttl.seconds if auth.ttl else None)

    def use(request: requests.PreparedRequest, token: str) -> None:
        if auth.use.kind == "bearer":
            _bearer(request, token)
        else:
            put(request, token, "cookie" if auth.use.kind == "cookie" else "header", auth.use.name)

    session = SessionCredential(name, login, use, around.learn)
    if auth.logout is not None:
        call = auth.logout

        def close() -> None:
            if session.token is not None:
                closing = around.new_client(around.base_url, credentials=[JoinedCredential(name, [*others, session])])
                closing.send(plain_call(call, around.scope, "auth.logout", reads_json=False))

        session.close = close
    return session


class _Tokens:
    """Asks a token endpoint."""

    def __init__(self, auth: OAuth2, around: Surroundings) -> None:
        self._auth, self._around = auth, around
        self._url = _text(auth.token_url, around, "auth.token_url")
        self._id = auth.client_id.text(around.scope) if auth.client_id else ""
        self._secret = auth.client_secret.text(around.scope) if auth.client_secret else ""
        given = auth.refresh_token.text(around.scope) if auth.refresh_token else ""
        around.learn([self._secret, given])
        # A token that the config has changed since counts, not the one that followed from the former.
        self._key = hashlib.sha256(given.encode()).hexdigest()
        kept = around.memory.read("tokens") if given else None
        self._refresh_token = (kept or {}).get(self._key, given)
        around.learn([self._refresh_token])
        basic = f"{self._id}:{self._secret}".encode()
        self._client = around.new_client(
            self._url,
            judge=_denied,
            credentials=[Token("client", base64.b64encode(basic).decode(), scheme="Basic")]
            if auth.client_auth == "basic"
            else (),
        )

    def fetch(self) -> Fetched:
        answer = decoded(self._client.send(Call(self._url, "POST", data=self._form())))
        token = self._auth.token_path.first(answer)
        if token is None:
            raise UnauthorizedError(
                f"auth: {self._url} answers without {self._auth.token_path.text}. Next: correct auth.token_path."
            )
        rotated = answer.get("refresh_token") if isinstance(answer, dict) else None
        if self._auth.grant == "refresh_token" and rotated and rotated != self._refresh_token:
            self._keep(rotated)
        expires = answer.get("expires_in") if isinstance(answer, dict) else None
        return Fetched(as_text(token), float(expires) if expires else self._auth.ttl.seconds)

    def _form(self) -> dict[str, str]:
        auth, scope = self._auth, self._around.scope
        form: dict[str, str] = {"grant_type": auth.grant}
        if auth.grant == "refresh_token":
            form["refresh_token"] = self._refresh_token
        if auth.grant == "jwt_bearer":
            if auth.jwt is None:
                raise ConfigurationError("auth: the grant jwt_bearer needs the key jwt. Next: add it.")
            form = {
                "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "assertion": _signed(auth.jwt, self._around),
            }
        if auth.client_auth == "body":
            form |= {"client_id": self._id, "client_secret": self._secret}
        form |= {"scope": " ".join(auth.scopes)}
        form |= {name: template.text(scope) for name, template in auth.extra.items()}
        return {name: value for name, value in form.items() if value}

    def _keep(self, rotated: str) -> None:
        self._around.learn([rotated])
        self._refresh_token = rotated
        if not self._around.memory.lasts:
            _logger.warning(
                "The server has rotated the refresh token, and the next run will not know it. Next: set state_dir."
            )
        self._around.memory.write("tokens", {self._key: rotated})


def _signed(auth: Jwt, around: Surroundings) -> str:
    import jwt  # noqa: PLC0415 - with its cryptography a third of the start-up, and few need it

    now = int(time.time())
    claims = {name: template.render(around.scope) for name, template in auth.claims.items()}
    claims = {"iat": now - _BACKDATE, "exp": now + int(auth.ttl.seconds), **claims}
    key = _text(auth.key, around, "auth.key")
    around.learn([key])
    headers = {name: template.text(around.scope) for name, template in auth.headers.items()}
    try:
        return jwt.encode(claims, key, algorithm=auth.algorithm, headers=headers)
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise ConfigurationError(
            f"auth: the key does not fit {auth.algorithm} ({error}). Next: check auth.key."
        ) from None


def _bearer(request: requests.PreparedRequest, token: str) -> None:
    request.headers["Authorization"] = f"Bearer {token}"


def _denied(call: Call, response: requests.Response) -> Verdict | None:
    """Whoever gives out tokens says no with a 400 too (RFC 6749 section 5.2)."""
    if response.status_code not in _DENIED:
        return None
    return Verdict.fail(
        UnauthorizedError(
            f"{describe(call, response)}: {response.status_code}{excerpt(response)}. Next: check what auth is made of."
        )
    )


def _text(template: Template, around: Surroundings, key: str) -> str:
    try:
        value = template.text(around.scope)
    except ValueError as error:
        raise ConfigurationError(f"{key}: {error}. Next: correct the template.") from None
    if not value:
        raise ConfigurationError(f"{key} is empty. Next: give a value to the setting it is made of.")
    around.learn([value])
    return value
