"""Who asks: every kind of credential, when it runs out, and where it never goes."""

# ruff: noqa: E501 - tables are easier to read in one line
from __future__ import annotations

import base64
import json
import logging
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from rest_harness import command, manifest, run

from singer_kit.testing.api import Answer, Collection, FakeApi, Fault, page_numbers

INLINE = {"mode": "inline", "inline": {"properties": {"id": {"type": "integer"}}}}
ROWS = {"name": "rows", "path": "/rows", "primary_key": ["id"], "schema": INLINE}
SECRET = {"token": {"secret": True, "required": True}}
CANARY = "c4nary-s3cret+/="


@pytest.mark.parametrize(
    ("auth", "seen"),
    [
        ({"kind": "bearer", "token": "${config.token}"}, ("header", "Authorization", f"Bearer {CANARY}")),
        ({"kind": "api_key", "value": "${config.token}"}, ("header", "Authorization", CANARY)),
        ({"kind": "api_key", "name": "X-Key", "value": "Key ${config.token}"}, ("header", "X-Key", f"Key {CANARY}")),
        ({"kind": "api_key", "in": "query", "name": "key", "value": "${config.token}"}, ("query", "key", CANARY)),
        ({"kind": "api_key", "in": "cookie", "name": "sid", "value": "${config.token}"}, ("header", "Cookie", f"sid={CANARY}")),
        (
            {"kind": "basic", "username": "joe", "password": "${config.token}"},
            ("header", "Authorization", "Basic " + base64.b64encode(f"joe:{CANARY}".encode()).decode()),
        ),
    ],
)  # fmt: skip
def test_where_a_key_goes(api, caplog, auth, seen) -> None:
    """And that nobody reads it in a log, whatever goes wrong."""
    caplog.set_level(logging.DEBUG)
    api.route("GET", "/rows", lambda _: Answer([{"id": 1}]))
    api.fault(Fault(Answer({"message": f"try later {CANARY}"}, 503)), nth=1)
    spec = manifest(api, ROWS, auth=auth, settings=SECRET)
    assert run(spec, settings={"token": CANARY}).column("rows", "id") == [1]
    request = api.log[-1].request
    place, name, value = seen
    assert (request.query if place == "query" else request.headers)[name] == value
    api.fault(Fault(Answer({"message": f"no {CANARY}"}, 400)))
    output = run(spec, settings={"token": CANARY})
    assert output.exit_code == 4
    for form in (CANARY, "c4nary-s3cret%2B%2F%3D", base64.b64encode(f"joe:{CANARY}".encode()).decode()):
        assert form not in caplog.text


def test_no_secret_in_any_output_of_the_command(api, tmp_path) -> None:
    api.route("GET", "/rows", lambda _: Answer({"message": f"no {CANARY}"}, 400))
    config = tmp_path / "config.json"
    spec = manifest(
        api,
        {**ROWS, "params": {"k": "${config.token}"}},
        settings=SECRET,
        auth={"kind": "bearer", "token": "${config.token}"},
    )
    config.write_text(json.dumps({"manifest": spec, "settings": {"token": CANARY}}))
    for arguments in ((), ("--discover",), ("--dry-run",), ("--about",)):
        output = command("--config", str(config), *arguments)
        assert CANARY not in output.stderr + json.dumps(output.messages, default=str)
        assert "c4nary-s3cret%2B" not in output.stderr


# Tokens that run out


class Tokens:
    """A token endpoint and an API behind it."""

    def __init__(self, api: FakeApi, *, expires_in: int | None = 3600) -> None:
        self.api, self.given, self.forms, self.good = api, 0, [], set()
        self.rotates = False
        self.expires_in = expires_in
        api.route("POST", "/token", self._token)
        pages = Collection(lambda _: [{"id": n} for n in range(1, 10)], page_numbers("data"))
        api.route(
            "GET", "/rows", lambda r: pages(r) if r.credential in self.good else Answer({"message": "expired"}, 401)
        )

    def _token(self, request):
        self.forms.append((request.form, request.headers.get("Authorization")))
        self.given += 1
        token = f"access-{self.given}"
        self.good = {token}
        answer = {"access_token": token, "expires_in": self.expires_in}
        return Answer({**answer, "refresh_token": f"refresh-{self.given}"} if self.rotates else answer)


