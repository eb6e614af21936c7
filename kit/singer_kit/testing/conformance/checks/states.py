"""STATE: what it promises, and what a run that starts from it brings."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING, Any

from singer_kit.testing.conformance.bookmarks import bookmark_of, bookmarks, earlier
from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.command import Interruption
from singer_kit.testing.conformance.output import Output, canonical, union
from singer_kit.testing.conformance.subject import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("state")


@CHECKS.add("not ahead of its rows")
def not_ahead(subject: Subject) -> Iterator[str]:
    """No row comes after a STATE whose bookmark is beyond it, and the last STATE stands behind the last row."""
    streams = {stream.name: stream for stream in subject.catalog.chosen if stream.incremental}
    state: dict[str, Any] = {}
    printed: set[tuple[str, str]] = set()
    behind: set[str] = set()
    for message in subject.clean.messages:
        stream = streams.get(message.get("stream", ""))
        if message["type"] == "STATE":
            state = message["value"]
            behind.clear()
        elif message["type"] == "RECORD" and stream is not None:
            row = message["record"]
            behind.add(stream.name)
            key = (stream.name, canonical([row.get(name) for name in stream.keys]))
            value, bookmark = row.get(stream.replication_key), bookmark_of(state, stream.name, row)
            comparable = key not in printed and value is not None and bookmark is not None
            if comparable and earlier(value, bookmark, subject.lookback_seconds):
                yield f"stream {stream.name!r}: a row of {value!r} after a STATE with {bookmark!r}"
                return
            printed.add(key)
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
