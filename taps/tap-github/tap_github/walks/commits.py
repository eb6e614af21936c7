"""Commits by what has been added to a branch since its last known head.

By date alone, commits are missed that were made long ago and pushed now: their dates are those of the committer. So
the state holds the head of each branch, and GitHub compares it with the new one. A force push leaves the old head
behind, and some time later it is gone. So the state also holds some of its ancestors, the farther the fewer: the newest
one that is still there does as well, and brings at most twice the commits that were replaced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tap_github.errors import QueryError
from tap_github.rows import commit
from tap_github.times import instant, written
from tap_github.walks import children
from tap_github.walks.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from singer_kit.rest import Page
    from tap_github.rows import Row
    from tap_github.walks.reading import Member

_MOST_ANCESTORS = 24
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
        self._ancestors: dict[str, list[str]] = dict(members[0].state.get("ancestors", {}))

    def read(self, heads: Mapping[str, str]) -> Iterator[Page]:
        if resume := self._state("resume"):
            yield from self._read_from(resume["url"], {}, resume)
            yield from self._reached(resume["branch"], resume["head"])
        for branch, head in heads.items():
            known = self._heads.get(branch)
            if head == known:
                continue
            if not self._heads and (short := self._short_history(branch, head)) is not None:
                yield from self._emit(short)
                self._remember(branch, [row["sha"] for row in short], [])
            elif known and self._reading.config["commits_mode"] == "since":
                yield from self._read_since(self._value, branch, head)
            else:
                yield from self._compare(branch, head)
            yield from self._reached(branch, head)

    def _short_history(self, branch: str, head: str) -> list[Row] | None:
        """All commits of a default branch, if they are few: many repositories share a question."""
        reading, lead = self._reading, self._reading.lead
        if reading.survey is None or branch != reading.survey.branch or reading.config.get("start_date"):
            return None
        node = lead.stream.first_pages().get(reading.place)
        if isinstance(node, QueryError):
            return None  # REST tells what is wrong with it
        target = (node["defaultBranchRef"] or {}).get("target") or {}
        if target.get("oid") != head or target["history"]["pageInfo"]["hasNextPage"]:
            return None
        return [commit(row, dict(reading.place.columns), lead.urls) for row in target["history"]["nodes"]]

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
        line: list[str] = []
        for answer in reading.github.pages(url, params, stream=spec.name, tolerate=reading.tolerated(spec)):
            rows = reading.rows_of(answer.body, spec) if reading.check(answer, spec) else []
            line += [row["sha"] for row in rows]
            yield from self._emit(rows)
            if answer.next and not self._heads:
                yield from self._finish(resume={**target, "url": answer.next})
        self._remember(target["branch"], line, [])

    def _compare(self, branch: str, head: str) -> Iterator[Page]:
        """What a head has that a known one, or the newest of its ancestors that is still there, has not."""
        reading, spec = self._reading, self._reading.lead.spec
        # A new branch may have grown for long before it was pushed: it is compared with another one.
        origin = branch if branch in self._heads else next(iter(self._heads), None)
        bases = [] if origin is None else [self._heads[origin], *self._ancestors.get(origin, ())]
        for base in bases:
            url = f"repos/{'/'.join(reading.place.path.values())}/compare/{quote(base)}...{quote(head)}"
            listed, total = [], None
            for answer in reading.github.pages(url, {}, stream=spec.name, tolerate=_GONE):
                if answer.status in _GONE:
                    break
                listed += [row["sha"] for row in answer.body["commits"]]
                total = answer.body["total_commits"]
                yield from self._emit(answer.body["commits"])
            if len(listed) == total:
                self._remember(branch, listed[::-1], bases[bases.index(base) :])
                return
        yield from self._read_since(instant(reading.config.get("start_date")), branch, head)

    def _remember(self, branch: str, line: list[str], older: list[str]) -> None:
        """Keep some of the commits behind the head, with which a line begins."""
        chosen = [sha for place, sha in enumerate(line) if place and place & (place - 1) == 0] + older
        if len(chosen) > _MOST_ANCESTORS:
            near, far = chosen[: _MOST_ANCESTORS // 2], chosen[_MOST_ANCESTORS // 2 :]
            chosen = [*near, *far[::2]]
        self._ancestors[branch] = chosen

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
            yield member.page(
                state=member.bookmark(heads=dict(self._heads) or None, ancestors=dict(self._ancestors) or None, **more),
            )
