"""Why a plugin failed, in words: which side, how, at which stream, and what it said last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipai.errors import RunFailedError
from ipai.plugin_logs import is_metric, message_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipai.pipeline import Exit, Finished
    from ipai.references import Resolver


class PluginFailedError(RunFailedError):
    """A tap or a target ended badly; `details` is what the run's record keeps."""

    def __init__(self, message: str, details: dict[str, Any], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.details = details


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
    hint = "The kernel may have ended it for want of memory." if exit_.signal == "SIGKILL" else None
    details = {
        "side": exit_.side, "exit_code": exit_.code if exit_.code >= 0 else None, "signal": exit_.signal,
        "stream": stream, "message": message, "tail": tail[-20:],
    }  # fmt: skip
    return PluginFailedError(message, details, hint=hint)


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
