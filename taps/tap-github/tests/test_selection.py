"""Which repositories are read."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fake_github import FakeGitHub
from harness import sync

from singer_kit.errors import ConfigurationError


@pytest.fixture(scope="module")
def fake():
    with FakeGitHub(organizations=2, repositories=2, events=0) as fake:
        for name, values in {
            "web-shop": {}, "web-old": {"archived": True}, "fork": {"fork": True}, "secret": {"private": True},
            "off": {"disabled": True},
        }.items():  # fmt: skip
            fake.world.add_repository("acme-0", name).row.update(values)
        yield fake


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"organizations": ["acme-0"]}, "repo-0 repo-1 web-shop web-old fork secret"),
        ({"repositories": ["acme-0/repo-1"]}, "repo-1"),
        ({"repositories": ["ACME-0/Repo-1", "acme-0/repo-1"]}, "repo-1"),
        ({"repositories": ["acme-0/web-*"]}, "web-shop web-old"),
        ({"repositories": ["acme-0/*", "!acme-0/repo-*"]}, "web-shop web-old fork secret"),
        ({"repositories": ["acme-0/web-*", "acme-0/repo-0"], "include_archived": False}, "web-shop repo-0"),
        ({"organizations": ["acme-0"], "include_forks": False}, "repo-0 repo-1 web-shop web-old secret"),
        ({"organizations": ["acme-0"], "include_disabled": True, "include_forks": False, "include_archived": False},
         "repo-0 repo-1 web-shop secret off"),
        ({"organizations": ["acme-0"], "visibility": "private"}, "secret"),
        ({"organizations": ["acme-0"], "repositories": ["!acme-0/web-*"]}, "repo-0 repo-1 fork secret"),
        ({"searches": [{"name": "web", "query": "web org:acme-0"}]}, "web-shop web-old"),
        ({"searches": [{"name": "web", "query": "web org:acme-0"}], "repositories": ["acme-0/repo-0"]},
         "repo-0 web-shop web-old"),
    ],
)  # fmt: skip
def test_patterns(fake, settings, names: str) -> None:
    chosen = {"organizations": [], **settings}
    run = sync(fake, "repositories", "labels", **chosen)
    assert {row["name"] for row in run.records("repositories")} == set(names.split())
    assert {row["repo"] for row in run.records("labels")} == set(names.split())
    ids = [row["id"] for row in run.records("labels")]
    assert len(ids) == len(set(ids)) == 3 * len(names.split())


def test_organizations_together(fake) -> None:
    run = sync(fake, "organizations", "repositories", organizations=["acme-0", "acme-1"])
    assert {row["login"] for row in run.records("organizations")} == {"acme-0", "acme-1"}
    assert {row["org"] for row in run.records("repositories")} == {"acme-0", "acme-1"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"organizations": []}, "Nothing is selected"),
        ({"repositories": ["shop"]}, "'shop' is no repository"),
        ({"repositories": ["*/shop"]}, "'*/shop' is no repository"),
    ],
)
def test_mistakes(fake, settings, words: str) -> None:
    run = sync(fake, "labels", fails=True, **settings)
    assert isinstance(run.error, ConfigurationError)
    assert words in str(run.error)


def test_a_repository_whose_stars_change_is_sent_again(fake) -> None:
    run = sync(fake, "repositories")
    fake.clock.advance(timedelta(days=1))
    repository = next(each for each in fake.repositories if each.full_name == "acme-0/repo-1")
    repository.row.update(stargazers_count=7)  # which does not move `updated_at`
    again = sync(fake, "repositories", state=run.state)
    assert [(row["name"], row["stargazers_count"]) for row in again.records("repositories")] == [("repo-1", 7)]
    assert sync(fake, "repositories", state=again.state).records() == []


def test_counts_of_searches(fake) -> None:
    for _ in range(3):
        fake.life.open_issue(fake.repositories[0])
    chosen = {"search_counts": [{"name": "all", "query": "is:issue org:acme-0"}], "start_date": "2024-04-15T00:00:00Z"}
    rows = sync(fake, "search_counts", **chosen).records("search_counts")
    assert [(row["name"], row["window_start"][:7], row["total_count"]) for row in rows] == [
        ("all", "2024-04", 0), ("all", "2024-05", 0), ("all", "2024-06", 3)]  # fmt: skip
