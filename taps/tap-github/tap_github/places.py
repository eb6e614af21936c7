"""What is read on its own: a repository, an organization, a user, a search; and what its rows say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Place:
    """One partition.

    Attributes:
        context: names it in the state. Of a repository only its id, which survives a new name.
        columns: of each row.
        path: values for paths.
        account: whose it is.
        node_id: for GraphQL.
        given: what the listing that it was found in has already answered, by stream.
    """

    context: Mapping[str, Any]
    columns: Mapping[str, Any]
    path: Mapping[str, str]
    account: str = ""
    node_id: str = ""
    given: Mapping[str, Any] = field(default_factory=dict)


def repository(row: Mapping[str, Any]) -> Place:
    """The place of a repository's row."""
    owner, name, number = row["owner"]["login"], row["name"], row["id"]
    given: dict[str, Any] = {}
    if row.get("topics") is not None:
        given["topics"] = {"names": row["topics"]}
    if row.get("custom_properties") is not None:
        given["custom_properties"] = [
            {"property_name": name, "value": value} for name, value in row["custom_properties"].items()
        ]
    return Place(
        {"repo_id": number},
        {"org": owner, "repo": name, "repo_id": number},
        {"owner": owner, "repo": name},
        owner,
        row["node_id"],
        given,
    )


def organization(login: str) -> Place:
    return Place({"org": login}, {"org": login}, {"org": login}, login)


def user(login: str) -> Place:
    return Place({"username": login}, {"username": login}, {"username": login}, login)


def search(name: str, query: str) -> Place:
    return Place({"name": name}, {"name": name}, {"query": query})


def source(name: str) -> Place:
    """Where repositories come from."""
    return Place({"source": name}, {}, {"source": name})
