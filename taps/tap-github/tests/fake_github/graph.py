"""What GitHub's GraphQL API answers: the same world under the other names."""

from __future__ import annotations

import functools
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from fake_github.connections import Object, connection
from fake_github.repositories import commit_row
from fake_github.world import Repository, World, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fake_github.shapes import Row

_INT = 2**31
_UNDERSCORE = re.compile(r"_([a-z])")


def root(world: World, *, limit: int, remaining: int, cost: int) -> Object:
    """The fields of `Query`."""

    def repository(_: Any, owner: str, name: str, **__: Any) -> Object:
        full_name = f"{owner}/{name}"
        found = world.find(full_name) or world.repositories.get(world.renamed.get(full_name.lower(), 0))
        if found is None:
            raise _missing(f"Could not resolve to a Repository with the name '{full_name}'.")
        return _repository(found)

    def organization(_: Any, login: str) -> Object:
        found = world.organizations.get(login)
        if found is None:
            raise _missing(f"Could not resolve to an Organization with the login of '{login}'.")
        owned = [each.row for each in world.repositories.values() if each.row["owner"]["login"] == login]
        return {
            **_object(found.row, "Organization"),
            "repositories": connection(owned, lambda row: _repository(world.repositories[row["id"]])),
            "projectsV2": connection(found.projects, _project),
        }

    def node(_: Any, id: str) -> Object | GraphQLError:  # noqa: A002
        found = _find(world, id)
        return found or _missing(f"Could not resolve to a node with the global id of '{id}'.")

    reset = stamp(world.clock.now + timedelta(hours=1))
    return {
        "repository": repository,
        "organization": organization,
        "node": node,
        "nodes": lambda info, ids: [node(info, each) for each in ids],
        "viewer": {"login": "viewer"},
        "rateLimit": {"limit": limit, "remaining": remaining, "used": limit - remaining, "cost": cost, "resetAt": reset,
                      "nodeCount": 0},
    }  # fmt: skip


def _find(world: World, identity: str) -> Object | None:
    """What has a global id."""
    kind, _, rest = identity.partition("_")
    if kind == "O":
        organization = world.organizations.get(rest)
        return organization and _object(
            organization.row, "Organization", projectsV2=connection(organization.projects, _project)
        )
    if kind == "PR":
        number, _, pull = rest.partition("_")
        repository = world.repositories[int(number)]
        row = repository.pulls.get(int(pull))
        return row and _pull(repository, row)
    return next((made() for key, made in _others(world) if key == identity), None)


def _others(world: World) -> Iterator[tuple[str, Callable[[], Object]]]:
    """What is found by looking at all of it."""
    for organization in world.organizations.values():
        for project in organization.projects:
            yield project["node_id"], functools.partial(_project, project)
    for repository in world.repositories.values():
        yield repository.row["node_id"], functools.partial(_repository, repository)
        for discussion in repository.discussions:
            yield discussion["node_id"], functools.partial(_discussion, discussion)
            for comment in discussion["comments"]:
                yield comment["node_id"], functools.partial(_discussion_comment, comment)


def _missing(message: str) -> GraphQLError:
    return GraphQLError(message, extensions={"type": "NOT_FOUND"})


# Objects


def _object(row: Row, kind: str, **more: Any) -> Object:
    """A row's own values in GraphQL's names; ids beyond 32 bits are only in `fullDatabaseId`."""
    plain = {
        _UNDERSCORE.sub(lambda found: found[1].upper(), name): value
        for name, value in row.items()
        if not isinstance(value, (dict, list))
    }
    identity = row.get("id")
    small = identity if isinstance(identity, int) and identity < _INT else None
    return {
        **plain, "__typename": kind, "id": row.get("node_id"), "databaseId": small, "fullDatabaseId": identity,
        "url": row.get("html_url"), "author": _actor(row.get("user")), **more,
    }  # fmt: skip


def _plain(row: Row) -> Object:
    return dict(row)


def _actor(user: Row | None) -> Object | None:
    return None if user is None else _object(user, "User", isSiteAdmin=user["site_admin"])


