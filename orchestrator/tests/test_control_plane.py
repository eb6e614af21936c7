from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from ipai import interrupts
from ipai.control_plane import ControlPlane, LogLine
from ipai.control_plane.migrations import migrations
from ipai.errors import BusyError, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.service import Platform


LEASE = 30.0


@pytest.fixture
def control_plane(platform: Platform) -> Iterator[ControlPlane]:
    with ControlPlane(platform.url) as opened:
        yield opened


def test_migrations_are_applied_once_and_written_into_supabases_book(database: str) -> None:
    with ControlPlane(database) as control_plane:
        pending = control_plane.pending_migrations()
        assert [each.version for each in pending][:2] == ["20261122000001", "20261125000001"]
        assert control_plane.migrate() == pending
        assert control_plane.migrate() == []
    with psycopg.connect(database) as connection:
        book = connection.execute(
            "select version, name, cardinality(statements) from supabase_migrations.schema_migrations order by version"
        )
        assert book.fetchall() == [(each.version, each.name, 1) for each in pending]


def test_what_the_supabase_cli_applied_is_not_applied_again(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("create schema supabase_migrations")
        connection.execute(
            "create table supabase_migrations.schema_migrations "
            "(version text primary key, statements text[], name text)"
        )
        connection.execute(
            "insert into supabase_migrations.schema_migrations values ('20261122000001', '{}', 'control_plane')"
        )
        connection.execute(migrations()[0].path.read_bytes())
    with ControlPlane(database) as control_plane:
        assert control_plane.migrate() == migrations()[1:]


def test_a_database_that_is_not_set_up_says_so(database: str) -> None:
    with ControlPlane(database) as control_plane, pytest.raises(DatabaseError, match="not set up") as caught:
        control_plane.specs.instances()
    assert caught.value.hint == "Run ipai init."


def test_a_database_that_is_not_there_says_so() -> None:
    with pytest.raises(DatabaseError, match="Cannot reach the control plane's database"):
        ControlPlane("postgresql://nobody:secret-pw@127.0.0.1:1/x")


def test_an_older_run_can_no_longer_store_state(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = declare({})
    states = control_plane.states
    older = control_plane.runs.start(name, "cli a", LEASE)
    states.take_over(older)
    part = states.open_part(older, 0, {}, None)
    states.store(older, part, {"bookmarks": {"a": 1}})
    control_plane.runs.finish(older, "failed")
    newer = control_plane.runs.start(name, "cli b", LEASE, streams=["a"], full_refresh=True)
    for refused in (
        lambda: states.store(older, part, {"bookmarks": {"a": 2}}),
        lambda: states.open_part(older, 1, {}, None),
    ):
        with pytest.raises(BusyError):
            refused()
    assert states.take_over(newer) == {"bookmarks": {"a": 1}}
    with pytest.raises(BusyError):
        states.take_over(older)
    with pytest.raises(BusyError):
        states.fold(older)
    assert states.of(name) == {"bookmarks": {"a": 1}}


def test_parts_are_folded_whoever_comes_next(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    name = declare({})
    states = control_plane.states
    run = control_plane.runs.start(name, "cli a", LEASE)
    states.take_over(run)
    parts = [states.open_part(run, 0, {}, ["a", "b"]), states.open_part(run, 1, {}, ["c"])]
    states.store(run, parts[0], {"bookmarks": {"a": 1, "c": "not its own"}})
    states.store(run, parts[1], {"bookmarks": {"c": 3}})
    assert states.of(name) == {"bookmarks": {"a": 1, "c": 3}}  # seen while the run is under way
    control_plane.runs.finish(run, "failed")
    after = control_plane.runs.start(name, "cli b", LEASE)
    assert states.take_over(after, clear=["a"]) == {"bookmarks": {"c": 3}}
    assert states.fold(after) == {"bookmarks": {"c": 3}}


def test_a_finished_run_stays_finished(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    run = control_plane.runs.start(declare({}), "cli a", LEASE)
    control_plane.runs.finish(run, "failed", {"message": "first"})
    assert control_plane.runs.finish(run, "succeeded") is None
    assert control_plane.runs.run(run.id).error == {"message": "first"}


def test_one_holder_of_an_instance(platform: Platform, control_plane: ControlPlane) -> None:
    with ControlPlane(platform.url) as other, control_plane.runs.locked("x_y"):
        with pytest.raises(BusyError), other.runs.locked("x_y"):
            pass
        with other.runs.locked("other_y"):
            pass
    with ControlPlane(platform.url) as third, third.runs.locked("x_y"):
        pass


@pytest.mark.parametrize(
    "url", ["postgres//user:s3cret@host/db", "postgresql://user:s3cr@t@localhost/db", "postgresql://u:s3cret@h:port/db"]
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        ControlPlane(url)
    assert "s3cr" not in f"{caught.value} {caught.value.hint}"


def test_a_state_that_postgres_cannot_hold_is_refused_in_words(
    control_plane: ControlPlane, declare: Callable[..., str]
) -> None:
    run = control_plane.runs.start(declare({}), "cli a", LEASE)
    part = control_plane.states.open_part(run, 0, {}, None)
    with pytest.raises(DatabaseError, match="cannot store a value"):
        control_plane.states.store(run, part, {"bookmarks": {"a": "\0"}})


def test_a_role_without_rights_is_told_so(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create role bystander login password 'x'")
    parts = urlsplit(database)
    url = parts._replace(netloc=f"bystander:x@{parts.hostname}:{parts.port}").geturl()
    try:
        with ControlPlane(url) as control_plane, pytest.raises(DatabaseError, match="permission denied") as caught:
            control_plane.migrate()
        assert caught.value.hint is not None
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("drop role bystander")


def test_a_signal_leaves_the_connection_whole(control_plane: ControlPlane, declare: Callable[..., str]) -> None:
    """It used to cut a statement in two now and then, and the cancelled run could not be recorded."""
    name = declare({})
    offsets = random.Random(1)
    numbers = itertools.count()
    now = datetime.now(timezone.utc)
    for _ in range(150):
        run = control_plane.runs.start(name, "cli a", LEASE)
        alarm = threading.Timer(offsets.uniform(0, 0.01), os.kill, (os.getpid(), signal.SIGTERM))
        with pytest.raises(interrupts.Terminated), interrupts.handled():  # noqa: PT012 - it comes anywhere within
            alarm.start()
            while True:
                control_plane.runs.add_logs(run, [LogLine(next(numbers), now, "tap", "said" * 50) for _ in range(20)])
        alarm.join()
        finished = control_plane.runs.finish(run, "cancelled")
        assert finished is not None
        assert finished.status == "cancelled"
