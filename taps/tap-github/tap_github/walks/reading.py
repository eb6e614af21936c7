"""One partition as a walk reads it: the streams that are read together, and what each has had before.

State of a partition:

    {"replication_key": "updated_at", "replication_key_value": "2024-05-01T10:00:00Z", "at": ["7"], "etag": "…"}

`at` names the rows at that very second which have been sent: timestamps are whole seconds, so the next run begins
with the same second again, and leaves out what it knows.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from singer_kit.rest import Page, SkippedError
from tap_github.errors import QueryError
from tap_github.rows import DERIVED
from tap_github.times import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from tap_github.client import Answer, GitHub
    from tap_github.places import Place
    from tap_github.rows import Row, Urls
    from tap_github.streams.spec import StreamSpec
    from tap_github.streams.stream import GitHubStream
    from tap_github.survey import Survey

logger = logging.getLogger("tap-github")

_MOST_AT_ONCE = 500  # rows of one second that are remembered by name; more are sent again
_canonical = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


class Member:
    """One of the streams that a walk reads together, in one partition.

    Attributes:
        spec: of the stream.
        stream: whose rows these are.
        state: the partition's at the start of the run; empty for a stream that is read whole.
        conditional: whether what has not changed may be left out.
        value: the bookmark.
        floor: rows before it are not wanted; None wants all.
    """

    def __init__(self, stream: GitHubStream, place: Place, urls: Urls) -> None:
        self.stream, self.spec = stream, stream.spec
        self.columns = place.columns
        self.urls = urls
        partition = stream.partition(place)
        incremental = stream.is_incremental
        self.conditional = stream.is_conditional
        state = dict(stream.bookmark_of(partition)) if incremental or self.conditional else {}
        if state.get("replication_key", stream.replication_key) != stream.replication_key:
            state = {}  # of another one, chosen in the catalog
        self.state = state
        self.value = instant(state.get("replication_key_value")) if incremental else None
        self.floor = stream.starts_at(partition) if incremental else None
        self._known = frozenset(state.get("at", ()))
        self._newest, self._newest_text = self.value, state.get("replication_key_value")
        self._at = set(self._known)
        self._ceiling: datetime | None = None
        self.digests: dict[str, str] = {}

    def wants(self, row: Row) -> bool:
        """Whether a row, of this stream or of its leader, has not been sent as it is."""
        when = self.when(row)
        if when is None or (self.value is None and self.floor is None):
            return True
        if self.floor is not None and when < self.floor:
            return False
        return not (when == self.value == self.floor and self._name(row) in self._known)

    def is_young(self, row: Row) -> bool:
        """Whether a row lies behind `start_date`, at the first run."""
        when = self.when(row)
        return self.value is not None or self.floor is None or when is None or when >= self.floor

    def when(self, row: Row) -> datetime | None:
        """The instant of a row, of this stream or of its leader, that the bookmark goes by."""
        key = self.stream.replication_key
        return instant(row.get(self.spec.inherit.get(key, key))) if key else None

    def note(self, row: Row) -> None:
        """A row, of this stream or of its leader, has been read whole, and what belongs to it."""
        when = self.when(row)
        if when is None or (self._newest is not None and when < self._newest):
            return
        if self._ceiling is not None and when > self._ceiling:
            return
        if when != self._newest:
            key = self.stream.replication_key
            self._newest, self._newest_text = when, row[self.spec.inherit.get(key, key)]  # type: ignore[arg-type]
            self._at.clear()
        self._at.add(self._name(row))

    def stamp(self, row: Row, leader: Row | None = None) -> Row:
        """A row with the columns that GitHub does not put there."""
        now = self.stream.rest_tap.client.now()
        stamped = {**self.columns}
        if leader is not None:
            stamped |= {column: leader.get(source) for column, source in self.spec.inherit.items()}
        stamped |= row
        # A row's own may be named alike: what it is read under counts.
        stamped |= self.columns
        for column in self.spec.columns:
            stamped[column] = DERIVED[column][1](row, now)
        return stamped

    def page(self, rows: Iterable[Row] = (), state: Mapping[str, Any] | None = None) -> Page:
        return Page(list(rows), state, self.stream)

    def bookmark(self, **more: Any) -> Mapping[str, Any] | None:
        """What the bookmark becomes, up to all that was noted."""
        at = sorted(self._at) if len(self._at) <= _MOST_AT_ONCE else None
        made = self.stream.bookmark(self._newest_text, at=at or None, digests=self.digests or None, **more)
        if made is not None and made.get("replication_key_value") != self._newest_text:
            made = {name: value for name, value in made.items() if name != "at"}  # cut at the horizon
        return made

    def progress(self) -> Mapping[str, Any] | None:
        """What the bookmark would be, for a reading that is interrupted and goes on later."""
        return self.bookmark()

    def take_up(self, progress: Mapping[str, Any]) -> None:
        """Go on from what an interrupted reading would have written. What has changed since is the next run's."""
        self._newest_text = progress.get("replication_key_value")
        self._newest = self._ceiling = instant(self._newest_text)
        self._at = set(progress.get("at", ()))

    def _name(self, row: Row) -> str:
        return str(row.get("id") or "|".join(str(row.get(name)) for name in self.spec.key if name != "repo_id"))


