"""The language of `errors` and `rate_limit`: what answers mean, and what may be asked when."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from tap_rest_api.language.base import Node, doc
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath

WaitUnit: TypeAlias = Literal["auto", "seconds", "epoch_s", "epoch_ms"]


class Wait(Node, frozen=True):
    """How long to wait."""

    header: Annotated[str | None, doc("as this header says")] = None
    body: Annotated[JsonPath | None, doc("as the body says")] = None
    unit: Annotated[WaitUnit, doc("what a number there counts; `auto` tells by its size, and reads dates")] = "auto"
    min: Annotated[Duration | None, doc("at least so long")] = None
    constant: Annotated[Duration | None, doc("always so long")] = None


ErrorAction: TypeAlias = Literal[
    "retry", "fail", "ignore", "skip_partition", "refresh_auth", "rate_limited", "shrink_page", "split_window"
]


class ErrorRule(Node, frozen=True):
    """What an answer means. The first rule whose keys all match decides, also about a 200."""

    action: Annotated[
        ErrorAction,
        doc(
            "`retry`; `fail`; `ignore`: a page without rows; `skip_partition`: leave it out, not an error; "
            "`refresh_auth`: new token, once; `rate_limited`: nobody asks until the wait is over; "
            "`shrink_page`: half the `size`; `split_window`: half the `window`"
        ),
    ]
    status: Annotated[int | str | list[int | str] | None, doc("one, several, or a class such as `5xx`")] = None
    body_contains: Annotated[str | None, doc("text in the body, in any case")] = None
    body_path: Annotated[JsonPath | None, doc("something in the body; alone: it is there and not null")] = None
    equals: Annotated[Any, doc("what `body_path` is")] = None
    header: Annotated[str | None, doc("`name=value`")] = None
    exception: Annotated[
        Literal["timeout", "connection", "truncated", "decode"] | None,
        doc("no answer, or none that can be read; `retry` is what happens anyway, within `max_retries` of the config"),
    ] = None
    wait: Annotated[Wait | None, doc("how long before the next try")] = None
    max_retries: Annotated[int | None, doc("of `retry` and `shrink_page`: so often, then it fails")] = None
    message: Annotated[str | None, doc("of `fail`: what the error says")] = None

    def __post_init__(self) -> None:
        if self.exception and self.action not in {"retry", "fail"}:
            raise ValueError("a rule for an exception can only retry or fail")
        if not (self.status or self.body_contains or self.body_path or self.header or self.exception):
            raise ValueError("a rule needs something to match: status, body_contains, body_path, header or exception")


class QuotaHeaders(Node, frozen=True):
    """Which headers tell what is left of a limit."""

    remaining: Annotated[str, doc("requests left")] = "x-ratelimit-remaining"
    reset: Annotated[str, doc("when they are filled up again")] = "x-ratelimit-reset"
    reset_unit: Annotated[WaitUnit, doc("what its number counts")] = "auto"
    retry_after: Annotated[Literal["retry-after"], doc("always read; may be written for the reader")] = "retry-after"
    bucket: Annotated[str, doc("name of the quota, where the server has several")] = ""


class Budget(Node, frozen=True):
    """So many requests in any period."""

    limit: Annotated[int, doc("requests")]
    per: Annotated[Duration, doc("period")]
    name: Annotated[str, doc("for the reader")] = ""
    window: Annotated[Literal["sliding"], doc("always so; may be written for the reader")] = "sliding"
    scope: Annotated[Literal["credential", "host"], doc("each credential has its own, or all share one")] = "credential"


class RateLimit(Node, frozen=True):
    """What may be asked when."""

    budgets: Annotated[list[Budget], doc("limits that the server does not tell")] = []
    headers: Annotated[QuotaHeaders | None, doc("how it tells the others")] = None
    reserve: Annotated[int, doc("requests left untouched, for others who use the same credential")] = 0
    max_wait: Annotated[
        Duration | None, doc("longest wait for a limit; `max_wait_seconds` of the config if left out")
    ] = None
    max_concurrency: Annotated[int | None, doc("requests at once; `max_concurrency` of the config may lower it")] = None
