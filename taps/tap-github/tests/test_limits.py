"""Limits, tokens, Apps, Enterprise Servers: whatever stands between the tap and its rows."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fake_github import TOKEN, FakeGitHub
from harness import sync
from truth import truth

from singer_kit.testing.api import Answer, Fault

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch):
    """How long the tap has waited, by the fake's clock instead of a real one."""
    waited: list[float] = []
    shift = [0.0]
    import time

    from singer_kit.http import limiter

    real = time.monotonic

    class Limiter(limiter.Limiter):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **{**kwargs, "clock": lambda: real() + shift[0], "pause": pause})

    def pause(seconds: float) -> None:
        waited.append(seconds)
        shift[0] += seconds
        for fake in running:
            fake.clock.advance(seconds)

    running: list[FakeGitHub] = []
    monkeypatch.setattr("singer_kit.rest.tap.Limiter", Limiter)
    return Waits(waited, running)


class Waits:
    def __init__(self, waited, running) -> None:
        self.waited, self.running = waited, running

    @property
    def total(self) -> float:
        return sum(self.waited)


def make(waits: Waits, **options) -> FakeGitHub:
    fake = FakeGitHub(**{"repositories": 3, "events": 200, **options})
    waits.running.append(fake)
    return fake


STREAMS = ("issues", "issue_comments", "labels", "pull_requests", "reviews", "commits")


def test_the_primary_limit_in_the_middle(waits) -> None:
    """4.9.3: one wait until the reset, no burst of requests before it, and nothing missing."""
    with make(waits, points=12) as fake:
        fake.core.window = timedelta(seconds=300)
        run = sync(fake, *STREAMS, rate_limit_reserve=0)
        for stream in STREAMS:
            assert run.rows(stream).keys() == truth(fake, stream).keys()
        assert waits.total >= 290
        assert fake.core.refused <= 4  # those that were under way at the same time


def test_two_tokens_share_the_work_without_a_wait(waits) -> None:
    with make(waits, points=13, tokens=[TOKEN, "ghp_second"]) as fake:
        run = sync(fake, *STREAMS, auth_tokens=["ghp_second"], rate_limit_reserve=0)
        assert run.rows("issues").keys() == truth(fake, "issues").keys()
        used = {each.request.credential for each in fake.api.log}
        assert used == {TOKEN, "ghp_second"}
        assert waits.total == 0
        assert fake.core.refused <= 4


def test_the_reserve_is_left(waits) -> None:
    with make(waits, points=60) as fake:
        fake.core.window = timedelta(seconds=100)
        sync(fake, *STREAMS, rate_limit_reserve=50)
        assert waits.total > 50
        assert fake.core.refused == 0


@pytest.mark.parametrize("tells", [True, False])
def test_the_secondary_limit(waits, tells: bool) -> None:
    with make(waits, points_per_minute=10, retry_after=tells) as fake:
        run = sync(fake, *STREAMS)
        for stream in STREAMS:
            assert run.rows(stream).keys() == truth(fake, stream).keys()
        assert waits.total > 0


def test_the_pace_stays_below_the_secondary_limit(waits) -> None:
    with make(waits, points_per_minute=900, repositories=60, events=300) as fake:
        run = sync(fake, "labels", "workflow_runs", "workflows", "events", "collaborators", requests_per_second=15)
        assert run.rows("labels").keys() == truth(fake, "labels").keys()
        assert fake.secondary.refused == 0
        assert waits.total >= 15


@pytest.mark.parametrize(
    ("status", "headers"), [(429, {"retry-after": "7"}), (403, {"retry-after": "7"}), (403, {}), (429, {})]
)
def test_a_refusal_that_passes(waits, status: int, headers: dict[str, str]) -> None:
    body = {"message": "You have exceeded a secondary rate limit."}
    with make(waits) as fake:
        fake.api.fault(Fault(Answer(body, status, headers)), nth=[3, 4], path="/repos/{owner}/{repo}/{rest:path}")
        run = sync(fake, *STREAMS)
        assert run.rows("issues").keys() == truth(fake, "issues").keys()
        assert waits.total >= (7 if headers else 60)


def test_graphql_says_it_with_status_200(waits) -> None:
    with make(waits, points=2) as fake:
        fake.core.points = 5000
        fake.graphql.window = timedelta(seconds=100)
        run = sync(fake, *STREAMS, rate_limit_reserve=0)
        assert run.rows("reviews").keys() == truth(fake, "reviews").keys()
        assert waits.total >= 90