def oauth(api, stream=None, **auth):
    auth = {
        "kind": "oauth2",
        "token_url": f"{api.url}/token",
        "client_id": "me",
        "client_secret": "${config.token}",
        **auth,
    }
    rows = {
        **ROWS,
        "records": {"path": "$.data[*]"},
        "pagination": {"kind": "page", "param": "page", "size": 3, "size_param": "per_page"},
    }
    return manifest(api, stream or rows, auth=auth, settings=SECRET)


def test_a_token_that_expires_between_two_pages(api) -> None:
    """One renewal, and the same page is asked for again."""
    tokens = Tokens(api)
    api.after(
        2,
        lambda: tokens.good.clear(),  # noqa: PLW0108 - another set by then
        path="/rows",
    )
    output = run(oauth(api, scopes=["a", "b"], extra={"audience": "x"}), settings={"token": CANARY})
    assert output.column("rows", "id") == list(range(1, 10))
    assert tokens.given == 2
    assert [(each.request.query["page"], each.status) for each in api.log.of("/rows")] == [
        ("1", 200), ("2", 200), ("3", 401), ("3", 200), ("4", 200),
    ]  # fmt: skip
    form = {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": CANARY,
        "scope": "a b",
        "audience": "x",
    }
    assert tokens.forms[0] == (form, None)


def test_a_token_that_is_about_to_expire_is_renewed_before(api) -> None:
    tokens = Tokens(api, expires_in=0)
    run(oauth(api, client_auth="basic", ttl=0), settings={"token": CANARY})
    assert tokens.given >= 4
    assert tokens.forms[0][1] == "Basic " + base64.b64encode(f"me:{CANARY}".encode()).decode()
    assert not api.log.of("/rows", status=401)


def test_threads_renew_once(api) -> None:
    tokens = Tokens(api)
    api.route("GET", "/rows/{n}", lambda r: Answer([{"id": 1}]) if r.credential in tokens.good else Answer({}, 401))
    barrier = threading.Barrier(4, timeout=5)
    first = set()

    api_lock = threading.Lock()
    serve = api.serve

    def held(method, target, headers, body):
        # Before the server's own lock: all four are under way with the first token when it is refused.
        if target.startswith("/rows/"):
            with api_lock:
                new = target not in first
                first.add(target)
            if new:
                barrier.wait()
                with api.lock:
                    tokens.good.discard("access-1")
        return serve(method, target, headers, body)

    api.serve = held
    stream = {**ROWS, "path": "/rows/${partition.n}", "partitions": [{"values": [1, 2, 3, 4], "as": "n"}]}
    output = run(oauth(api, stream), settings={"token": CANARY}, max_concurrency=4)
    assert len(output.records("rows")) == 4
    assert tokens.given == 2


def test_a_rotated_refresh_token_is_kept(api, tmp_path) -> None:
    tokens = Tokens(api)
    tokens.rotates = True
    spec = oauth(api, grant="refresh_token", refresh_token="${config.token}")
    run(spec, settings={"token": CANARY}, state_dir=str(tmp_path))
    run(spec, settings={"token": CANARY}, state_dir=str(tmp_path))
    assert [form["refresh_token"] for form, _ in tokens.forms] == [CANARY, "refresh-1"]
    kept = next(tmp_path.glob("*.tokens.json"))
    assert kept.stat().st_mode & 0o077 == 0
    run(spec, settings={"token": "another-one"}, state_dir=str(tmp_path))
    assert tokens.forms[-1][0]["refresh_token"] == "another-one"  # the config has been changed since


def test_a_token_endpoint_that_fails_once(api) -> None:
    tokens = Tokens(api)
    api.fault(Fault(Answer(status=500)), nth=1, path="/token")
    assert len(run(oauth(api), settings={"token": CANARY}).records("rows")) == 9
    assert tokens.given == 1


def test_a_token_endpoint_that_says_no(api) -> None:
    Tokens(api)
    api.fault(Fault(Answer({"error": "invalid_grant"}, 400)), path="/token")
    output = run(oauth(api), settings={"token": CANARY})
    assert output.exit_code == 2
    assert "invalid_grant" in str(output.error)
    assert len(api.log.of("/token")) == 1


