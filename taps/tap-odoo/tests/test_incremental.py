"""Bookmarks: nothing missed, nothing twice, whatever the clocks and the transactions do."""

from __future__ import annotations

import logging

import psycopg
import pytest

STREAM = "account_move"


def sync(odoo, state=None, **settings):
    return odoo.sync(state=state, **{"streams": [STREAM], **settings})


def test_an_unchanged_second_run_sends_nothing(odoo) -> None:
    odoo.moves("2024-01-01 10:00:00.123456", "2024-01-01 10:00:00.123457")
    first = sync(odoo)
    assert first.ids(STREAM) == [1, 2]
    assert first.records(STREAM)[0]["write_date"] == "2024-01-01T10:00:00.123456+00:00"
    assert set(first.bookmark(STREAM)) == {"replication_key", "replication_key_value"}
    assert first.bookmark(STREAM)["replication_key_value"].endswith("+00:00")
    second = sync(odoo, first.state)
    assert second.ids(STREAM) == []
    odoo.execute("insert into account_move (name, write_date) values ('new', now())")
    assert sync(odoo, second.state).ids(STREAM) == [3]


def test_a_transaction_that_commits_late_is_not_missed(odoo, connect) -> None:
    odoo.moves("2024-01-01")
    late = connect()
    late.execute("insert into account_move (name, write_date) values ('late', now())")
    odoo.execute("insert into account_move (name, write_date) values ('newer', now())")
    first = sync(odoo)
    assert first.ids(STREAM) == [1]  # row 3 waits for its elder
    late.commit()
    second = sync(odoo, first.state)
    assert second.ids(STREAM) == [2, 3]
    assert sync(odoo, second.state).ids(STREAM) == []


def test_a_transaction_that_has_not_written_yet_counts_too(odoo, connect) -> None:
    odoo.moves("2024-01-01")
    late = connect()
    late.execute("select now()")  # it has begun, and has no transaction id yet
    odoo.execute("insert into account_move (name, write_date) values ('newer', now())")
    first = sync(odoo)
    assert first.ids(STREAM) == [1]
    late.execute("insert into account_move (name, write_date) values ('late', now())")
    late.commit()
    assert sorted(sync(odoo, first.state).ids(STREAM)) == [2, 3]


def test_a_prepared_transaction_counts_too(odoo, connect) -> None:
    if odoo.execute("show max_prepared_transactions").fetchone() == ("0",):
        odoo.moves("2024-01-01")  # the server cannot prepare any: the query alone must work
        assert sync(odoo).ids(STREAM) == [1]
        return
    odoo.moves("2024-01-01")
    late = connect()
    late.execute("insert into account_move (name, write_date) values ('late', now())")
    late.execute("prepare transaction 'tap_odoo'")
    first = sync(odoo)
    assert first.ids(STREAM) == [1]
    odoo.execute("commit prepared 'tap_odoo'")
    assert sync(odoo, first.state).ids(STREAM) == [2]


def test_readers_do_not_hold_the_horizon(odoo, connect) -> None:
    odoo.moves("2024-01-01")
    dump = connect(application_name="pg_dump")
    dump.execute("select now()")
    odoo.execute("insert into account_move (name, write_date) values ('newer', now())")
    assert sync(odoo).ids(STREAM) == [1, 2]


def test_an_old_transaction_is_named(odoo, connect, caplog, monkeypatch) -> None:
    from datetime import timedelta

    from tap_odoo import horizon

    monkeypatch.setattr(horizon, "WARN_AFTER", timedelta(0))
    odoo.moves("2024-01-01")
    connect(application_name="import").execute("select now()")
    with caplog.at_level(logging.WARNING):
        sync(odoo)
    assert "(import) has been open since" in caplog.text


def test_ties_across_pages(odoo) -> None:
    odoo.moves()
    odoo.execute("insert into account_move (name, write_date)"
                 " select 'tie', '2024-01-01 00:00:00.5' from generate_series(1, 25000)")  # fmt: skip
    messages = sync(odoo)
    assert messages.ids(STREAM) == list(range(1, 25001))
    states = [m["value"]["bookmarks"][STREAM] for m in messages.of("STATE")]
    assert [state["window"]["last_id"] for state in states if "window" in state] == [10000, 20000]
    resumed = sync(odoo, {"bookmarks": {STREAM: states[0]}})
    assert resumed.ids(STREAM) == list(range(10001, 25001))
    assert set(resumed.bookmark(STREAM)) == {"replication_key", "replication_key_value"}