def test_a_wait_that_is_too_long(waits) -> None:
    with make(waits, points=10) as fake:
        run = sync(fake, *STREAMS, fails=True, max_wait_seconds=600, rate_limit_reserve=0)
        assert type(run.error).__name__ == "QuotaExhaustedError"
        assert "max_wait_seconds" in str(run.error)
        again = sync(fake, "labels", state=run.state, fails=True, max_wait_seconds=600, rate_limit_reserve=0)
        assert type(again.error).__name__ == "QuotaExhaustedError"


def test_single_sign_on(waits) -> None:
    headers = {"X-GitHub-SSO": "required; url=https://github.com/orgs/acme-0/sso?authorization_request=A"}
    with make(waits) as fake:
        fake.api.fault(Fault(Answer({"message": "Resource protected"}, 403, headers)), path="/orgs/{org}/repos")
        run = sync(fake, "labels", fails=True)
        assert "https://github.com/orgs/acme-0/sso?authorization_request=A" in str(run.error)


def test_bad_credentials(waits) -> None:
    with make(waits) as fake:
        run = sync(fake, "labels", auth_token="ghp_wrong", fails=True)
        assert "Bad credentials" in str(run.error) or "401" in str(run.error)
        assert "ghp_wrong" not in str(run.error)
        assert len(fake.api.log) == 1


def test_the_token_goes_to_no_other_host(waits) -> None:
    with make(waits) as fake:
        link = {"Link": '<http://evil.example/repos?page=2>; rel="next"'}
        rows = [repository.labels[0] for repository in fake.repositories[:1]]
        fake.api.fault(Fault(Answer(rows, 200, link)), path="/repos/{owner}/repo-0/labels")
        run = sync(fake, "labels", fails=True)
        assert "evil.example" in str(run.error)
        assert {row["repo"] for row in run.records("labels")} >= {"repo-1", "repo-2"}
        assert fake.repositories[0].id not in run.bookmarks("labels")


# Apps


@pytest.fixture(scope="module")
def pem() -> str:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("form", ["plain", "escaped", "base64", "path"])
def test_an_app_asks(waits, pem: str, form: str, tmp_path) -> None:
    (tmp_path / "key.pem").write_text(pem)
    settings = {
        "plain": {"app_private_key": pem},
        "escaped": {"app_private_key": pem.replace("\n", "\\n")},
        "base64": {"app_private_key": base64.b64encode(pem.encode()).decode()},
        "path": {"app_private_key_path": str(tmp_path / "key.pem")},
    }[form]
    with make(waits, tokens=[]) as fake:
        run = sync(fake, "labels", auth_token=None, app_id="12345", **settings)
        assert run.rows("labels").keys() == truth(fake, "labels").keys()
        signed = fake.api.log.of("/orgs/{org}/installation")[-1].request.credential
        claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
        now = fake.clock.now.timestamp()
        assert claims["iss"] == "12345"
        assert now - 90 <= claims["iat"] <= now
        assert claims["exp"] - claims["iat"] <= 600


def test_installation_tokens_are_renewed_before_they_end(waits, pem: str) -> None:
    with make(waits, tokens=[], repositories=6) as fake:
        fake.clock.per_request = timedelta(minutes=3)
        run = sync(fake, *STREAMS, auth_token=None, app_id="1", app_private_key=pem, max_concurrency=1)
        assert run.rows("issues").keys() == truth(fake, "issues").keys()
        assert len(fake.api.log.of("/app/installations/{installation_id}/access_tokens")) >= 2
        refused = [each.template for each in fake.api.log.of(status=401)]
        assert all("installation" in template for template in refused), refused  # where the clock is found out


def test_an_installation_token_that_is_revoked(waits, pem: str) -> None:
    with make(waits, tokens=[]) as fake:
        refused = Fault(Answer({"message": "Bad credentials"}, 401))
        fake.api.fault(refused, nth=2, path="/repos/{owner}/{repo}/labels")
        run = sync(fake, "labels", auth_token=None, app_id="1", app_private_key=pem)
        assert run.rows("labels").keys() == truth(fake, "labels").keys()
        assert len(fake.api.log.of("/app/installations/{installation_id}/access_tokens")) == 2


def test_a_key_that_is_none(waits) -> None:
    with make(waits) as fake:
        run = sync(fake, "labels", app_id="1", app_private_key="nonsense", fails=True)
        assert "app_private_key" in str(run.error)


# Enterprise Servers


def test_an_enterprise_server(waits) -> None:
    with make(waits, base_path="/api/v3") as fake:
        run = sync(fake, *STREAMS)
        for stream in STREAMS:
            assert run.rows(stream).keys() == truth(fake, stream).keys()
        assert {each.request.method for each in fake.api.log} == {"GET", "POST"}
        assert all(each.template.endswith("/graphql") for each in fake.api.log if each.request.method == "POST")
