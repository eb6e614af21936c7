"""Silver and Gold on Bronze as tap-github fills it: one repository, three weeks, every number worked out by hand."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
TYPES = {
    "commits": "repo_id bigint, org text, repo text, sha text, committed_at timestamptz, authored_at timestamptz, "
    "commit jsonb, author jsonb, parents jsonb, html_url text",
    "issues": "id bigint, repo_id bigint, org text, repo text, number bigint, title text, state text, "
    'is_pull_request boolean, pull_request jsonb, user_id bigint, user_login text, "user" jsonb, labels jsonb, '
    "assignees jsonb, comments bigint, created_at timestamptz, updated_at timestamptz, closed_at timestamptz",
    "pull_requests": "id bigint, repo_id bigint, org text, repo text, number bigint, title text, state text, "
    'draft boolean, user_id bigint, user_login text, "user" jsonb, labels jsonb, base jsonb, head jsonb, '
    "created_at timestamptz, updated_at timestamptz, closed_at timestamptz, merged_at timestamptz",
    "reviews": "id bigint, repo_id bigint, pull_number bigint, user_id bigint, user_login text, state text, "
    "submitted_at timestamptz",
    "pull_request_commits": "repo_id bigint, pull_number bigint, sha text, authored_at timestamptz, "
    "committed_at timestamptz",
}
LINEAGE = "_sdc_extracted_at timestamptz, _sdc_deleted_at timestamptz, _sdc_sequence bigint"


def at(days: float) -> str:
    """Days after the first Monday."""
    return (MONDAY + timedelta(days=days)).isoformat()


class Bronze:
    def __init__(self, project) -> None:
        self.project = project
        self.sequence = 0
        project.execute("create schema bronze")
        for table, columns in TYPES.items():
            project.execute(f"create table bronze.raw_github_{table} ({columns}, {LINEAGE})")

    def add(self, table: str, **row) -> None:
        self.sequence += 1
        row = {"repo_id": 7, "_sdc_sequence": self.sequence, "_sdc_extracted_at": at(30), **row}
        if table in {"commits", "issues", "pull_requests"}:
            row = {"org": "acme", "repo": "shop", **row}
        text = json.dumps(row).replace("'", "''")
        name = f"bronze.raw_github_{table}"
        self.project.execute(f"insert into {name} select * from jsonb_populate_record(null::{name}, '{text}')")

    def pull(self, number: int, opened: float, *, author: int = 1, **row) -> None:
        self.add(
            "pull_requests",
            **{
                "id": 100 + number, "number": number, "title": f"Change {number}", "state": "open", "user_id": author,
                "user_login": f"user{author}", "user": {"type": "User"}, "labels": [], "base": {"ref": "main"},
                "head": {"ref": f"topic-{number}"}, "created_at": at(opened), "updated_at": at(opened), **row,
            },
        )  # fmt: skip

    def review(self, number: int, when: float | None, *, by: int, state: str = "APPROVED") -> None:
        submitted = None if when is None else at(when)
        self.add("reviews", id=1000 + self.sequence, pull_number=number, user_id=by, user_login=f"user{by}",
                 state=state, submitted_at=submitted)  # fmt: skip

    def commit(self, sha: str, when: float, **row) -> None:
        author = row.pop("author", {"id": 1, "login": "user1", "type": "User"})
        self.add("commits", sha=sha, committed_at=at(when), authored_at=at(when), author=author, parents=[{}],
                 commit={"message": f"{sha}\n\nMore", "author": {"name": "N", "email": "n@x"}}, **row)  # fmt: skip


@pytest.fixture
def bronze(project) -> Bronze:
    return Bronze(project)


def test_delivery(bronze, project) -> None:
    # Opened on the first Tuesday, reviewed after a day, merged two days later; written from a day before its opening.
    bronze.pull(1, 1, state="closed", closed_at=at(4), merged_at=at(4), labels=[{"name": "ui"}, {"name": "fix"}])
    bronze.review(1, 1.5, by=1, state="COMMENTED")  # the author's own
    bronze.review(1, None, by=2, state="PENDING")
    bronze.review(1, 2, by=2, state="CHANGES_REQUESTED")
    bronze.review(1, 3.5, by=2)
    for sha, when in (("a", 0.0), ("b", 1.5)):
        bronze.add("pull_request_commits", pull_number=1, sha=sha, authored_at=at(when), committed_at=at(when))
    # Opened in the first week, merged in the second, never reviewed, no commits known.
    bronze.pull(2, 6, author=2, state="closed", closed_at=at(8), merged_at=at(8), user={"type": "Bot"})
    # Rejected in the third week. Its older version, still open, came first.
    bronze.pull(3, 7)
    bronze.pull(3, 7, state="closed", closed_at=at(14))
    # Deleted.
    bronze.pull(4, 7)
    bronze.pull(4, 7, _sdc_deleted_at=at(8))
    bronze.commit("c1", 0)
    bronze.commit("c1", 0)  # read again
    bronze.commit("c2", 6.99, author=None)
    bronze.commit("c3", 7)
    issue = {"user_id": 1, "user_login": "user1", "state": "closed", "updated_at": at(9), "comments": 3}
    bronze.add("issues", id=1, number=9, created_at=at(0.25), closed_at=at(8.5), labels=["bug"], is_pull_request=False,
               assignees=[{"login": "user2"}, {"login": "user3"}], **issue)  # fmt: skip
    bronze.add(
        "issues", id=2, number=1, created_at=at(1), closed_at=at(4), is_pull_request=True, pull_request={}, **issue
    )

    outcome = project("build", "--select", "source:github+")
    assert outcome.code == 0, outcome.said
    assert outcome.named("pass") >= {"delivery_equals_bronze"}

    columns = (
        "week, commits, commit_authors, pull_requests_opened, pull_requests_merged, pull_requests_rejected, "
        "pull_requests_reviewed, lead_time_hours_median, lead_time_hours_p90, hours_to_first_review_median, "
        "hours_in_review_median, issues_opened, issues_closed, repository"
    )
    hours = [Decimal(number) for number in ("96.00", "96.00", "24.00", "48.00")]
    assert project.rows(f"select {columns} from gold.gold_engineering_delivery order by week") == [
        (date(2026, 3, 2), 2, 2, 2, 1, 0, 1, *hours, 1, 0, "acme/shop"),
        (date(2026, 3, 9), 1, 1, 1, 1, 0, 0, None, None, None, None, 0, 1, "acme/shop"),
        (date(2026, 3, 16), 0, 0, 0, 0, 1, 0, None, None, None, None, 0, 0, "acme/shop"),
    ]
    assert project.rows(
        "select number, is_merged, labels, base_branch, head_branch, commit_count, review_count, reviewer_count, "
        "approval_count, change_request_count, is_by_bot, hours_to_merge "
        "from silver.github_pull_requests order by number"
    ) == [
        (1, True, "ui, fix", "main", "topic-1", 2, 2, 1, 1, 1, False, Decimal("72.00")),
        (2, True, None, "main", "topic-2", None, 0, 0, 0, 0, True, Decimal("48.00")),
        (3, False, None, "main", "topic-3", None, 0, 0, 0, 0, False, None),
    ]
    assert project.rows("select number, labels, assignees, hours_to_close, comments from silver.github_issues") == [
        (9, "bug", "user2, user3", Decimal("198.00"), 3)
    ]
    assert project.rows(
        "select commit_key, title, message, author_login, author_email, is_merge from silver.github_commits order by 1"
    ) == [(f"7:{sha}", sha, f"{sha}\n\nMore", login, "n@x", False) for sha, login in
          (("c1", "user1"), ("c2", None), ("c3", "user1"))]  # fmt: skip


def test_weeks_begin_in_the_time_zone_of_the_var(bronze, project) -> None:
    bronze.commit("c", 6.99)
    outcome = project("build", "--select", "source:github+", timezone="Asia/Tokyo")
    assert outcome.code == 0, outcome.said
    assert project.rows("select week from gold.gold_engineering_delivery") == [(date(2026, 3, 9),)]


def test_streams_that_nobody_selected_leave_their_columns_empty(bronze, project) -> None:
    project.execute("drop table bronze.raw_github_reviews, bronze.raw_github_pull_request_commits")
    bronze.pull(1, 1, state="closed", closed_at=at(4), merged_at=at(4))
    outcome = project("build", "--select", "source:github+")
    assert outcome.code == 0, outcome.said
    assert project.rows(
        "select review_count, first_review_at, lead_time_hours, hours_to_merge from silver.github_pull_requests"
    ) == [(0, None, None, Decimal("72.00"))]


# Each statement breaks one thing; the test named by it must say so.
BREAKAGES = {
    "delivery_equals_bronze": "update gold.gold_engineering_delivery set pull_requests_merged = 2",
    "one_row_per_live_key_github_commits": "update bronze.raw_github_commits set _sdc_deleted_at = now()",
    "one_row_per_live_key_github_issues": "delete from silver.github_issues",
    "one_row_per_live_key_github_pull_requests": "insert into silver.github_pull_requests "
    "select * from silver.github_pull_requests",
    "not_null_gold_engineering_delivery_week": "update gold.gold_engineering_delivery set week = null",
}


def test_every_data_test_can_fail(bronze, project) -> None:
    bronze.pull(1, 1, state="closed", closed_at=at(4), merged_at=at(4))
    bronze.commit("c", 1)
    bronze.add("issues", id=1, number=9, created_at=at(0.25), state="open")
    outcome = project("build", "--select", "source:github+")
    assert outcome.code == 0, outcome.said
    for statement in BREAKAGES.values():
        project.execute(statement)
    outcome = project("test", "--select", "source:github+")
    assert not outcome.named("error"), outcome.said
    assert [name for name in BREAKAGES if not any(each.startswith(name) for each in outcome.named("fail"))] == []


def test_a_lake_without_odoo_gets_what_it_has_bronze_for(bronze, project, tmp_path) -> None:
    from ipai.service import Platform

    bronze.commit("c", 1)
    platform = Platform(tmp_path / "home", project.url)
    names = {result.name for result in platform.transform()}
    assert "github_commits" in names
    assert not [name for name in names if "odoo" in name]
