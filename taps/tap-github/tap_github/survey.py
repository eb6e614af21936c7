"""What is known of repositories before they are read: what they have none of, and what was changed last.

One query tells it of 50 repositories, so that listings which would be empty, or the same as last time, are not asked
for at all: of 100 repositories hardly one has releases, deployments, milestones, discussions and comments at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_github.errors import QueryError
from tap_github.graphql import Nodes
from tap_github.queries import SURVEY
from tap_github.times import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tap_github.client import GitHub
    from tap_github.graphql import Node
    from tap_github.places import Place


@dataclass(frozen=True)
class Survey:
    """One repository.

    Attributes:
        counts: how many there are of each kind.
        newest: when one of a kind was changed last.
        branch: the default branch; None for an empty repository.
        head: its newest commit.
    """

    counts: Mapping[str, int]
    newest: Mapping[str, datetime | None]
    branch: str | None
    head: str | None

    @classmethod
    def of(cls, node: Node) -> Survey:
        found = {name: node[name] or {"totalCount": 0} for name in SURVEY if name in node}
        newest = {
            name: instant(rows[0]["updatedAt"]) if (rows := connection["nodes"]) else None
            for name, connection in found.items()
            if "nodes" in connection
        }
        head = node["defaultBranchRef"] or {}
        counts = {name: connection["totalCount"] for name, connection in found.items()}
        return cls(counts, newest, head.get("name"), (head.get("target") or {}).get("oid"))


class Together:
    """Parts of repositories, asked for by the batch: whoever needs one first asks for its neighbours too.

    Args:
        nodes: asks for an account.
        places: all that will be needed, in the order in which they are.
        keep: whether a node stays after it was handed out; a survey is needed by many streams, a listing by one.
    """

    def __init__(
        self, nodes: Callable[[str], Nodes], places: Sequence[Place], *, make: Callable[[Node], Any], keep: bool = False
    ) -> None:
        self._nodes = nodes
        self._make = make
        self._keep = keep
        self._lock = threading.Lock()
        self._found: dict[str, Any] = {}
        self._waiting: dict[str, list[str]] = {}
        for place in places:
            self._waiting.setdefault(place.account, []).append(place.node_id)

    def get(self, place: Place) -> Any:
        """The part of one repository.

        Returns:
            It, or an error if GitHub has none.
        """
        # Threads that come meanwhile wait: most likely what they need is on its way.
        with self._lock:
            if place.node_id not in self._found:
                self._ask(place)
            return self._found[place.node_id] if self._keep else self._found.pop(place.node_id)

    def _ask(self, place: Place) -> None:
        nodes, waiting = self._nodes(place.account), self._waiting.get(place.account, [])
        at = waiting.index(place.node_id) if place.node_id in waiting else None
        ids = [place.node_id] if at is None else waiting[at : at + nodes.size]
        if at is not None:
            del waiting[at : at + nodes.size]
        for key, node in nodes.read(ids):
            self._found[key] = node if isinstance(node, QueryError) else self._make(node)


def batches(github: GitHub, stream: str, names: Sequence[str], size: int) -> Callable[[str], Nodes]:
    """Makes the one asker of each account, which keeps the size that has proved small enough."""
    made: dict[str, Nodes] = {}

    def of(account: str) -> Nodes:
        if account not in made:
            made[account] = Nodes(github.of(account), stream, names, size)
        return made[account]

    return of
