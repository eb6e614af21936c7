"""A fake organisation on GitHub through `ipai run` into Bronze, and on into Gold, whatever happens on the way."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipai.errors import RunFailedError
from singer_kit.testing.api import Answer, Fault

sys.path.insert(0, str(Path(__file__).parents[2] / "taps" / "tap-github" / "tests"))

from fake_github import TOKEN, FakeGitHub
from truth import truth

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("github")]

KEYS = {
    "commits": ("repo_id", "sha"), "issues": ("id",), "issue_comments": ("id",), "labels": ("id",),
    "pull_requests": ("id",), "pull_request_commits": ("repo_id", "pull_number", "sha"), "reviews": ("id",),
    "review_comments": ("id",), "workflow_runs": ("repo_id", "id"), "workflow_jobs": ("id",),
}  # fmt: skip
MARKS = {"issues": "updated_at", "pull_requests": "updated_at", "issue_comments": "updated_at",
         "review_comments": "updated_at", "workflow_runs": "updated_at", "reviews": "state"}  # fmt: skip
STREAMS = ["repositories", *KEYS]
INSTANCE = "test_github"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(seed=5, repositories=4, events=600) as fake:
        yield fake


@pytest.fixture
def declared(lake: Any, github: FakeGitHub, plugin_path: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PATH", plugin_path)
    monkeypatch.setenv("GITHUB_TOKEN_OF_TEST", TOKEN)
    config = {"organizations": ["acme-0"], "auth_token": "${env:GITHUB_TOKEN_OF_TEST}", "api_url": github.url}
    lake.declare(instance={
        "kind": "instance", "name": INSTANCE, "streams": STREAMS,
        "source": {"connector": "github", "config": {**config, "requests_per_second": 0}},
        "destination": {"connector": "postgres", "config": {"sanitize_null_text_characters": True}},
    })  # fmt: skip
    return lake


def differences(lake: Any, github: FakeGitHub) -> list[str]:
    """Streams whose rows in Bronze are not those of GitHub, key by key, with what tells the newest state."""
    found = []
    for stream, keys in KEYS.items():
        mark = MARKS.get(stream, keys[-1])
        value = f'to_char({mark}, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')' if mark == "updated_at" else mark
        rows = lake.bronze.rows(f"select {', '.join(keys)}, {value} from bronze.raw_github_{stream}")
        expected = truth(github, stream)
        wanted = {key: mark_of if stream in MARKS else key[-1] for key, mark_of in expected.items()}
        if {row[:-1]: row[-1] for row in rows} != wanted or len(rows) != len(wanted):
            found.append(f"{stream}: {len(rows)} rows, {len(wanted)} wanted")
    return found


def children(command: str) -> list[int]:
    """Processes of a plugin that this process has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == os.getpid() and any(word.endswith(command.encode()) for word in words):
                found.append(int(entry.name))
    return found


def test_an_organisation_killed_limited_and_changed(declared: Any, github: FakeGitHub) -> None:
    lake = declared
    killed: list[int] = []

    def kill() -> None:
        for pid in children("tap-github"):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    github.api.after(45, kill)
    with pytest.raises(RunFailedError) as failure:
        lake.platform.run(INSTANCE)
    assert killed, failure.value

    # A secondary limit in the middle of the run that goes on: one wait as long as it says, and nothing is lost.
    refusal = Answer({"message": "You have exceeded a secondary rate limit."}, 403, {"retry-after": "2"})
    limited = github.api.fault(Fault(refusal), nth=20)
    before = len(github.api.log)
    lake.platform.run(INSTANCE)
    assert limited.seen >= 20
    assert [exchange.status for exchange in github.api.log[before:]].count(403) == 1
    assert differences(lake, github) == []

    # What has changed since comes, and a member that nobody knew is told of as drift and stored.
    github.api.forget()
    github.mutate(40)
    for repository in github.repositories:
        for label in repository.labels:
            label["flavour"] = "sour"
    lake.platform.run(INSTANCE)
    assert differences(lake, github) == []
    assert lake.bronze.rows("select distinct flavour from bronze.raw_github_labels") == [("sour",)]
    assert ("labels", "flavour", "added") in {
        (change.stream, change.property, change.kind) for change in lake.platform.drift.all(INSTANCE)
    }

    # Nothing has changed: no row comes again, and GitHub's limit is not touched.
    github.api.forget()
    used = github.core.used(TOKEN)
    moved = lake.moved(lake.platform.run(INSTANCE))
    assert moved == {}
    assert github.core.used(TOKEN) - used <= 5
    assert TOKEN not in str(lake.bronze.rows("select message from connectors.connector_run_logs"))

    results = lake.platform.transform()
    assert {each.status for each in results} <= {"success", "pass"}
    ((merged,),) = lake.bronze.rows("select sum(pull_requests_merged) from gold.gold_engineering_delivery")
    assert merged == sum(pull["merged_at"] is not None for each in github.repositories for pull in each.pulls.values())