def test_a_signed_token(api) -> None:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    seen = []

    def check(request):
        claims = jwt.decode(request.form["assertion"], key.public_key(), algorithms=["RS256"], audience="api")
        seen.append((claims["iss"], jwt.get_unverified_header(request.form["assertion"])["kid"]))
        return Answer({"access_token": "good"})

    api.route("POST", "/token", check)
    api.route("GET", "/rows", lambda r: Answer([{"id": 1}]) if r.credential == "good" else Answer({}, 401))
    signed = {
        "algorithm": "RS256",
        "key": "${config.token}",
        "claims": {"iss": "me", "aud": "api"},
        "headers": {"kid": "k1"},
    }
    spec = oauth(api, ROWS, grant="jwt_bearer", jwt={"kind": "jwt", **signed})
    assert run(spec, settings={"token": pem}).column("rows", "id") == [1]
    assert seen == [("me", "k1")]

    direct = manifest(api, ROWS, auth={"kind": "jwt", **signed}, settings=SECRET)
    api.route(
        "GET",
        "/rows",
        lambda r: Answer(
            [{"id": jwt.decode(r.credential, key.public_key(), algorithms=["RS256"], audience="api")["exp"] > 0}]
        ),
    )
    assert run(direct, settings={"token": pem}).column("rows", "id") == [True]
    assert run(direct, settings={"token": "no key"}).exit_code == 2


def test_a_pool_takes_the_one_with_more_left(api) -> None:
    left = {"one-token": 3, "two-token": 50}

    def rows(request):
        left[request.credential] -= 1
        page = int(request.query["page"])
        headers = {"x-ratelimit-remaining": str(left[request.credential]), "x-ratelimit-reset": "4102444800"}
        return Answer([{"id": page}] if page < 9 else [], headers=headers)

    api.route("GET", "/rows", rows)
    pool = {
        "kind": "pool",
        "members": [{"kind": "bearer", "token": "one-token"}, {"kind": "bearer", "token": "two-token"}],
    }
    spec = manifest(api, {**ROWS, "pagination": {"kind": "page", "param": "page"}}, auth=pool)
    assert len(run(spec).records("rows")) == 8
    assert left["one-token"] >= 0


# Where credentials never go


@pytest.fixture
def other():
    with FakeApi(strict=False) as server:
        server.route("GET", "/rows", lambda _: Answer([{"id": 2}]))
        yield server


@pytest.mark.parametrize("kind", ["link_header", "next_url"])
def test_a_next_page_on_another_host_is_refused(api, other, kind) -> None:
    url = f"{other.url}/rows"
    pagination = {"kind": kind, **({"path": "$[0].next"} if kind == "next_url" else {})}
    api.route("GET", "/rows", lambda _: Answer([{"id": 1, "next": url}], headers={"Link": f'<{url}>; rel="next"'}))
    spec = manifest(
        api, {**ROWS, "pagination": pagination}, auth={"kind": "bearer", "token": CANARY}, headers={"X-Own": CANARY}
    )
    output = run(spec)
    assert output.exit_code == 4
    assert "allowed_hosts" in str(output.error)
    assert not other.log


@pytest.mark.parametrize(
    "link", ["?page=2", "/rows?page=2", "rows?page=2", "//{host}/rows?page=2", "http://{host}/rows?page=2"]
)
def test_links_without_a_host(api, link) -> None:
    link = link.format(host=api.url.removeprefix("http://"))
    api.route(
        "GET",
        "/rows",
        lambda r: Answer({"data": [{"id": int(r.query.get("page", 1))}], "next": None if r.query else link}),
    )
    spec = {**ROWS, "records": {"path": "$.data[*]"}, "pagination": {"kind": "next_url", "path": "$.next"}}
    assert run(manifest(api, spec)).column("rows", "id") == [1, 2]


def test_a_redirect_takes_no_credential_along(api, other) -> None:
    api.route("GET", "/rows", lambda _: Answer(status=302, headers={"Location": f"{other.url}/rows"}))
    spec = manifest(api, ROWS, auth={"kind": "bearer", "token": CANARY}, headers={"X-Own": CANARY})
    assert run(spec).column("rows", "id") == [2]
    assert other.log.holding(CANARY) == []


def test_a_url_in_data_takes_no_credential_along(api, other) -> None:
    """A parent's record names the URL: it is refused before anything is sent, headers included."""
    api.route("GET", "/links", lambda _: Answer([{"url": f"{other.url}/rows"}]))
    parent = {"name": "links", "path": "/links"}
    child = {**ROWS, "path": "${parent.url|raw}", "partitions": [{"parent": "links", "fields": {"url": "$.url"}}]}
    output = run(manifest(api, parent, child, headers={"X-Own": CANARY}))
    assert output.exit_code == 4
    assert not other.log
