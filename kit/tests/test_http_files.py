"""Bodies that go to files, calls without credentials, and credentials that run out."""

from __future__ import annotations

import threading

import pytest

from singer_kit.http import Call, Client, RefusedError, Retry, Token
from singer_kit.http.renewing import Fetched, RenewingCredential
from singer_kit.testing.api import Answer, FakeApi, Fault


@pytest.fixture
def api():
    with FakeApi() as server:
        yield server


def client(api, *credentials, **settings):
    return Client(api.url, user_agent="test", credentials=credentials, retry=Retry(3, 0, 0), **settings)


def test_a_body_goes_to_a_file_and_is_asked_for_again_when_it_breaks_off(api) -> None:
    body = bytes(range(256)) * 1000
    api.route("GET", "/big", lambda _: Answer(body=body))
    api.fault(Fault(truncate=70_000), nth=1)
    response = client(api).send(Call("/big", to_file=True, reads_json=False))
    with response.raw as file:
        assert file.read() == body
    assert len(api.log) == 2


def test_a_refusal_still_says_why(api) -> None:
    api.route("GET", "/big", lambda _: Answer({"message": "no such export"}, 404))
    with pytest.raises(RefusedError, match="no such export"):
        client(api).send(Call("/big", to_file=True, reads_json=False))


def test_an_anonymous_call_takes_nothing_along(api) -> None:
    api.route("GET", "/file", lambda _: Answer({}))
    own = client(api, Token("token", "s3cret"), headers={"X-Key": "s3cret"})
    own.send(Call("/file", anonymous=True))
    assert api.log.holding("s3cret") == []
    own.send(Call("/file"))
    assert {place for _, place in api.log.holding("s3cret")} == {"header Authorization", "header X-Key"}


class Tokens:
    """Hands out token-1, token-2, …, each good for so many seconds."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds, self.count, self.learnt = seconds, 0, []

    def fetch(self) -> Fetched:
        self.count += 1
        return Fetched(f"token-{self.count}", self.seconds)

    def credential(self) -> RenewingCredential:
        return RenewingCredential("oauth", self.fetch, self._put, self.learnt.extend)

    @staticmethod
    def _put(request, token) -> None:
        request.headers["Authorization"] = f"Bearer {token}"


@pytest.mark.parametrize(("seconds", "tokens"), [(None, 1), (3600, 1), (0, 3)])
def test_a_token_is_fetched_when_it_is_needed(api, seconds, tokens) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    source = Tokens(seconds)
    own = client(api, source.credential())
    assert source.count == 0
    for _ in range(3):
        own.send(Call("/x"))
    assert source.count == tokens
    assert source.learnt == [f"token-{n}" for n in range(1, tokens + 1)]


def test_threads_that_need_a_token_at_once_fetch_one(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    source = Tokens(None)
    own = client(api, source.credential())
    together = threading.Barrier(4, timeout=5)

    def ask() -> None:
        together.wait()
        own.send(Call("/x"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.count == 1
    assert {each.request.credential for each in api.log} == {"token-1"}
