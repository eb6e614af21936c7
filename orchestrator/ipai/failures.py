"""Why a plugin failed, in words: which side, how, at which stream, what it said last, and whether to try again.

Of exit codes only those that plugins agree on say something: 2 is a wrong setting (click's own, too), and our plugins
end with 5 on a record or message that cannot be loaded. For everything else the words count.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ipai.errors import RunFailedError
from ipai.plugin_logs import is_metric, message_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipai.pipeline import Exit, Finished
    from ipai.references import Resolver


_EXIT_KINDS = {2: "config", 5: "data"}
# What they say, the first that fits. Google says 403 for a quota as well, so that comes first.
_SAID_KINDS = (
    ("quota", re.compile(r"\b429\b|too many requests|rate.?limit|quota", re.IGNORECASE)),
    (
        "config",
        re.compile(
            r"\b40[13]\b|unauthori[sz]ed|forbidden|invalid_grant|authentication failed|permission denied"
            r"|invalid.{0,20}(credential|password|token|api.?key)",
            re.IGNORECASE,
        ),
    ),
)
_RETRY_AFTER = re.compile(r"retry.?(?:after|in)\W{0,4}(\d{1,7})(?:\.\d+)?\b", re.IGNORECASE)
_DISK_FULL = re.compile(r"no space left on device|disk.{0,10}full|could not extend file", re.IGNORECASE)


class PluginFailedError(RunFailedError):
    """A tap or a target ended badly.

    Args:
        details: what the run's record keeps.
        kind: see `ipai.errors`.
        retry_after: seconds after which the source wants to be asked again; None if it did not say.
    """

    def __init__(
        self,
        message: str,
        details: dict[str, Any],
        *,
        hint: str | None = None,
        kind: str = "transient",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.details = details
        self.kind = kind
        self.retry_after = retry_after
        self.streams: list[str] | None = None  # the only ones to sync again


def pipeline_failure(finished: Finished, resolver: Resolver, streams: Sequence[str]) -> PluginFailedError:
    cause = finished.cause
    assert cause is not None  # noqa: S101 - the caller looked
    other = finished.target if cause.side == "tap" else finished.tap
    error = failure(cause, resolver, streams=streams)
    if cause.side == "tap" and other.code not in (0, -15, 143) and other.tail:
        error.details["target_message"] = resolver.redact(_last_words(other))
    return error


def failure(
    exit_: Exit, resolver: Resolver, *, doing: str = "syncing", streams: Sequence[str] = ()
) -> PluginFailedError:
    """Say which side failed, how, at which stream, and what it said last."""
    stream = _stream_in(exit_.tail, streams)
    if exit_.signal:
        how = f"was ended by {exit_.signal}"
    elif exit_.code == 0:
        how = "ended before its input did"
    else:
        how = f"failed with exit code {exit_.code}"
    words = resolver.redact(_last_words(exit_))
    tail = [resolver.redact(line) for line in exit_.tail if not is_metric(line)]
    message = f"The {exit_.side} {how} while {doing}" + (f" (stream {stream})" if stream else "") + "."
    if words:
        message += f" It said: {words}"
    hint = _hint(exit_)
    details = {
        "side": exit_.side, "exit_code": exit_.code if exit_.code >= 0 else None, "signal": exit_.signal,
        "stream": stream, "message": message, "tail": tail[-20:], **({"hint": hint} if hint else {}),
    }  # fmt: skip
    kind, retry_after = _kind(exit_)
    return PluginFailedError(message, details, hint=hint, kind=kind, retry_after=retry_after)


def _kind(exit_: Exit) -> tuple[str, float | None]:
    words = " ".join(line for line in exit_.tail if not is_metric(line))
    for kind, pattern in _SAID_KINDS:
        if pattern.search(_last_words(exit_)):
            wait = _RETRY_AFTER.findall(words) if kind == "quota" else ()
            return kind, float(wait[-1]) if wait else None
    return _EXIT_KINDS.get(exit_.code, "transient"), None


def _hint(exit_: Exit) -> str | None:
    if any(_DISK_FULL.search(line) for line in exit_.tail):
        return "A disk is full: make room where the error says, and run it again."
    if exit_.signal == "SIGKILL":
        return "The kernel may have ended it for want of memory."
    return None


def _last_words(exit_: Exit) -> str:
    """The line that says why: the last one of an error, or of a traceback, or of anything."""
    lines = [line for line in exit_.tail if line.strip() and not is_metric(line)]
    loud = [line for line in lines if "CRITICAL" in line or "ERROR" in line]
    in_traceback = bool(lines) and any(line.startswith("Traceback") for line in lines)
    if not lines:
        return ""
    chosen = lines[-1] if in_traceback or not loud else loud[-1]
    return message_of(chosen)


def _stream_in(tail: Sequence[str], streams: Sequence[str]) -> str | None:
    """The stream that the last lines name, the latest mention first."""
    for line in reversed(tail):
        words = set(line.replace("'", " ").replace('"', " ").replace(":", " ").replace(",", " ").split())
        named = [stream for stream in streams if stream in words]
        if named:
            return max(named, key=len)
    return None
