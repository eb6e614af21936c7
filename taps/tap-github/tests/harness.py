"""The tap, run in this process against the fake GitHub."""

from __future__ import annotations

import contextlib
import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from fake_github import TOKEN, FakeGitHub

from tap_github.streams.table import STREAMS
from tap_github.tap import TapGitHub

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]
EVERYTHING = tuple(STREAMS)


class Run(list[dict[str, Any]]):
    """The messages of one run, and the error that it ended with."""

    error: BaseException | None = None

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        return [each for each in self if each["type"] == kind and stream in {None, each.get("stream")}]

    def records(self, stream: str | None = None) -> list[Row]:
        return [each["record"] for each in self.of("RECORD", stream)]

    def rows(self, stream: str) -> dict[tuple[Any, ...], Row]:
        """The last row of each key, as a target has it."""
        return {key_of(stream, row): row for row in self.records(stream)}

    @property
    def state(self) -> dict[str, Any]:
        """The last STATE that a target has seen."""
        states = self.of("STATE")
        return states[-1]["value"] if states else {}

    def bookmarks(self, stream: str) -> dict[Any, dict[str, Any]]:
        """By the partition's first value."""
        parts = self.state["bookmarks"][stream].get("partitions", [])
        return {next(iter(part["context"].values())): part for part in parts}


def key_of(stream: str, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in STREAMS[stream].key)


def config(fake: FakeGitHub, **settings: Any) -> dict[str, Any]:
    chosen = {"organizations": ["acme-0"], "auth_token": TOKEN, "api_url": fake.url, "requests_per_second": 0}
    return {**chosen, **settings}


def catalog(tap: TapGitHub, streams: Iterable[str]) -> dict[str, Any]:
    """A catalog that selects some streams."""
    chosen = set(streams)
    found = json.loads(json.dumps(tap.catalog_dict))
    for entry in found["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in chosen
    return found


def sync(
    fake: FakeGitHub,
    *streams: str,
    state: Any = None,
    fails: bool = False,
    change: Any = None,
    **settings: Any,
) -> Run:
    """Run the tap with some streams selected, or its defaults."""
    chosen = config(fake, **settings)
    listed = catalog(TapGitHub(config=chosen), streams) if streams else None
    if change is not None:
        change(listed)
    tap = TapGitHub(config=chosen, catalog=listed, state=json.loads(json.dumps(state or {})))
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    run = Run()
    with redirect_stdout(out), contextlib.suppress(Exception) if fails else contextlib.nullcontext():
        try:
            tap.sync_all()
        except BaseException as error:
            run.error = error
            raise
        finally:
            flush = getattr(tap.message_writer, "flush", None)
            if flush:
                flush()
    run.extend(json.loads(line) for line in out.buffer.getvalue().splitlines())
    assert bool(run.error) == fails, run.error
    return run
