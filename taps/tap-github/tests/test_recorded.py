"""Answers that GitHub really gave: its headers, its links, its redirects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from harness import Run, sync

from singer_kit.testing.api import Answer, FakeApi, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

FIXTURES = Path(__file__).parent / "fixtures"
GITHUB = "https://api.github.com"
OWNER = "octokit-fixture-org"
HEADERS = {"link", "etag", "location", "content-type", "x-ratelimit-limit", "x-ratelimit-remaining",
           "x-ratelimit-reset", "x-ratelimit-resource", "last-modified"}  # fmt: skip


class Recording:
    """A server that repeats a scenario. Sizes of pages and filters are those that were recorded."""

    def __init__(self, name: str) -> None:
        self.api = FakeApi()
        self._answers: dict[str, Any] = {}
        for exchange in json.loads((FIXTURES / f"{name}.json").read_text()):
            path, _, query = exchange["path"].partition("?")
            self._answers[f"{path}?{query}" if "page=" in query.replace("per_page=", "") else path] = exchange
        repository = json.loads((FIXTURES / "rename-repository.json").read_text())[1]["response"]
        full_name = f"{OWNER}/{name}"
        self._repository = {**repository, "name": name, "full_name": full_name,
                            "owner": {**repository["owner"], "login": OWNER}}  # fmt: skip
        self.api.route("GET", "/{path:path}", self._answer, described=False)

    @property
    def url(self) -> str:
        return self.api.url

    def _answer(self, request: Request) -> Answer:
        page = request.query.get("page")
        recorded = self._answers.get(f"{request.path}?per_page=3&page={page}" if page else request.path)
        if recorded is None and request.path == f"/repos/{self._repository['full_name']}":
            return Answer(self._repository)
        if recorded is None:
            return Answer({"message": "Not Found"}, 404)
        headers = {
            name: value.replace(GITHUB, request.root) for name, value in recorded["headers"].items() if name in HEADERS
        }
        body = json.loads(json.dumps(recorded["response"]).replace(GITHUB, request.root))
        return Answer(body, recorded["status"], headers)


@pytest.fixture
def replay() -> Iterator[Any]:
    servers: list[Recording] = []

    def run(name: str, *streams: str, **settings: Any) -> Run:
        recording = Recording(name)
        servers.append(recording)
        recording.api.__enter__()
        chosen = {"organizations": [], "repositories": [f"{OWNER}/{name}"], "use_graphql": False, **settings}
        found = sync(recording, *streams, **chosen)
        for stream in streams:
            validator = jsonschema.Draft7Validator(found.of("SCHEMA", stream)[-1]["schema"])
            for row in found.records(stream):
                validator.validate(row)
        return found

    yield run
    for recording in servers:
        recording.api.__exit__(None, None, None)


def test_issues_of_five_pages_with_one_time(replay) -> None:
    """Links bear the repository's number, and all rows have the same `updated_at`: only pages tell them apart."""
    run = replay("paginate-issues", "issues")
    assert {row["number"] for row in run.records("issues")} == set(range(1, 14))
    assert len(run.records("issues")) == 13
    (state,) = run.state["bookmarks"]["issues"]["partitions"]
    assert state["replication_key_value"] == "2017-10-10T16:00:00Z"
    assert len(state["at"]) == 13


def test_a_renamed_repository(replay) -> None:
    """301 to `/repositories/{id}`."""
    (row,) = replay("rename-repository", "repositories").records("repositories")
    assert row["name"] == "rename-repository-newname"
    assert row["repo"] == row["name"]


def test_labels(replay) -> None:
    run = replay("labels", "labels")
    assert {row["name"] for row in run.records("labels")} >= {"bug", "wontfix"}
    assert len(run.records("labels")) == 9


def test_an_organization(replay) -> None:
    run = replay("get-organization", "organizations", organizations=[OWNER], repositories=[])
    (row,) = run.records("organizations")
    assert (row["org"], row["login"]) == (OWNER, OWNER)
