"""What GitHub means by its answers.

Source: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api. A 403 is five things, told apart
in this order: a limit that names its wait, the primary limit, a secondary limit, a missing single sign-on, a right
that is missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from singer_kit.http import UnauthorizedError, UnreadableError, Verdict, decoded
from singer_kit.http.verdict import describe, excerpt
from tap_github.errors import ForbiddenError

if TYPE_CHECKING:
    import requests

    from singer_kit.http import Call

_SECONDARY = re.compile(r"secondary rate limit|abuse detection", re.IGNORECASE)
_LEAST = 60.0  # seconds that GitHub asks to wait where no header tells
_LIMITED = frozenset({403, 429})


def judge(call: Call, response: requests.Response) -> Verdict | None:
    """Decide what is GitHub's own; None leaves it to the statuses."""
    status = response.status_code
    if status in _LIMITED:
        return _judge_refusal(call, response)
    if status == 200 and call.bucket == "graphql":  # noqa: PLR2004
        return _judge_query(response)
    return None


def _judge_refusal(call: Call, response: requests.Response) -> Verdict | None:
    if verdict := _judge_limit(response):
        return verdict
    if response.status_code != 403:  # noqa: PLR2004
        return Verdict.limited("429", least=_LEAST)
    if sso := response.headers.get("x-github-sso"):
        url = sso.rpartition("url=")[2]
        return Verdict.fail(
            UnauthorizedError(
                f"{describe(call, response)}: the organization wants single sign-on. Next: authorize the token at {url}"
            )
        )
    if response.status_code in call.tolerate:
        return None
    return Verdict.fail(
        ForbiddenError(
            f"{describe(call, response)}: 403{excerpt(response)}. Next: give the token the right to read this, "
            "deselect the stream, or add the status to the setting tolerate.",
            403,
        )
    )


def _judge_limit(response: requests.Response) -> Verdict | None:
    headers = response.headers
    if headers.get("retry-after"):
        return Verdict.limited("a rate limit that names its wait", scope="credential")
    if headers.get("x-ratelimit-remaining") == "0":
        # The limiter has read when the quota is filled up again; this only says: ask again.
        return Verdict.limited("the primary rate limit", wait=0)
    if _SECONDARY.search(response.text):
        return Verdict.limited("the secondary rate limit", least=_LEAST, scope="credential")
    return None


def _judge_query(response: requests.Response) -> Verdict | None:
    """Limits of GraphQL come with status 200."""
    try:
        body: Any = decoded(response)
    except UnreadableError:
        return None
    errors = body.get("errors") or [] if isinstance(body, dict) else []
    if any(error.get("type") in {"RATE_LIMITED", "RATE_LIMIT"} for error in errors):
        return _judge_limit(response) or Verdict.limited("the primary rate limit", least=_LEAST)
    if any(_SECONDARY.search(str(error.get("message", ""))) for error in errors):
        return _judge_limit(response) or Verdict.limited("the secondary rate limit", least=_LEAST, scope="credential")
    return None
