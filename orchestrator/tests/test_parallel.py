"""Several pipelines in one run, and backfills beside the bookmarks: real processes, small plugins."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from ipai.cli import main
from ipai.errors import RunFailedError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from ipai.service import Platform

STREAMS = {"orders": 20, "items": 10, "parts": 5, "people": 3}
ALL = sorted([stream, number] for stream, count in STREAMS.items() for number in range(1, count + 1))
BOOKMARKS = {"bookmarks": {stream: {"id": count} for stream, count in STREAMS.items()}}


def rows(loaded: Callable[[], list[Any]]) -> list[Any]:
    return sorted(row for row in loaded() if row != "end")


def test_parallel_pipelines_are_one_run(
    platform: Platform, declare: Callable[..., str], loaded: Callable[[], list[Any]]
) -> None:
    name = declare({"streams": STREAMS}, parallelism=3)
    result = platform.run(name)
    assert rows(loaded) == ALL
    assert loaded().count("end") == 3
    assert platform.state(name) == BOOKMARKS
    assert {each.stream: each.rows for each in result.streams} == STREAMS
    assert len(platform.status(name, limit=5)) == 1
    # However the streams are divided, the next run goes on from the same bookmarks.
    declare({"streams": {**STREAMS, "orders": 21}}, parallelism=2)
    platform.run(name)
    assert rows(loaded) == sorted([*ALL, ["orders", 21]])


def test_one_failing_pipeline_does_not_end_the_others_and_only_its_streams_are_synced_again(
    platform: Platform, declare: Callable[..., str], loaded: Callable[[], list[Any]]
) -> None:
    name = declare({"streams": STREAMS, "fail_after": ["orders", 7], "how": "exit"}, parallelism=4)
    with pytest.raises(RunFailedError, match="stream orders") as caught:
        platform.run(name)
    assert getattr(caught.value, "streams", None) == ["orders"]
    expected = {"bookmarks": {**BOOKMARKS["bookmarks"], "orders": {"id": 7}}}
    assert platform.state(name) == expected
    declare({"streams": STREAMS}, parallelism=4)
    platform.run(name)
    assert rows(loaded) == ALL
    assert platform.state(name) == BOOKMARKS


def test_a_backfill_leaves_the_bookmarks_alone(
    platform: Platform, declare: Callable[..., str], loaded: Callable[[], list[Any]]
) -> None:
    name = declare({"streams": STREAMS})
    platform.run(name)
    result = platform.run(name, streams=["orders"], backfill=(datetime(2026, 1, 1, tzinfo=timezone.utc), None))
    assert result.run.kind == "backfill"
    assert rows(loaded) == sorted([*ALL, *([["orders", number] for number in range(1, 21)])])
    assert platform.state(name) == BOOKMARKS
    platform.run(name)
    assert len(rows(loaded)) == len(ALL) + 20


def test_a_backfill_that_cannot_be_bounded_is_refused(platform: Platform, declare: Callable[..., str]) -> None:
    span = (datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 2, 1, tzinfo=timezone.utc))
    with pytest.raises(SpecError, match="cannot bound a backfill at its end"):
        platform.run(declare({}), backfill=span)


def test_a_full_refresh_that_fails_is_gone_on_with(
    platform: Platform, declare: Callable[..., str], loaded: Callable[[], list[Any]]
) -> None:
    """It used to leave the old bookmark of a stream that it had not come to, and so never refreshed it."""
    name = declare({})
    platform.run(name)
    declare({"fail_after": ["orders", 2], "how": "exit"})
    with pytest.raises(RunFailedError):
        platform.run(name, full_refresh=True)
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 2}}}
    declare({})
    platform.run(name)
    assert rows(loaded) == sorted(2 * ([["orders", n] for n in range(1, 6)] + [["items", n] for n in range(1, 4)]))


def test_a_backfill_says_which_streams_it_leaves_out(
    platform: Platform, declare: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no notion of time: they are read whole, or not at all."""

    def backfill(name: str, *more: str) -> Result:
        arguments = ["--home", str(platform.home), "--database", platform.url, "backfill", name, "--from", "2026-01-01"]
        monkeypatch.setattr("sys.argv", ["ipai", *arguments, *more])
        return CliRunner().invoke(main, [*arguments, *more])

    whole = {"stream": "items", "replication_method": "FULL_TABLE"}
    done = backfill(declare({}, streams=["orders", whole]))
    assert done.exit_code == 0, done.output
    assert "Not part of a backfill, for they are read whole: items" in done.stdout
    assert "are read whole" not in backfill(declare({}, streams=["orders"])).output
    nothing = backfill(declare({}, streams=[whole]))
    assert nothing.exit_code == 3
    assert "Nothing to backfill: items are read whole." in nothing.stderr