def test_changes_between_an_interruption_and_its_resumption(odoo) -> None:
    odoo.moves()
    odoo.execute("insert into account_move (name, write_date)"
                 " select 'old', '2024-01-01' from generate_series(1, 15000)")  # fmt: skip
    state = next(m["value"] for m in sync(odoo).of("STATE") if "window" in m["value"]["bookmarks"][STREAM])
    odoo.execute("update account_move set name = 'changed', write_date = now() where id in (1, 14000)")
    odoo.execute("delete from account_move where id = 13000")
    resumed = sync(odoo, state)
    ids = resumed.ids(STREAM)
    assert len(ids) == len(set(ids))
    assert set(ids) == {1, *range(10001, 15001)} - {13000}
    assert {r["id"] for r in resumed.records(STREAM) if r["name"] == "changed"} == {1, 14000}
    assert sync(odoo, resumed.state).ids(STREAM) == []


def test_rows_without_a_date(odoo) -> None:
    odoo.moves("2024-01-01", None, None)
    odoo.execute("update account_move set create_date = '2024-01-01' where id = 2")
    first = sync(odoo)
    assert first.ids(STREAM) == [1, 2, 3]
    assert sync(odoo, first.state).ids(STREAM) == [3]  # nothing says whether it is new


def test_rows_dated_in_the_future_are_not_held_back(odoo) -> None:
    odoo.moves("2999-01-01", "infinity", "-infinity", "2024-01-01")
    first = sync(odoo)
    assert first.ids(STREAM) == [1, 2, 3, 4]
    assert sync(odoo, first.state).ids(STREAM) == [1, 2]


def test_a_plain_singer_state(odoo) -> None:
    odoo.moves("2024-01-01", "2024-01-02", "2024-01-03")
    for value in ("2024-01-02T00:00:00.000000+00:00", "2024-01-02T00:00:00Z", "2024-01-02 01:00:00+01:00"):
        state = {"bookmarks": {STREAM: {"replication_key": "write_date", "replication_key_value": value}}}
        assert sync(odoo, state).ids(STREAM) == [2, 3]
    other = {"bookmarks": {STREAM: {"replication_key": "date", "replication_key_value": "2024-01-02"}}}
    assert sync(odoo, other).ids(STREAM) == [1, 2, 3]


def test_start_date_counts_until_there_is_a_bookmark(odoo) -> None:
    odoo.moves("2024-01-01", "2024-01-02")
    first = sync(odoo, start_date="2024-01-02T00:00:00Z")
    assert first.ids(STREAM) == [2]
    early = {"bookmarks": {STREAM: {"replication_key": "write_date", "replication_key_value": "2023-01-01T00:00:00Z"}}}
    assert sync(odoo, early, start_date="2024-01-02T00:00:00Z").ids(STREAM) == [1, 2]


def test_end_date_bounds_a_sync(odoo) -> None:
    odoo.moves("2024-01-01", "2024-01-02", "2024-01-03")
    span = {"start_date": "2024-01-02T00:00:00Z", "end_date": "2024-01-03T00:00:00Z"}
    first = sync(odoo, **span)
    assert first.ids(STREAM) == [2]
    assert sync(odoo, first.state, **span).ids(STREAM) == []
    assert sync(odoo, first.state).ids(STREAM) == [3]


def test_lookback(odoo) -> None:
    odoo.moves()
    odoo.execute("insert into account_move (write_date) select now() - i * interval '1 minute'"
                 " from generate_series(5, 65, 30) i")  # fmt: skip
    first = sync(odoo)
    assert sync(odoo, first.state, lookback_seconds=2400).ids(STREAM) == [1, 2]


def test_a_lookback_that_brings_nothing_new_still_brings_its_rows(odoo) -> None:
    odoo.moves("2024-01-01", "2024-01-02")
    first = sync(odoo, long_transaction_guard=False)
    again = sync(odoo, first.state, long_transaction_guard=False, lookback_seconds=7 * 86400)
    assert again.ids(STREAM) == [1, 2]
    assert again.state == first.state


def test_a_bookmark_never_goes_back(odoo) -> None:
    odoo.moves("2024-01-01")
    value = "2999-01-01T00:00:00.000000+00:00"
    state = {"bookmarks": {STREAM: {"replication_key": "write_date", "replication_key_value": value}}}
    for settings in ({}, {"lookback_seconds": 10**10}, {"long_transaction_guard": False}):
        messages = sync(odoo, state, **settings)
        assert messages.bookmark(STREAM)["replication_key_value"] == value


def test_without_the_guard(odoo, caplog) -> None:
    odoo.moves("2024-01-01 10:00:00.000001")
    with caplog.at_level(logging.WARNING):
        first = sync(odoo, long_transaction_guard=False)
    assert "long_transaction_guard is off" in caplog.text
    assert first.bookmark(STREAM) == {
        "replication_key": "write_date",
        "replication_key_value": "2024-01-01T10:00:00.000001+00:00",
        "exact": False,
    }
    # The next run looks back an hour, even with the guard: what was late then is dated before the bookmark.
    odoo.moves("2024-01-01 09:30")
    second = sync(odoo, first.state)
    assert second.ids(STREAM) == [1, 2]
    assert sync(odoo, second.state).ids(STREAM) == []
    # An empty table leaves the bookmark as it was.
    odoo.execute("delete from account_move")
    assert sync(odoo, first.state, long_transaction_guard=False).bookmark(STREAM) == first.bookmark(STREAM)


