"""Every stream over the fake GitHub, which refuses what GitHub's own descriptions do not allow."""

from __future__ import annotations

import json

import jsonschema
import pytest
from fake_github import FakeGitHub
from harness import EVERYTHING, key_of, sync
from truth import MARKS, truth

from tap_github.streams.stream import SCHEMAS
from tap_github.streams.table import STREAMS

# What a repository of the fake has none of, or denies.
ABSENT = {"artifacts", "forks", "dependabot_alerts", "code_scanning_alerts", "secret_scanning_alerts",
          "security_advisories", "user_repositories", "search_counts"}  # fmt: skip


@pytest.fixture(scope="module")
def fake():
    with FakeGitHub(repositories=3, events=500) as fake:
        fake.life.add_project(fake.world.organizations["acme-0"])
        fake.clock.advance(3600)  # nothing is so young that others may still come in beside it
        yield fake


@pytest.fixture(scope="module", autouse=True)
def _no_patience():
    patch = pytest.MonkeyPatch()
    patch.setattr("tap_github.client._PATIENCE", (0.0,) * 3)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def run(fake):
    return sync(fake, *EVERYTHING, users=["acme-0-dev0"])


@pytest.mark.parametrize("stream", [name for name in STREAMS if name not in ABSENT])
def test_records_match_the_schema_and_their_keys_are_unique(run, stream: str) -> None:
    rows = run.records(stream)
    assert rows
    schema = run.of("SCHEMA", stream)[-1]
    validator = jsonschema.Draft7Validator(schema["schema"], format_checker=jsonschema.FormatChecker())
    for row in rows:
        validator.validate(row)
    assert schema["key_properties"] == list(STREAMS[stream].key)
    keys = [key_of(stream, row) for row in rows]
    assert len(set(keys)) == len(keys)
    assert not any(value is None for key in keys for value in key)


@pytest.mark.parametrize("stream", MARKS)
def test_a_first_run_brings_all_that_there_is(fake, run, stream: str) -> None:
    mark = MARKS[stream]
    found = {key: row[mark] for key, row in run.rows(stream).items()}
    assert found == truth(fake, stream)


def test_rows_say_which_repository_they_are_of(fake, run) -> None:
    names = {(each.row["owner"]["login"], each.row["name"], each.id) for each in fake.repositories}
    for stream, spec in STREAMS.items():
        if spec.scope == "repository":
            assert {(row["org"], row["repo"], row["repo_id"]) for row in run.records(stream)} <= names


def test_derived_columns(fake, run) -> None:
    by_url = {issue["url"]: issue["number"] for each in fake.repositories for issue in each.issues.values()}
    for row in run.records("issue_comments"):
        assert row["issue_number"] == by_url[row["issue_url"]]
        assert row["user_id"] == (row["user"] or {}).get("id")
    for row in run.records("review_comments"):
        assert row["pull_request_url"].endswith(f"/{row['pull_number']}")
    for row in run.records("commits"):
        assert row["committed_at"] == row["commit"]["committer"]["date"]
        assert row["authored_at"] == row["commit"]["author"]["date"]
    pulls = {row["number"] for row in run.records("issues") if row["is_pull_request"]}
    assert pulls == {row["number"] for row in run.records("pull_requests")}
    assert any(row["contributor_key"] == "anon:ghost@example.org" for row in run.records("contributors"))


def test_graphql_brings_the_rows_of_rest(fake, run) -> None:
    """Streams that GraphQL batches are the same without it, but for URLs that are made of the API's address."""
    batched = [name for name, spec in STREAMS.items() if spec.batched and spec.path]
    plain = sync(fake, *batched, use_graphql=False)
    lacking = {"reviews": {"body_html", "body_text"}}
    for stream in batched:
        rest, graphql = plain.rows(stream), run.rows(stream)
        assert rest.keys() == graphql.keys()
        for key, row in rest.items():
            other = json.loads(json.dumps(graphql[key]).replace(fake.url, "https://api.github.com"))
            for name in row.keys() - lacking.get(stream, set()):
                assert _comparable(stream, name, other.get(name)) == _comparable(stream, name, row[name]), (
                    stream,
                    name,
                )


def _comparable(stream: str, name: str, value):
    if name in {"node_id", "avatar_url", "gravatar_id", "zipball_url", "tarball_url", "url", "html_url"}:
        return None  # the fake's tags and users have those of GitHub's examples
    if isinstance(value, dict):
        return {each: _comparable(stream, each, item) for each, item in value.items() if each != "user_view_type"}
    if isinstance(value, list):
        return [_comparable(stream, name, item) for item in value]
    return value


def test_an_unchanged_second_run_sends_nothing_and_costs_next_to_nothing(fake, run) -> None:
    fake.api.forget()
    again = sync(fake, *EVERYTHING, users=["acme-0-dev0"], state=run.state)
    assert again.records() == []
    assert again.state == run.state
    # Asked for in full: the listing of repositories (twice, by owner and by user), the teams and the organization,
    # whose members must be known; and what the fake denies.
    paid = [each for each in fake.api.log if each.status == 200 and each.request.method == "GET"
            and each.template != "/rate_limit"]  # fmt: skip
    assert len(paid) <= 4
    assert len(fake.api.log.of("/graphql")) <= 8


def test_off_by_default_are_the_streams_that_cost_a_request_a_row(fake) -> None:
    off = {name for name, spec in STREAMS.items() if not spec.selected}
    assert off == {
        "commit_details", "check_runs", "pull_request_details", "pull_request_files", "issue_timeline",
        "workflow_run_attempts", "artifacts", "search_counts",
    }  # fmt: skip
    announced = {each["stream"] for each in sync(fake).of("SCHEMA")}
    assert announced == STREAMS.keys() - off


def test_deselected_columns_are_left_out(fake) -> None:
    def change(catalog) -> None:
        (entry,) = [each for each in catalog["streams"] if each["tap_stream_id"] == "issues"]
        for item in entry["metadata"]:
            if item["breadcrumb"] == ["properties", "body"]:
                item["metadata"]["selected"] = False

    rows = sync(fake, "issues", change=change).records("issues")
    assert rows
    assert not any("body" in row for row in rows)


def test_schemas_are_nullable_but_for_keys() -> None:
    for name, spec in STREAMS.items():
        schema = json.loads((SCHEMAS / f"{name}.json").read_text())
        for column, value in schema["properties"].items():
            assert ("null" in value["type"]) == (column not in spec.key), (name, column)
        assert spec.replication_key is None or spec.replication_key in schema["properties"], name
    assert {path.stem for path in SCHEMAS.glob("*.json")} == STREAMS.keys()
