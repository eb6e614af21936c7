"""What answers mean: a manifest's `errors`, as the client's judge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

from singer_kit.errors import ConfigurationError
from singer_kit.http import Call, RefusedError, UnreadableError, Verdict, decoded
from singer_kit.http.verdict import describe, excerpt
from singer_kit.http.waits import Unit, seconds_to_wait
from singer_kit.rest.page import SkippedError
from tap_rest_api.templates import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import requests

    from tap_rest_api.language import ErrorRule, Wait

UNITS: Mapping[str, Unit] = {"auto": "auto", "seconds": "delta", "epoch_s": "epoch_s", "epoch_ms": "epoch_ms"}
_PER_CLASS = 100


class IgnoredAnswer(Exception):  # noqa: N818 - what it says, not a fault
    """The answer is a page without rows."""


class ShrinkPage(Exception):  # noqa: N818
    """The page is too large for the server."""


class SplitWindow(Exception):  # noqa: N818
    """The window holds too much."""


@dataclass(frozen=True)
class RuledCall(Call):
    """A call whose answers are judged by rules.

    Attributes:
        rules: of the stream.
        used: how often each has decided.
        is_whole: tells of a body in a file whether it is all there.
    """

    rules: tuple[Rule, ...] = ()
    used: Counter[int] = field(default_factory=Counter)
    is_whole: Callable[[IO[bytes]], bool] | None = None


class Rule:
    """One entry of `errors`, compiled."""

    def __init__(self, spec: ErrorRule) -> None:
        self.spec = spec
        statuses = spec.status if isinstance(spec.status, list) else [] if spec.status is None else [spec.status]
        try:
            self._statuses = {int(each) for each in statuses if not str(each).endswith("xx")}
            self._classes = {int(str(each)[0]) for each in statuses if str(each).endswith("xx")}
        except ValueError:
            raise ConfigurationError(f"errors: {spec.status!r} is no status; write 404, [403, 404] or 5xx") from None
        self._contains = spec.body_contains.lower() if spec.body_contains else None
        name, _, value = (spec.header or "").partition("=")
        self._header = (name.strip(), value.strip()) if spec.header else None

    def matches(self, response: requests.Response) -> bool:
        """Whether all that it names is so."""
        spec = self.spec
        if spec.exception and (spec.exception != "decode" or not _is_broken(response)):
            return False  # the others never come with an answer; the client tries again by itself
        if spec.status is not None and not (
            response.status_code in self._statuses or response.status_code // _PER_CLASS in self._classes
        ):
            return False
        if self._header and response.headers.get(self._header[0], "").strip() != self._header[1]:
            return False
        if self._contains and self._contains not in response.text.lower():
            return False
        if spec.body_path:
            found = spec.body_path.first(body_of(response))
            return found is not None if spec.equals is None else found == spec.equals
        return True

    def verdict(  # noqa: PLR0911 - one for each action
        self, number: int, call: RuledCall, response: requests.Response, now: datetime
    ) -> Verdict:
        """What happens then."""
        spec = self.spec
        reason = f"{response.status_code} {spec.action}{excerpt(response)}"
        call.used[number] += 1
        if spec.max_retries is not None and call.used[number] > spec.max_retries:
            return Verdict.fail(RefusedError(self._failure(call, response), response.status_code))
        match spec.action:
            case "retry":
                return Verdict.retry(reason, wait=self._wait(response, now))
            case "rate_limited":
                least = spec.wait.min.seconds if spec.wait and spec.wait.min else 1.0
                return Verdict.limited(reason, wait=self._wait(response, now), least=least)
            case "refresh_auth":
                return Verdict.refresh(reason)
            case "ignore":
                return Verdict.fail(IgnoredAnswer(reason))
            case "skip_partition":
                return Verdict.fail(SkippedError(reason))
            case "shrink_page":
                return Verdict.fail(ShrinkPage(reason))
            case "split_window":
                return Verdict.fail(SplitWindow(reason))
        return Verdict.fail(RefusedError(self._failure(call, response), response.status_code))

    def _failure(self, call: Call, response: requests.Response) -> str:
        if self.spec.message:
            return f"{describe(call, response)}: {self.spec.message}"
        return (
            f"{describe(call, response)}: {response.status_code} {response.reason or ''}{excerpt(response)}. "
            "Next: see the rule in errors that says so, and what the API answers."
        )

    def _wait(self, response: requests.Response, now: datetime) -> float | None:
        wait: Wait | None = self.spec.wait
        if wait is None:
            return None
        if wait.constant:
            return wait.constant.seconds
        text = None
        if wait.header:
            text = response.headers.get(wait.header)
        elif wait.body:
            found = wait.body.first(body_of(response))
            text = None if found is None else as_text(found)
        seconds = seconds_to_wait(text, now, UNITS[wait.unit])
        return seconds if seconds is None or wait.min is None else max(seconds, wait.min.seconds)


def judge(clock: Callable[[], datetime]) -> Callable[[Call, requests.Response], Verdict | None]:
    """The client's judge: the rules of the call, then what GraphQL itself says."""

    def judged(call: Call, response: requests.Response) -> Verdict | None:
        if not isinstance(call, RuledCall):
            return None
        for number, rule in enumerate(call.rules):
            if rule.matches(response):
                return rule.verdict(number, call, response, clock())
        in_file = response.ok and call.to_file
        if in_file and call.is_whole is not None and not call.is_whole(cast("IO[bytes]", response.raw)):
            return Verdict.retry("the body ends in the middle of a line")
        if (
            response.ok
            and isinstance(call.json, dict)
            and "query" in call.json
            and (errors := _graphql_errors(response))
        ):
            return Verdict.fail(
                RefusedError(
                    f"{describe(call, response)}: GraphQL says: {errors}. "
                    "Next: correct the query, or say in errors what this means.",
                    response.status_code,
                )
            )
        return None

    return judged


def body_of(response: requests.Response) -> Any:
    """The answer's JSON, or null where it is none."""
    try:
        return decoded(response) if response.content else None
    except UnreadableError:
        return None


def _is_broken(response: requests.Response) -> bool:
    try:
        decoded(response)
    except UnreadableError:
        return True
    return False


def _graphql_errors(response: requests.Response) -> str:
    body = body_of(response)
    errors = body.get("errors") if isinstance(body, dict) else None
    if not isinstance(errors, list) or not errors:
        return ""
    return "; ".join(str(each.get("message", each)) if isinstance(each, dict) else str(each) for each in errors[:3])
