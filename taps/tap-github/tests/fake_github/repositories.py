"""What GitHub's REST API answers about one repository."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from fake_github.listing import by_time, conditional, problem, since, within
from fake_github.shapes import Row, make, whole
from fake_github.world import Repository, World, read_stamp, stamp
from singer_kit.testing.api import Answer, FakeApi, Request, link_cursor, link_pages

if TYPE_CHECKING:
    from fake_github.history import Commit, Comparison

Handler = Callable[[Repository, Request], Answer]

SEARCH_CAP = 1000  # results of a search or of a filtered listing of runs
EVENTS_CAP = 300
PULL_COMMITS_CAP = 250
_STARS = "application/vnd.github.star+json"
_CURSORS = ("after", "before")


class RepositoryRoutes:
    """Handlers of everything below `/repos/{owner}/{repo}`.

    Args:
        world: read as it is when a request comes.
        issue_links: whether listings of issues go on by an opaque cursor or by a page's number; the API does either.

    """

    def __init__(self, world: World, *, issue_links: Literal["cursor", "page"] = "cursor") -> None:
        self._world = world
        self._issue_links = issue_links
        self._computed: set[tuple[str, int]] = set()  # statistics that have been asked for once

    def register(self, api: FakeApi) -> None:
        """Each path under the repository's name, and under its number as links have it."""
        listings: dict[str, Handler] = {
            "issues": self._issues,
            "issues/comments": self._comments,
            "issues/events": lambda repository, request: self._newest(repository, request, repository.events),
            "issues/{issue_number}/timeline": self._timeline,
            "pulls": self._pulls,
            "pulls/comments": self._review_comments,
            "pulls/{pull_number}": self._pull,
            "pulls/{pull_number}/commits": self._pull_commits,
            "pulls/{pull_number}/files": self._pull_files,
            "pulls/{pull_number}/reviews": self._reviews,
            "pulls/{pull_number}/comments": self._review_comments_of,
            "commits": self._commits,
            "commits/{ref:path}/check-runs": self._check_runs,
            "commits/{ref:path}": self._commit,
            "compare/{basehead:path}": self._compare,
            "branches": self._branches,
            "tags": self._tags,
            "comments": lambda repository, request: self._plain(repository, request, repository.commit_comments),
            "labels": lambda repository, request: self._plain(repository, request, repository.labels),
            "milestones": self._milestones,
            "releases": lambda repository, request: self._plain(repository, request, repository.releases[::-1]),
            "stargazers": self._stargazers,
            "subscribers": lambda repository, request: self._plain(repository, request, repository.subscribers),
            "assignees": self._assignees,
            "collaborators": self._collaborators,
            "forks": lambda repository, request: self._plain(repository, request, []),
            "contributors": self._contributors,
            "stats/contributors": self._contributor_stats,
            "languages": lambda repository, _: Answer(repository.languages),
            "topics": lambda repository, _: Answer({"names": repository.row["topics"]}),
            "community/profile": lambda *_: Answer(whole("community-profile")),
            "readme": lambda *_: Answer(whole("content-file")),
            "properties/values": lambda repository, _: Answer(
                [{"property_name": name, "value": value} for name, value in repository.row["custom_properties"].items()]
            ),
            "actions/workflows": lambda repository, request: self._plain(
                repository, request, repository.workflows, items="workflows"
            ),
            "actions/runs": self._runs,
            "actions/runs/{run_id}": self._run,
            "actions/runs/{run_id}/jobs": self._jobs,
            "actions/runs/{run_id}/attempts/{attempt_number}/jobs": self._jobs,
            "actions/artifacts": lambda repository, request: self._plain(repository, request, [], items="artifacts"),
            "deployments": lambda repository, request: self._newest(repository, request, repository.deployments),
            "deployments/{deployment_id}/statuses": self._deployment_statuses,
            "environments": self._environments,
            "events": lambda repository, request: self._newest(
                repository, request, repository.public_events[-EVENTS_CAP:]
            ),
            "activity": self._activity,
            "traffic/clones": lambda *_: Answer(whole("clone-traffic")),
            "traffic/views": lambda *_: Answer(whole("view-traffic")),
            "traffic/popular/paths": lambda *_: Answer(whole("content-traffic-items")),
            "traffic/popular/referrers": lambda *_: Answer(whole("referrer-traffic-items")),
            "secret-scanning/alerts": lambda *_: problem(404, "Secret scanning is disabled on this repository."),
            "dependabot/alerts": lambda *_: problem(403, "Dependabot alerts are disabled for this repository."),
            "code-scanning/alerts": lambda *_: problem(404, "no analysis found"),
            "security-advisories": lambda repository, request: self._plain(repository, request, []),
        }
        self._add(api, "", lambda repository, _: Answer(repository.row))
        for path, handler in listings.items():
            self._add(api, f"/{path}", handler)

    def _add(self, api: FakeApi, path: str, handler: Handler) -> None:
        template = f"/repos/{{owner}}/{{repo}}{path}"
        find = conditional(functools.partial(self._handle, path, handler))
        api.route("GET", template, find, also=_CURSORS)
        api.route("GET", f"/repositories/{{repository_id}}{path}", find, like=template, also=_CURSORS)

    def _handle(self, path: str, handler: Handler, request: Request) -> Answer:
        if number := request.parameters.get("repository_id"):
            repository = self._world.repositories.get(int(number))
        else:
            name = f"{request.parameters['owner']}/{request.parameters['repo']}"
            repository = self._world.find(name)
            if repository is None and (moved := self._world.renamed.get(name.lower())):
                rest = request.path.split("/", 4)[4:]
                query = "&".join(f"{name}={value}" for name, value in request.pairs)
                url = "/".join([f"{request.root}/repositories/{moved}", *rest]) + (f"?{query}" if query else "")
                return Answer({"message": "Moved Permanently", "url": url, "documentation_url": ""}, 301,
                              {"Location": url})  # fmt: skip
        if repository is None:
            return problem(404, "Not Found")
        if refused := repository.refuses.get(path.lstrip("/")):
            return problem(*refused)
        return handler(repository, request)

    # Pages

    def _plain(self, repository: Repository, request: Request, rows: Sequence[Row], items: str = "") -> Answer:
        paging = link_pages(items=items, total="total_count" if items else "")
        return paging.answer(request, rows, path=self._path(repository, request))

    def _newest(self, repository: Repository, request: Request, rows: Sequence[Row]) -> Answer:
        return self._plain(repository, request, sorted(rows, key=by_time("created_at"), reverse=True))

    def _path(self, repository: Repository, request: Request) -> str:
        """GitHub's links bear the number, which a renaming does not change."""
        rest = request.path.split("/")
        return "/".join(["", "repositories", str(repository.id), *rest[4 if rest[1] == "repos" else 3 :]])

    # Issues

    def _issues(self, repository: Repository, request: Request) -> Answer:
        if not repository.row["has_issues"] and not repository.pulls:
            return problem(410, "Issues has been disabled in this repository.")
        query = request.query
        state, wanted = query.get("state", "open"), set(filter(None, query.get("labels", "").split(",")))
        rows = [
            row
            for row in since(repository.issues.values(), request)
            if state in {"all", row["state"]} and wanted <= {label["name"] for label in row["labels"]}
        ]
        name = {"updated": "updated_at", "comments": "comments"}.get(query.get("sort", ""), "created_at")
        descending = query.get("direction", "desc") == "desc"
        key = by_time(name) if name != "comments" else lambda row: [row["comments"], row["id"]]
        rows.sort(key=key, reverse=descending)
        if self._issue_links == "page":
            return self._plain(repository, request, rows)
        paging = link_cursor(key=key, descending=descending)
        return paging.answer(request, rows, path=self._path(repository, request))

    def _comments(self, repository: Repository, request: Request) -> Answer:
        if not repository.row["has_issues"]:
            return problem(410, "Issues has been disabled in this repository.")
        return self._since_walk(repository, request, list(repository.comments.values()))

    def _review_comments(self, repository: Repository, request: Request) -> Answer:
        return self._since_walk(repository, request, list(repository.review_comments.values()))

    def _review_comments_of(self, repository: Repository, request: Request) -> Answer:
        pull = repository.pulls.get(int(request.parameters["pull_number"]))
        if pull is None:
            return problem(404, "Not Found")
        found = [row for row in repository.review_comments.values() if row["pull_request_url"] == pull["url"]]
        return self._since_walk(repository, request, found)

    def _since_walk(self, repository: Repository, request: Request, rows: Sequence[Row]) -> Answer:
        """By page; without `sort` the direction says nothing."""
        sort = request.query.get("sort")
        name = "updated_at" if sort == "updated" else "created_at"
        descending = bool(sort) and request.query.get("direction", "desc" if sort == "created" else "asc") == "desc"
        return self._plain(repository, request, sorted(since(rows, request), key=by_time(name), reverse=descending))

    def _timeline(self, repository: Repository, request: Request) -> Answer:
        issue = repository.issues.get(int(request.parameters["issue_number"]))
        if issue is None:
            return problem(404, "Not Found")
        comments = [row for row in repository.comments.values() if row["issue_url"] == issue["url"] and row["user"]]
        found = [{**row, "event": "commented", "actor": row["user"]} for row in comments]
        return self._plain(repository, request, found)

    def _milestones(self, repository: Repository, request: Request) -> Answer:
        state = request.query.get("state", "open")
        return self._plain(
            repository, request, [row for row in repository.milestones if state in {"all", row["state"]}]
        )

    # Pull requests

    def _pulls(self, repository: Repository, request: Request) -> Answer:
        query = request.query
        state, sort = query.get("state", "open"), query.get("sort", "created")
        rows = [row for row in repository.pulls.values() if state in {"all", row["state"]}]
        descending = query.get("direction", "desc" if sort == "created" else "asc") == "desc"
        rows.sort(key=by_time("updated_at" if sort == "updated" else "created_at"), reverse=descending)
        return self._plain(repository, request, rows)

    def _pull(self, repository: Repository, request: Request) -> Answer:
        pull = repository.pulls.get(int(request.parameters["pull_number"]))
        if pull is None:
            return problem(404, "Not Found")
        more = whole("pull-request")
        return Answer({**more, **pull, "merged": pull["merged_at"] is not None, "mergeable": None, "merged_by": None,
                       "commits": len(repository.pull_commits[pull["number"]])})  # fmt: skip

    def _pull_commits(self, repository: Repository, request: Request) -> Answer:
        shas = repository.pull_commits.get(int(request.parameters["pull_number"]))
        if shas is None:
            return problem(404, "Not Found")
        rows = [commit_row(repository, repository.history.commits[sha]) for sha in shas[:PULL_COMMITS_CAP]]
        return self._plain(repository, request, rows)

    def _pull_files(self, repository: Repository, request: Request) -> Answer:
        if int(request.parameters["pull_number"]) not in repository.pulls:
            return problem(404, "Not Found")
        return self._plain(repository, request, [make("diff-entry-items", repository.full_name)])

    def _reviews(self, repository: Repository, request: Request) -> Answer:
        number = int(request.parameters["pull_number"])
        if number not in repository.pulls:
            return problem(404, "Not Found")
        return self._plain(repository, request, repository.reviews.get(number, []))

    # Code

    def _commits(self, repository: Repository, request: Request) -> Answer:
        if not repository.history.commits:
            return problem(409, "Git Repository is empty.")
        tip = repository.history.resolve(request.query.get("sha", repository.default_branch))
        if tip is None:
            return problem(404, "Not Found")
        start, end = (read_stamp(request.query[name]) if name in request.query else None for name in ("since", "until"))
        found = [
            commit
            for commit in repository.history.reachable(tip)
            if (start is None or commit.committed >= start) and (end is None or commit.committed <= end)
        ]
        # What a page does not show need not be written.
        answer = self._plain(repository, request, [{"sha": commit.sha} for commit in found])
        commits = repository.history.commits
        return Answer([commit_row(repository, commits[each["sha"]]) for each in answer.json], headers=answer.headers)

    def _commit(self, repository: Repository, request: Request) -> Answer:
        sha = repository.history.resolve(request.parameters["ref"])
        if sha is None:
            return problem(422, f"No commit found for SHA: {request.parameters['ref']}")
        row = commit_row(repository, repository.history.commits[sha])
        files = [make("diff-entry-items", repository.full_name, filename=f"file{number}")
                 for number in range(repository.files.get(sha, 1))]  # fmt: skip
        page = self._plain(repository, request, files)
        whole_row = {**row, "stats": {"additions": 3, "deletions": 1, "total": 4}, "files": page.json}
        return Answer(whole_row, headers=page.headers)

    def _check_runs(self, repository: Repository, request: Request) -> Answer:
        sha = repository.history.resolve(request.parameters["ref"])
        if sha is None:
            return problem(422, f"No commit found for SHA: {request.parameters['ref']}")
        jobs = [job for jobs in repository.jobs.values() for job in jobs if job["head_sha"] == sha]
        shared = ("id", "head_sha", "status", "conclusion", "started_at", "completed_at")
        rows = [
            make("check-run-paginated", repository.full_name, **{name: job[name] for name in shared}) for job in jobs
        ]
        return self._plain(repository, request, rows, items="check_runs")

    def _compare(self, repository: Repository, request: Request) -> Answer:
        base, _, head = request.parameters["basehead"].partition("...")
        ends = [repository.history.resolve(name) for name in (base, head)]
        if ends[0] is None or ends[1] is None:
            return problem(404, "Not Found")
        comparison = repository.history.compare(ends[0], ends[1])
        if comparison is None:
            return problem(404, f"No common ancestor between {base} and {head}.")
        return self._comparison(repository, request, comparison, ends[0])

    def _comparison(self, repository: Repository, request: Request, found: Comparison, base: str) -> Answer:
        rows = [commit_row(repository, commit) for commit in found.commits]
        around = {
            **whole("commit-comparison"), "status": found.status, "ahead_by": found.ahead, "behind_by": found.behind,
            "total_commits": len(rows), "base_commit": commit_row(repository, repository.history.commits[base]),
            "merge_base_commit": commit_row(repository, repository.history.commits[found.merge_base]),
            "files": [make("diff-entry-items", repository.full_name)] if request.query.get("page", "1") == "1" else [],
        }  # fmt: skip
        paging = link_pages(items="commits", size=250)
        return paging.answer(request, rows, path=self._path(repository, request), around=around)

    def _branches(self, repository: Repository, request: Request) -> Answer:
        rows = [
            make("short-branch-with-protection-items", repository.full_name, name=name,
                 commit={"sha": sha, "url": f"{repository.url}/commits/{sha}"})
            for name, sha in sorted(repository.history.branches.items())
        ]  # fmt: skip
        return self._plain(repository, request, rows)

    def _tags(self, repository: Repository, request: Request) -> Answer:
        rows = []
        for name, sha in sorted(repository.tags.items(), reverse=True):
            commit = {"sha": sha, "url": f"{repository.url}/commits/{sha}"}
            rows.append(make("tag-items", repository.full_name, name=name, commit=commit))
        return self._plain(repository, request, rows)

    def _activity(self, repository: Repository, request: Request) -> Answer:
        descending = request.query.get("direction", "desc") == "desc"
        key = by_time("timestamp")
        rows = sorted(repository.activity, key=key, reverse=descending)
        return link_cursor(key=key, descending=descending).answer(request, rows, path=self._path(repository, request))

    # People

    def _stargazers(self, repository: Repository, request: Request) -> Answer:
        if _STARS not in request.headers.get("Accept", ""):
            return self._plain(repository, request, [user for user, _ in repository.stars])
        rows = [{"starred_at": stamp(moment), "user": user} for user, moment in repository.stars]
        answer = self._plain(repository, request, rows)
        return answer.with_headers({"Content-Type": _STARS})

    def _members(self, repository: Repository) -> dict[str, str]:
        return self._world.organizations[repository.row["owner"]["login"]].members

    def _assignees(self, repository: Repository, request: Request) -> Answer:
        return self._plain(repository, request, [self._world.users[name] for name in self._members(repository)])

    def _collaborators(self, repository: Repository, request: Request) -> Answer:
        rows = [
            {
                **make("collaborator-items"),
                **self._world.users[name],
                "role_name": "admin" if role == "admin" else "write",
            }
            for name, role in self._members(repository).items()
        ]
        return self._plain(repository, request, rows)

    def _contributors(self, repository: Repository, request: Request) -> Answer:
        if not repository.history.commits:
            return Answer(status=204)
        tip = repository.history.branches[repository.default_branch]
        commits = repository.history.reachable(tip)
        known = Counter(commit.author["login"] for commit in commits if commit.author)
        rows: list[Row] = [{**self._world.users[name], "contributions": count} for name, count in known.most_common()]
        nameless = sum(commit.author is None for commit in commits)
        if nameless and request.query.get("anon") in {"1", "true"}:
            rows.append({"type": "Anonymous", "email": "ghost@example.org", "name": "Ghost", "contributions": nameless})
        return self._plain(repository, request, rows)

    def _contributor_stats(self, repository: Repository, request: Request) -> Answer:  # noqa: ARG002
        if not repository.history.commits:
            return Answer(status=204)
        if ("contributors", repository.id) not in self._computed:
            self._computed.add(("contributors", repository.id))
            return Answer({}, 202)
        return Answer(whole("contributor-activity-items"))

    # Actions and deployments

    def _runs(self, repository: Repository, request: Request) -> Answer:
        query = request.query
        fits = within(query["created"]) if "created" in query else None
        rows = [
            row
            for row in repository.runs.values()
            if (fits is None or fits(row["created_at"]))
            and query.get("status", row["status"]) in {row["status"], row["conclusion"]}
            and query.get("branch", row["head_branch"]) == row["head_branch"]
            and query.get("event", row["event"]) == row["event"]
            and query.get("head_sha", row["head_sha"]) == row["head_sha"]
        ]
        rows.sort(key=by_time("created_at"), reverse=True)
        capped = {"actor", "branch", "check_suite_id", "created", "event", "head_sha", "status"} & query.keys()
        answer = self._plain(repository, request, rows[:SEARCH_CAP] if capped else rows, items="workflow_runs")
        return Answer({**answer.json, "total_count": len(rows)}, headers=answer.headers)

    def _run(self, repository: Repository, request: Request) -> Answer:
        run = repository.runs.get(int(request.parameters["run_id"]))
        return problem(404, "Not Found") if run is None else Answer(run)

    def _jobs(self, repository: Repository, request: Request) -> Answer:
        run = repository.runs.get(int(request.parameters["run_id"]))
        if run is None:
            return problem(404, "Not Found")
        jobs = repository.jobs.get(run["id"], [])
        attempt = request.parameters.get("attempt_number")
        if attempt is not None:
            jobs = [job for job in jobs if job["run_attempt"] == int(attempt)]
        elif request.query.get("filter", "latest") == "latest":
            jobs = [job for job in jobs if job["run_attempt"] == run["run_attempt"]]
        return self._plain(repository, request, jobs, items="jobs")

    def _environments(self, repository: Repository, request: Request) -> Answer:
        rows = [{**row, "id": row["id"] + repository.id} for row in whole("environments")["environments"]]
        return self._plain(repository, request, rows, items="environments")

    def _deployment_statuses(self, repository: Repository, request: Request) -> Answer:
        rows = repository.statuses.get(int(request.parameters["deployment_id"]))
        return problem(404, "Not Found") if rows is None else self._newest(repository, request, rows)


def commit_row(repository: Repository, commit: Commit) -> Row:
    """A commit as listings have it."""
    url = f"{repository.url}/commits/{commit.sha}"
    template = make("commit-items", repository.full_name)
    person = commit.author["login"] if commit.author else "ghost"
    who: dict[str, Any] = {"name": person, "email": f"{person}@example.org"}
    inner = {
        **template["commit"], "url": url, "message": commit.message,
        "author": {**who, "date": stamp(commit.authored)}, "committer": {**who, "date": stamp(commit.committed)},
    }  # fmt: skip
    web = f"https://github.com/{repository.full_name}/commit"
    parents = [{"sha": sha, "url": f"{repository.url}/commits/{sha}", "html_url": f"{web}/{sha}"}
               for sha in commit.parents]  # fmt: skip
    return {**template, "sha": commit.sha, "node_id": f"C_{commit.sha}", "url": url, "comments_url": f"{url}/comments",
            "html_url": f"{web}/{commit.sha}", "commit": inner,
            "author": commit.author, "committer": commit.author, "parents": parents}  # fmt: skip
