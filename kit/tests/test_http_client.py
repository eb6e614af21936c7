"""The client against a real socket: patience, limits, and where credentials go."""

from __future__ import annotations

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from singer_kit.errors import ConfigurationError
from singer_kit.http import (
    Call,
    Client,
    Credential,
    FailingServerError,
    ForeignHostError,
    Limiter,
    QuotaHeaders,
    RefusedError,
    Retry,
    Token,
    UnauthorizedError,
    UnreachableError,
    Verdict,
    decoded,
)
from singer_kit.testing.api import Answer, Clock, FakeApi, Fault, Quota

FAST = Retry(tries=4, base=0.001, cap=0.01)


@pytest.fixture
def api():
    with FakeApi() as api:
        api.route("GET", "/things", lambda _: Answer({"n": 1}))
        yield api


@pytest.fixture
def elsewhere():
    """Another origin: the same machine, another port."""
    with FakeApi() as api:
        api.route("GET", "/{path:path}", lambda _: Answer({"from": "elsewhere"}))
        yield api


def client(api, **settings):
    return Client(
        api.url,
        **{"user_agent": "test/1", "credentials": [Token("t", "s3cret")], "retry": FAST, "timeout": 5, **settings},
    )


THINGS = Call("/things", stream="things")


def test_what_a_request_looks_like(api) -> None:
    answer = client(api, headers={"X-Version": "7"}).send(
        Call("things", params={"a": [1, 2], "b": None, "c": True, "d": "ü&"}, headers={"X-Own": "o"})
    )
    assert decoded(answer) == {"n": 1}
    (exchange,) = api.log
    assert exchange.request.pairs == (("a", "1"), ("a", "2"), ("c", "true"), ("d", "ü&"))
    headers = exchange.request.headers
    assert (headers["authorization"], headers["user-agent"]) == ("Bearer s3cret", "test/1")
    assert (headers["x-version"], headers["x-own"], headers["accept"]) == ("7", "o", "application/json")


def test_bodies(api) -> None:
    api.route("POST", "/things", lambda request: Answer(request.body.decode() + request.headers["content-type"]))
    send = client(api).send
    assert decoded(send(Call("/things", "POST", json={"n": Decimal("0.10")}))) == '{"n":0.10}application/json'
    assert decoded(send(Call("/things", "POST", data={"a": "b c"}))) == "a=b+capplication/x-www-form-urlencoded"


def test_numbers_keep_their_digits(api) -> None:
    api.route("GET", "/things", lambda _: Answer(body='{"a": 0.1000, "b": 9007199254740993, "c": 1e2}', headers={}))
    assert (
        str(decoded(client(api).send(THINGS)))
        == "{'a': Decimal('0.1000'), 'b': 9007199254740993, 'c': Decimal('1E+2')}"
    )


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(Answer({}, status)) for status in (408, 425, 500, 502, 503, 504, 520, 524)),
        Fault(Answer({}, 429)),
        Fault(Answer({}, 503, {"retry-after": "0"})),
        Fault(cut=True),
        Fault(truncate=3),
        Fault(Answer(body="<html>down</html>", headers={"content-type": "text/html"})),
        Fault(Answer(body="", headers={"content-type": "application/json"}, status=500)),
    ],
    ids=str,
)
def test_what_passes_is_tried_again(api, fault) -> None:
    api.fault(fault, nth=(1, 2))
    limiter = Limiter(pause=lambda _: None) if fault.answer and fault.answer.status == 429 else None
    if limiter:  # its pauses are seconds: not those of a test
        limiter._clock = iter(range(0, 10_000_000, 100)).__next__
    assert decoded(client(api, limiter=limiter).send(THINGS)) == {"n": 1}
    assert len(api.log) == 3


@pytest.mark.parametrize("status", [400, 404, 405, 406, 409, 410, 414, 422, 451])
def test_what_does_not_pass_is_not(api, status) -> None:
    api.fault(Fault(Answer({"message": "no such thing"}, status)))
    with pytest.raises(
        RefusedError, match=rf"Stream 'things': GET .*/things: {status} .*no such thing.*Next: "
    ) as raised:
        client(api).send(THINGS)
    assert raised.value.status == status
    assert len(api.log) == 1


def test_tolerated_statuses_are_handed_back(api) -> None:
    api.fault(Fault(Answer({}, 404)), nth=1)
    answer = client(api).send(Call("/things", tolerate=frozenset({404})))
    assert answer.status_code == 404