def _repository(found: Repository) -> Object:
    def pull(_: Any, number: int) -> Object:
        if number not in found.pulls:
            raise _missing(f"Could not resolve to a PullRequest with the number of {number}.")
        return _pull(found, found.pulls[number])

    def refs(info: Any, refPrefix: str, **arguments: Any) -> Object:  # noqa: N803  (GraphQL's name)
        kept = found.history.branches if refPrefix == "refs/heads/" else found.tags
        rows = [{"id": name, "created_at": "", "name": name, "sha": sha} for name, sha in kept.items()]
        return connection(rows, lambda row: _ref(found, row, refPrefix))(info, **arguments)

    tip = found.history.branches.get(found.default_branch)
    branch = None if tip is None else {"name": found.default_branch, "target": {
        **_commit(found, tip), "history": functools.partial(_history, found, tip)}}  # fmt: skip
    stars = [{**user, "starred_at": stamp(moment)} for user, moment in found.stars]
    issues = [row for row in found.issues.values() if "pull_request" not in row]
    languages = [{"id": name, "created_at": "", "name": name, "size": size} for name, size in found.languages.items()]
    return _object(
        found.row, "Repository", nameWithOwner=found.full_name, owner=_object(found.row["owner"], "Organization"),
        defaultBranchRef=branch, stargazerCount=len(stars), isArchived=found.row["archived"], isFork=found.row["fork"],
        isPrivate=found.row["private"], pullRequest=pull, isEmpty=tip is None, forks=connection([], _plain), refs=refs,
        pullRequests=connection(list(found.pulls.values()), lambda row: _pull(found, row), _pull_state),
        issues=connection(issues, lambda row: _object(row, "Issue", state=row["state"].upper()), _issue_state),
        stargazers=connection(stars, _actor,
                              edge=lambda row: {"starredAt": row["starred_at"]}),
        watchers=connection(found.subscribers, _actor),
        assignableUsers=connection(found.members, _actor),
        labels=connection(found.labels, lambda row: _object(row, "Label")),
        milestones=connection(found.milestones, lambda row: _object(row, "Milestone")),
        releases=connection(found.releases, lambda row: _object(row, "Release")),
        deployments=connection(found.deployments, lambda row: _object(row, "Deployment")),
        environments=connection([{"id": 1, "created_at": ""}], _plain),
        commitComments=connection(found.commit_comments, lambda row: _object(row, "CommitComment")),
        languages=connection(languages, lambda row: {"name": row["name"]}, edge=lambda row: {"size": row["size"]}),
        discussions=_refused if "discussions" in found.refuses else connection(found.discussions, _discussion),
    )  # fmt: skip


def _refused(*_: Any, **__: Any) -> Object:
    raise GraphQLError("Resource not accessible by personal access token", extensions={"type": "FORBIDDEN"})


def _ref(found: Repository, row: Row, prefix: str) -> Object:
    """A tag may have an object of its own, which leads to the commit."""
    commit = _commit(found, row["sha"])
    annotated = prefix == "refs/tags/" and row["name"].endswith("a")
    target = {"__typename": "Tag", "oid": "a" * 40, "target": commit} if annotated else commit
    return {"id": f"REF_{row['name']}", "name": row["name"], "target": target}


def _discussion(row: Row) -> Object:
    return _object(
        row, "Discussion", closed=False, locked=False, authorAssociation="MEMBER", upvoteCount=0, isAnswered=None,
        category={"id": "DC_1", "name": "General", "slug": "general", "emoji": ":speech:", "isAnswerable": False},
        labels=connection([], _plain), comments=connection(row["comments"], _discussion_comment),
    )  # fmt: skip


def _discussion_comment(row: Row) -> Object:
    return _object(
        row, "DiscussionComment", authorAssociation="MEMBER", upvoteCount=0, isAnswer=False, isMinimized=False,
        replies=connection(row["replies"], _discussion_comment),
        replyTo=row["reply_to"] and {"id": row["reply_to"]},
    )  # fmt: skip


def _project(row: Row) -> Object:
    return _object(
        row, "ProjectV2", public=True, closed=False, template=False, creator=None,
        items=connection(row["items"], _project_item),
    )  # fmt: skip


