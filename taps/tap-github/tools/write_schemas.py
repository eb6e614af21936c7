"""Write tap_github/schemas/*.json from GitHub's own OpenAPI document.

    python taps/tap-github/tools/write_schemas.py ../shared/specs/trimmed/github-rest.trimmed.json

Every member of a listing's items becomes a nullable property (but the key); objects inside stay free-form, because
GitHub adds to them all the time. What only GraphQL has, or is no list, is written down here.
"""

# ruff: noqa: INP001
from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from tap_github.rows import DERIVED
from tap_github.streams.table import STREAMS

Schema = dict[str, Any]
FOLDER = Path(__file__).parent.parent / "tap_github" / "schemas"

TEXT, NUMBER, COUNT, FLAG = ({"type": [kind, "null"]} for kind in ("string", "number", "integer", "boolean"))
INSTANT = {"type": ["string", "null"], "format": "date-time"}
DAY = {"type": ["string", "null"], "format": "date"}
OBJECT = {"type": ["object", "null"], "additionalProperties": True}
OBJECTS = {"type": ["array", "null"], "items": OBJECT}

SCOPES = {
    "repository": {"org": TEXT, "repo": TEXT, "repo_id": COUNT},
    "organization": {"org": TEXT},
    "user": {"username": TEXT},
    "search": {"name": TEXT},
    "all": {},
}
_COMMENT = {
    "id": TEXT, "database_id": COUNT, "author": OBJECT, "author_association": TEXT, "body": TEXT,
    "created_at": INSTANT, "updated_at": INSTANT, "published_at": INSTANT, "last_edited_at": INSTANT, "url": TEXT,
    "upvote_count": COUNT, "is_answer": FLAG, "is_minimized": FLAG, "minimized_reason": TEXT, "deleted_at": INSTANT,
}  # fmt: skip
WRITTEN_DOWN: dict[str, Schema] = {
    "languages": {"language": TEXT, "bytes": COUNT},
    "topics": {"topic": TEXT},
    "contributor_stats": {
        "author_id": COUNT, "author_login": TEXT, "week": INSTANT, "additions": COUNT, "deletions": COUNT,
        "commits": COUNT,
    },
    "starred": {"starred_at": INSTANT, "repo": OBJECT},
    "search_counts": {
        "query": TEXT, "window_start": INSTANT, "window_end": INSTANT, "total_count": COUNT, "incomplete_results": FLAG,
    },
    "issue_timeline": {
        "event": TEXT, "id": {"type": ["integer", "string", "null"]}, "node_id": TEXT, "url": TEXT, "actor": OBJECT,
        "user": OBJECT, "created_at": INSTANT, "updated_at": INSTANT, "submitted_at": INSTANT, "commit_id": TEXT,
        "commit_url": TEXT, "sha": TEXT, "state": TEXT, "state_reason": TEXT, "body": TEXT, "html_url": TEXT,
        "author_association": TEXT, "author": OBJECT, "committer": OBJECT, "message": TEXT, "label": OBJECT,
        "assignee": OBJECT, "assigner": OBJECT, "milestone": OBJECT, "rename": OBJECT, "source": OBJECT,
        "review_requester": OBJECT, "requested_reviewer": OBJECT, "requested_team": OBJECT, "dismissed_review": OBJECT,
        "lock_reason": TEXT, "project_card": OBJECT, "comments": OBJECTS, "issue_url": TEXT, "reactions": OBJECT,
        "minimized": OBJECT, "pin": OBJECT, "performed_via_github_app": OBJECT,
    },
    "pull_request_details": {
        "id": COUNT, "node_id": TEXT, "number": COUNT, "updated_at": INSTANT, "additions": COUNT, "deletions": COUNT,
        "changed_files": COUNT, "commits": COUNT, "reviews": COUNT, "comments": COUNT, "mergeable": TEXT,
        "merge_state": TEXT, "merged": FLAG, "merged_by": OBJECT, "review_decision": TEXT, "is_draft": FLAG,
        "is_cross_repository": FLAG, "maintainer_can_modify": FLAG, "closing_issues": OBJECTS,
    },
    "review_requests": {
        "id": TEXT, "created_at": INSTANT, "actor": OBJECT, "reviewer_type": TEXT, "reviewer": TEXT,
        "reviewer_id": COUNT,
    },
    "discussions": {
        "id": TEXT, "database_id": COUNT, "number": COUNT, "title": TEXT, "body": TEXT, "url": TEXT, "author": OBJECT,
        "author_association": TEXT, "category": OBJECT, "labels": OBJECTS, "comments": COUNT, "upvote_count": COUNT,
        "locked": FLAG, "closed": FLAG, "closed_at": INSTANT, "state_reason": TEXT, "is_answered": FLAG,
        "answer_id": TEXT, "answer_chosen_at": INSTANT, "created_at": INSTANT, "updated_at": INSTANT,
        "published_at": INSTANT, "last_edited_at": INSTANT,
    },
    "discussion_comments": {**_COMMENT, "replies": COUNT},
    "discussion_replies": {**_COMMENT, "reply_to_id": TEXT},
    "projects_v2": {
        "id": TEXT, "database_id": COUNT, "number": COUNT, "title": TEXT, "short_description": TEXT, "readme": TEXT,
        "public": FLAG, "closed": FLAG, "closed_at": INSTANT, "template": FLAG, "url": TEXT, "creator": OBJECT,
        "created_at": INSTANT, "updated_at": INSTANT,
    },
    "project_items": {
        "id": TEXT, "database_id": COUNT, "type": TEXT, "is_archived": FLAG, "content": OBJECT, "fields": OBJECT,
        "creator": OBJECT, "created_at": INSTANT, "updated_at": INSTANT,
    },
}  # fmt: skip
# One of an organization's listing, of a search or of an App's installation has members that the others lack.
SIBLINGS = {
    "repositories": ["/repos/{owner}/{repo}", "/search/repositories", "/installation/repositories"],
    "team_repositories": ["/repos/{owner}/{repo}"],
    "user_repositories": ["/repos/{owner}/{repo}"],
}


