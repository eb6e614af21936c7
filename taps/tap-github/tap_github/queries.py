"""What is asked of GraphQL: parts of one query, which many repositories or pull requests share.

    query($ids: [ID!]!, $after: String) {
      nodes(ids: $ids) { id ... on PullRequest { reviews(first: 50, after: $after) { … } commits(…) { … } } }
    }

Schema: https://docs.github.com/graphql/overview/public-schema. A query costs the number of its
connections, counted as if each were as long as `first` allows, divided by 100: the reviews of 50 pull requests cost 1
point, where REST would be asked 50 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ACTOR = (
    "__typename login avatarUrl url ... on User { databaseId id isSiteAdmin } ... on Bot { databaseId id }"
    " ... on Mannequin { databaseId id } ... on Organization { databaseId id }"
)
_USER = "__typename login avatarUrl url databaseId id isSiteAdmin"
_GIT_ACTOR = f"name email date user {{ {_USER} }}"
_COMMIT = (
    f"oid id url message author {{ {_GIT_ACTOR} }} committer {{ {_GIT_ACTOR} }} tree {{ oid }}"
    " parents(first: 100) { nodes { oid } } comments { totalCount }"
    " signature { isValid state payload signature verifiedAt }"
)
_COMMENT = (
    f"id databaseId author {{ {_ACTOR} }} authorAssociation body createdAt updatedAt publishedAt lastEditedAt url"
    " upvoteCount isAnswer isMinimized minimizedReason deletedAt"
)


@dataclass(frozen=True)
class Part:
    """A field of a node, mostly a connection.

    Attributes:
        on: type of the node.
        field: its field; the answer has it under the part's name.
        selection: of one row.
        arguments: besides `first` and `after`.
        nodes: where a connection holds its rows; empty for a field that is none.
        size: rows of each node that are asked for at first; a node with more is then asked alone.
    """

    on: str
    field: str
    selection: str
    arguments: str = ""
    nodes: str = "nodes"
    size: int = 50

    def written(self, name: str, size: int) -> str:
        if not self.nodes:
            return self.selection
        arguments = ", ".join(filter(None, [f"first: {size}", "after: $after", self.arguments]))
        return (
            f"{name}: {self.field}({arguments}) {{ pageInfo {{ hasNextPage endCursor }}"
            f" {self.nodes} {{ {self.selection} }} }}"
        )


_NEWEST = "orderBy: {field: UPDATED_AT, direction: DESC}"

# What a survey can tell of a repository: only what a selected stream needs is asked for, or a token that may not know
# it would get no answer at all.
SURVEY = {
    "branches": 'branches: refs(refPrefix: "refs/heads/") { totalCount }',
    "commit_comments": "commit_comments: commitComments { totalCount }",
    "deployments": "deployments { totalCount }",
    "environments": "environments { totalCount }",
    "forks": "forks { totalCount }",
    "issues": "issues { totalCount }",
    "labels": "labels { totalCount }",
    "milestones": f"milestones(first: 1, {_NEWEST}) {{ totalCount nodes {{ updatedAt }} }}",
    "pull_requests": f"pull_requests: pullRequests(first: 1, {_NEWEST}) {{ totalCount nodes {{ updatedAt }} }}",
    "releases": "releases { totalCount }",
}

PARTS: dict[str, Part] = {
    # Of repositories
    "survey": Part("Repository", "", "defaultBranchRef { name target { oid } }", nodes=""),
    **{f"survey_{name}": Part("Repository", "", selection, nodes="") for name, selection in SURVEY.items()},
    "tags": Part(
        "Repository",
        "refs",
        "id name target { oid ... on Tag { target { oid ... on Tag { target { oid } } } } }",
        'refPrefix: "refs/tags/"',
        size=100,
    ),
    "languages": Part("Repository", "languages", "size node { name }", nodes="edges", size=100),
    "stargazers": Part(
        "Repository",
        "stargazers",
        f"starredAt node {{ {_USER} }}",
        "orderBy: {field: STARRED_AT, direction: DESC}",
        nodes="edges",
        size=100,
    ),
    "subscribers": Part("Repository", "watchers", _USER, size=100),
    "assignees": Part("Repository", "assignableUsers", _USER, size=100),
    "discussions": Part(
        "Repository",
        "discussions",
        f"id databaseId number title body url createdAt updatedAt publishedAt lastEditedAt closed closedAt locked"
        f" isAnswered answerChosenAt answer {{ id }} stateReason upvoteCount authorAssociation author {{ {_ACTOR} }}"
        " category { id name slug emoji isAnswerable } labels(first: 10) { nodes { id name color } }"
        " comments { totalCount }",
        _NEWEST,
        size=20,
    ),
    # The beginning of a history; a repository with more is read by REST, 100 at a time.
    "commits": Part(
        "Repository",
        "",
        "defaultBranchRef { name target { ... on Commit { oid history(first: 25) {"
        f" pageInfo {{ hasNextPage }} nodes {{ {_COMMIT} }} }} }} }} }}",
        nodes="",
    ),
    # Of discussions
    "discussion_comments": Part(
        "Discussion", "comments", f"{_COMMENT} replies {{ totalCount }}"
    ),
    "discussion_replies": Part("DiscussionComment", "replies", f"{_COMMENT} replyTo {{ id }}"),
    # Of pull requests
    "pull_request_details": Part(
        "PullRequest",
        "",
        "fullDatabaseId number updatedAt additions deletions changedFiles mergeable mergeStateStatus merged"
        f" mergedBy {{ {_ACTOR} }} reviewDecision isDraft maintainerCanModify isCrossRepository totalCommentsCount"
        " commitCount: commits { totalCount } reviewCount: reviews { totalCount }"
        " closingIssues: closingIssuesReferences(first: 20) { nodes { number repository { nameWithOwner } } }",
        nodes="",
    ),
    "reviews": Part(
        "PullRequest",
        "reviews",
        f"fullDatabaseId id author {{ {_ACTOR} }} authorAssociation body state url submittedAt commit {{ oid }}",
    ),
    "pull_request_commits": Part("PullRequest", "commits", f"commit {{ {_COMMIT} }}", size=10),
    "review_requests": Part(
        "PullRequest",
        "timelineItems",
        f"... on ReviewRequestedEvent {{ id createdAt actor {{ {_ACTOR} }} requestedReviewer {{ __typename"
        " ... on User { login databaseId } ... on Bot { login databaseId } ... on Mannequin { login databaseId }"
        " ... on Team { name slug databaseId } } }",
        "itemTypes: [REVIEW_REQUESTED_EVENT]",
        size=20,
    ),
    # Of organizations
    "projects_v2": Part(
        "Organization",
        "projectsV2",
        "id fullDatabaseId number title shortDescription readme public closed closedAt template url createdAt updatedAt"
        f" creator {{ {_ACTOR} }}",
        "orderBy: {field: UPDATED_AT, direction: DESC}",
    ),
    # Of projects
    "project_items": Part(
        "ProjectV2",
        "items",
        f"id fullDatabaseId type isArchived createdAt updatedAt creator {{ {_ACTOR} }}"
        " content { __typename ... on Issue { id number title repository { nameWithOwner } }"
        " ... on PullRequest { id number title repository { nameWithOwner } } ... on DraftIssue { id title } }"
        " fieldValues(first: 50) { nodes { __typename"
        " ... on ProjectV2ItemFieldTextValue { text field { ... on ProjectV2FieldCommon { name } } }"
        " ... on ProjectV2ItemFieldNumberValue { number field { ... on ProjectV2FieldCommon { name } } }"
        " ... on ProjectV2ItemFieldDateValue { date field { ... on ProjectV2FieldCommon { name } } }"
        " ... on ProjectV2ItemFieldSingleSelectValue { name field { ... on ProjectV2FieldCommon { name } } }"
        " ... on ProjectV2ItemFieldIterationValue { title field { ... on ProjectV2FieldCommon { name } } } } }",
        size=20    ),
}  # fmt: skip


def write_query(names: Iterable[str], *, size: int | None = None) -> str:
    """The query for some parts, all of the same type of node.

    Args:
        names: of the parts.
        size: rows of each node instead of the parts' own.
    """
    parts = {name: PARTS[name] for name in names}
    (on,) = {part.on for part in parts.values()}
    body = " ".join(part.written(name, size or part.size) for name, part in parts.items())
    after = ", $after: String" if any(part.nodes for part in parts.values()) else ""
    return f"query($ids: [ID!]!{after}) {{ nodes(ids: $ids) {{ id ... on {on} {{ {body} }} }} }}"
