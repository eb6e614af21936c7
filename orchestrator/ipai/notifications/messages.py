"""What an event looks like: as JSON for programs (docs/notifications.md describes it), as a few words for people.

An event's payload may hold `message` (what happened, in a sentence) and `hint` (the next step); kinds that are not
known here are told with these.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ipai.control_plane.notifications import Event

VERSION = 1
_CAUSE_LENGTH = 300
_OF_THE_RUN = frozenset({"attempt", "worker", "error", "error_kind", "retry_run_id", "retry_at"})
_STATUS = {"run.started": "running", "run.succeeded": "succeeded", "run.failed": "failed", "run.cancelled": "cancelled"}


def body(event: Event) -> bytes:
    """The JSON of a webhook; the same at every attempt."""
    payload = event.payload
    about_run = event.kind in _STATUS
    document = {
        "type": event.kind,
        "timestamp": _utc(event.at),
        "version": VERSION,
        "data": {
            "event_id": event.id,
            "instance": event.instance,
            "run": _run(event) if about_run else None if event.run_id is None else {"id": event.run_id},
            "details": {key: value for key, value in payload.items() if not (about_run and key in _OF_THE_RUN)},
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _run(event: Event) -> dict[str, Any]:
    payload, facts = event.payload, event.run or {}
    error, retry = payload.get("error"), payload.get("retry_run_id")
    return {
        "id": event.run_id,
        "status": _STATUS[event.kind],
        **{key: facts.get(key) for key in ("kind", "trigger", "streams", "full_refresh", "sla_tier")},
        "attempt": payload.get("attempt"),
        "worker": payload.get("worker"),
        **{key: None if facts.get(key) is None else _utc(facts[key]) for key in ("started_at", "finished_at")},
        "rows": facts.get("rows"),
        "error": None
        if not error
        else {
            "kind": payload.get("error_kind"),
            **{key: error.get(key) for key in ("side", "stream", "exit_code", "signal", "message", "hint")},
        },
        "retry": None if retry is None else {"run_id": retry, "at": _utc(payload["retry_at"])},
    }


@dataclass(frozen=True)
class Words:
    """A message to people: what happened, then the cause and the next step, a line each."""

    title: str
    body: str
    tone: Literal["info", "success", "warning", "failure"]


def words(event: Event) -> Words:
    """Tell an event in a few words."""
    who, payload = event.instance or "ipai", event.payload
    tell = {"run.started": _started, "run.succeeded": _succeeded, "run.failed": _failed, "run.late": _late}.get(
        event.kind
    )
    if tell is not None:
        return tell(event)
    happened = event.kind.replace("_", " ").replace(".", " ")
    cause = payload.get("message") or _shown(payload)
    step = payload.get("hint") or (f"ipai status {who} shows its runs." if event.instance else "")
    tone: Literal["info", "warning"] = "info" if event.kind.startswith(("run.", "channel.")) else "warning"
    run = f" (run {event.run_id})" if event.run_id else ""
    return Words(f"{who}: {happened}{run}", _lines(cause, step), tone)


def _started(event: Event) -> Words:
    attempt = event.payload.get("attempt") or 1
    again = f" It is attempt {attempt}." if attempt > 1 else ""
    return Words(
        f"{event.instance}: run {event.run_id} started",
        _lines(f"On {event.payload.get('worker') or 'a worker'}.{again}", f"ipai logs {event.instance} follows it."),
        "info",
    )


def _succeeded(event: Event) -> Words:
    facts = event.run or {}
    rows = facts.get("rows")
    moved = "It finished" if rows is None else f"{rows:,} rows"
    if facts.get("started_at") and facts.get("finished_at"):
        taken = _moment(facts["finished_at"]) - _moment(facts["started_at"])
        moved += f" in {taken.total_seconds():,.0f} s"
    return Words(f"{event.instance}: run {event.run_id} succeeded", _lines(f"{moved}.", "Nothing to do."), "success")


def _failed(event: Event) -> Words:
    payload = event.payload
    error = payload.get("error") or {}
    if payload.get("retry_run_id"):
        step = (
            f"It is tried again at {_minute(payload['retry_at'])} as run {payload['retry_run_id']}; nothing to do now."
        )
    else:
        step = error.get("hint") or f"ipai logs {event.instance} --run {event.run_id} shows what was said."
    return Words(
        f"{event.instance}: run {event.run_id} failed",
        _lines(error.get("message") or "No cause is known.", step),
        "failure",
    )


def _late(event: Event) -> Words:
    payload = event.payload
    cause = "It has not succeeded in time."
    if {"due_at", "latest_seconds", "sla_tier"} <= payload.keys():
        latest = _moment(payload["due_at"]) + timedelta(seconds=float(payload["latest_seconds"]))
        cause = (
            f"It was due at {_minute(payload['due_at'])} and, by its tier {payload['sla_tier']}, should have succeeded "
            f"by {_minute(latest.isoformat())}."
        )
    return Words(f"{event.instance} is late", _lines(cause, f"ipai status {event.instance} shows its runs."), "warning")


def _lines(cause: str, step: str) -> str:
    cause = " ".join(str(cause).split())
    if len(cause) > _CAUSE_LENGTH:
        cause = cause[: _CAUSE_LENGTH - 1] + "…"
    return "\n".join(part for part in (cause, f"Next: {step}" if step else "") if part)


def _shown(payload: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in payload.items() if value is not None)


def _utc(moment: datetime | str) -> str:
    moment = _moment(moment) if isinstance(moment, str) else moment
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _minute(moment: str) -> str:
    return _moment(moment).astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _moment(text: str) -> datetime:
    """A moment as Postgres writes it into JSON: without the zeros at the end, which Python 3.10 does not read."""
    head, point, tail = text.partition(".")
    if point:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = f"{head}.{tail[:digits]:0<6}{tail[digits:]}"
    return datetime.fromisoformat(text)