def test_tries_end(api) -> None:
    api.fault(Fault(Answer({}, 502)))
    with pytest.raises(FailingServerError, match=r"502 .*, 4 times in a row. Next: "):
        client(api).send(THINGS)
    assert len(api.log) == 4


def test_nobody_answers() -> None:
    with FakeApi() as api:
        gone = client(api)
    with pytest.raises(UnreachableError, match=r"ConnectionRefusedError.* 4 times in a row"):
        gone.send(THINGS)


def test_a_slow_answer_is_tried_again(api) -> None:
    api.fault(Fault(delay=1), nth=1)
    assert decoded(client(api, timeout=0.2).send(THINGS)) == {"n": 1}


def test_a_judge_comes_before_the_rules(api) -> None:
    def judge(_, response):
        if decoded(response) == {"status": "busy"}:
            return Verdict.retry("busy")
        return None

    api.fault(Fault(Answer({"status": "busy"})), nth=1)
    assert decoded(client(api, judge=judge).send(THINGS)) == {"n": 1}


def test_etags(api) -> None:
    api.route(
        "GET",
        "/things",
        lambda request: Answer(status=304) if request.headers.get("if-none-match") == '"e"' else Answer({}),
    )
    assert client(api).send(Call("/things", etag='"e"')).status_code == 304
    assert client(api).send(Call("/things", etag='"old"')).status_code == 200


# Limits


def test_a_primary_limit_is_waited_for_once_and_by_the_servers_clock(api) -> None:
    api.clock = Clock(datetime(2031, 5, 5, tzinfo=timezone.utc))
    quota = Quota(2, timedelta(seconds=3), refusal=Answer({}, 403))
    api.limits.append(quota)
    slept = []

    def pause(seconds: float) -> None:
        slept.append(seconds)
        api.clock.advance(seconds)
        now[0] += seconds

    now = [0.0]

    def judge(_, response):
        return Verdict.limited("used up") if response.status_code == 403 else None

    limiter = Limiter(headers=QuotaHeaders(), clock=lambda: now[0], pause=pause)
    asking = client(api, limiter=limiter, judge=judge)
    for _ in range(3):
        asking.send(THINGS)
    assert sum(slept) == pytest.approx(3, abs=1)
    assert quota.refused == 0
    assert len(api.log) == 3


def test_two_tokens_need_not_wait(api) -> None:
    api.limits.append(Quota(3, timedelta(hours=1)))
    both = client(api, credentials=[Token("a", "aaaa"), Token("b", "bbbb")], limiter=Limiter(headers=QuotaHeaders()))
    for _ in range(6):
        both.send(THINGS)
    used = [exchange.request.headers["authorization"] for exchange in api.log]
    assert sorted(used) == ["Bearer aaaa"] * 3 + ["Bearer bbbb"] * 3


# Credentials


class Fetched(Credential):
    """A token that is fetched, and fetched anew."""

    def __init__(self, tokens) -> None:
        super().__init__("fetched")
        self._tokens = list(tokens)
        self.refreshed = 0

    def apply(self, request) -> None:
        request.headers["Authorization"] = f"Bearer {self._tokens[0]}"

    def refresh(self) -> bool:
        self.refreshed += 1
        self._tokens.pop(0)
        return bool(self._tokens)


def only(token):
    return lambda request: None if request.credential == token else Answer({"message": "Bad credentials"}, 401)


def test_a_token_that_has_run_out_is_renewed_once_by_all_threads(api) -> None:
    api.gates.append(only("new"))
    credential = Fetched(["old", "new"])
    asking = client(api, credentials=[credential])
    start = threading.Barrier(6)

    def ask(_):
        start.wait(5)
        return decoded(asking.send(THINGS))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(ask, range(6))) == [{"n": 1}] * 6
    assert credential.refreshed == 1


def test_a_wrong_token_is_an_error_at_once(api) -> None:
    api.gates.append(only("other"))
    with pytest.raises(UnauthorizedError, match=r"401 .*Next: check the credential \(t\)"):
        client(api).send(THINGS)
    assert len(api.log) == 1


def test_a_redirect_within_the_host_keeps_the_credential(api) -> None:
    api.route("GET", "/old", lambda request: Answer(status=301, headers={"location": f"{request.root}/things?x=1"}))
    assert decoded(client(api).send(Call("/old", params={"page": 2}))) == {"n": 1}
    assert api.log[-1].request.headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_takes_nothing_along(api, elsewhere, status) -> None:
    api.route("GET", "/old", lambda _: Answer(status=status, headers={"location": f"{elsewhere.url}/file"}))
    answer = client(api, headers={"X-App-Key": "s3cret"}).send(Call("/old", headers={"X-Own": "s3cret"}))
    assert decoded(answer) == {"from": "elsewhere"}
    assert not elsewhere.log.holding("s3cret")