def _project_item(row: Row) -> Object:
    text = {"__typename": "ProjectV2ItemFieldTextValue", "text": row["text"],
            "field": {"__typename": "ProjectV2Field", "name": "Note"}}  # fmt: skip
    return _object(
        row, "ProjectV2Item", type="DRAFT_ISSUE", isArchived=False, creator=None,
        content={"__typename": "DraftIssue", "id": f"DI_{row['id']}", "title": "Draft"},
        fieldValues={"nodes": [text], "totalCount": 1},
    )  # fmt: skip


def _commit(found: Repository, sha: str) -> Object:
    row = commit_row(found, found.history.commits[sha])
    inner = row["commit"]
    base = {"__typename": "Commit", "oid": sha, "id": row["node_id"], "url": row["html_url"],
            "message": inner["message"], "committedDate": inner["committer"]["date"], "tree": inner["tree"] | {
                "oid": inner["tree"]["sha"]}}  # fmt: skip
    verification = inner["verification"]
    signed = verification["signature"] and {
        "isValid": verification["verified"], "state": verification["reason"].upper(),
        "payload": verification["payload"], "signature": verification["signature"],
        "verifiedAt": verification["verified_at"], "__typename": "GpgSignature",
    }  # fmt: skip
    people = {name: {**inner[name], "date": inner[name]["date"].replace("Z", "+00:00"),
                     "user": _actor(row[name])} for name in ("author", "committer")}  # fmt: skip
    parents = [{"id": each["sha"], "created_at": "", "oid": each["sha"]} for each in row["parents"]]
    return {**base, **people, "signature": signed or None, "parents": connection(parents, _plain),
            "comments": {"totalCount": inner["comment_count"]}}  # fmt: skip


def _history(found: Repository, tip: str, info: Any, **arguments: Any) -> Object:
    """Newest first; a position is enough, because what is behind a commit never changes."""
    commits = found.history.reachable(tip)
    rows = [{"id": number, "created_at": f"{number:09}", "sha": each.sha} for number, each in enumerate(commits)]
    return connection(rows, lambda row: _commit(found, row["sha"]))(info, **arguments)


def _issue_state(row: Row) -> str:
    return str(row["state"].upper())


def _pull_state(row: Row) -> str:
    return "MERGED" if row["merged_at"] else _issue_state(row)


def _pull(found: Repository, row: Row) -> Object:
    number = row["number"]
    reviews, shas = found.reviews.get(number, []), found.pull_commits[number]
    decisions = [each["state"] for each in reviews if each["state"] in {"APPROVED", "CHANGES_REQUESTED"}]
    comments = [each for each in found.comments.values() if each["issue_url"] == row["issue_url"]]
    return _object(
        row, "PullRequest", state=_pull_state(row), isDraft=row["draft"], merged=bool(row["merged_at"]),
        headRefOid=row["head"]["sha"], headRefName=row["head"]["ref"], baseRefName=row["base"]["ref"],
        additions=3 * len(shas), deletions=len(shas), changedFiles=1, mergeable="UNKNOWN", mergedBy=None,
        reviewDecision=decisions[-1] if decisions else None, body=row["body"] or "",
        authorAssociation=row["author_association"], repository=lambda _: _repository(found),
        commits=connection([{"id": sha, "created_at": "", "sha": sha} for sha in shas],
                            lambda each: {"commit": _commit(found, each["sha"])}),
        reviews=connection(reviews, lambda each: _review(found, row, each), lambda each: str(each["state"])),
        comments=connection(comments, lambda each: _object(each, "IssueComment")),
        timelineItems=connection(found.review_requests.get(number, []), _review_request),
        mergeStateStatus="CLEAN", maintainerCanModify=False, isCrossRepository=False, totalCommentsCount=len(comments),
        closingIssuesReferences=connection([], _plain), reviewRequests=connection([], _plain),
        reviewThreads=connection([], _plain),
    )  # fmt: skip


def _review_request(row: Row) -> Object:
    return _object(row, "ReviewRequestedEvent", actor=_actor(row["actor"]), requestedReviewer=_actor(row["reviewer"]))


def _review(found: Repository, pull: Row, row: Row) -> Object:
    return _object(
        row, "PullRequestReview", createdAt=row["submitted_at"], updatedAt=row["submitted_at"],
        authorAssociation=row["author_association"], commit=_commit(found, row["commit_id"]),
        pullRequest=lambda _: _pull(found, pull),
    )  # fmt: skip
