"""All streams. Sources: GitHub's REST reference (the paths) and its GraphQL schema.

Each line says what a stream is; how the walks read is told in `tap_github.walks`.
"""

from __future__ import annotations

from datetime import timedelta

from tap_github import rows
from tap_github.streams.spec import StreamSpec

_REPO = "/repos/{owner}/{repo}"
_ALL = {"state": "all"}
_NEWEST = {"sort": "updated", "direction": "desc"}
_GONE, _HIDDEN, _NO_ACCESS = frozenset({404}), frozenset({403, 404}), frozenset({403})
_TOO_LARGE = frozenset({404, 422})
_STAR = "application/vnd.github.star+json"
_COMMIT_DATES = ("committed_at", "authored_at")
_USER = ("user_id", "user_login")
_PULL_UPDATED = "pull_request_updated_at"
_PULL = {"pull_number": "number", _PULL_UPDATED: "updated_at"}
_RUN = {"run_id": "id", "run_updated_at": "updated_at"}
_DISCUSSION = {"discussion_id": "id", "discussion_number": "number", "discussion_updated_at": "updated_at"}

ORGANIZATIONS = (
    StreamSpec("organizations", "/orgs/{org}", scope="organization", paged=False),
    StreamSpec(
        "organization_members", "/orgs/{org}/members", ("org", "id"), scope="organization",
        variants=({"role": "admin"}, {"role": "member"}), tolerate=_NO_ACCESS,
    ),
    StreamSpec(
        "outside_collaborators", "/orgs/{org}/outside_collaborators", ("org", "id"), scope="organization",
        tolerate=frozenset({403, 422}),
    ),
    StreamSpec("teams", "/orgs/{org}/teams", scope="organization", tolerate=_HIDDEN),
    StreamSpec(
        "team_members", "/orgs/{org}/teams/{team_slug}/members", ("team_id", "id"), scope="organization",
        leader="teams", inherit={"team_id": "id", "team_slug": "slug"},
        variants=({"role": "member"}, {"role": "maintainer"}), tolerate=_GONE,
    ),
    StreamSpec(
        "team_repositories", "/orgs/{org}/teams/{team_slug}/repos", ("team_id", "id"), scope="organization",
        leader="teams", inherit={"team_id": "id", "team_slug": "slug"}, tolerate=_GONE,
    ),
    StreamSpec(
        "projects_v2", scope="organization", walk="projects", replication_key="updated_at", batched=rows.project,
        tolerate=_HIDDEN,
    ),
    StreamSpec(
        "project_items", scope="organization", leader="projects_v2", replication_key="updated_at",
        tolerate=_GONE,
        inherit={"project_id": "id", "project_number": "number"}, batched=rows.project_item,
    ),
)  # fmt: skip

# Read first: the others learn from it which repositories there are.
REPOSITORIES = StreamSpec(
    "repositories", "/orgs/{org}/repos", walk="repositories", scope="all", replication_key="updated_at", params=_NEWEST
)

