"""What there is to say of a stream: data only. How it is read is a walk's business, see `tap_github.walks`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tap_github.rows import Row, Urls

Scope = Literal["repository", "organization", "user", "search", "all"]


@dataclass(frozen=True)
class StreamSpec:
    """One stream.

    Attributes:
        name: of the stream.
        path: template of the REST path, as in GitHub's OpenAPI document; empty where only GraphQL has it.
        key: primary key.
        walk: the module of `tap_github.walks` that reads it; of a member, how it is read for a row of its leader.
        scope: what its partitions are, and which columns name them in each row.
        replication_key: by which its bookmark is.
        params: of the query.
        variants: further params, one listing each, whose values also become columns.
        records: member of the answer that holds the rows, if it is not the answer itself.
        unpack: makes rows of an answer that is no list of them.
        tolerate: statuses for which a partition is skipped, and told so.
        empty: statuses that say that there is nothing.
        columns: names of derived columns, see `tap_github.rows`.
        leader: the stream in whose walk it is read.
        inherit: columns that a member takes from the leader's row: its name and the leader's.
        fill: further values for the path, from the leader's row.
        counts_up: whether the number that fills the path is the last of several, from 1 on.
        goes_on: of an answer that is one object: which of its lists the further pages belong to.
        within: of a member, where the leader's row already holds its rows.
        batched: makes a row, as REST has it, of a node that GraphQL answers: then many repositories, or rows of the
            leader, share one request. The query is the part of the stream's name in `tap_github.queries`.
        counted: names of the survey's counts: where all are 0, there is nothing to ask for.
        moved: name of the survey's newest change: where it is not behind the bookmark, neither.
        ordered_by: of a listing that begins with the newest: by what, if not the replication key.
        lookback: how far behind the bookmark such a listing is read on.
        deletable: whether rows of it may vanish while it is read.
        paged: whether the answer has pages.
        accept: media type, where it is not the usual one.
        selected: whether it is read when no catalog says otherwise.
    """

    name: str
    path: str = ""
    key: tuple[str, ...] = ("id",)
    walk: str = "listing"
    scope: Scope = "repository"
    replication_key: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    variants: tuple[Mapping[str, Any], ...] = ()
    records: str = ""
    unpack: Callable[[Any], list[Row]] | None = None
    tolerate: frozenset[int] = frozenset()
    empty: frozenset[int] = frozenset()
    columns: tuple[str, ...] = ()
    leader: str = ""
    inherit: Mapping[str, str] = field(default_factory=dict)
    fill: Mapping[str, str] = field(default_factory=dict)
    counts_up: bool = False
    goes_on: str = ""
    within: str = ""
    batched: Callable[[Row, Row, Urls], Row] | None = None
    counted: tuple[str, ...] = ()
    moved: str = ""
    ordered_by: str = ""
    lookback: timedelta = timedelta(0)
    deletable: bool = True
    paged: bool = True
    accept: str = ""
    selected: bool = True
