"""The language of `auth`: who asks."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import field

from tap_rest_api.language.base import Call, Node, Templates, doc, preset
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import Template


class NoAuth(Node, tag_field="kind", tag="none", frozen=True):
    """Nobody in particular."""


class ApiKey(Node, tag_field="kind", tag="api_key", frozen=True):
    """A key in a header, the query or a cookie."""

    value: Annotated[Template, doc("the key")]
    name: Annotated[str, doc("of the header, parameter or cookie")] = "Authorization"
    place: Annotated[Literal["header", "query", "cookie"], doc("where it goes")] = field(default="header", name="in")


class Bearer(Node, tag_field="kind", tag="bearer", frozen=True):
    """`Authorization: Bearer …`."""

    token: Annotated[Template, doc("the token")]
    scheme: Annotated[str, doc("the word before it")] = "Bearer"


class Basic(Node, tag_field="kind", tag="basic", frozen=True):
    """User name and password."""

    username: Annotated[Template, doc("user name")]
    password: Annotated[Template | None, doc("password; some APIs take a key as user name and none")] = None


class Jwt(Node, tag_field="kind", tag="jwt", frozen=True):
    """A token that is signed here: `Authorization: Bearer …`, or the assertion of `oauth2`."""

    algorithm: Annotated[
        Literal[
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            "ES256", "ES384", "ES512", "EdDSA",
        ],
        doc("how it is signed"),
    ]  # fmt: skip
    key: Annotated[Template, doc("secret, or private key in PEM")]
    claims: Annotated[Templates, doc("its content; `iat` and `exp` are added")] = {}
    headers: Annotated[Templates, doc("its header, such as `kid`")] = {}
    ttl: Annotated[Duration, doc("how long one is used")] = preset(Duration("10m"))


class OAuth2(Node, tag_field="kind", tag="oauth2", frozen=True):
    """An access token from a token endpoint, renewed before it runs out and after a 401, once for all threads."""

    token_url: Annotated[Template, doc("the endpoint")]
    grant: Annotated[
        Literal["client_credentials", "refresh_token", "password", "jwt_bearer"], doc("how a token is asked for")
    ] = "client_credentials"
    client_id: Annotated[Template | None, doc("who asks")] = None
    client_secret: Annotated[Template | None, doc("its secret")] = None
    client_auth: Annotated[Literal["body", "basic"], doc("where the two go")] = "body"
    refresh_token: Annotated[
        Template | None, doc("of the grant `refresh_token`; one that the server rotates is kept in `state_dir`")
    ] = None
    jwt: Annotated[Jwt | None, doc("of the grant `jwt_bearer`: the assertion")] = None
    scopes: Annotated[list[str], doc("what is asked for")] = []
    extra: Annotated[Templates, doc("further members of the form: `audience`, or `username` and `password`")] = {}
    token_path: Annotated[JsonPath, doc("where the answer has the token")] = preset(JsonPath("$.access_token"))
    ttl: Annotated[Duration, doc("how long it lasts where the answer has no `expires_in`")] = preset(Duration("1h"))


class Use(Node, frozen=True):
    """How a session's token is sent."""

    kind: Annotated[Literal["bearer", "api_key", "cookie"], doc("bearer token, header, or cookie")] = "bearer"
    name: Annotated[str, doc("of the header or cookie")] = "Authorization"


class Session(Node, tag_field="kind", tag="session", frozen=True):
    """A token from a login, which is asked for again when it runs out or is refused."""

    login: Annotated[Call, doc("the request that opens the session")]
    token_path: Annotated[JsonPath, doc("where its answer has the token")]
    use: Annotated[Use, doc("how the token is sent")] = preset(Use())
    ttl: Annotated[Duration | None, doc("how long it lasts; until it is refused if left out")] = None
    logout: Annotated[Call | None, doc("the request that closes it at the end of the run")] = None


class Pool(Node, tag_field="kind", tag="pool", frozen=True):
    """Several credentials, of which each request takes the one with the most quota left."""

    members: Annotated[list[Auth], doc("the credentials")]


class AllOf(Node, tag_field="kind", tag="all", frozen=True):
    """Several credentials on each request."""

    members: Annotated[list[Auth], doc("the credentials")]


Auth: TypeAlias = NoAuth | ApiKey | Bearer | Basic | Jwt | OAuth2 | Session | Pool | AllOf