CODE = (
    StreamSpec(
        "branches", f"{_REPO}/branches", ("repo_id", "name"), tolerate=_GONE, counted=("branches",),
    ),
    StreamSpec(
        "tags", f"{_REPO}/tags", ("repo_id", "name"), walk="connection", tolerate=_GONE, batched=rows.tag,
    ),
    StreamSpec(
        "commits", f"{_REPO}/commits", ("repo_id", "sha"), walk="commits", replication_key="committed_at",
        columns=_COMMIT_DATES, tolerate=_GONE, empty=frozenset({409}), counted=("branches",), batched=rows.commit,
    ),
    StreamSpec(
        "commit_details", f"{_REPO}/commits/{{ref}}", ("repo_id", "sha"), leader="commits", fill={"ref": "sha"},
        replication_key="committed_at", columns=_COMMIT_DATES, goes_on="files", tolerate=_TOO_LARGE, selected=False,
    ),
    StreamSpec(
        "check_runs", f"{_REPO}/commits/{{ref}}/check-runs", leader="commits", fill={"ref": "sha"},
        replication_key="started_at", params={"filter": "all"}, records="check_runs",
        tolerate=_TOO_LARGE, selected=False,
    ),
    StreamSpec(
        "commit_comments", f"{_REPO}/comments", replication_key="updated_at", columns=_USER,
        tolerate=_GONE, counted=("commit_comments",),
    ),
    StreamSpec(
        "languages", f"{_REPO}/languages", ("repo_id", "language"), walk="connection", tolerate=_GONE,
        unpack=rows.languages, batched=rows.language, paged=False,
    ),
    StreamSpec("readme", f"{_REPO}/readme", ("repo_id",), empty=_GONE, counted=("branches",), paged=False),
    StreamSpec("community_profile", f"{_REPO}/community/profile", ("repo_id",), tolerate=_GONE, paged=False),
    StreamSpec("topics", f"{_REPO}/topics", ("repo_id", "topic"), tolerate=_GONE, unpack=rows.topics),
    StreamSpec(
        "custom_properties", f"{_REPO}/properties/values", ("repo_id", "property_name"), tolerate=_HIDDEN, paged=False,
    ),
    StreamSpec("releases", f"{_REPO}/releases", tolerate=_GONE, counted=("releases",)),
    StreamSpec(
        "release_assets", f"{_REPO}/releases/{{release_id}}/assets", leader="releases",
        inherit={"release_id": "id"}, tolerate=_GONE, within="assets",
    ),
)  # fmt: skip

PULL_REQUESTS = (
    StreamSpec(
        "pull_requests", f"{_REPO}/pulls", walk="newest", replication_key="updated_at", params={**_ALL, **_NEWEST},
        columns=_USER, tolerate=_GONE, moved="pull_requests", deletable=False,
    ),
    StreamSpec(
        "pull_request_details", leader="pull_requests", replication_key="updated_at",
        tolerate=_GONE,
        batched=rows.pull_request_detail, selected=False,
    ),
    StreamSpec(
        "pull_request_commits", f"{_REPO}/pulls/{{pull_number}}/commits", ("repo_id", "pull_number", "sha"),
        leader="pull_requests", replication_key=_PULL_UPDATED,
        inherit=_PULL, columns=_COMMIT_DATES, tolerate=_GONE,
        batched=rows.pull_request_commit,
    ),
    StreamSpec(
        "pull_request_files", f"{_REPO}/pulls/{{pull_number}}/files", ("repo_id", "pull_number", "filename"),
        leader="pull_requests", replication_key=_PULL_UPDATED,
        inherit=_PULL, tolerate=_TOO_LARGE, selected=False,
    ),
    StreamSpec(
        "reviews", f"{_REPO}/pulls/{{pull_number}}/reviews", leader="pull_requests", replication_key=_PULL_UPDATED,
        inherit=_PULL,
        columns=_USER, tolerate=_GONE, batched=rows.review,
    ),
    StreamSpec(
        "review_requests", leader="pull_requests", replication_key=_PULL_UPDATED, inherit=_PULL, tolerate=_GONE,
        batched=rows.review_request,
    ),
    StreamSpec(
        "review_comments", f"{_REPO}/pulls/comments", walk="since", replication_key="updated_at",
        columns=("pull_number", *_USER), tolerate=_GONE, counted=("pull_requests",),
    ),
)  # fmt: skip

