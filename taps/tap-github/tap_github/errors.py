"""What only GitHub answers.

SourceError
└── RefusedError            see singer_kit.http
├── ForbiddenError      the token may not read this
└── QueryError          GraphQL answers with errors; some of them mean that the query is too heavy
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_kit.http import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence


class ForbiddenError(RefusedError):
    """The token may not read this; others it may."""


class QueryError(RefusedError):
    """GraphQL could not answer.

    Args:
        message: what happened and what to do next.
        errors: as GitHub tells them.
    """

    def __init__(self, message: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message, 200)
        self.errors = errors

    @property
    def kinds(self) -> set[str]:
        """GitHub's types of the errors, such as NOT_FOUND."""
        return {str(error.get("type", "")) for error in self.errors}