@dataclass
class Reading:
    """A partition under way.

    Attributes:
        github: to ask, as whoever the partition belongs to.
        place: the partition.
        lead: the stream whose walk it is; it may not be selected itself.
        members: streams that are read along with it, because they, or what hangs on them, are selected.
        survey: what is known of the repository beforehand; None if nobody asked.
        config: the settings.
    """

    github: GitHub
    place: Place
    lead: Member
    members: list[Member]
    survey: Survey | None
    config: Mapping[str, Any]
    selected: list[Member] = field(init=False)

    def __post_init__(self) -> None:
        self.selected = [member for member in (self.lead, *self.members) if member.stream.selected]

    @cached_property
    def url(self) -> str:
        return self.path(self.lead.spec)

    def path(self, spec: StreamSpec, **more: Any) -> str:
        return spec.path.lstrip("/").format(**self.place.path, **more)

    def tolerated(self, spec: StreamSpec) -> frozenset[int]:
        """Statuses that do not fail the partition."""
        return self.skipping(spec) | spec.empty

    def skipping(self, spec: StreamSpec) -> frozenset[int]:
        chosen = (self.config.get("tolerate") or {}).get(spec.name)
        return spec.tolerate if chosen is None else frozenset(chosen)

    def check(self, answer: Answer, spec: StreamSpec) -> bool:
        """Whether an answer holds rows; False if it says that there are none.

        Raises:
            SkippedError: it says that nobody may know.
        """
        if answer.status in spec.empty:
            return False
        if answer.status in self.skipping(spec):
            raise SkippedError(f"{answer.status} at {answer.url}")
        return True

    def check_node(self, found: Row | QueryError, spec: StreamSpec) -> Row:
        """The same for what GraphQL answers.

        Raises:
            SkippedError: it says that nobody may know.
            QueryError: it has no answer.
        """
        if not isinstance(found, QueryError):
            return found
        if found.status in self.skipping(spec):
            raise SkippedError(str(found))
        raise found

    def rows_of(self, body: Any, spec: StreamSpec) -> list[Row]:
        """The rows of an answer."""
        if spec.unpack is not None:
            return spec.unpack(body)
        if spec.records:
            body = body.get(spec.records)
        return body if isinstance(body, list) else [body] if body else []

    def filters(self, spec: StreamSpec) -> Mapping[str, Any]:
        """Parameters that settings decide."""
        return {"filter": self.config["jobs_filter"]} if spec.name == "workflow_jobs" else {}

    def is_wanted(self, row: Row) -> bool:
        """Whether the settings want a row of the leading stream."""
        return (
            self.lead.spec.name != "issues"
            or bool(self.config["include_pull_requests_in_issues"])
            or row.get("pull_request") is None
        )

    @property
    def floor(self) -> datetime | None:
        """From where on some stream wants rows; None: from the beginning."""
        floors = [member.floor for member in self.selected]
        return None if None in floors else min(floors, default=None)  # type: ignore[type-var]

    def common(self, name: str) -> Any:
        """A part of the state that all selected streams have alike, or None: only then it is true of all."""
        values = [member.state.get(name) for member in self.selected]
        return values[0] if all(value == values[0] for value in values) else None

    @property
    def is_conditional(self) -> bool:
        return all(member.conditional for member in self.selected)

    def has_nothing(self) -> bool:
        """Whether the survey has shown that there is nothing to ask for."""
        spec = self.lead.spec
        if self.survey is None:
            return False
        if spec.counted and not any(self.survey.counts[name] for name in spec.counted):
            return True
        if spec.moved:
            if not self.survey.counts[spec.moved]:
                return True
            newest = self.survey.newest[spec.moved]
            return newest is not None and all(
                member.value is not None and member.value == member.floor and newest <= member.value
                for member in self.selected
            )
        return False

    def finish(self, **more: Any) -> Iterator[Page]:
        """All that belongs to the partition is written: the bookmarks of all its streams."""
        for member in self.selected:
            bookmark = member.bookmark(**more)
            yield member.page(state={} if bookmark is None and "resume" in member.state else bookmark)


def digest(rows: Any) -> str:
    """Tells whether rows have changed."""
    return hashlib.sha256(_canonical(rows)).hexdigest()[:24]
