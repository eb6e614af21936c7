"""Rows in GitHub's own shape: the examples of its OpenAPI document with other values."""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path
from typing import Any

DESCRIPTIONS = Path(__file__).parent / "descriptions"
REST = DESCRIPTIONS / "github-rest.json.gz"
GRAPHQL = DESCRIPTIONS / "github.graphql.gz"
ROOT = "https://api.github.com"

Row = dict[str, Any]

_EXAMPLE_NAMES = ("octocat/Hello-World", "octo-org/octo-repo", "octocat/example", "octo-org/octo-docs",
                  "github/hello-world", "octocat/hello-world")  # fmt: skip
# What the document demands and its examples lack.
_LACKING: dict[str, Row] = {
    "activity-items": {"timestamp": "", "activity_type": "push"},
    "full-repository-default-response": {"language": None},
    "job-paginated": {"created_at": ""},
    "organization-full": {"archived_at": None},
    "short-branch-with-protection-items": {"protected": False, "protection": {"enabled": False}},
    "team-items": {"type": "organization", "organization_id": 0},
}


@functools.cache
def rest_document() -> dict[str, Any]:
    """GitHub's OpenAPI document, without what it says otherwise than GitHub does."""
    document: dict[str, Any] = json.loads(gzip.decompress(REST.read_bytes()))
    schemas = document["components"]["schemas"]
    for name in ("pull-request", "pull-request-simple"):  # the repository of a deleted fork is null
        head = schemas[name]["properties"]["head"]["properties"]
        for part in ("repo", "user"):
            head[part] = {"nullable": True, **head[part]}
    payload = schemas["event"]["properties"]["payload"]  # one alternative is empty: no event could fit just one
    payload["anyOf"] = payload.pop("oneOf")
    return document


def _examples() -> dict[str, Any]:
    examples: dict[str, Any] = rest_document()["components"]["examples"]
    return examples


@functools.cache
def _template(example: str, repository: str) -> Row:
    value = _examples()[example]["value"]
    if isinstance(value, dict):
        lists = [each for each in value.values() if isinstance(each, list)]
        value = lists[0] if "total_count" in value else value
    value = value[0] if isinstance(value, list) else value
    text = json.dumps(value)
    for name in _EXAMPLE_NAMES:
        text = text.replace(name, repository)
    return {**json.loads(text), **_LACKING.get(example, {})}


def make(example: str, repository: str = "octocat/Hello-World", /, **values: Any) -> Row:
    """The first row of an example with other values. What they do not replace is shared between rows: never change it.

    Args:
        example: its name among the document's components.
        repository: `owner/name`, put into every URL.
        values: by property.

    """
    return {**_template(example, repository), **values}


def whole(example: str) -> Any:
    """An example as it is: for what is answered as one object."""
    return json.loads(json.dumps(_examples()[example]["value"]))
