"""Many nodes with one question, and each of them whole: pages, partial answers, and questions that are too heavy."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_github.errors import QueryError
from tap_github.queries import PARTS, write_query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_github.client import GitHub

logger = logging.getLogger("tap-github")

Node = dict[str, Any]
_LARGEST = 100  # rows of one node, where it is asked alone
_TOO_HEAVY = frozenset({"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED", "TIMEOUT"})
_WENT_WRONG = "Something went wrong"  # and then: "this may be the result of a timeout"
_SMALLEST = 1


@dataclass
class Nodes:
    """Asks for parts of nodes.

    Attributes:
        github: to ask.
        stream: that asks.
        names: of the parts, see `queries.PARTS`.
        size: nodes in one question; halved for good where that was too much.
    """

    github: GitHub
    stream: str
    names: Sequence[str]
    size: int

    def read(self, ids: Sequence[str]) -> Iterator[tuple[str, Node | QueryError]]:
        """Ask for nodes: their parts as they are, connections with their first page.

        Yields:
            Each node by its id, in their order; in its place an error if GitHub has none, such as one that is gone.
        """
        at = 0
        while at < len(ids):
            some = list(ids[at : at + self.size])
            answer = self._ask(some)
            if answer is None:
                continue  # with a smaller size
            at += len(some)
            yield from zip(some, answer, strict=True)

    def pages(self, node: Node, name: str) -> Iterator[list[Any]]:
        """The rows of one connection of a node, page by page; all but the first are asked for."""
        nodes = PARTS[name].nodes
        page, size = node[name], _LARGEST
        while True:
            yield page[nodes] or []
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
            while more:
                found, heavy = self._exchange([node["id"]], [name], size, after)
                if not heavy or size == _SMALLEST:
                    break
                size = max(_SMALLEST, size // 2)
            if not more:
                return
            if isinstance(found[0], QueryError):
                raise found[0]
            page = found[0][name]

    def _ask(self, ids: list[str]) -> list[Node | QueryError] | None:
        size = None
        while True:
            found, heavy = self._exchange(ids, self.names, size)
            if not heavy:
                break
            if len(ids) > 1:
                self.size = max(1, min(self.size, len(ids)) // 2)
                logger.warning("Stream '%s': too much for one query; going on with %d.", self.stream, self.size)
                return None
            if size == _SMALLEST:
                break
            size = max(_SMALLEST, (size or _LARGEST) // 2)
        if all(isinstance(node, QueryError) for node in found):
            return found
        # What went wrong for one of several is asked for again, alone.
        return [
            self._exchange([key], self.names, size)[0][0] if isinstance(node, QueryError) and len(ids) > 1 else node
            for key, node in zip(ids, found, strict=True)
        ]

    def _exchange(
        self, ids: list[str], names: Sequence[str], size: int | None, after: str | None = None
    ) -> tuple[list[Node | QueryError], bool]:
        """Ask once; says of each node what came, and whether it was too much."""
        paged = {"after": after} if any(PARTS[name].nodes for name in names) else {}
        answer = self.github.query(write_query(names, size=size), {"ids": ids, **paged}, stream=self.stream)
        errors: list[dict[str, Any]] = answer.get("errors") or []
        heavy = "heavy" in answer or any(
            error.get("type") in _TOO_HEAVY or ("path" not in error and _WENT_WRONG in str(error.get("message")))
            for error in errors
        )
        listed: list[Node | None] = (answer.get("data") or {}).get("nodes") or [None] * len(ids)
        return [
            self._judged(key, number, node, errors) for number, (key, node) in enumerate(zip(ids, listed, strict=True))
        ], heavy

    def _judged(self, key: str, number: int, node: Node | None, errors: list[dict[str, Any]]) -> Node | QueryError:
        """A node that an error touches is no answer, though most of it may be there."""
        own = [error for error in errors if (error.get("path") or ["nodes", number])[1:2] in ([number], [])]
        if node is not None and not own and len(node) > 1:
            return node
        reason = "; ".join(dict.fromkeys(str(error.get("message")) for error in own)) or "there is no such node"
        return QueryError(
            f"Stream '{self.stream}': GraphQL has no answer for {key}: {reason}. Next: run again with the last state; "
            "if it stays, check the token's rights, or set use_graphql to false.",
            own or [{"type": "NOT_FOUND"}],
        )