def test_a_call_to_another_host_takes_only_its_own_headers_along(api, elsewhere) -> None:
    client(api, headers={"X-App-Key": "s3cret"}).send(Call(f"{elsewhere.url}/signed", headers={"X-Own": "o"}))
    assert not elsewhere.log.holding("s3cret")
    assert elsewhere.log[0].request.headers["x-own"] == "o"


def test_redirects_without_an_end(api) -> None:
    api.route("GET", "/round", lambda request: Answer(status=302, headers={"location": f"{request.root}/round"}))
    with pytest.raises(RefusedError, match="redirects without an end"):
        client(api).send(Call("/round"))


@pytest.mark.parametrize("place", ["http://evil.example/next", "//evil.example/next", "https://127.0.0.1/next"])
def test_a_link_to_another_host_is_refused(api, place) -> None:
    api.route("GET", "/things", lambda _: Answer({}, headers={"link": f'<{place}>; rel="next"'}))
    asking = client(api)
    with pytest.raises(ForeignHostError, match=r"add .(evil.example|127.0.0.1). to allowed_hosts"):
        asking.next_link(asking.send(THINGS))


def test_a_link_is_followed_as_it_is(api) -> None:
    api.route("GET", "/things", lambda _: Answer({}, headers={"link": '<?page=2&after=x%3D>; rel="prev next"'}))
    asking = client(api)
    assert asking.next_link(asking.send(THINGS)) == f"{api.url}/things?page=2&after=x%3D"
    api.route("GET", "/things", lambda _: Answer({}))
    assert asking.next_link(asking.send(THINGS)) is None


def test_an_allowed_host_gets_the_credential_by_https_only() -> None:
    from singer_kit.http.links import is_trusted

    assert is_trusted("https://Files.example/x", "https://api.example", {"files.example"})
    assert not is_trusted("http://files.example/x", "https://api.example", {"files.example"})
    assert not is_trusted("https://files.example.evil/x", "https://api.example", {"files.example"})
    assert is_trusted("https://api.example:443/x", "https://api.example/v1")
    assert not is_trusted("https://api.example:8443/x", "https://api.example/v1")
    assert not is_trusted("https://api.example@evil.example/x", "https://api.example/v1")


def test_the_servers_clock(api) -> None:
    api.clock = Clock(datetime(2031, 5, 5, tzinfo=timezone.utc))
    asking = client(api)
    asking.send(THINGS)
    assert abs(asking.now() - datetime(2031, 5, 5, tzinfo=timezone.utc)) < timedelta(seconds=5)


def test_retry_after_is_waited_for_however_long_it_is_within_reason(api) -> None:
    slept = []
    now = [0.0]

    def pause(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limiter = Limiter(max_wait=600, clock=lambda: now[0], pause=pause)
    api.fault(Fault(Answer({}, 503, {"retry-after": "120"})), nth=1)
    client(api, limiter=limiter).send(THINGS)
    assert sum(slept) == pytest.approx(120)
    api.fault(Fault(Answer({}, 503, {"retry-after": "4000000000"})), nth=1)
    with pytest.raises(FailingServerError, match=r"503 .* longer than max_wait_seconds"):
        client(api, limiter=limiter).send(THINGS)
    assert sum(slept) == pytest.approx(120)


@pytest.mark.parametrize("url", ["api.example/v1", "ftp://api.example", "https://", ""])
def test_a_base_url_that_is_none_is_named(url) -> None:
    with pytest.raises(ConfigurationError, match=r"api_url.*Next: write it like https://"):
        Client(url, user_agent="test/1")


def test_a_certificate_that_nobody_trusts_is_no_reason_to_try_again() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    slept = []
    limiter = Limiter(pause=slept.append)
    asking = Client(f"https://127.0.0.1:{server.server_port}", user_agent="test/1", limiter=limiter)
    with pytest.raises(ConfigurationError, match=r"certificate verify failed.*Next: .*ca_bundle"):
        asking.send(THINGS)
    server.shutdown()
    server.server_close()
    assert slept == []


def test_a_body_that_does_not_unpack_is_tried_again(api) -> None:
    api.fault(Fault(Answer(body=b"no gzip", headers={"content-encoding": "gzip"})), nth=1)
    assert decoded(client(api).send(THINGS)) == {"n": 1}
