"""Whole runs with real processes and a real control plane; the plugins are small, everything else is the real thing."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from filelock import FileLock

from ipai.errors import BusyError, NotFoundError, PluginError, RunFailedError, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ipai.service import Platform

Declare = Any
ORDERS = [["orders", number] for number in range(1, 6)]
ITEMS = [["items", number] for number in range(1, 4)]


def test_a_run_moves_rows_and_keeps_state_metrics_and_logs(
    platform: Platform, declare: Declare, loaded: Callable[[], list[Any]]
) -> None:
    name = declare({})
    result = platform.run(name)
    assert loaded() == [*ORDERS, *ITEMS, "end"]
    assert result.run.status == "succeeded"
    assert {each.stream: each.rows for each in result.streams} == {"orders": 5, "items": 3}
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}
    (report,) = platform.status(name, limit=5)
    assert report.run == result.run
    _, lines = platform.logs(name, run_id=None, side="tap", limit=None)
    assert [line.message for line in lines] == ["INFO the secret is None and in the environment None"]


def test_the_next_run_moves_only_what_is_new(
    platform: Platform, declare: Declare, loaded: Callable[[], list[Any]]
) -> None:
    platform.run(declare({}))
    platform.run(declare({"streams": {"orders": 6, "items": 3}}))
    assert loaded() == [*ORDERS, *ITEMS, "end", ["orders", 6], "end"]


def test_full_refresh_of_one_stream_leaves_the_other_bookmark(
    platform: Platform, declare: Declare, loaded: Callable[[], list[Any]]
) -> None:
    name = declare({})
    platform.run(name)
    platform.set_bookmark(name, "items", {"id": 2})
    platform.run(name, streams=["orders"], full_refresh=True)
    assert loaded() == [*ORDERS, *ITEMS, "end", *ORDERS, "end"]
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 5}, "items": {"id": 2}}}


def test_full_refresh_of_all_keeps_bookmarks_of_streams_outside_the_instance(
    platform: Platform, declare: Declare, loaded: Callable[[], list[Any]]
) -> None:
    name = declare({}, streams=["orders"])
    platform.set_bookmark(name, "retired", {"id": 9})
    platform.run(name)
    platform.run(name, full_refresh=True)
    assert loaded() == [*ORDERS, "end", *ORDERS, "end"]
    assert platform.state(name)["bookmarks"] == {"orders": {"id": 5}, "retired": {"id": 9}}


def test_streams_can_be_chosen_by_glob(platform: Platform, declare: Declare, loaded: Callable[[], list[Any]]) -> None:
    platform.run(declare({"streams": {"orders": 1, "items": 1, "extra_a": 1}}, streams=["extra_*", "orders"]))
    assert loaded() == [["orders", 1], ["extra_a", 1], "end"]


def test_an_unknown_stream_is_refused_with_a_suggestion(platform: Platform, declare: Declare) -> None:
    name = declare({})
    with pytest.raises(SpecError, match="no stream 'order'") as caught:
        platform.run(name, streams=["order"])
    assert caught.value.hint == "Did you mean orders?"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "exit",
            "The tap failed with exit code 7 while syncing (stream orders). It said: stream orders: the source went",
        ),
        ("kill", "The tap was ended by SIGKILL while syncing"),
    ],
)
def test_a_tap_that_dies_is_named_and_the_next_run_resumes(
    platform: Platform, declare: Declare, loaded: Callable[[], list[Any]], how: str, said: str
) -> None:
    name = declare({"fail_after": ["orders", 3], "how": how})
    with pytest.raises(RunFailedError) as caught:
        platform.run(name)
    assert str(caught.value).startswith(said)
    assert platform.state(name) == {"bookmarks": {"orders": {"id": 3}}}
    # The target must not take the death for the end of the input.
    assert loaded() == ORDERS[:3]
    (report,) = platform.status(name, limit=1)
    assert report.run.status == "failed"
    assert report.run.error is not None
    assert report.run.error["side"] == "tap"
    platform.run(declare({}))
    assert loaded() == [*ORDERS, *ITEMS, "end"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "exit",
            "The target failed with exit code 6 while syncing (stream orders). It said: stream orders: the disk",
        ),
        ("kill", "The target was ended by SIGKILL while syncing"),
        ("early", "The target ended before its input did while syncing"),
    ],
)
def test_a_target_that_dies_is_the_cause_not_the_taps_broken_pipe(
    platform: Platform, declare: Declare, how: str, said: str
) -> None:
    name = declare({"streams": {"orders": 100_000}}, {"die_at": 2, "how": how})
    with pytest.raises(RunFailedError) as caught:
        platform.run(name)
    assert str(caught.value).startswith(said)
    (report,) = platform.status(name, limit=1)
    assert report.run.error is not None
    assert report.run.error["side"] == "target"


def test_a_tap_that_prints_garbage_is_explained_by_the_target(platform: Platform, declare: Declare) -> None:
    name = declare({"fail_after": ["orders", 2], "how": "garbage"})
    with pytest.raises(RunFailedError, match="line 6 is not a Singer message: 'hello, I am no Singer message"):
        platform.run(name)


def test_a_target_that_dies_ends_a_tap_that_waits(platform: Platform, declare: Declare) -> None:
    name = declare({"fail_after": ["orders", 3], "how": "hang"}, {"die_at": 2, "how": "exit"})
    with pytest.raises(RunFailedError, match="the disk is full"):
        platform.run(name)


def test_wrong_password_is_the_taps_word_while_discovering(
    platform: Platform, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PASSWORD", "wrong")
    name = declare({"password": "${env:FAKE_PASSWORD}"})
    with pytest.raises(RunFailedError, match=r"exit code 3 while discovering.*password authentication failed"):
        platform.run(name)


def test_secrets_are_taken_out_of_logs_and_records(
    platform: Platform, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SECRET", "c4n4ry-value")
    name = declare({"secret": "${env:FAKE_SECRET}"})
    platform.run(name)
    _, lines = platform.logs(name, run_id=None, side=None, limit=None)
    assert [line.message for line in lines] == ["INFO the secret is *** and in the environment None"]
    with psycopg.connect(platform.url) as connection:
        dump = connection.execute("select string_agg(spec::text, ' ') from connectors.connector_instances").fetchone()
    assert "c4n4ry-value" not in str(dump)


def test_a_missing_variable_is_named_before_anything_starts(platform: Platform, declare: Declare) -> None:
    name = declare({"secret": "${env:SURELY_NOT_SET}"})
    with pytest.raises(SpecError, match=r"test_fake\.source\.secret needs the environment variable SURELY_NOT_SET"):
        platform.run(name)
    (report,) = platform.status(name, limit=1)
    assert report.run.status == "failed"


def test_a_missing_plugin_is_named(platform: Platform, declare: Declare, monkeypatch: pytest.MonkeyPatch) -> None:
    name = declare({})
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(PluginError, match=r"'(tap|target)-fake' is not on PATH"):
        platform.run(name)


def test_an_unknown_instance_is_refused(platform: Platform) -> None:
    with pytest.raises(NotFoundError, match="No instance 'nothing'"):
        platform.run("nothing")


def test_one_run_at_a_time(platform: Platform, declare: Declare) -> None:
    name = declare({"fail_after": ["orders", 1], "how": "hang"})
    interrupted: list[BaseException] = []

    class Interrupting:
        """Ends the first run the way Ctrl-C does, once the second one has been refused."""

        refused = threading.Event()

        def phase(self, text: str) -> None: ...
        def said(self, side: str, text: str) -> None: ...
        def progress(self, _streams: object) -> None:
            if self.refused.is_set():
                raise KeyboardInterrupt

    watcher = Interrupting()

    def first() -> None:
        try:
            platform.run(name, observer=watcher)
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            interrupted.append(error)

    thread = threading.Thread(target=first, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not platform.status(name, limit=1):
        assert time.monotonic() < deadline
    with pytest.raises(BusyError):
        platform.run(name)
    with pytest.raises(BusyError):
        platform.clear_state(name, None)
    watcher.refused.set()
    thread.join(30)
    assert isinstance(interrupted[0], KeyboardInterrupt)
    (report,) = platform.status(name, limit=5)
    assert report.run.status == "cancelled"


def test_a_run_whose_process_is_gone_is_closed_by_the_next(platform: Platform, declare: Declare) -> None:
    name = declare({})
    with platform.control_plane() as control_plane:
        control_plane.runs.start(name, "cli somewhere", 3600)
    with psycopg.connect(platform.url) as connection:  # a run's first second belongs to it, lock or not
        connection.execute("update connectors.connector_runs set started_at = started_at - interval '2 seconds'")
    platform.run(name)
    newest, orphan = platform.status(name, limit=2)
    assert (newest.run.status, orphan.run.status) == ("succeeded", "failed")
    assert orphan.run.error is not None
    assert "disappeared" in orphan.run.error["message"]


def test_settings_of_a_killed_process_are_removed_and_those_of_a_living_one_are_not(
    platform: Platform, declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("ipai-run-dead", "ipai-run-living"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tap.json").write_text("{}")
        os.utime(tmp_path / name, (0, 0))
    with FileLock(tmp_path / "ipai-run-living" / "lock"):
        platform.run(declare({}))
        assert [path.name for path in tmp_path.glob("ipai-run-*")] == ["ipai-run-living"]
