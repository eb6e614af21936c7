"""A stream of the table, with the walk that reads it."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from singer_kit.rest import Partition, RestStream
from tap_github.survey import Together, batches
from tap_github.walks import WALKS
from tap_github.walks.reading import Member, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_kit.rest import Page
    from tap_github.places import Place
    from tap_github.streams.spec import StreamSpec
    from tap_github.tap import TapGitHub

SCHEMAS = Path(__file__).parent.parent / "schemas"


class GitHubStream(RestStream):
    """One stream.

    Args:
        tap: of the settings.
        spec: of the table.
    """

    def __init__(self, tap: TapGitHub, spec: StreamSpec) -> None:
        schema = json.loads((SCHEMAS / f"{spec.name}.json").read_text())
        super().__init__(tap, name=spec.name, schema=schema, path=f"/{spec.path.lstrip('/')}")
        self.github_tap = tap
        self.spec = spec
        self.selected_by_default = spec.selected
        self.primary_keys = list(spec.key)
        self.replication_key = spec.replication_key
        if spec.walk == "listing":
            self.lookback = spec.lookback
        self._first_pages: Together | None = None

    def hang_on(self, leader: GitHubStream) -> None:
        """Be read in another stream's walk. The SDK leaves a stream alone that has a parent."""
        self.parent_stream_type = GitHubStream
        leader.child_streams.append(self)

    @property
    def is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    @property
    def is_conditional(self) -> bool:
        """Whether what has not changed may be left out; not where all rows must come for a snapshot."""
        snapshot = self.option("deletion_detection") == "snapshot" and not self.is_incremental
        chosen = self.is_incremental or self.replication_key is None
        return bool(self.config["use_conditional_requests"]) and chosen and not snapshot

    @staticmethod
    def partition(place: Place) -> Partition:
        return Partition(place.context, place)

    def partitions_to_read(self) -> Iterable[Partition]:
        _ = self.github_tap.horizon
        return [self.partition(place) for place in self.github_tap.selection.places(self.spec.scope)]

    def read(self, partition: Partition) -> Iterator[Page]:
        place: Place = partition.data
        tap = self.github_tap
        family = [stream for stream in self.family() if stream.selected or stream.has_selected_descendents]
        reading = Reading(
            tap.github.of(place.account),
            place,
            Member(self, place, tap.urls),
            [Member(stream, place, tap.urls) for stream in family if stream is not self],  # type: ignore[arg-type]
            tap.survey(place) if self.spec.counted or self.spec.moved or self.spec.walk == "commits" else None,
            self.config,
        )
        return WALKS[self._walk](reading)

    @cached_property
    def _walk(self) -> str:
        """Where GraphQL is not to be used, a listing of REST stands in."""
        return "listing" if self.spec.walk == "connection" and not self.config["use_graphql"] else self.spec.walk

    def first_pages(self) -> Together:
        """Of a stream that GraphQL batches over repositories: the first page of each."""
        if self._first_pages is None:
            tap = self.github_tap
            size = tap.config["graphql_page_size"]
            ask = batches(tap.github, self.name, [self.name], size)
            self._first_pages = Together(ask, tap.repositories(), make=_whole)
        return self._first_pages


def _whole(node: dict[str, Any]) -> dict[str, Any]:
    return node