ISSUES = (
    StreamSpec(
        "issues", f"{_REPO}/issues", walk="since", replication_key="updated_at", params=_ALL,
        columns=("is_pull_request", *_USER), tolerate=_GONE, empty=frozenset({410}),
        counted=("issues", "pull_requests"),
    ),
    StreamSpec(
        "issue_timeline", f"{_REPO}/issues/{{issue_number}}/timeline", ("repo_id", "issue_number", "event_key"),
        leader="issues", replication_key="issue_updated_at",
        inherit={"issue_number": "number", "issue_updated_at": "updated_at"},
        columns=("event_key",), tolerate=frozenset({404, 410}), selected=False,
    ),
    StreamSpec(
        "issue_comments", f"{_REPO}/issues/comments", walk="since", replication_key="updated_at",
        columns=("issue_number", *_USER), tolerate=_GONE, empty=frozenset({410}),
        counted=("issues", "pull_requests"),
    ),
    StreamSpec(
        "issue_events", f"{_REPO}/issues/events", walk="newest", replication_key="created_at",
        tolerate=_GONE, empty=frozenset({410}), counted=("issues", "pull_requests"),
    ),
    StreamSpec("labels", f"{_REPO}/labels", tolerate=_GONE, empty=frozenset({410}), counted=("labels",)),
    StreamSpec(
        "milestones", f"{_REPO}/milestones", replication_key="updated_at", params=_ALL, tolerate=_GONE,
        empty=frozenset({410}), moved="milestones",
    ),
    StreamSpec(
        "discussions", walk="connection", replication_key="updated_at", batched=rows.discussion, tolerate=_HIDDEN,
    ),
    StreamSpec(
        "discussion_comments", leader="discussions", replication_key="discussion_updated_at", inherit=_DISCUSSION,
        tolerate=_GONE,
        batched=rows.discussion_comment,
    ),
    StreamSpec(
        "discussion_replies", leader="discussion_comments", replication_key="discussion_updated_at",
        tolerate=_GONE,
        inherit={"comment_id": "id", "discussion_id": "discussion_id", "discussion_number": "discussion_number",
                 "discussion_updated_at": "discussion_updated_at"},
        batched=rows.discussion_comment,
    ),
)  # fmt: skip

PEOPLE = (
    StreamSpec(
        "stargazers", f"{_REPO}/stargazers", ("repo_id", "user_id"), walk="connection", replication_key="starred_at",
        columns=_USER, tolerate=_TOO_LARGE, accept=_STAR, batched=rows.stargazer,
    ),
    StreamSpec(
        "subscribers", f"{_REPO}/subscribers", ("repo_id", "id"), walk="connection", tolerate=_HIDDEN,
        batched=rows.plain_user,
    ),
    StreamSpec(
        "assignees", f"{_REPO}/assignees", ("repo_id", "id"), walk="connection", tolerate=_HIDDEN,
        batched=rows.plain_user,
    ),
    StreamSpec(
        "collaborators", f"{_REPO}/collaborators", ("repo_id", "id"), params={"affiliation": "all"}, tolerate=_HIDDEN,
    ),
    StreamSpec(
        "contributors", f"{_REPO}/contributors", ("repo_id", "contributor_key"), params={"anon": "1"},
        columns=("contributor_key",), tolerate=_HIDDEN, empty=frozenset({204}), counted=("branches",),
    ),
    StreamSpec(
        "contributor_stats", f"{_REPO}/stats/contributors", ("repo_id", "author_id", "week"),
        unpack=rows.contributor_weeks, tolerate=frozenset({202}), empty=frozenset({204}), counted=("branches",),
        paged=False,
    ),
    StreamSpec(
        "forks", f"{_REPO}/forks", replication_key="created_at", params={"sort": "newest"}, walk="newest",
        tolerate=_HIDDEN, counted=("forks",),
    ),
)  # fmt: skip

ACTIONS = (
    StreamSpec(
        "workflows", f"{_REPO}/actions/workflows", replication_key="updated_at", records="workflows", tolerate=_GONE,
    ),
    StreamSpec(
        "workflow_runs", f"{_REPO}/actions/runs", ("repo_id", "id"), walk="windows", replication_key="updated_at",
        records="workflow_runs", tolerate=_GONE,
    ),
    StreamSpec(
        "workflow_jobs", f"{_REPO}/actions/runs/{{run_id}}/jobs", leader="workflow_runs",
        replication_key="run_updated_at",
        inherit=_RUN, params={"filter": "all"}, records="jobs",
        tolerate=frozenset({404, 410}),
    ),
    StreamSpec(
        "workflow_run_attempts", f"{_REPO}/actions/runs/{{run_id}}/attempts/{{attempt_number}}/jobs",
        leader="workflow_runs", replication_key="run_updated_at", inherit=_RUN, records="jobs",
        fill={"attempt_number": "run_attempt"}, counts_up=True, tolerate=frozenset({404, 410}), selected=False,
    ),
    StreamSpec(
        "artifacts", f"{_REPO}/actions/artifacts", walk="newest", replication_key="created_at", records="artifacts",
        tolerate=_GONE, selected=False,
    ),
    StreamSpec(
        "deployments", f"{_REPO}/deployments", walk="newest", replication_key="updated_at", ordered_by="created_at",
        lookback=timedelta(days=30), tolerate=_GONE, counted=("deployments",),
    ),
    StreamSpec(
        "deployment_statuses", f"{_REPO}/deployments/{{deployment_id}}/statuses", leader="deployments",
        replication_key="deployment_updated_at",
        inherit={"deployment_id": "id", "deployment_updated_at": "updated_at"}, tolerate=_GONE,
    ),
    StreamSpec(
        "environments", f"{_REPO}/environments", replication_key="updated_at", records="environments", tolerate=_GONE,
        counted=("environments",),
    ),
)  # fmt: skip

