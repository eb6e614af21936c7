"""Commits by what has been added to a branch since its last known head.

By date alone, commits are missed that were made long ago and pushed now: their dates are those of the committer. So
the state holds the head of each branch, and GitHub compares it with the new one. Where the old head is gone (a force
push, then garbage collection), the last 30 days before the bookmark are read again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_github.times import written
from tap_github.walks import children
from tap_github.walks.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from singer_kit.rest import Page
    from tap_github.rows import Row
    from tap_github.walks.reading import Member

_BEFORE = timedelta(days=30)
_GONE = frozenset({404, 422})


def read(reading: Reading) -> Iterator[Page]:
    """Read the new commits of the branches, and what hangs on them."""
    if reading.has_nothing():
        return
    heads = find_heads(reading)
    # A stream that was selected later knows other heads, or none.
    groups: dict[str, list[Member]] = {}
    for member in reading.selected:
        groups.setdefault(repr(_known(member)), []).append(member)
    for members in groups.values():
        yield from _Walk(reading, members).read(heads)


def find_heads(reading: Reading) -> Mapping[str, str]:
    """The newest commit of each branch that is wanted."""
    chosen = reading.config.get("branches")
    full_name = "/".join(reading.place.path.values())
    if isinstance(chosen, dict):
        chosen = chosen.get(full_name)
    if not chosen:
        if reading.survey is not None:
            head, branch = reading.survey.head, reading.survey.branch
            return {branch: head} if branch and head else {}
        return _default_head(reading)
    heads = {
        row["name"]: row["commit"]["sha"]
        for answer in reading.github.pages(
            f"repos/{full_name}/branches", {}, stream=reading.lead.spec.name, tolerate=frozenset({404})
        )
        for row in answer.body or []
    }
    return heads if chosen == "all" else {name: heads[name] for name in chosen if name in heads}


def _default_head(reading: Reading) -> Mapping[str, str]:
    spec = reading.lead.spec
    answer = reading.github.get(reading.url, {"per_page": 1}, stream=spec.name, tolerate=reading.tolerated(spec))
    rows = reading.rows_of(answer.body, spec) if reading.check(answer, spec) else []
    return {"": rows[0]["sha"]} if rows else {}


def _known(member: Member) -> Mapping[str, str]:
    found: Mapping[str, str] = member.state.get("heads", {})
    return found


class _Walk:
    """The commits of some streams, which know the same heads."""

    def __init__(self, reading: Reading, members: list[Member]) -> None:
        lead = reading.lead
        self._wanted = lead in members
        self._all = members
        self._reading = Reading(
            reading.github, reading.place, lead, [each for each in members if each is not lead], reading.survey,
            reading.config,
        )  # fmt: skip
        self._sent: set[str] = set()
        self._heads = dict(_known(members[0]))

    def read(self, heads: Mapping[str, str]) -> Iterator[Page]:
        if resume := self._state("resume"):
            yield from self._read_from(resume["url"], {}, resume)
            yield from self._reached(resume["branch"], resume["head"])
        for branch, head in heads.items():
            known = self._heads.get(branch)
            if head == known:
                continue
            # A new branch may have grown for long before it was pushed: it is compared with another one.
            base = known or next(iter(self._heads.values()), None)
            if base is None:
                start = self._reading.floor
                yield from self._read_since(start, branch, head)
            elif self._reading.config["commits_mode"] == "since":
                yield from self._read_since(self._value, branch, head)
            else:
                yield from self._compare(base, branch, head)
            yield from self._reached(branch, head)

    def _state(self, name: str) -> Any:
        """A part of the state that the streams have alike."""
        values = [member.state.get(name) for member in self._all]
        return values[0] if all(value == values[0] for value in values) else None

    def _reached(self, branch: str, head: str) -> Iterator[Page]:
        self._heads[branch] = head
        yield from self._finish()

    @property
    def _value(self) -> datetime | None:
        return min((member.value for member in self._all if member.value), default=None)

    def _read_since(self, start: datetime | None, branch: str, head: str) -> Iterator[Page]:
        params = {"sha": head, "since": written(start) if start else None}
        yield from self._read_from(self._reading.url, params, {"branch": branch, "head": head})

    def _read_from(self, url: str, params: Mapping[str, Any], target: Mapping[str, Any]) -> Iterator[Page]:
        """A listing of a head's history, whose pages never move."""
        reading, spec = self._reading, self._reading.lead.spec
        for answer in reading.github.pages(url, params, stream=spec.name, tolerate=reading.tolerated(spec)):
            yield from self._emit(reading.rows_of(answer.body, spec) if reading.check(answer, spec) else [])
            if answer.next and not self._heads:
                yield from self._finish(resume={**target, "url": answer.next})

    def _compare(self, base: str, branch: str, head: str) -> Iterator[Page]:
        reading, spec = self._reading, self._reading.lead.spec
        url = f"repos/{'/'.join(reading.place.path.values())}/compare/{quote(base)}...{quote(head)}"
        listed, total = 0, None
        for answer in reading.github.pages(url, {}, stream=spec.name, tolerate=_GONE):
            if answer.status in _GONE:
                break
            listed += len(answer.body["commits"])
            total = answer.body["total_commits"]
            yield from self._emit(answer.body["commits"])
        if listed != total:
            start = self._value
            yield from self._read_since(start - _BEFORE if start else None, branch, head)

    def _emit(self, rows: list[Row]) -> Iterator[Page]:
        lead = self._reading.lead
        fresh = [row for row in rows if row["sha"] not in self._sent]
        self._sent.update(row["sha"] for row in fresh)
        if self._wanted and lead.stream.selected:
            yield lead.page(map(lead.stamp, fresh))
        yield from children.read(self._reading, fresh)
        for row in map(lead.stamp, fresh):
            lead.note(row)

    def _finish(self, **more: Any) -> Iterator[Page]:
        for member in self._all:
            yield member.page(state=member.bookmark(heads=dict(self._heads) or None, **more))
