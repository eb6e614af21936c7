"""The fake server through real sockets: what it answers, refuses, breaks and counts."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
import requests

from singer_kit.testing.api import (
    Answer,
    Burst,
    Clock,
    Collection,
    Complaints,
    FakeApi,
    Fault,
    Quota,
    QuotaHeaders,
    link_pages,
)


@pytest.fixture
def api():
    with FakeApi() as api:
        yield api


# Routes and requests


def test_a_request_as_the_handler_sees_it(api) -> None:
    seen = []
    api.route(
        "POST", "/repos/{owner}/{repo}/files/{path:path}", lambda request: seen.append(request) or Answer({}, 201)
    )
    answer = requests.post(
        f"{api.url}/repos/a%20b/c/files/x/y.txt?tag=1&tag=2&empty=", json={"n": 1}, auth=("user", "word"), timeout=5
    )
    assert (answer.status_code, answer.json()) == (201, {})
    (request,) = seen
    assert request.parameters == {"owner": "a b", "repo": "c", "path": "x/y.txt"}
    assert request.pairs == (("tag", "1"), ("tag", "2"), ("empty", ""))
    assert request.query == {"tag": "2", "empty": ""}
    assert request.json == {"n": 1}
    assert request.headers["content-TYPE"] == "application/json"
    assert request.root == api.url


def test_the_most_literal_route_wins(api) -> None:
    api.route("GET", "/issues/{number}", lambda request: Answer(request.parameters["number"]))
    api.route("GET", "/issues/comments", lambda _: Answer("comments"))
    assert requests.get(f"{api.url}/issues/comments", timeout=5).json() == "comments"
    assert requests.get(f"{api.url}/issues/7", timeout=5).json() == "7"


def test_a_request_without_a_route_is_a_complaint() -> None:
    with pytest.raises(Complaints, match="GET /nowhere: no route"), FakeApi() as api:
        assert requests.get(f"{api.url}/nowhere", timeout=5).status_code == 404
    with FakeApi(strict=False) as api:
        requests.get(f"{api.url}/nowhere", timeout=5)
        assert len(api.complaints) == 1


def test_a_handler_that_raises_is_a_complaint() -> None:
    with FakeApi(strict=False) as api:
        api.route("GET", "/x", lambda _: Answer(1 / 0))
        assert requests.get(f"{api.url}/x", timeout=5).status_code == 500
    with pytest.raises(Complaints, match=r"ZeroDivisionError.*test_api\.py"):
        api.check()


def test_a_base_path() -> None:
    with FakeApi(base_path="/api/v3") as api:
        api.route("GET", "/items", Collection(lambda _: [{"id": number} for number in range(1, 8)], link_pages(size=3)))
        assert api.url.endswith("/api/v3")
        answer = requests.get(f"{api.url}/items", timeout=5)
        following = requests.get(answer.links["next"]["url"], timeout=5).json()
        assert following == [{"id": 4}, {"id": 5}, {"id": 6}]
    assert api.log.counts() == {"GET /items": 2}


def test_connections_are_kept_and_served_at_once() -> None:
    with FakeApi(latency=0.2) as api:
        api.route("GET", "/x", lambda _: Answer({}))
        with requests.Session() as session, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: requests.get(f"{api.url}/x", timeout=5), range(4)))
            assert api.log.most_in_flight == 4
            api.forget()
            api.latency = 0
            for _ in range(3):
                session.get(f"{api.url}/x", timeout=5)
    assert len({each.thread for each in api.log}) == 1
    assert [each.in_flight for each in api.log] == [1, 1, 1]


# Clock


def test_the_clock_is_the_tests() -> None:
    clock = Clock(datetime(2024, 2, 29, 23, 59, 59, tzinfo=timezone.utc), per_request=timedelta(seconds=1))
    with FakeApi(clock=clock) as api:
        api.route("GET", "/x", lambda request: Answer(request.now.isoformat()))
        first = requests.get(f"{api.url}/x", timeout=5)
        assert first.headers["Date"] == "Fri, 01 Mar 2024 00:00:00 GMT"
        assert first.json() == "2024-03-01T00:00:00+00:00"
        clock.advance(3600)
        assert requests.get(f"{api.url}/x", timeout=5).headers["Date"] == "Fri, 01 Mar 2024 01:00:01 GMT"


def test_a_clock_may_move_by_itself() -> None:
    clock = Clock(real=True)
    before, deadline = clock.now, threading.Event()
    deadline.wait(0.01)
    assert clock.now > before


# Faults and hooks


def test_faults_by_their_number(api) -> None:
    api.route("GET", "/items/{id}", lambda _: Answer({}))
    api.route("GET", "/other", lambda _: Answer({}))
    api.fault(Fault(Answer({"message": "bad"}, 502, {"Retry-After": "3"})), nth=(2, 3), path="/items/{id}")
    codes = []
    for path in ("/items/1", "/other", "/items/1", "/items/2", "/items/3"):
        answer = requests.get(api.url + path, timeout=5)
        codes.append(answer.status_code)
        if answer.status_code == 502:
            assert (answer.headers["retry-after"], answer.json()) == ("3", {"message": "bad"})
    assert codes == [200, 200, 502, 502, 200]


def test_a_fault_by_a_condition(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    near = api.fault(Fault(Answer(status=500)), where=lambda request: request.query.get("page") == "2")
    assert [requests.get(f"{api.url}/x?page={page}", timeout=5).status_code for page in (1, 2, 3, 2)] == [
        200, 500, 200, 500,
    ]  # fmt: skip
    assert near.seen == 2


def test_a_connection_that_is_cut(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    api.fault(Fault(cut=True), nth=1)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{api.url}/x", timeout=5)
    assert requests.get(f"{api.url}/x", timeout=5).ok
    assert [each.status for each in api.log] == [0, 200]


def test_a_body_that_is_cut(api) -> None:
    api.route("GET", "/x", lambda _: Answer({"long": "x" * 1000}))
    api.fault(Fault(truncate=20), nth=1)
    answer = requests.get(f"{api.url}/x", timeout=5, stream=True)
    assert answer.headers["Content-Length"] == "1011"
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        answer.content  # noqa: B018
    assert requests.get(f"{api.url}/x", timeout=5).json() == {"long": "x" * 1000}


def test_a_delay(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    api.fault(Fault(delay=1), nth=1)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{api.url}/x", timeout=0.1)
    assert requests.get(f"{api.url}/x", timeout=0.9).ok


def test_a_change_between_two_requests(api) -> None:
    rows = [1]
    api.route("GET", "/x", lambda _: Answer(list(rows)))
    api.after(2, lambda: rows.append(2))
    assert [requests.get(f"{api.url}/x", timeout=5).json() for _ in range(3)] == [[1], [1], [1, 2]]


# Limits


def get(api: FakeApi, token: str = "one", path: str = "/x") -> requests.Response:
    return requests.get(api.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def test_a_quota_refuses_until_its_window_ends(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    quota = Quota(2, timedelta(minutes=1), Answer({"message": "slow down"}, 403), more={"x-ratelimit-resource": "core"})
    api.limits.append(quota)
    reset = str(int(api.clock.now.timestamp()) + 60)
    answers = [get(api) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["x-ratelimit-reset"] for answer in answers} == {reset}
    assert answers[2].headers["x-ratelimit-resource"] == "core"
    assert get(api, "two").status_code == 200
    api.clock.advance(60)
    assert get(api).headers["x-ratelimit-remaining"] == "1"
    assert quota.refused == 1


@pytest.mark.parametrize(("kind", "value"), [("delta", "60"), ("epoch_ms", "1714564860000")])
def test_a_reset_in_other_units(api, kind, value) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    api.limits.append(Quota(2, timedelta(minutes=1), headers=QuotaHeaders("RateLimit-", kind)))
    assert get(api).headers["RateLimit-Reset"] == value


def test_an_answer_that_costs_nothing(api) -> None:
    api.route("GET", "/x", lambda _: Answer(status=304))
    api.limits.append(Quota(1, timedelta(minutes=1), free=lambda answer: answer.status == 304))
    assert [get(api).headers["x-ratelimit-remaining"] for _ in range(3)] == ["1", "1", "1"]


def test_a_quota_nearly_spent(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    quota = Quota(5000, timedelta(hours=1))
    api.limits.append(quota)
    quota.spend("one", 4999, api.clock.now)
    assert [get(api).status_code, get(api).status_code, get(api, "two").status_code] == [200, 429, 200]


def test_a_burst_slides(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    api.limits.append(Burst(2, timedelta(seconds=60)))
    codes = []
    for _ in range(4):
        answer = get(api)
        codes.append(answer.status_code)
        api.clock.advance(25)
    assert codes == [200, 200, 429, 200]  # at 0, 25, 50 and 75 seconds
    assert get(api).status_code == 200  # at 100 the one of 25 counts no more
    refused = get(api)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "35")


def test_a_burst_that_punishes(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    api.limits.append(Burst(1, timedelta(seconds=60), punishes=True, retry_after=False))
    assert [get(api).status_code, get(api).status_code] == [200, 429]
    api.clock.advance(59)
    assert "retry-after" not in get(api).headers
    api.clock.advance(30)
    assert get(api).status_code == 429


def test_too_many_at_once() -> None:
    with FakeApi(latency=0.2) as api:
        api.route("GET", "/x", lambda _: Answer({}))
        api.limits.append(Burst(100, concurrent=2))
        with ThreadPoolExecutor(4) as pool:
            codes = sorted(answer.status_code for answer in pool.map(lambda _: get(api), range(4)))
    assert codes == [200, 200, 429, 429]


def test_a_gate_refuses(api) -> None:
    api.route("GET", "/x", lambda _: Answer({}))
    api.gates.append(lambda request: None if request.credential == "right" else Answer({"message": "no"}, 401))
    assert [get(api, "wrong").status_code, get(api, "right").status_code] == [401, 200]


# Log


def test_where_a_secret_went(api) -> None:
    api.route("POST", "/x", lambda _: Answer({}))
    requests.post(f"{api.url}/x?key=hidden", timeout=5)
    requests.post(f"{api.url}/x", auth=("user", "hidden"), timeout=5)
    requests.post(f"{api.url}/x", data="hidden", timeout=5)
    requests.post(f"{api.url}/x", data="other", timeout=5)
    found = api.log.holding("hidden")
    assert [(exchange.request.number, place) for exchange, place in found] == [
        (1, "url"), (2, "header Authorization"), (3, "body"),
    ]  # fmt: skip
    assert base64.b64encode(b"user:hidden").decode() in found[1][0].request.headers["Authorization"]


def test_the_log_is_searched(api) -> None:
    api.route("GET", "/items/{id}", lambda request: Answer({}, 404 if request.parameters["id"] == "2" else 200))
    for number in (1, 2, 2, 3):
        requests.get(f"{api.url}/items/{number}?n={number}", timeout=5)
    assert len(api.log.of("/items/{id}")) == 4
    assert len(api.log.of("/items/2", status=404)) == 2
    assert [each.request.path for each in api.log.of(where=lambda request: request.query["n"] == "3")] == ["/items/3"]
    assert api.log.counts() == {"GET /items/{id}": 4}
