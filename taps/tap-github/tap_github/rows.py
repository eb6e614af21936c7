"""Rows: what GraphQL answers in the shape of REST, and columns that are worked out."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tap_github.times import in_utc, written

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Row = dict[str, Any]


class Urls:
    """Where GitHub's own URLs of a row lead.

    Args:
        api: base URL of REST, without a slash at the end.
    """

    def __init__(self, api: str) -> None:
        self.api = api

    def repository(self, place: Row) -> str:
        return f"{self.api}/repos/{place['org']}/{place['repo']}"


# From GraphQL to REST. All that make rows are called alike: the node, what surrounds it, GitHub's URLs.
# ruff: noqa: ARG001


def user(actor: Row | None, urls: Urls) -> Row | None:
    """REST's "simple user" of a GraphQL actor; None is a deleted account."""
    if actor is None:
        return None
    kind, login = actor["__typename"], actor["login"]
    if kind == "Bot":
        login += "[bot]"
    api = f"{urls.api}/users/{login}"
    return {
        "login": login,
        "id": actor.get("databaseId"),
        "node_id": actor.get("id"),
        "avatar_url": actor["avatarUrl"],
        "gravatar_id": "",
        "url": api,
        "html_url": actor["url"],
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": kind,
        "site_admin": bool(actor.get("isSiteAdmin")),
    }


def plain_user(node: Row, place: Row, urls: Urls) -> Row:
    return user(node, urls) or {}


def language(edge: Row, place: Row, urls: Urls) -> Row:
    return {"language": edge["node"]["name"], "bytes": edge["size"]}


def stargazer(edge: Row, place: Row, urls: Urls) -> Row:
    return {"starred_at": edge["starredAt"], "user": user(edge["node"], urls)}


def tag(node: Row, place: Row, urls: Urls) -> Row:
    """An annotated tag leads to its commit through an object of its own."""
    target = node["target"]
    while "target" in (target or {}):
        target = target["target"]
    base, name, sha = urls.repository(place), node["name"], (target or {}).get("oid")
    return {
        "name": name,
        "commit": {"sha": sha, "url": f"{base}/commits/{sha}"},
        "zipball_url": f"{base}/zipball/refs/tags/{name}",
        "tarball_url": f"{base}/tarball/refs/tags/{name}",
        "node_id": node["id"],
    }


def review(node: Row, place: Row, urls: Urls) -> Row:
    pull_url = f"{urls.repository(place)}/pulls/{place['pull_number']}"
    return {
        "id": int(node["fullDatabaseId"]),
        "node_id": node["id"],
        "user": user(node["author"], urls),
        "body": node["body"],
        "state": node["state"],
        "html_url": node["url"],
        "pull_request_url": pull_url,
        "author_association": node["authorAssociation"],
        "_links": {"html": {"href": node["url"]}, "pull_request": {"href": pull_url}},
        "submitted_at": node["submittedAt"],
        "commit_id": (node["commit"] or {}).get("oid"),
    }


def pull_request_commit(node: Row, place: Row, urls: Urls) -> Row:
    return commit(node["commit"], place, urls)


def commit(node: Row, place: Row, urls: Urls) -> Row:
    base, sha, html_url = urls.repository(place), node["oid"], node["url"]
    html_base = html_url.rpartition("/")[0]
    signature = node["signature"]
    verification = dict.fromkeys(("signature", "payload", "verified_at")) | {"verified": False, "reason": "unsigned"}
    if signature is not None:
        verification = {
            "verified": signature["isValid"],
            "reason": signature["state"].lower(),
            "signature": signature["signature"],
            "payload": signature["payload"],
            "verified_at": signature["verifiedAt"],
        }
    return {
        "sha": sha,
        "node_id": node["id"],
        "commit": {
            "author": _git_actor(node["author"]),
            "committer": _git_actor(node["committer"]),
            "message": node["message"],
            "tree": {"sha": node["tree"]["oid"], "url": f"{base}/git/trees/{node['tree']['oid']}"},
            "url": f"{base}/git/commits/{sha}",
            "comment_count": node["comments"]["totalCount"],
            "verification": verification,
        },
        "url": f"{base}/commits/{sha}",
        "html_url": html_url,
        "comments_url": f"{base}/commits/{sha}/comments",
        "author": user((node["author"] or {}).get("user"), urls),
        "committer": user((node["committer"] or {}).get("user"), urls),
        "parents": [
            {"sha": parent["oid"], "url": f"{base}/commits/{parent['oid']}", "html_url": f"{html_base}/{parent['oid']}"}
            for parent in node["parents"]["nodes"]
        ],
    }


def _git_actor(actor: Row | None) -> Row | None:
    return actor and {"name": actor["name"], "email": actor["email"], "date": in_utc(actor["date"])}


def pull_request_detail(node: Row, place: Row, urls: Urls) -> Row:
    return {
        "id": int(node["fullDatabaseId"]),
        "node_id": node["id"],
        "number": node["number"],
        "updated_at": node["updatedAt"],
        "additions": node["additions"],
        "deletions": node["deletions"],
        "changed_files": node["changedFiles"],
        "commits": node["commitCount"]["totalCount"],
        "reviews": node["reviewCount"]["totalCount"],
        "comments": node["totalCommentsCount"],
        "mergeable": node["mergeable"],
        "merge_state": node["mergeStateStatus"],
        "merged": node["merged"],
        "merged_by": (user(node["mergedBy"], urls)),
        "review_decision": node["reviewDecision"],
        "is_draft": node["isDraft"],
        "is_cross_repository": node["isCrossRepository"],
        "maintainer_can_modify": node["maintainerCanModify"],
        "closing_issues": [
            {"repository": issue["repository"]["nameWithOwner"], "number": issue["number"]}
            for issue in (node["closingIssues"] or {"nodes": []})["nodes"]
        ],
    }


