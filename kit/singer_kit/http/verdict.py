"""What an answer means: the one place where a status becomes a decision.

A tap gives its client a `Judge` for what its API means by its statuses; what that leaves open, `judge_by_status`
decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal

from singer_kit.http.errors import RefusedError, UnauthorizedError

if TYPE_CHECKING:
    import requests

    from singer_kit.errors import PluginError
    from singer_kit.http.call import Call

Judge = Callable[["Call", "requests.Response"], "Verdict | None"]

# Those that a server, or what stands before it, means for this moment only (RFC 9110, RFC 8470, Cloudflare's 52x).
PASSING = frozenset({408, 425, 500, 502, 503, 504, *range(520, 525)})
_LONGEST_EXCERPT = 300


class Action(Enum):
    """What the client does next."""

    ACCEPT = auto()
    RETRY = auto()
    WAIT = auto()
    REFRESH = auto()
    FAIL = auto()


@dataclass(frozen=True)
class Verdict:
    """What an answer means; made by the class methods.

    Attributes:
        reason: for logs, and for the error that follows when tries or time run out.
        wait: seconds; None is what the headers say, or ever longer.
        least: of WAIT, seconds to begin with where nobody says how long.
        scope: of WAIT, what has to pause: the bucket that the call counts in, or all that the credential does.
        error: of FAIL.
    """

    action: Action
    reason: str = ""
    wait: float | None = None
    least: float = 1.0
    scope: Literal["bucket", "credential"] = "bucket"
    error: Exception | None = None

    @classmethod
    def accept(cls) -> Verdict:
        """The caller gets the answer."""
        return cls(Action.ACCEPT)

    @classmethod
    def retry(cls, reason: str, *, wait: float | None = None) -> Verdict:
        """Something that passes: ask again, a limited number of times."""
        return cls(Action.RETRY, reason, wait)

    @classmethod
    def limited(
        cls,
        reason: str,
        *,
        wait: float | None = None,
        least: float = 1.0,
        scope: Literal["bucket", "credential"] = "bucket",
    ) -> Verdict:
        """A rate limit: nobody asks with this credential before the wait is over; another one may."""
        return cls(Action.WAIT, reason, wait, least, scope)

    @classmethod
    def refresh(cls, reason: str) -> Verdict:
        """The credential may just have run out: renew it, once."""
        return cls(Action.REFRESH, reason)

    @classmethod
    def fail(cls, error: PluginError | Exception) -> Verdict:
        """No use in asking again."""
        return cls(Action.FAIL, str(error), error=error)


def judge_by_status(call: Call, response: requests.Response) -> Verdict:
    """What statuses mean where nobody knows better."""
    status = response.status_code
    if status < 400:  # noqa: PLR2004
        return Verdict.accept()
    reason = f"{status} {response.reason or ''}".strip()
    if status == 429:  # noqa: PLR2004
        return Verdict.limited(reason)
    if status in PASSING:
        return Verdict.retry(reason)
    if status == 401:  # noqa: PLR2004
        return Verdict.refresh(reason)
    if status == 403:  # noqa: PLR2004
        return Verdict.fail(
            UnauthorizedError(
                f"{describe(call, response)}: {reason}{excerpt(response)}. Next: give the credential the right to read "
                "this, or deselect the stream."
            )
        )
    return Verdict.fail(
        RefusedError(
            f"{describe(call, response)}: {reason}{excerpt(response)}. Next: check the settings that this request is "
            "made of, or deselect the stream.",
            status,
        )
    )


def describe(call: Call, response: requests.Response | None = None) -> str:
    """Name a call in an error: whose it is, and what was asked. Secrets in it are taken out where it is printed."""
    where = f"Stream '{call.stream}': " if call.stream else ""
    url = response.url if response is not None else call.url
    return f"{where}{call.method} {url}"


def excerpt(response: requests.Response) -> str:
    """What the server says of it, as one short line."""
    text = " ".join(response.text.split())
    return f": {text[:_LONGEST_EXCERPT]}{'…' if len(text) > _LONGEST_EXCERPT else ''}" if text else ""
