"""The language of `incremental` and `partitions`: what of a stream is read."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from tap_rest_api.conditions import Condition
from tap_rest_api.language.base import Node, doc, preset
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import Template


class Bound(Node, frozen=True):
    """A request parameter that limits what is asked for."""

    name: Annotated[str, doc("of the parameter")]
    place: Annotated[Literal["query", "header"], doc("where it goes")] = field(default="query", name="in")
    format: Annotated[str, doc("how a moment is written")] = "rfc3339"


class SplitWhen(Node, frozen=True):
    """When a window holds too much."""

    total: Annotated[JsonPath, doc("where the answer has the number of rows")]
    over: Annotated[int, doc("more than so many")]


class Window(Node, frozen=True):
    """Time in slices, each asked for on its own: `${window.start}` to `${window.end}`, the end left out."""

    step: Annotated[Duration, doc("length of a slice")]
    min_step: Annotated[Duration, doc("no shorter when split")] = preset(Duration("1m"))
    split_when: Annotated[SplitWhen | None, doc("halve a slice that holds too much")] = None


class Incremental(Node, frozen=True):
    """How only what is new is read."""

    cursor: Annotated[str, doc("field that says when a row changed, by its name in the output")]
    type: Annotated[Literal["datetime", "date", "integer", "string"], doc("of the cursor")] = "datetime"
    format: Annotated[str | list[str], doc("how records write it; several are tried in turn")] = "rfc3339"
    timezone: Annotated[str | None, doc("of times without an offset; UTC if left out")] = None
    initial: Annotated[Template | None, doc("where the first run begins; `start_date` of the config if left out")] = (
        None
    )
    inclusive: Annotated[bool, doc("the server takes `start` as `>=`; if not, the tap asks for one step less")] = True
    lookback: Annotated[Duration | None, doc("begin so far before the bookmark, for rows that come late")] = None
    delay: Annotated[Duration | None, doc("stay so far behind now, for rows that are not complete")] = None
    start: Annotated[Bound | None, doc("parameter that takes the beginning")] = None
    end: Annotated[Bound | None, doc("parameter that takes the end")] = None
    window: Annotated[Window | None, doc("read in slices of time")] = None
    order: Annotated[
        Literal["asc", "desc", "none"],
        doc("of the server's rows. `asc`: the bookmark moves with each page; otherwise at the partition's end"),
    ] = "none"
    client_filter: Annotated[bool, doc("the server cannot filter: rows before the bookmark are left out here")] = False
    per_partition: Annotated[Literal[True], doc("always so; may be written for the reader")] = True
    missing_cursor: Annotated[Literal["include", "exclude", "fail"], doc("what happens to rows without the cursor")] = (
        "include"
    )
    parallel_windows: Annotated[int, doc("windows to read at once")] = 1


class Partition(Node, frozen=True):
    """Reads the stream once for each value or parent record. Several make a cross product."""

    values: Annotated[Template | None, doc("a list, or a template that is one")] = None
    name: Annotated[str | None, doc("name of `${partition.NAME}`")] = field(default=None, name="as")
    parent: Annotated[str | None, doc("a stream, read once for each of its records")] = None
    fields: Annotated[dict[str, JsonPath], doc("what `${parent.NAME}` is; these identify the partition")] = {}
    where: Annotated[Condition | None, doc("which parent records")] = None
    changed_only: Annotated[bool, doc("only parents that the parent's own bookmark lets through")] = False

    def __post_init__(self) -> None:
        if (self.parent is None) == (self.values is None):
            raise ValueError("write either parent or values")
        if self.parent is None and self.name is None:
            raise ValueError("values need a name: as")
        if self.parent is not None and not self.fields:
            raise ValueError("parent needs fields: what ${parent.NAME} is")
