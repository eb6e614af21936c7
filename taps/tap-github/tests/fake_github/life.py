"""What happens on GitHub, one event at a time; making a world is living through its past."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fake_github.shapes import ROOT, Row, make
from fake_github.world import Organization, Repository, World, stamp

if TYPE_CHECKING:
    from collections.abc import Callable

_BODIES = ("Plain text.", "Emoji 🚀 and \u202eright to left", "A NUL \u0000 in between", "x" * 65_536, "", None)
_BODY_WEIGHTS = (60, 10, 1, 1, 10, 10)


class Life:
    """Events in a world, each at the time that its clock shows.

    Args:
        world: with its repositories.

    """

    def __init__(self, world: World) -> None:
        self.world = world
        self._random = world.random
        self._weights: dict[Callable[[Repository], object], int] = {
            self.open_issue: 14,
            self.comment: 14,
            self.edit_issue: 8,
            self.close_issue: 5,
            self.delete_comment: 1,
            self.delete_issue: 1,
            self.open_pull: 8,
            self.review: 10,
            self.review_comment: 8,
            self.merge: 4,
            self.push: 16,
            self.push_late: 2,
            self.force_push: 1,
            self.start_run: 12,
            self.finish_run: 10,
            self.rerun: 2,
            self.release: 2,
            self.tag: 1,
            self.milestone: 1,
            self.deploy: 3,
            self.star: 4,
            self.unstar: 1,
            self.comment_on_commit: 1,
            self.request_review: 2,
            self.discuss: 2,
            self.discuss_more: 3,
            self.subscribe: 1,
        }

    def happen(self, count: int, *, every: timedelta = timedelta(0), repository: Repository | None = None) -> None:
        """Let so many random events happen, the clock moving before each."""
        repositories = [repository] if repository else list(self.world.repositories.values())
        events, weights = list(self._weights), list(self._weights.values())
        for event in self._random.choices(events, weights, k=count) if repositories else ():
            self.world.clock.advance(every)
            event(self._random.choice(repositories))

    def _body(self) -> str | None:
        return self._random.choices(_BODIES, _BODY_WEIGHTS)[0]

    def _number(self, repository: Repository) -> int:
        return max(repository.issues, default=0) + 1

    # Issues

    def open_issue(self, repository: Repository, **values: Any) -> Row | None:
        """None where issues are disabled."""
        if not repository.row["has_issues"]:
            return None
        number, user = self._number(repository), self.world.someone(repository)
        label = self._random.choice(repository.labels)
        url = f"{repository.url}/issues/{number}"
        row = make("issue-items", repository.full_name, id=self.world.new_id(), number=number, user=user, url=url,
                   node_id=f"I_{repository.id}_{number}", title=f"Issue {number}", body=self._body(), labels=[label],
                   html_url=f"https://github.com/{repository.full_name}/issues/{number}", state="open",
                   state_reason=None, type=None, assignee=None, assignees=[], milestone=None, locked=False,
                   active_lock_reason=None, comments=0, closed_at=None, closed_by=None,
                   created_at=self.world.now, updated_at=self.world.now,
                   comments_url=f"{url}/comments", events_url=f"{url}/events", labels_url=f"{url}/labels{{/name}}",
                   ) | values  # fmt: skip
        if "pull_request" not in values:
            del row["pull_request"]
        repository.issues[number] = row
        self._event(repository, "IssuesEvent")
        return row

    def edit_issue(self, repository: Repository) -> None:
        if issue := self._any(repository.issues):
            issue.update(title=f"{issue['title']}*", body=self._body(), updated_at=self.world.now)
            if issue["number"] in repository.pulls:
                self._touch_pull(repository, issue["number"], title=issue["title"], body=issue["body"])

    def close_issue(self, repository: Repository) -> None:
        open_ones = {each: row for each, row in repository.issues.items() if row["state"] == "open"}
        if (issue := self._any(open_ones)) and "pull_request" not in issue:
            issue.update(state="closed", state_reason="completed", closed_at=self.world.now, updated_at=self.world.now)
            self._issue_event(repository, issue, "closed")

    def delete_issue(self, repository: Repository) -> None:
        if (issue := self._any(repository.issues)) and "pull_request" not in issue:
            del repository.issues[issue["number"]]
            for comment in [each for each in repository.comments.values() if each["issue_url"] == issue["url"]]:
                del repository.comments[comment["id"]]
            repository.events[:] = [each for each in repository.events if each["issue"] is not issue]

    def comment(self, repository: Repository) -> None:
        if issue := self._any(repository.issues):
            identity = self.world.new_id()
            repository.comments[identity] = make(
                "issue-comment-items", repository.full_name, id=identity, node_id=f"IC_{identity}",
                body=self._body() or "", url=f"{repository.url}/issues/comments/{identity}",
                user=self._user(repository), issue_url=issue["url"],
                html_url=f"{issue['html_url']}#issuecomment-{identity}",
                created_at=self.world.now, updated_at=self.world.now)  # fmt: skip
            issue.update(comments=issue["comments"] + 1, updated_at=self.world.now)
            if issue["number"] in repository.pulls:
                self._touch_pull(repository, issue["number"])

    def delete_comment(self, repository: Repository) -> None:
        if comment := self._any(repository.comments):
            del repository.comments[comment["id"]]

    def milestone(self, repository: Repository) -> None:
        number = len(repository.milestones) + 1
        repository.milestones.append(make(
            "milestone-items", repository.full_name, id=self.world.new_id(), number=number, title=f"v{number}",
            url=f"{repository.url}/milestones/{number}", creator=self.world.someone(repository), closed_at=None,
            created_at=self.world.now, updated_at=self.world.now))  # fmt: skip

    # Pull requests

    def open_pull(self, repository: Repository) -> Row | None:
        """None in an empty repository."""
        base = repository.history.branches.get(repository.default_branch)
        if base is None:
            return None
        number = self._number(repository)
        head, shas = base, []
        for _ in range(self._random.randint(1, 4)):
            head = self.world.commit(repository, (head,)).sha
            shas.append(head)
        branch = f"topic-{number}"
        repository.history.branches[branch] = head
        repository.pull_commits[number] = shas
        web, api = f"https://github.com/{repository.full_name}/pull/{number}", f"{repository.url}/pulls/{number}"
        issue = self.open_issue(repository, html_url=web, title=f"Pull {number}", pull_request={
            "url": api, "html_url": web, "diff_url": f"{web}.diff", "patch_url": f"{web}.patch", "merged_at": None,
        }) if repository.row["has_issues"] else None  # fmt: skip
        user = issue["user"] if issue else self._user(repository)
        forked = self._random.random() < 0.1
        whole = {"label": f"x:{branch}", "user": None if forked else user, "repo": None if forked else repository.row}
        pull = make("pull-request-simple-items", repository.full_name, id=self.world.new_id(), number=number,
                    node_id=f"PR_{repository.id}_{number}", url=api, html_url=web, title=f"Pull {number}", user=user,
                    body=issue["body"] if issue else None, state="open", draft=False, locked=False,
                    active_lock_reason=None, issue_url=f"{repository.url}/issues/{number}", labels=[], milestone=None,
                    assignee=None, assignees=[], requested_reviewers=[], requested_teams=[], merge_commit_sha=None,
                    created_at=self.world.now, updated_at=self.world.now, closed_at=None, merged_at=None,
                    head={**whole, "ref": branch, "sha": head},
                    base={"label": f"x:{repository.default_branch}", "ref": repository.default_branch, "sha": base,
                          "user": repository.row["owner"], "repo": repository.row})  # fmt: skip
        repository.pulls[number] = pull
        if issue is None:
            repository.issues[number] = self._issue_of(repository, pull)
        self._event(repository, "PullRequestEvent")
        return pull

    def _issue_of(self, repository: Repository, pull: Row) -> Row:
        """A pull request's issue, there even where issues are disabled."""
        values = {name: pull[name] for name in ("number", "title", "body", "user", "state", "html_url", "created_at",
                                                "updated_at", "closed_at", "labels", "locked")}  # fmt: skip
        return make("issue-items", repository.full_name, **values, id=self.world.new_id(), url=pull["issue_url"],
                    node_id=f"I_{repository.id}_{pull['number']}", milestone=None, assignee=None, assignees=[],
                    comments=0, closed_by=None, state_reason=None, type=None, active_lock_reason=None)  # fmt: skip

    def review(self, repository: Repository) -> Row | None:
        pull = self._any(repository.pulls)
        if pull is None:
            return None
        identity, number = self.world.new_id(), pull["number"]
        state = self._random.choice(("APPROVED", "CHANGES_REQUESTED", "COMMENTED"))
        row = make("pull-request-review-items", repository.full_name, id=identity, node_id=f"PRR_{identity}",
                   user=self._user(repository), body=self._body() or "", state=state, commit_id=pull["head"]["sha"],
                   html_url=f"{pull['html_url']}#pullrequestreview-{identity}", pull_request_url=pull["url"],
                   _links={"html": {"href": f"{pull['html_url']}#pullrequestreview-{identity}"},
                           "pull_request": {"href": pull["url"]}},
                   submitted_at=self.world.now)  # fmt: skip
        repository.reviews.setdefault(number, []).append(row)
        self._touch_pull(repository, number)
        return row

    def review_comment(self, repository: Repository) -> None:
        reviewed = {each: repository.pulls[each] for each in repository.reviews}
        if pull := self._any(reviewed):
            identity = self.world.new_id()
            review = self._random.choice(repository.reviews[pull["number"]])
            row = make("pull-request-review-comment-items", repository.full_name, id=identity,
                       node_id=f"PRRC_{identity}",
                       url=f"{repository.url}/pulls/comments/{identity}", pull_request_review_id=review["id"],
                       pull_request_url=pull["url"], user=self._user(repository), body=self._body() or "",
                       html_url=f"{pull['html_url']}#discussion_r{identity}", commit_id=pull["head"]["sha"],
                       created_at=self.world.now, updated_at=self.world.now)  # fmt: skip
            row.pop("in_reply_to_id", None)
            repository.review_comments[identity] = row
            self._touch_pull(repository, pull["number"])

    def merge(self, repository: Repository) -> None:
        open_ones = {each: row for each, row in repository.pulls.items() if row["state"] == "open"}
        if pull := self._any(open_ones):
            number, branch = pull["number"], repository.default_branch
            tip = repository.history.branches[branch]
            commit = self.world.commit(repository, (tip, pull["head"]["sha"]), message=f"Merge #{number}")
            repository.history.branches[branch] = commit.sha
            repository.history.branches.pop(pull["head"]["ref"], None)
            self._touch_pull(repository, number, state="closed", closed_at=self.world.now, merged_at=self.world.now,
                             merge_commit_sha=commit.sha)  # fmt: skip
            issue = repository.issues[number]
            issue.update(state="closed", closed_at=self.world.now)
            issue["pull_request"] = {**issue["pull_request"], "merged_at": self.world.now}
            self._issue_event(repository, issue, "merged")
            self._pushed(repository, branch, tip, commit.sha)

    def _touch_pull(self, repository: Repository, number: int, **values: Any) -> None:
        repository.pulls[number].update(updated_at=self.world.now, **values)
        repository.issues[number]["updated_at"] = self.world.now

    # Code

    def push(self, repository: Repository, count: int = 0, *, late: timedelta = timedelta(0)) -> None:
        """New commits on the default branch."""
        branch = repository.default_branch
        before = tip = repository.history.branches.get(branch, "")
        for _ in range(count or self._random.randint(1, 3)):
            tip = self.world.commit(repository, (tip,) if tip else (), late=late).sha
        repository.history.branches[branch] = tip
        self._pushed(repository, branch, before, tip)

    def push_late(self, repository: Repository) -> None:
        """Commits that were made weeks ago, on another machine."""
        self.push(repository, late=timedelta(days=self._random.randint(5, 40)))

    def force_push(self, repository: Repository) -> None:
        """The last commits of the default branch are replaced; nothing reaches the old ones any more."""
        branch = repository.default_branch
        before = repository.history.branches.get(branch)
        if before is None:
            return
        line = repository.history.reachable(before)
        tip = line[min(len(line) - 1, self._random.randint(1, 3))].sha
        for _ in range(2):
            tip = self.world.commit(repository, (tip,), message="Rewritten").sha
        repository.history.branches[branch] = tip
        asked = {sha for shas in repository.pull_commits.values() for sha in shas}
        repository.history.collect(asked | set(repository.tags.values()))
        self._pushed(repository, branch, before, tip, "force_push")

    def _pushed(self, repository: Repository, branch: str, before: str, after: str, kind: str = "push") -> None:
        self.world.touch(repository, pushed=True)
        row = make(
            "activity-items", repository.full_name, id=self.world.new_id(), before=before or "0" * 40, after=after,
            ref=f"refs/heads/{branch}", timestamp=self.world.now, activity_type=kind,
            actor=self.world.someone(repository))  # fmt: skip
        # The example has them, the schema does not.
        repository.activity.append({name: row[name] for name in row.keys() - {"pusher", "pushed_at", "push_type"}})
        self._event(repository, "PushEvent")

    def tag(self, repository: Repository) -> None:
        if tip := repository.history.branches.get(repository.default_branch):
            repository.tags[f"t{len(repository.tags) + 1}"] = tip

    def release(self, repository: Repository) -> None:
        """Its `created_at` is the commit's date, which may be long ago."""
        tip = repository.history.branches.get(repository.default_branch)
        if tip is None:
            return
        identity, name = self.world.new_id(), f"v{len(repository.releases) + 1}.0"
        line = repository.history.reachable(tip)
        commit = self._random.choice(line)
        repository.tags[name] = commit.sha
        url = f"{repository.url}/releases/{identity}"
        asset = make("release-asset-items", repository.full_name, id=self.world.new_id(), name=f"{name}.zip",
                     url=f"{url}/assets", created_at=self.world.now, updated_at=self.world.now,
                     uploader=self.world.someone(repository))  # fmt: skip
        repository.releases.append(make(
            "release-items", repository.full_name, id=identity, node_id=f"RE_{identity}", url=url, tag_name=name,
            name=name,
            author=self.world.someone(repository), assets=[asset], created_at=stamp(commit.committed),
            published_at=self.world.now, updated_at=self.world.now))  # fmt: skip

    def comment_on_commit(self, repository: Repository) -> None:
        if tip := repository.history.branches.get(repository.default_branch):
            identity = self.world.new_id()
            repository.commit_comments.append(make(
                "commit-comment-items", repository.full_name, id=identity, commit_id=tip, user=self._user(repository),
                url=f"{repository.url}/comments/{identity}", created_at=self.world.now,
                updated_at=self.world.now))  # fmt: skip

    # Actions, deployments, stars

    def start_run(self, repository: Repository) -> Row | None:
        tip = repository.history.branches.get(repository.default_branch)
        if tip is None:
            return None
        if not repository.workflows:
            identity = self.world.new_id()
            repository.workflows.append(make(
                "workflow-paginated", repository.full_name, id=identity,
                url=f"{repository.url}/actions/workflows/{identity}",
                created_at=self.world.now, updated_at=self.world.now))  # fmt: skip
        identity, workflow = self.world.new_id(), repository.workflows[0]
        actor = self.world.someone(repository)
        owner = repository.row["owner"]
        minimal = {**make("workflow-run-paginated")["repository"], "id": repository.id, "name": repository.row["name"],
                   "full_name": repository.full_name, "owner": owner}  # fmt: skip
        row = make("workflow-run-paginated", repository.full_name, id=identity, node_id=f"WFR_{identity}", head_sha=tip,
                   head_branch=repository.default_branch, run_number=len(repository.runs) + 1, run_attempt=1,
                   workflow_id=workflow["id"], url=f"{repository.url}/actions/runs/{identity}", status="in_progress",
                   conclusion=None, created_at=self.world.now, updated_at=self.world.now, run_started_at=self.world.now,
                   jobs_url=f"{repository.url}/actions/runs/{identity}/jobs", actor=actor, triggering_actor=actor,
                   repository=minimal, head_repository=minimal)  # fmt: skip
        repository.runs[identity] = row
        self._add_job(repository, row)
        return row

    def finish_run(self, repository: Repository) -> None:
        if run := self._any({each: row for each, row in repository.runs.items() if row["status"] != "completed"}):
            conclusion = self._random.choice(("success", "failure", "cancelled"))
            run.update(status="completed", conclusion=conclusion, updated_at=self.world.now)
            repository.jobs[run["id"]][-1].update(
                status="completed", conclusion=conclusion, completed_at=self.world.now)  # fmt: skip

    def rerun(self, repository: Repository) -> None:
        """A run of long ago begins again: same id, next attempt, a job of its own."""
        if run := self._any({each: row for each, row in repository.runs.items() if row["status"] == "completed"}):
            run.update(status="in_progress", conclusion=None, run_attempt=run["run_attempt"] + 1,
                       updated_at=self.world.now, run_started_at=self.world.now)  # fmt: skip
            self._add_job(repository, run)

    def _add_job(self, repository: Repository, run: Row) -> None:
        identity = self.world.new_id()
        repository.jobs.setdefault(run["id"], []).append(make(
            "job-paginated", repository.full_name, id=identity, node_id=f"CR_{identity}", run_id=run["id"],
            run_url=run["url"], url=f"{repository.url}/actions/jobs/{identity}", head_sha=run["head_sha"],
            status="in_progress", conclusion=None, run_attempt=run["run_attempt"],
            created_at=self.world.now, started_at=self.world.now,
            completed_at=None))  # fmt: skip

    def deploy(self, repository: Repository) -> None:
        if tip := repository.history.branches.get(repository.default_branch):
            identity, user = self.world.new_id(), self._user(repository)
            url = f"{repository.url}/deployments/{identity}"
            row = make("deployment-items", repository.full_name, id=identity, url=url, sha=tip, creator=user,
                       ref=repository.default_branch, statuses_url=f"{url}/statuses", created_at=self.world.now,
                       updated_at=self.world.now)  # fmt: skip
            repository.deployments.append(row)
            status = self.world.new_id()
            repository.statuses[identity] = [make(
                "deployment-status-items", repository.full_name, id=status, url=f"{url}/statuses/{status}",
                creator=user,
                deployment_url=url, created_at=self.world.now, updated_at=self.world.now)]  # fmt: skip

    def star(self, repository: Repository) -> None:
        starred = {user["login"] for user, _ in repository.stars}
        user = self.world.someone(repository)
        if user["login"] not in starred:
            repository.stars.append((user, self.world.clock.now))
            repository.row["stargazers_count"] += 1
            self.world.touch(repository)
            self._event(repository, "WatchEvent")

    def unstar(self, repository: Repository) -> None:
        if repository.stars:
            repository.stars.pop(self._random.randrange(len(repository.stars)))
            repository.row["stargazers_count"] -= 1

    def subscribe(self, repository: Repository) -> None:
        user = self.world.someone(repository)
        if user not in repository.subscribers:
            repository.subscribers.append(user)

    def request_review(self, repository: Repository) -> None:
        if pull := self._any(repository.pulls):
            identity = self.world.new_id()
            repository.review_requests.setdefault(pull["number"], []).append({
                "id": identity, "node_id": f"RRE_{identity}", "created_at": self.world.now,
                "actor": self._user(repository), "reviewer": self.world.someone(repository),
            })  # fmt: skip
            self._touch_pull(repository, pull["number"])

    # Discussions

    def discuss(self, repository: Repository) -> Row:
        number = 1000 + len(repository.discussions)
        row = self._said(repository, "D", number=number, title=f"Discussion {number}", comments=[])
        repository.discussions.append(row)
        return row

    def discuss_more(self, repository: Repository) -> None:
        """A comment, or a reply to one."""
        if not repository.discussions:
            return
        discussion = self._random.choice(repository.discussions)
        comments = discussion["comments"]
        if comments and self._random.random() < 0.5:
            comment = self._random.choice(comments)
            comment["replies"].append(self._said(repository, "DC", reply_to=comment["node_id"], replies=[]))
        else:
            comments.append(self._said(repository, "DC", reply_to=None, replies=[]))
        discussion["updated_at"] = self.world.now

    def _said(self, repository: Repository, kind: str, **values: Any) -> Row:
        identity = self.world.new_small_id()
        return {"id": identity, "node_id": f"{kind}_{identity}", "user": self._user(repository),
                "body": self._body() or "", "created_at": self.world.now, "updated_at": self.world.now,
                "html_url": f"https://github.com/{repository.full_name}/discussions/{identity}", **values}  # fmt: skip

    def add_project(self, organization: Organization, items: int = 2) -> Row:
        """Not among the random events: it belongs to no repository."""
        number = len(organization.projects) + 1
        identity = self.world.new_small_id()
        row = {"id": identity, "node_id": f"PVT_{identity}", "number": number, "title": f"Plan {number}",
               "html_url": f"https://github.com/orgs/x/projects/{number}", "created_at": self.world.now,
               "updated_at": self.world.now, "items": [
                   {"id": (each := self.world.new_small_id()), "node_id": f"PVTI_{each}", "text": f"Item {each}",
                    "created_at": self.world.now, "updated_at": self.world.now} for _ in range(items)]}  # fmt: skip
        organization.projects.append(row)
        return row

    def rename(self, repository: Repository, name: str) -> None:
        """The old name redirects. Not among the random events: every row's URLs would have to follow."""
        self.world.renamed[repository.full_name.lower()] = repository.id
        owner = repository.row["owner"]["login"]
        repository.row.update(name=name, full_name=f"{owner}/{name}", url=f"{ROOT}/repos/{owner}/{name}")
        self.world.touch(repository)

    # Help

    def _any(self, rows: dict[int, Row]) -> Row | None:
        return rows[self._random.choice(list(rows))] if rows else None

    def _user(self, repository: Repository) -> Row | None:
        """Somebody, or now and then an account that is deleted since."""
        return self.world.someone(repository) if self._random.random() > 0.05 else None

    def _issue_event(self, repository: Repository, issue: Row, kind: str) -> None:
        identity = self.world.new_id()
        repository.events.append(make(
            "issue-event-items", repository.full_name, id=identity, node_id=f"E_{identity}", event=kind, issue=issue,
            actor=self.world.someone(repository), commit_id=None, commit_url=None, created_at=self.world.now,
            url=f"{repository.url}/issues/events/{identity}"))  # fmt: skip

    def _event(self, repository: Repository, kind: str) -> None:
        actor = self.world.someone(repository)
        repository.public_events.append({
            "id": str(self.world.new_id()), "type": kind, "public": True, "created_at": self.world.now,
            "actor": {name: actor[name] for name in ("id", "login", "gravatar_id", "url", "avatar_url")},
            "repo": {"id": repository.id, "name": repository.full_name, "url": repository.url},
            "payload": {"ref": "refs/heads/main", "push_id": 1, "head": "0" * 40, "before": "0" * 40,
                        "repository_id": repository.id} if kind == "PushEvent" else {"action": "started"},
        })  # fmt: skip
