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


# What REST would say.
_STATUSES = {"NOT_FOUND": 404, "FORBIDDEN": 403, "INSUFFICIENT_SCOPES": 403}


class ForbiddenError(RefusedError):
    """The token may not read this; others it may."""


class QueryError(RefusedError):
    """GraphQL could not answer.

    Args:
        message: what happened and what to do next.
        errors: as GitHub tells them.
    """

    def __init__(self, message: str, errors: Sequence[dict[str, Any]] = ()) -> None:
        kinds = {error.get("type") for error in errors}
        super().__init__(message, next((status for kind, status in _STATUSES.items() if kind in kinds), 200))
