"""What GitHub's GraphQL API answers: the same world under the other names."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from fake_github.listing import by_time
from fake_github.repositories import commit_row
from fake_github.world import Repository, World, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fake_github.shapes import Row

Object = dict[str, Any]

_INT = 2**31
_LARGEST_PAGE = 100
_UNDERSCORE = re.compile(r"_([a-z])")
_ORDER = {"UPDATED_AT": "updated_at", "CREATED_AT": "created_at", "STARRED_AT": "starred_at"}


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
            "repositories": _connection(owned, lambda row: _repository(world.repositories[row["id"]])),
            "projectsV2": _connection([], _plain),
        }

    def node(_: Any, id: str) -> Object:  # noqa: A002
        for each in world.repositories.values():
            if each.row["node_id"] == id:
                return _repository(each)
            for pull in each.pulls.values():
                if pull["node_id"] == id:
                    return _pull(each, pull)
        raise _missing(f"Could not resolve to a node with the global id of '{id}'.")

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
    return None if user is None else _object(user, "User")


def _repository(found: Repository) -> Object:
    def pull(_: Any, number: int) -> Object:
        if number not in found.pulls:
            raise _missing(f"Could not resolve to a PullRequest with the number of {number}.")
        return _pull(found, found.pulls[number])

    tip = found.history.branches.get(found.default_branch)
    branch = None if tip is None else {"name": found.default_branch, "target": _commit(found, tip)}
    stars = [{**user, "starred_at": stamp(moment)} for user, moment in found.stars]
    issues = [row for row in found.issues.values() if "pull_request" not in row]
    return _object(
        found.row, "Repository", nameWithOwner=found.full_name, owner=_object(found.row["owner"], "Organization"),
        defaultBranchRef=branch, stargazerCount=len(stars), isArchived=found.row["archived"], isFork=found.row["fork"],
        isPrivate=found.row["private"], pullRequest=pull,
        pullRequests=_connection(list(found.pulls.values()), lambda row: _pull(found, row), _pull_state),
        issues=_connection(issues, lambda row: _object(row, "Issue", state=row["state"].upper()), _issue_state),
        stargazers=_connection(stars, lambda row: _object(row, "User"),
                               edge=lambda row: {"starredAt": row["starred_at"]}),
        discussions=_connection([], _plain),
    )  # fmt: skip


def _commit(found: Repository, sha: str) -> Object:
    row = commit_row(found, found.history.commits[sha])
    return {"__typename": "Commit", "oid": sha, "id": row["node_id"], "message": row["commit"]["message"],
            "committedDate": row["commit"]["committer"]["date"]}  # fmt: skip


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
        commits=_connection([{"id": sha, "created_at": "", "sha": sha} for sha in shas],
                            lambda each: {"commit": _commit(found, each["sha"])}),
        reviews=_connection(reviews, lambda each: _review(found, row, each), lambda each: str(each["state"])),
        comments=_connection(comments, lambda each: _object(each, "IssueComment")),
        timelineItems=_connection([], _plain), reviewRequests=_connection([], _plain),
        reviewThreads=_connection([], _plain),
    )  # fmt: skip


def _review(found: Repository, pull: Row, row: Row) -> Object:
    return _object(
        row, "PullRequestReview", createdAt=row["submitted_at"], updatedAt=row["submitted_at"],
        authorAssociation=row["author_association"], commit=_commit(found, row["commit_id"]),
        pullRequest=lambda _: _pull(found, pull),
    )  # fmt: skip


# Connections


def _connection(
    rows: Iterable[Row],
    convert: Callable[[Row], Object],
    state: Callable[[Row], str] | None = None,
    edge: Callable[[Row], Object] | None = None,
) -> Callable[..., Object]:
    """A connection's resolver: its page begins behind a key, so it does not shift when rows come or go before it."""

    def resolve(
        _: Any,
        *,
        first: int | None = None,
        last: int | None = None,
        after: str | None = None,
        before: str | None = None,
        orderBy: Mapping[str, str] | None = None,  # noqa: N803  (GraphQL's name)
        states: list[str] | None = None,
        **__: Any,
    ) -> Object:
        size = first if first is not None else last
        if size is not None and not 1 <= size <= _LARGEST_PAGE:
            raise GraphQLError(f"Requesting {size} records on a connection exceeds the `first` limit of 100 records.",
                               extensions={"type": "EXCESSIVE_PAGINATION"})  # fmt: skip
        order = orderBy or {}
        name = _ORDER.get(order.get("field", ""), "created_at")
        descending = order.get("direction") == "DESC"
        chosen = [row for row in rows if not states or state is None or state(row) in states]
        key = by_time(name) if chosen and name in chosen[0] else (lambda row: ["", str(row.get("id"))])
        chosen.sort(key=key, reverse=descending)
        found = _between(chosen, key, descending, after, before)
        page = found if size is None else found[:size] if first is not None else found[-size:]
        extra = edge or (lambda _: {})
        return {
            "totalCount": len(chosen),
            "nodes": lambda info: _checked(size) and [convert(row) for row in page],  # noqa: ARG005
            "edges": lambda info: _checked(size) and [  # noqa: ARG005
                {"cursor": _sealed(key(row)), "node": convert(row), **extra(row)} for row in page],
            "pageInfo": {
                "hasNextPage": bool(page) and page[-1] is not found[-1],
                "hasPreviousPage": bool(page) and page[0] is not chosen[0],
                "startCursor": _sealed(key(page[0])) if page else None,
                "endCursor": _sealed(key(page[-1])) if page else None,
            },
        }  # fmt: skip

    return resolve


def _checked(size: int | None) -> bool:
    if size is None:
        raise GraphQLError("You must provide a `first` or `last` value to properly paginate the connection.",
                           extensions={"type": "MISSING_PAGINATION_BOUNDARIES"})  # fmt: skip
    return True


def _between(
    rows: list[Row], key: Callable[[Row], Any], descending: bool, after: str | None, before: str | None
) -> list[Row]:
    def behind(row: Row, cursor: str) -> bool:
        mark = _opened(cursor)
        return bool(key(row) < mark if descending else key(row) > mark)

    rows = [row for row in rows if after is None or behind(row, after)]
    return [row for row in rows if before is None or not (behind(row, before) or key(row) == _opened(before))]


def _sealed(key: Any) -> str:
    return base64.b64encode(json.dumps(key).encode()).decode()


def _opened(cursor: str) -> Any:
    try:
        return json.loads(base64.b64decode(cursor))
    except ValueError:
        raise GraphQLError(f"`{cursor}` does not appear to be a valid cursor.") from None