ACTIVITY = (
    StreamSpec("events", f"{_REPO}/events", walk="newest", replication_key="created_at", tolerate=_GONE),
    StreamSpec(
        "repository_activity", f"{_REPO}/activity", walk="newest", replication_key="timestamp",
        params={"direction": "desc"}, tolerate=_HIDDEN, deletable=False,
    ),
    StreamSpec(
        "traffic_clones", f"{_REPO}/traffic/clones", ("repo_id", "timestamp"), replication_key="timestamp",
        lookback=timedelta(days=14), records="clones", tolerate=_NO_ACCESS, paged=False,
    ),
    StreamSpec(
        "traffic_views", f"{_REPO}/traffic/views", ("repo_id", "timestamp"), replication_key="timestamp",
        lookback=timedelta(days=14), records="views", tolerate=_NO_ACCESS, paged=False,
    ),
    StreamSpec(
        "traffic_paths", f"{_REPO}/traffic/popular/paths", ("repo_id", "path", "snapshot_date"),
        columns=("snapshot_date",), tolerate=_NO_ACCESS, paged=False,
    ),
    StreamSpec(
        "traffic_referrers", f"{_REPO}/traffic/popular/referrers", ("repo_id", "referrer", "snapshot_date"),
        columns=("snapshot_date",), tolerate=_NO_ACCESS, paged=False,
    ),
)  # fmt: skip

SECURITY = (
    StreamSpec(
        "dependabot_alerts", f"{_REPO}/dependabot/alerts", ("repo_id", "number"), walk="newest",
        replication_key="updated_at", params=_NEWEST, tolerate=_HIDDEN,
    ),
    StreamSpec(
        "code_scanning_alerts", f"{_REPO}/code-scanning/alerts", ("repo_id", "number"), walk="newest",
        replication_key="updated_at", params=_NEWEST, tolerate=_HIDDEN,
    ),
    StreamSpec(
        "secret_scanning_alerts", f"{_REPO}/secret-scanning/alerts", ("repo_id", "number"), walk="newest",
        replication_key="updated_at", params={**_NEWEST, "hide_secret": True}, tolerate=_HIDDEN,
    ),
    StreamSpec(
        "security_advisories", f"{_REPO}/security-advisories", ("repo_id", "ghsa_id"), walk="newest",
        replication_key="updated_at", params=_NEWEST, tolerate=_HIDDEN,
    ),
)  # fmt: skip

USERS = (
    StreamSpec("users", "/users/{username}", scope="user", replication_key="updated_at", tolerate=_GONE, paged=False),
    StreamSpec("user_repositories", "/users/{username}/repos", scope="user", params={"type": "all"}, tolerate=_GONE),
    StreamSpec(
        "starred", "/users/{username}/starred", ("username", "repo_id"), scope="user", walk="newest",
        replication_key="starred_at", columns=("repo_id",), accept=_STAR, tolerate=_GONE,
    ),
    StreamSpec(
        "search_counts", "/search/issues", ("name", "window_start"), scope="search", walk="counts",
        replication_key="window_end", selected=False,
    ),
)  # fmt: skip

STREAMS: dict[str, StreamSpec] = {
    spec.name: spec
    for spec in (
        REPOSITORIES, *ORGANIZATIONS, *CODE, *PULL_REQUESTS, *ISSUES, *PEOPLE, *ACTIONS, *ACTIVITY, *SECURITY, *USERS
    )
}  # fmt: skip
