"""The fake GitHub behaves as GitHub: a tap is only as well tested as this is true."""

from __future__ import annotations

import base64
import http.client
import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests
from fake_github import NOW, TOKEN, FakeGitHub
from fake_github.cost import measured
from fake_github.listing import within
from fake_github.shapes import rest_document
from fake_github.world import stamp


class Client(requests.Session):
    def __init__(self, github: FakeGitHub, token: str = TOKEN) -> None:
        super().__init__()
        self.github = github
        self.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path: str, **options: Any) -> requests.Response:
        return self.get(path if path.startswith("http") else self.github.url + path, timeout=10, **options)

    def everything(self, path: str, items: str = "", **options: Any) -> list[dict[str, Any]]:
        answer = self.ask(path, **options)
        rows: list[dict[str, Any]] = []
        while True:
            assert answer.status_code == 200, answer.text
            rows += answer.json()[items] if items else answer.json()
            if "next" not in answer.links:
                return rows
            answer = self.ask(answer.links["next"]["url"])

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        answer = self.post(f"{self.github.url}/graphql", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def github():
    with FakeGitHub(1) as github:
        yield github


@pytest.fixture
def client(github):
    with Client(github) as client:
        yield client


@pytest.fixture
def repository(github):
    return github.repositories[0]


def test_every_listing_is_as_github_describes_it(github, client, repository) -> None:
    """The description's own check makes the fixture fail if an answer is not."""
    values = {
        "owner": "acme-0", "repo": "repo-0", "org": "acme-0", "username": "acme-0-dev1", "team_slug": "team-0",
        "issue_number": min(repository.issues), "pull_number": min(repository.pulls), "ref": "main",
        "basehead": f"{min(repository.history.commits)}...main", "run_id": min(repository.runs), "attempt_number": 1,
        "deployment_id": repository.deployments[0]["id"],
    }  # fmt: skip
    answered = set()
    for template, item in rest_document()["paths"].items():
        path = template.format_map({**dict.fromkeys(("release_id", "workflow_id", "branch", "commit_sha"), 1), **values}
                                   ) if "installation_id" not in template else ""  # fmt: skip
        if "get" not in item or github.api._routes.find("GET", path) is None:
            continue
        query = {"q": "repo"} if "search" in path else {}
        answer = client.ask(path, params=query)
        answered.add(answer.status_code)
        assert answer.status_code in {200, 202, 401, 403, 404, 422}, (path, answer.text)
    assert 200 in answered
    assert len(github.api.log.of(status=200)) > 50


def test_a_seed_makes_the_same_world_and_the_same_future() -> None:
    worlds = []
    for _ in range(2):
        github = FakeGitHub(7, events=100)
        github.mutate(50)
        worlds.append({each.full_name: (each.issues, each.history.commits, each.runs) for each in github.repositories})
    assert worlds[0] == worlds[1]
    assert FakeGitHub(8, events=100).repositories[0].issues != worlds[0]["acme-0/repo-0"][0]


def test_issues_by_an_opaque_cursor_under_the_repositorys_number(client, repository) -> None:
    first = client.ask("/repos/acme-0/repo-0/issues?state=all&per_page=5")
    assert first.links["next"]["url"].startswith(f"{client.github.url}/repositories/{repository.id}/issues?")
    assert "after=" in first.links["next"]["url"]
    rows = client.everything("/repos/acme-0/repo-0/issues?state=all&per_page=5")
    assert {row["id"] for row in rows} == {row["id"] for row in repository.issues.values()}
    assert {row["state"] for row in client.everything("/repos/acme-0/repo-0/issues")} == {"open"}


def test_issues_since_a_moment_sorted_by_their_change(client, repository) -> None:
    moments = sorted(row["updated_at"] for row in repository.issues.values())
    start = moments[len(moments) // 2]
    query = {"state": "all", "since": start, "sort": "updated", "direction": "asc"}
    rows = client.everything("/repos/acme-0/repo-0/issues", params=query)
    assert [row["updated_at"] for row in rows] == [each for each in moments if each >= start]


def test_pages_by_number_lose_a_row_that_moves() -> None:
    with FakeGitHub(1, issue_links="page") as github, Client(github) as client:
        repository = github.repositories[0]
        path = "/repos/acme-0/repo-0/issues?state=all&sort=updated&direction=asc&per_page=5"
        expected = [row["id"] for row in client.everything(path)]
        first = client.ask(path)
        moved = next(row for row in repository.issues.values() if row["id"] == first.json()[0]["id"])
        moved["updated_at"] = stamp(NOW)
        rest = client.everything(first.links["next"]["url"])
        seen = [row["id"] for row in [*first.json(), *rest]]
        assert set(expected) - set(seen) == {expected[5]}


def test_pull_requests_newest_change_first(client, repository) -> None:
    rows = client.everything("/repos/acme-0/repo-0/pulls?state=all&sort=updated&direction=desc&per_page=3")
    assert [row["updated_at"] for row in rows] == sorted(
        (row["updated_at"] for row in repository.pulls.values()), reverse=True
    )
    assert {row["id"] for row in rows}.isdisjoint(row["id"] for row in repository.issues.values())
    assert {row["number"] for row in rows} <= repository.issues.keys()


def test_an_etag_saves_quota_until_something_changes(github, client) -> None:
    path = "/repos/acme-0/repo-0/issues?state=all"
    first = client.ask(path)
    again = client.ask(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"] == "4999"
    github.life.open_issue(github.repositories[0])
    changed = client.ask(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, changed.headers["x-ratelimit-remaining"]) == (200, "4998")


def test_primary_limits_belong_to_a_token() -> None:
    with FakeGitHub(1, points=2, tokens=["one", "two"]) as github:
        one, two = Client(github, "one"), Client(github, "two")
        codes = [one.ask("/orgs/acme-0").status_code for _ in range(3)]
        refused = one.ask("/orgs/acme-0")
        assert codes == [200, 200, 403]
        assert "rate limit exceeded" in refused.json()["message"]
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert refused.headers["x-ratelimit-reset"] == str(int((NOW + timedelta(hours=1)).timestamp()))
        assert refused.headers["x-ratelimit-resource"] == "core"
        assert two.ask("/orgs/acme-0").status_code == 200
        github.clock.advance(timedelta(hours=1))
        assert one.ask("/orgs/acme-0").status_code == 200


def test_graphql_tells_its_primary_limit_with_status_200() -> None:
    with FakeGitHub(1, points=1) as github, Client(github) as client:
        assert client.graphql("{ viewer { login } }") == {"data": {"viewer": {"login": "viewer"}}}
        assert client.graphql("{ viewer { login } }")["errors"][0]["type"] == "RATE_LIMITED"


@pytest.mark.parametrize("retry_after", [True, False])
def test_the_secondary_limit(retry_after) -> None:
    with FakeGitHub(1, points_per_minute=2, retry_after=retry_after) as github, Client(github) as client:
        answers = [client.ask("/orgs/acme-0") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 403]
        assert "secondary rate limit" in answers[2].json()["message"]
        assert answers[2].headers.get("retry-after") == ("60" if retry_after else None)
        assert answers[2].headers["x-ratelimit-remaining"] != "0"


def test_credentials(github) -> None:
    assert Client(github, "wrong").ask("/orgs/acme-0").json()["message"] == "Bad credentials"
    bare = http.client.HTTPConnection(github.url.removeprefix("http://"), timeout=5)
    bare.request("GET", "/orgs/acme-0")
    assert bare.getresponse().status == 403
    bare.close()
    now = int(NOW.timestamp())
    claims = base64.urlsafe_b64encode(json.dumps({"iat": now - 60, "exp": now + 480, "iss": "1"}).encode()).decode()
    app = Client(github, f"head.{claims}.signature")
    early = base64.urlsafe_b64encode(json.dumps({"iat": now + 60, "exp": now + 480, "iss": "1"}).encode()).decode()
    refused = Client(github, f"head.{early}.signature").ask("/orgs/acme-0/installation")
    assert "'Issued at' claim" in refused.json()["message"]
    made = app.post(f"{github.url}/app/installations/1/access_tokens", timeout=5)
    installation = Client(github, made.json()["token"])
    assert installation.ask("/orgs/acme-0").status_code == 200
    github.clock.advance(timedelta(hours=1))
    assert installation.ask("/orgs/acme-0").status_code == 401
    assert Client(github).ask("/orgs/acme-0/installation").status_code == 401


def test_commits_since_and_compare(github, client, repository) -> None:
    before = repository.history.branches["main"]
    github.life.push(repository, 3)
    new = [row["sha"] for row in client.everything(f"/repos/acme-0/repo-0/compare/{before}...main", "commits")]
    listed = [row["sha"] for row in client.everything("/repos/acme-0/repo-0/commits?per_page=2")]
    assert listed[:3] == new[::-1]
    assert len(listed) == len(repository.history.reachable("".join(new[-1:])))
    github.life.push(repository, 1, late=timedelta(days=30))
    since = stamp(NOW - timedelta(days=1))
    assert [row["sha"] for row in client.everything(f"/repos/acme-0/repo-0/commits?since={since}")] == new[::-1]
    answer = client.ask(f"/repos/acme-0/repo-0/compare/{before}...main").json()
    assert (answer["status"], answer["ahead_by"], answer["behind_by"]) == ("ahead", 4, 0)


def test_a_force_push_takes_the_old_head_away(github, client, repository) -> None:
    github.life.push(repository, 3)
    before = repository.history.branches["main"]
    github.life.force_push(repository)
    assert client.ask(f"/repos/acme-0/repo-0/compare/{before}...main").status_code == 404
    repository.history.commits.clear()
    assert client.ask("/repos/acme-0/repo-0/commits").status_code == 409


def test_runs_beyond_a_thousand_cannot_be_had(github, client, repository) -> None:
    repository.runs.clear()
    for _ in range(1100):
        github.life.start_run(repository)
        github.clock.advance(60)
    path = "/repos/acme-0/repo-0/actions/runs?per_page=100&created=2024-06-01..2024-06-02"
    assert client.ask(path).json()["total_count"] == 1100
    rows = client.everything(path, "workflow_runs")
    assert len(rows) == 1000
    assert [row["id"] for row in rows] == sorted(repository.runs, reverse=True)[:1000]
    narrow = "/repos/acme-0/repo-0/actions/runs?created=2024-06-01T12:00:00Z..2024-06-01T12:05:00Z"
    assert client.ask(narrow).json()["total_count"] == 6


def test_a_run_again(github, client, repository) -> None:
    repository.runs.clear()
    run = github.life.start_run(repository)
    github.life.finish_run(repository)
    github.clock.advance(timedelta(days=20))
    github.life.rerun(repository)
    found = client.ask(f"/repos/acme-0/repo-0/actions/runs/{run['id']}").json()
    assert (found["run_attempt"], found["created_at"]) == (2, stamp(NOW))
    assert found["updated_at"] == stamp(NOW + timedelta(days=20))
    path = f"/repos/acme-0/repo-0/actions/runs/{run['id']}/jobs"
    assert len(client.everything(path, "jobs")) == 1
    assert len(client.everything(f"{path}?filter=all", "jobs")) == 2


@pytest.mark.parametrize(
    ("text", "moment", "inside"),
    [
        ("2024-01-01..2024-01-02", "2024-01-02T23:59:59Z", True),
        ("2024-01-01..2024-01-02", "2024-01-03T00:00:00Z", False),
        ("2024-01-01T10:00:00Z..2024-01-01T11:00:00Z", "2024-01-01T11:00:00Z", True),
        (">=2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z", True),
        (">2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z", False),
        ("<2024-01-01", "2023-12-31T23:59:59Z", True),
        ("*..2024-01-01", "2024-01-01T12:00:00Z", True),
        ("2024-01-01", "2024-01-01T12:00:00Z", True),
    ],
)
def test_ranges(text, moment, inside) -> None:
    assert within(text)(moment) is inside


def test_searches_end_at_a_thousand(github, client, repository) -> None:
    for _ in range(1050):
        github.life.open_issue(repository)
    answer = client.ask("/search/issues", params={"q": "repo:acme-0/repo-0 is:issue", "per_page": 100, "page": 10})
    assert answer.json()["total_count"] > 1050
    assert "next" not in answer.links
    beyond = client.ask("/search/issues", params={"q": "repo:acme-0/repo-0 is:issue", "per_page": 100, "page": 11})
    assert beyond.status_code == 422
    found = client.ask("/search/repositories", params={"q": "org:acme-0"}).json()
    assert [row["full_name"] for row in found["items"]] == ["acme-0/repo-0", "acme-0/repo-1", "acme-0/repo-2"]


def test_a_renamed_repository_redirects(github, client, repository) -> None:
    github.life.rename(repository, "fresh")
    answer = client.ask("/repos/acme-0/repo-0/pulls?state=all", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (
        301, f"{github.url}/repositories/{repository.id}/pulls?state=all",
    )  # fmt: skip
    assert len(client.ask(answer.headers["Location"]).json()) == len(repository.pulls)


def test_repositories_that_refuse(github, client, repository) -> None:
    repository.refuses["releases"] = (451, "Repository access blocked")
    assert client.ask("/repos/acme-0/repo-0/releases").status_code == 451
    empty = github.world.add_repository("acme-0", "empty")
    empty.row["has_issues"] = False
    codes = {
        path: client.ask(f"/repos/acme-0/empty/{path}").status_code for path in ("commits", "contributors", "issues")
    }
    assert codes == {"commits": 409, "contributors": 204, "issues": 410}
    assert client.ask("/repos/acme-0/nothing").status_code == 404
    stats = "/repos/acme-0/repo-1/stats/contributors"
    assert [client.ask(stats).status_code, client.ask(stats).status_code] == [202, 200]


def test_stars_with_their_dates(client, repository) -> None:
    rows = client.everything("/repos/acme-0/repo-0/stargazers",
                             headers={"Accept": "application/vnd.github.star+json"})  # fmt: skip
    assert [(row["user"]["login"], row["starred_at"]) for row in rows] == [
        (user["login"], stamp(moment)) for user, moment in repository.stars
    ]


REVIEWS = """query($after: String) { repository(owner: "acme-0", name: "repo-0") {
  pullRequests(first: 2, after: $after, orderBy: {field: UPDATED_AT, direction: DESC}) {
    pageInfo { hasNextPage endCursor }
    nodes { number updatedAt state reviews(first: 100) { totalCount nodes { fullDatabaseId state commit { oid } } } }
  } } }
"""


def test_graphql_says_what_rest_says(client, repository) -> None:
    cursor, pulls = None, []
    while True:
        page = client.graphql(REVIEWS, after=cursor)["data"]["repository"]["pullRequests"]
        pulls += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
    assert all(left["updatedAt"] >= right["updatedAt"] for left, right in pairwise(pulls))
    assert {pull["number"]: [(int(each["fullDatabaseId"]), each["state"]) for each in pull["reviews"]["nodes"]]
            for pull in pulls} == {
        number: [(row["id"], row["state"]) for row in client.everything(f"/repos/acme-0/repo-0/pulls/{number}/reviews")]
        for number in repository.pulls
    }  # fmt: skip


def test_graphql_refuses_as_github_does(client) -> None:
    answer = client.graphql('{ gone: repository(owner: "a", name: "b") { id } viewer { login } }')
    assert answer["data"] == {"gone": None, "viewer": {"login": "viewer"}}
    assert (answer["errors"][0]["type"], answer["errors"][0]["path"]) == ("NOT_FOUND", ["gone"])
    start = 'query { repository(owner: "acme-0", name: "repo-0") { '
    assert client.graphql(start + "issues { nodes { id } } } }")["errors"][0]["type"] == "MISSING_PAGINATION_BOUNDARIES"
    assert (
        client.graphql(start + "issues(first: 101) { totalCount } } }")["errors"][0]["type"] == "EXCESSIVE_PAGINATION"
    )
    nested = (
        "pullRequests(first: 100) { nodes { reviews(first: 100) { nodes { comments(first: 100) { totalCount } } } } }"
    )
    assert client.graphql(f"{start}{nested} }} }}")["errors"][0]["type"] == "MAX_NODE_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("query", "points", "nodes"),
    [
        ("{ viewer { login } }", 1, 0),
        ("{ a(first: 50) { nodes { b(first: 10) { nodes { c } } } } }", 1, 550),
        ("query($n: Int!) { a(first: $n) { nodes { b(last: 50) { edges { c(first: 60) { d } } } } } }", 51, 305_100),
    ],
)
def test_the_cost_of_a_query(query, points, nodes) -> None:
    """The last is the example of GitHub's documentation: 1 + 100 + 100 * 50 requests are 51 points."""
    assert measured(query, {"n": 100}) == (points, nodes)


def test_an_enterprise_server() -> None:
    with FakeGitHub(1, base_path="/api/v3") as github, Client(github) as client:
        first = client.ask("/repos/acme-0/repo-0/issues?state=all&per_page=5")
        assert first.links["next"]["url"].startswith(f"{github.url}/repositories/")
        url = github.url.removesuffix("/v3") + "/graphql"
        assert client.post(url, json={"query": "{ viewer { login } }"}, timeout=5).json() == {
            "data": {"viewer": {"login": "viewer"}}
        }