class Document:
    """GitHub's description of its REST API."""

    def __init__(self, path: str) -> None:
        data = Path(path).read_bytes()
        self._root = json.loads(gzip.decompress(data) if path.endswith(".gz") else data)

    def properties(self, path: str, records: str, media: str) -> Schema:
        """The members of a listing's items."""
        answers = self._root["paths"][path]["get"]["responses"]["200"]["content"]
        body = self._resolve(answers.get(media) or answers["application/json"])["schema"]
        members: Schema = {}
        for item in self._alternatives(body):
            inner = item["items"] if item.get("type") == "array" else item
            for each in self._alternatives(inner):
                found = each.get("properties", {})
                if records or (
                    path.startswith(("/search/", "/installation/")) and {"items", "repositories"} & {*found}
                ):
                    listed = self._resolve(found[records or next(iter({"items", "repositories"} & {*found}))])
                    found = {}
                    for one in self._alternatives(listed["items"]):
                        found |= one.get("properties", {})
                for name, value in found.items():
                    members[name] = _union(members.get(name), self._property(value))
        return members

    def _property(self, value: Schema) -> Schema:
        kinds: set[str] = set()
        formats: set[str] = set()
        items: list[Schema] = []
        for each in self._alternatives(value):
            types = each.get("type") or ("object" if "properties" in each else "array" if "items" in each else None)
            for kind in [types] if isinstance(types, str) else types or ["string", "object", "array"]:
                kinds.add(kind)
            formats.add(each.get("format", "") if "string" in kinds else "")
            if "items" in each:
                items.append(self._property(each["items"]))
        kinds.discard("null")
        if "number" in kinds:
            kinds.discard("integer")
        schema: Schema = {"type": [*sorted(kinds), "null"]}
        if kinds == {"string"} and formats <= {"date-time"}:
            schema["format"] = "date-time"
        if "object" in kinds:
            schema["additionalProperties"] = True
        if items:
            schema["items"] = items[0]
            for item in items[1:]:
                schema["items"] = _union(schema["items"], item)
        return schema

    def _alternatives(self, value: Schema) -> list[Schema]:
        """A schema, or those that it is any of; `allOf` is put together."""
        value = self._resolve(value)
        options = value.get("oneOf") or value.get("anyOf")
        if options:
            return [found for option in options for found in self._alternatives(option)]
        if "allOf" in value:
            merged: Schema = {"properties": {}}
            for part in value["allOf"]:
                for each in self._alternatives(part):
                    merged |= {name: item for name, item in each.items() if name != "properties"}
                    merged["properties"] |= each.get("properties", {})
            return [merged]
        return [value]

    def _resolve(self, value: Schema) -> Schema:
        while "$ref" in value:
            found = self._root
            for name in value["$ref"].removeprefix("#/").split("/"):
                found = found[name.replace("~1", "/").replace("~0", "~")]
            value = found
        return value


def _union(one: Schema | None, other: Schema) -> Schema:
    if one is None or one == other:
        return other
    kinds = {*one["type"], *other["type"]} - {"null"}
    if "number" in kinds:
        kinds.discard("integer")
    merged: Schema = {"type": [*sorted(kinds), "null"]}
    formats = {each.get("format") for each in (one, other) if each["type"] != ["null"]}
    if formats == {"date-time"}:
        merged["format"] = "date-time"
    if "object" in kinds:
        merged["additionalProperties"] = True
    if items := [each["items"] for each in (one, other) if "items" in each]:
        merged["items"] = items[0] if len(items) == 1 else _union(items[0], items[1])
    return merged


def schemas(path: str) -> dict[str, Schema]:
    """All of them, by the stream's name."""
    document = Document(path)
    loaded: dict[str, Schema] = {}
    for name, spec in STREAMS.items():
        own = WRITTEN_DOWN.get(name)
        if own is None:
            own = document.properties(spec.path, spec.records, spec.accept)
            for sibling in SIBLINGS.get(name, ()):
                own |= {key: value for key, value in document.properties(sibling, "", "").items() if key not in own}
        properties = dict(SCOPES[spec.scope])
        if name == "repositories":
            properties = {"org": TEXT, "repo": TEXT, "repo_id": COUNT}
        for column, source in spec.inherit.items():
            properties[column] = _union(loaded[spec.leader]["properties"][source], {"type": ["null"]})
        for variant in spec.variants:
            properties |= dict.fromkeys(variant, TEXT)
        properties |= {column: DERIVED[column][0] for column in spec.columns}
        properties |= {column: value for column, value in own.items() if column not in properties}
        for column in spec.key:
            kinds = [kind for kind in properties[column]["type"] if kind != "null"]
            properties[column] = {**properties[column], "type": kinds}
        loaded[name] = {"type": "object", "properties": properties}
    return loaded


if __name__ == "__main__":
    for name, schema in schemas(sys.argv[1]).items():
        (FOLDER / f"{name}.json").write_text(json.dumps(schema, indent=1) + "\n")