def review_request(node: Row, place: Row, urls: Urls) -> Row:
    reviewer = node["requestedReviewer"] or {}
    return {
        "id": node["id"],
        "created_at": node["createdAt"],
        "actor": user(node["actor"], urls),
        "reviewer_type": reviewer.get("__typename"),
        "reviewer": reviewer.get("login") or reviewer.get("slug"),
        "reviewer_id": reviewer.get("databaseId"),
    }


def discussion(node: Row, place: Row, urls: Urls) -> Row:
    row = _snake(node, drop={"author", "answer", "labels", "comments", "category"})
    return row | {
        "author": user(node["author"], urls),
        "answer_id": (node["answer"] or {}).get("id"),
        "category": _snake(node["category"]),
        "labels": [dict(label) for label in (node["labels"] or {"nodes": []})["nodes"]],
        "comments": node["comments"]["totalCount"],
    }


def discussion_comment(node: Row, place: Row, urls: Urls) -> Row:
    row = _snake(node, drop={"author", "replies", "replyTo", "discussion_replies"})
    row["author"] = user(node["author"], urls)
    if "replies" in node:
        row["replies"] = node["replies"]["totalCount"]
    if "replyTo" in node:
        row["reply_to_id"] = (node["replyTo"] or {}).get("id")
    return row


def project(node: Row, place: Row, urls: Urls) -> Row:
    row = _snake(node, drop={"creator", "fullDatabaseId"})
    return row | {"database_id": int(node["fullDatabaseId"]), "creator": user(node["creator"], urls)}


def project_item(node: Row, place: Row, urls: Urls) -> Row:
    row = project({**node, "content": None, "fieldValues": None}, place, urls)
    content = node["content"] or {}
    del row["field_values"]
    return row | {
        "content": content and {**content, "repository": (content.get("repository") or {}).get("nameWithOwner")},
        "fields": {
            value["field"]["name"]: next((value[kind] for kind in _FIELD_VALUES if kind in value), None)
            for value in node["fieldValues"]["nodes"]
            if "field" in value
        },
    }


_FIELD_VALUES = ("text", "number", "date", "name", "title")


def _snake(node: Row, drop: Collection[str] = ()) -> Row:
    """The members of a node under names as REST writes them."""
    return {
        "".join("_" + letter.lower() if letter.isupper() else letter for letter in name): value
        for name, value in node.items()
        if name not in drop and not name.startswith("__")
    }


# From answers that are no lists


def languages(body: Row) -> list[Row]:
    return [{"language": name, "bytes": size} for name, size in body.items()]


def topics(body: Row) -> list[Row]:
    return [{"topic": name} for name in body["names"]]


def contributor_weeks(body: list[Row]) -> list[Row]:
    """The week's letters are GitHub's: when it began (seconds of the epoch), additions, deletions, commits."""
    return [
        {
            "author_id": (person["author"] or {}).get("id") or 0,
            "author_login": (person["author"] or {}).get("login"),
            "week": written(datetime.fromtimestamp(week["w"], timezone.utc)),
            "additions": week["a"],
            "deletions": week["d"],
            "commits": week["c"],
        }
        for person in body or []
        for week in person["weeks"]
    ]


# Columns that are worked out: type, and from what row at what time

_STRING, _INTEGER, _DATE = (
    {"type": ["string", "null"]},
    {"type": ["integer", "null"]},
    {"type": ["string", "null"], "format": "date-time"},
)


def _tail(name: str) -> Callable[[Row, datetime], int | None]:
    """The number at the end of a URL."""

    def read(row: Row, now: datetime) -> int | None:
        digits = str(row.get(name) or "").rpartition("/")[2]
        return int(digits) if digits.isdigit() else None

    return read


def _of_user(member: str) -> Callable[[Row, datetime], Any]:
    return lambda row, _: (row.get("user") or {}).get(member)


def _commit_date(who: str) -> Callable[[Row, datetime], Any]:
    return lambda row, _: ((row.get("commit") or {}).get(who) or {}).get("date")


def _contributor_key(row: Row, now: datetime) -> str:
    if row.get("id") is not None:
        return f"id:{row['id']}"
    return f"anon:{row.get('email') or row.get('name')}"


def _event_key(row: Row, now: datetime) -> str:
    """Items of a timeline are of some thirty kinds that have no key in common."""
    who = (row.get("actor") or row.get("user") or {}).get("id")
    what = row.get("id") or row.get("node_id") or row.get("sha") or (row.get("source") or {}).get("issue", {}).get("id")
    when = row.get("created_at") or row.get("submitted_at")
    text = json.dumps([row.get("event"), what, when, who], default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


DERIVED: dict[str, tuple[Row, Callable[[Row, datetime], Any]]] = {
    "committed_at": (_DATE, _commit_date("committer")),
    "authored_at": (_DATE, _commit_date("author")),
    "issue_number": (_INTEGER, _tail("issue_url")),
    "pull_number": (_INTEGER, _tail("pull_request_url")),
    "is_pull_request": (
        {"type": ["boolean", "null"]},
        lambda row, _: row.get("pull_request") is not None,
    ),
    "user_id": (_INTEGER, _of_user("id")),
    "user_login": (_STRING, _of_user("login")),
    "contributor_key": (_STRING, _contributor_key),
    "event_key": (_STRING, _event_key),
    "snapshot_date": (
        {"type": ["string", "null"], "format": "date"},
        lambda _, now: now.date().isoformat(),
    ),
    "repo_id": (_INTEGER, lambda row, _: (row.get("repo") or {}).get("id")),
}
