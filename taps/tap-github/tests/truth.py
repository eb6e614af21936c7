"""What GitHub holds, by stream: the keys of all rows, and of each what tells its newest state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fake_github.world import stamp

if TYPE_CHECKING:
    from fake_github import FakeGitHub
    from fake_github.world import Repository

Truth = dict[tuple[Any, ...], Any]

# By stream: which member of a row tells whether it is the newest state.
MARKS = {
    "issues": "updated_at", "issue_comments": "updated_at", "pull_requests": "updated_at",
    "review_comments": "updated_at", "reviews": "state", "pull_request_commits": "sha", "commits": "sha",
    "issue_events": "created_at", "labels": "name", "milestones": "updated_at", "releases": "created_at",
    "workflow_runs": "updated_at", "workflow_jobs": "status", "deployments": "updated_at",
    "deployment_statuses": "id", "stargazers": "starred_at", "events": "id", "repository_activity": "timestamp",
    "tags": "name", "branches": "name", "commit_comments": "updated_at", "discussions": "updated_at",
    "discussion_comments": "id", "discussion_replies": "id", "review_requests": "id", "subscribers": "login",
}  # fmt: skip


def truth(fake: FakeGitHub, stream: str) -> Truth:
    """All rows of a stream that GitHub has now."""
    found: Truth = {}
    for repository in fake.repositories:
        for key, mark in _rows(repository, stream):
            found[key] = mark
    return found


def _rows(repository: Repository, stream: str) -> list[tuple[tuple[Any, ...], Any]]:  # noqa: PLR0911
    number, mark = repository.id, MARKS[stream]
    by_id = {
        "issues": repository.issues.values(),
        "issue_comments": repository.comments.values(),
        "pull_requests": repository.pulls.values(),
        "review_comments": repository.review_comments.values(),
        "reviews": [row for rows in repository.reviews.values() for row in rows],
        "issue_events": repository.events,
        "labels": repository.labels,
        "milestones": repository.milestones,
        "releases": repository.releases,
        "deployments": repository.deployments,
        "deployment_statuses": [row for rows in repository.statuses.values() for row in rows],
        "events": repository.public_events[-300:],
        "repository_activity": repository.activity,
        "commit_comments": repository.commit_comments,
        "workflow_jobs": [row for rows in repository.jobs.values() for row in rows],
    }
    if stream in by_id:
        return [((row["id"],), row[mark]) for row in by_id[stream]]
    comments = [comment for row in repository.discussions for comment in row["comments"]]
    of_graphql = {
        "discussions": repository.discussions,
        "discussion_comments": comments,
        "discussion_replies": [reply for comment in comments for reply in comment["replies"]],
        "review_requests": [row for rows in repository.review_requests.values() for row in rows],
    }
    if stream in of_graphql:
        rows = of_graphql[stream]
        return [((row["node_id"],), row["node_id"] if mark == "id" else row[mark]) for row in rows]
    if stream == "workflow_runs":
        return [((number, row["id"]), row[mark]) for row in repository.runs.values()]
    if stream == "stargazers":
        return [((number, user["id"]), stamp(moment)) for user, moment in repository.stars]
    if stream == "subscribers":
        return [((number, user["id"]), user["login"]) for user in repository.subscribers]
    if stream == "tags":
        return [((number, name), name) for name in repository.tags]
    if stream == "branches":
        return [((number, name), name) for name in repository.history.branches]
    if stream == "pull_request_commits":
        return [((number, pull, sha), sha) for pull, shas in repository.pull_commits.items() for sha in shas]
    assert stream == "commits"
    tip = repository.history.branches.get(repository.default_branch)
    return [((number, commit.sha), commit.sha) for commit in repository.history.reachable(tip)] if tip else []
