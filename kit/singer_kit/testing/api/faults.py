"""What goes wrong, and what changes, at which request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from singer_kit.testing.api.routes import compiled

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection

    from singer_kit.testing.api.exchange import Answer, Request


@dataclass(frozen=True)
class Fault:
    """One way in which a request goes wrong. With none of the first two, the true answer is what is delayed or cut.

    Args:
        answer: sent instead of the true one; checked by no description.
        cut: close the connection without a byte of an answer.
        truncate: send so many bytes of the body and close, though `Content-Length` promised all.
        delay: seconds before the answer.

    """

    answer: Answer | None = None
    cut: bool = False
    truncate: int | None = None
    delay: float = 0


@dataclass
class When:
    """Which requests: counts those that fit, and says of each whether it is meant.

    Args:
        nth: counted from 1 among the requests that fit; one, several, or None for every one.
        path: a path or a template; None fits any.
        method: None fits any.
        where: a further condition.

    """

    nth: int | Collection[int] | None = None
    path: str | None = None
    method: str | None = None
    where: Callable[[Request], bool] | None = None
    seen: int = field(default=0, init=False)
    _pattern: re.Pattern[str] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._pattern = None if self.path is None else compiled(self.path)

    def meets(self, request: Request) -> bool:
        """Count the request if it fits, and say whether its turn has come."""
        if self.method not in {None, request.method}:
            return False
        if self._pattern is not None and not self._pattern.fullmatch(request.path):
            return False
        if self.where is not None and not self.where(request):
            return False
        self.seen += 1
        if self.nth is None:
            return True
        return self.seen == self.nth if isinstance(self.nth, int) else self.seen in self.nth