def test_hidden_sessions_void_the_guard(odoo, connect, caplog) -> None:
    odoo.moves("2024-01-01")
    odoo.execute("drop role if exists tap_odoo_reader; create role tap_odoo_reader login password 'reader'")
    odoo.execute("grant select on account_move to tap_odoo_reader")
    try:
        connect().execute("select now()")
        reader = {"streams": [STREAM], "db_user": "tap_odoo_reader", "db_password": "reader"}
        with caplog.at_level(logging.WARNING):
            messages = odoo.sync(**reader)
        assert "pg_read_all_stats" in caplog.text
        assert messages.bookmark(STREAM)["exact"] is False
        odoo.execute("grant pg_read_all_stats to tap_odoo_reader")
        assert "exact" not in odoo.sync(**reader).bookmark(STREAM)
    finally:
        odoo.execute("drop owned by tap_odoo_reader; drop role tap_odoo_reader")


def test_a_logical_replica_voids_the_guard(odoo, caplog) -> None:
    odoo.moves("2024-01-01")
    odoo.execute("create subscription tap_odoo connection 'host=127.0.0.1 port=1 dbname=nowhere' publication p"
                 " with (connect = false, slot_name = 'tap_odoo')")  # fmt: skip
    assert "exact" not in sync(odoo).bookmark(STREAM)  # it writes nothing yet
    odoo.execute("alter subscription tap_odoo enable")
    try:
        with caplog.at_level(logging.WARNING):
            assert sync(odoo).bookmark(STREAM)["exact"] is False
        assert "subscriber" in caplog.text
    finally:
        odoo.execute("alter subscription tap_odoo disable")
        odoo.execute("alter subscription tap_odoo set (slot_name = none)")
        odoo.execute("drop subscription tap_odoo")


def test_tables_whose_key_is_no_integer(odoo) -> None:
    odoo.execute("create table x_document (code text primary key, write_date timestamptz, create_date timestamp)")
    odoo.execute(
        "insert into x_document select lpad(i::text, 6, '0'), '2024-01-01 00:00+02' from generate_series(1, 12000) i"
    )
    messages = odoo.sync(streams=["x_document"])
    assert len(messages.records("x_document")) == 12000
    assert not [m for m in messages.of("STATE") if "window" in m["value"]["bookmarks"]["x_document"]]
    assert odoo.sync(streams=["x_document"], state=messages.state).records("x_document") == []


def test_a_broken_start_date(odoo) -> None:
    from singer_kit.errors import ConfigurationError

    odoo.moves("2024-01-01")
    with pytest.raises(ConfigurationError, match="Setting start_date is '2024-13-01'"):
        sync(odoo, start_date="2024-13-01")


@pytest.mark.parametrize("value", ["yesterday", 7, {"a": 1}])
def test_a_broken_bookmark(odoo, value) -> None:
    from singer_kit.errors import ConfigurationError

    odoo.moves("2024-01-01")
    state = {"bookmarks": {STREAM: {"replication_key": "write_date", "replication_key_value": value}}}
    with pytest.raises(ConfigurationError, match=f"Stream '{STREAM}': its bookmark"):
        sync(odoo, state)


def test_one_snapshot_for_all_streams(odoo, monkeypatch) -> None:
    """A row that arrives between two streams belongs to the next run, in both of them."""
    from tap_odoo.streams import OdooStream

    odoo.moves("2024-01-01")
    odoo.moves("2024-01-01", table="account_move_line")
    read = OdooStream._sync_records

    def interfere(stream, context=None, *, write_messages=True):
        yield from read(stream, context, write_messages=write_messages)
        if stream.name == STREAM:
            with psycopg.connect(odoo.url) as connection:
                connection.execute("insert into account_move_line (name, write_date) values ('new', '2024-01-01')")

    monkeypatch.setattr(OdooStream, "_sync_records", interfere)
    messages = odoo.sync(streams=["account_move*"])
    assert messages.ids("account_move_line") == [1]
    assert len({m["time_extracted"] for m in messages.of("RECORD")}) == 1


def test_other_replication_keys(odoo) -> None:
    from singer_kit.errors import ConfigurationError

    odoo.moves("2024-01-01")
    odoo.execute("update account_move set create_date = '2024-02-01'")
    entry = odoo.discover(streams=[STREAM])[STREAM]
    for key, expected in (("create_date", "2024-02"), ("name", None)):
        catalog = {"streams": [{**entry, "replication_key": key, "replication_method": "INCREMENTAL"}]}
        if expected:
            messages = odoo.sync(catalog=catalog)
            assert messages.ids(STREAM) == [1]
            assert messages.bookmark(STREAM)["replication_key"] == key
        else:
            with pytest.raises(ConfigurationError, match="name cannot be its replication key"):
                odoo.sync(catalog=catalog)
