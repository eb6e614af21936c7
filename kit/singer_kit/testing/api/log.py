"""What was asked and answered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from singer_kit.testing.api.routes import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_kit.testing.api.exchange import Answer, Request


@dataclass(frozen=True)
class Exchange:
    """A request and what became of it.

    Attributes:
        answer: None if the connection was cut instead.
        template: of the route; empty if there was none.
        thread: of the server: one for each connection.
        arrived: seconds of `time.monotonic`.
        in_flight: requests under way when this one had arrived, itself included.

    """

    request: Request
    answer: Answer | None
    template: str
    thread: int
    arrived: float
    in_flight: int

    @property
    def status(self) -> int:
        """Of the answer; 0 if there was none."""
        return self.answer.status if self.answer else 0


class RequestLog(list[Exchange]):
    """Exchanges in the order in which they were answered."""

    def of(
        self,
        path: str | None = None,
        *,
        method: str | None = None,
        status: int | None = None,
        where: Callable[[Request], bool] | None = None,
    ) -> RequestLog:
        """The exchanges that fit. `path` is a path or a template."""
        pattern = compiled(path) if path is not None else None
        return RequestLog(
            each
            for each in self
            if (pattern is None or each.template == path or pattern.fullmatch(each.request.path))
            and method in {None, each.request.method}
            and status in {None, each.status}
            and (where is None or where(each.request))
        )

    @property
    def most_in_flight(self) -> int:
        """How many requests were under way at once, at most."""
        return max((each.in_flight for each in self), default=0)

    def counts(self) -> Counter[str]:
        """Requests by route: what a budget of requests was spent on."""
        return Counter(f"{each.request.method} {each.template or each.request.path}" for each in self)

    def holding(self, secret: str) -> list[tuple[Exchange, str]]:
        """Each exchange whose request holds the text, and where: `url`, `body`, `header Authorization`, …"""
        return list(self._holding(secret))

    def _holding(self, secret: str) -> Iterator[tuple[Exchange, str]]:
        for each in self:
            for place, text in each.request.texts():
                if secret in text:
                    yield each, place
