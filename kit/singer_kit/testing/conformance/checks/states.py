"""STATE: what it promises, and what a run that starts from it brings."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING, Any

from singer_kit.testing.conformance.bookmarks import bookmark_of, bookmarks, earlier
from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.command import Interruption
from singer_kit.testing.conformance.output import Output, union
from singer_kit.testing.conformance.subject import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("state")


@CHECKS.add("not ahead of its rows")
def not_ahead(subject: Subject) -> Iterator[str]:
    """No STATE has a bookmark beyond the rows printed before it, and the last one stands behind the last row."""
    incremental = {stream.name: stream.replication_key for stream in subject.catalog.chosen if stream.incremental}
    highest: dict[str, Any] = {}
    behind = set()
    for message in subject.clean.messages:
        stream = message.get("stream", "")
        key = incremental.get(stream)
        if message["type"] == "RECORD" and key is not None:
            behind.add(stream)
            value = message["record"].get(key)
            if value is not None and (stream not in highest or earlier(highest[stream], value)):
                highest[stream] = value
        elif message["type"] == "STATE":
            behind.clear()
            for name in incremental.keys() & highest.keys():
                for _, value in bookmarks(message["value"], name):
                    if earlier(highest[name], value):
                        yield f"stream {name!r}: a STATE with {value!r} when the highest row was {highest[name]!r}"
                        return
    for name in sorted(behind):
        yield f"stream {name!r}: rows without a STATE behind them"


@CHECKS.add("resumes")
def resumes(subject: Subject) -> Iterator[str]:
    """From the last STATE a run ends well, brings no row older than its bookmark, and no bookmark goes back."""
    state = _last_state(subject)
    output = subject.read(state=state)
    clean = union(subject.clean, subject.catalog.keys)
    for stream in subject.catalog.chosen:
        key = stream.replication_key
        if not stream.incremental or key is None:
            continue
        rows = output.records().get(stream.name, [])
        for row in rows:
            bookmark = bookmark_of(state, stream.name, row)
            if (
                bookmark is not None
                and row.get(key) is not None
                and earlier(row[key], bookmark, subject.lookback_seconds)
            ):
                yield f"stream {stream.name!r}: a row of {row[key]!r} again, though its bookmark is {bookmark!r}"
                break
        if len(rows) == len(clean.get(stream.name, {})) > 1 and not list(bookmarks(state, stream.name)):
            yield f"stream {stream.name!r}: every row again, and no bookmark in STATE"
        for context, after in bookmarks(output.state, stream.name):
            for before in [value for each, value in bookmarks(state, stream.name) if each == context]:
                if earlier(after, before):
                    yield f"stream {stream.name!r}: its bookmark went back from {before!r} to {after!r}"
    if output.state is None:
        yield "no STATE was printed"


@CHECKS.add("killed anywhere")
def killed(subject: Subject) -> Iterator[str]:
    """Killed at random moments and resumed from the last STATE, the runs together bring what one clean run brings."""
    chance = random.Random(subject.seed)  # noqa: S311  (a seed that a user can give again)
    for _ in range(subject.kills):
        after = chance.randrange(max(1, subject.clean_bytes))
        yield from lacking(subject, Interruption(after, signal.SIGKILL), f"killed after {after} bytes")


def lacking(subject: Subject, interruption: Interruption, how: str) -> Iterator[str]:
    """What an interrupted run and the one after it do not bring, or bring otherwise."""
    subject.reset()
    first = Output.read(subject.sync(interruption=interruption).stdout).committed()
    second = subject.read(state=first.state)
    there = union(first.then(second), subject.catalog.keys)
    expected = union(subject.clean, subject.catalog.keys)
    for stream in sorted(expected.keys() | there.keys()):
        wanted, found = expected.get(stream, {}), there.get(stream, {})
        missing, extra = wanted.keys() - found.keys(), found.keys() - wanted.keys()
        other = [key for key in wanted.keys() & found.keys() if wanted[key] != found[key]]
        if missing:
            yield f"{how}: stream {stream!r} lacks {len(missing)} rows, such as {min(missing)}"
        if extra:
            yield f"{how}: stream {stream!r} has {len(extra)} rows too many, such as {min(extra)}"
        if other:
            yield f"{how}: stream {stream!r} has {len(other)} other rows, such as {min(other)}"


def _last_state(subject: Subject) -> dict[str, Any]:
    if subject.clean.state is None:
        if any(stream.incremental for stream in subject.catalog.chosen):
            return {}
        raise NotApplicable("no STATE was printed, and no stream is incremental")
    return subject.clean.state
