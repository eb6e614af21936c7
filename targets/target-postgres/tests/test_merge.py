"""How rows meet the rows that are there: keys, versions, added columns, names."""

from __future__ import annotations

import datetime as dt

import pytest

ID = {"type": "integer"}
TEXT = {"type": ["string", "null"]}


def schema(stream="t", keys=("id",), **properties):
    message = {"type": "SCHEMA", "stream": stream, "schema": {"type": "object", "properties": properties}}
    return {**message, "key_properties": list(keys)}


def record(stream="t", version=None, **values):
    message = {"type": "RECORD", "stream": stream, "record": values}
    return message if version is None else {**message, "version": version}


def activate(version, stream="t"):
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


BASIC = schema(id=ID, v=TEXT)


def test_upsert_is_the_default_with_keys(warehouse):
    warehouse.load([BASIC, record(id=1, v="a"), record(id=2, v="b"), record(id=1, v="c")])
    warehouse.load([BASIC, record(id=2, v="d"), record(id=3)])
    assert warehouse.rows("select id, v from bronze.t order by id") == [(1, "c"), (2, "d"), (3, None)]


def test_append_is_the_default_without_keys(warehouse):
    messages = [schema(keys=(), v=TEXT), record(v="a"), record(v="a")]
    warehouse.load(messages)
    warehouse.load(messages)
    assert warehouse.rows("select count(*) from bronze.t") == [(4,)]


def test_append_only_keeps_all_versions_in_order(warehouse):
    messages = [BASIC, *(record(id=1, v=str(number)) for number in range(50))]
    warehouse.load(messages, load_method="append-only")
    warehouse.load([BASIC, record(id=1, v="last")], load_method="append-only")
    rows = warehouse.rows("select v from bronze.t order by _sdc_sequence")
    assert rows == [*((str(number),) for number in range(50)), ("last",)]


def test_composite_keys(warehouse):
    shape = schema(keys=("a", "b"), a=ID, b={"type": "string"}, v=TEXT)
    warehouse.load([shape, record(a=1, b="x", v="1"), record(a=1, b="y", v="2"), record(a=1, b="x", v="3")])
    warehouse.load([shape, record(a=1, b="y", v="4")])
    assert warehouse.rows("select a, b, v from bronze.t order by b") == [(1, "x", "3"), (1, "y", "4")]


@pytest.mark.parametrize("broken", [{"v": "x"}, {"id": None, "v": "x"}])
@pytest.mark.parametrize("method", ["upsert", "append-only", "overwrite"])
def test_a_key_that_is_missing_or_null_is_refused(warehouse, broken, method):
    shape = schema(id={"type": ["integer", "null"]}, v=TEXT)
    warehouse.fails([shape, record(**broken)], "'t'", "line 2", "'id'", load_method=method)


def test_keys_that_are_equal_but_written_differently(warehouse):
    shape = schema(keys=("n", "at"), n={"type": "number"}, at={"type": "string", "format": "date-time"}, v=TEXT)
    at, same = "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00"
    line = '{"type":"RECORD","stream":"t","record":{"n":%s,"at":"%s","v":"%s"}}\n'
    warehouse.load([shape, line % ("1", at, "a"), line % ("1.00", same, "b"), line % ("1", at, "c")])
    assert warehouse.rows("select n::int, v from bronze.t") == [(1, "c")]
    warehouse.load([shape, line % ("1.0", same, "d"), line % ("1", at, "e"), line % ("1.000", at, "f")])
    assert warehouse.rows("select n::int, v from bronze.t") == [(1, "f")]


def test_only_key_columns(warehouse):
    shape = schema(id=ID)
    for _ in range(2):
        warehouse.load([shape, record(id=1)], add_record_metadata=False, activate_version=False)
    assert warehouse.rows("select * from bronze.t") == [(1,)]


def test_a_table_without_a_unique_index_is_merged_too(warehouse):
    warehouse.do(
        "create schema bronze; create table bronze.t (id bigint, v text); "
        "insert into bronze.t values (1, 'old'), (9, 'kept')"
    )
    warehouse.load([BASIC, record(id=1, v="new"), record(id=2, v="b"), record(id=2, v="c")])
    assert warehouse.rows("select id, v from bronze.t order by id") == [(1, "new"), (2, "c"), (9, "kept")]


def test_a_primary_key_on_other_columns_is_named(warehouse):
    warehouse.load([BASIC, record(id=1, v="a")])
    shape = schema(keys=("id", "v"), id=ID, v={"type": "string"})
    warehouse.load([shape, record(id=2, v="a")])
    warehouse.fails([shape, record(id=1, v="b")], "'t'", "t_pkey", "key properties")


def test_fewer_keys_than_the_primary_key(warehouse):
    shape = schema(keys=("id", "v"), id=ID, v={"type": "string"})
    warehouse.load([shape, record(id=1, v="a"), record(id=2, v="b")])
    warehouse.load([BASIC, record(id=1, v="c")])
    assert warehouse.rows("select id, v from bronze.t order by id") == [(1, "c"), (2, "b")]


def test_not_null_of_a_column_that_is_no_key_is_dropped(warehouse):
    warehouse.do("create schema bronze; create table bronze.t (id bigint primary key, v text not null)")
    warehouse.load([BASIC, record(id=1)])
    assert warehouse.rows("select id, v from bronze.t") == [(1, None)]


# Overwrite


def test_overwrite_replaces_all_rows_at_the_end(warehouse):
    warehouse.load([BASIC, record(id=1, v="old"), record(id=2, v="old")])
    warehouse.do("create view bronze.seen as select id, v from bronze.t")
    states = warehouse.load(
        [
            BASIC,
            record(id=2, v="a"),
            {"type": "STATE", "value": 1},
            record(id=3, v="b"),
            record(id=2, v="c"),
            {"type": "STATE", "value": 2},
        ],
        load_method="overwrite",
        batch_size_rows=1,
    )
    assert warehouse.rows("select id, v from bronze.seen order by id") == [(2, "c"), (3, "b")]
    assert states == ["2"]


def test_overwrite_by_the_beginning_of_a_stream_is_refused(warehouse):
    warehouse.load([BASIC, record(id=1, v="old")])
    messages = [BASIC, record(id=2, v="a"), {"type": "STATE", "value": 1}, record(id=3, v="b")]
    outcome = warehouse.fails(messages, "'t'", "end_of_input=finished", load_method="overwrite")
    assert outcome.states == []
    assert warehouse.rows("select id, v from bronze.t") == [(1, "old")]
    assert warehouse.load(messages, load_method="overwrite", end_of_input="finished") == ["1"]
    assert warehouse.rows("select id, v from bronze.t order by id") == [(2, "a"), (3, "b")]


def test_overwrite_without_keys_and_with_a_changed_schema(warehouse):
    first, second = schema(keys=(), v=TEXT), schema(keys=(), v=TEXT, w=ID)
    warehouse.load([first, record(v="old")])
    warehouse.load([first, record(v="a"), record(v="a"), second, record(v="b", w=1)], load_method="overwrite")
    assert warehouse.rows("select v, w from bronze.t order by v") == [("a", None), ("a", None), ("b", 1)]


def test_overwrite_keyed_with_a_changed_schema(warehouse):
    second = schema(id=ID, v=TEXT, w=ID)
    messages = [BASIC, record(id=1, v="a"), record(id=2, v="b"), second, record(id=1, v="c", w=1)]
    warehouse.load(messages, load_method="overwrite")
    assert warehouse.rows("select id, v, w from bronze.t order by id") == [(1, "c", 1), (2, "b", None)]


def test_overwrite_with_no_records_empties_the_table(warehouse):
    warehouse.load([BASIC, record(id=1)])
    warehouse.load([BASIC], load_method="overwrite")
    assert warehouse.rows("select * from bronze.t") == []


def test_overwrite_that_fails_leaves_the_old_rows(warehouse):
    warehouse.load([BASIC, record(id=1, v="old")])
    outcome = warehouse.fails(
        [BASIC, record(id=2, v="new"), {"type": "STATE", "value": 1}, "broken\n"],
        "Line 4",
        load_method="overwrite",
        batch_size_rows=1,
    )
    assert outcome.states == []
    assert warehouse.rows("select id, v from bronze.t") == [(1, "old")]


# Versions


@pytest.mark.parametrize("order", ["before_schema", "start", "end"])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("keys", [("id",), ()])
def test_activate_version(warehouse, order, hard, keys):
    shape = schema(keys=keys, id=ID, v=TEXT)
    warehouse.load([shape, record(id=1, version=1), record(id=2, version=1), activate(1)])
    new = [record(id=2, version=2), record(id=3, version=2)]
    messages = {
        "before_schema": [activate(2), shape, *new],
        "start": [shape, activate(2), *new],
        "end": [shape, *new, activate(2)],
    }[order]
    warehouse.load(messages, hard_delete=hard, end_of_input="finished")
    alive = warehouse.rows("select id from bronze.t where _sdc_deleted_at is null order by id")
    assert alive == [(2,), (3,)]
    dead = warehouse.rows("select id from bronze.t where _sdc_deleted_at is not null order by id")
    assert dead == ([] if hard else [(1,)] if keys else [(1,), (2,)])


def test_a_version_with_no_records_removes_all(warehouse):
    warehouse.load([BASIC, record(id=1, version=1)])
    warehouse.load([BASIC, activate(2)], hard_delete=True, end_of_input="finished")
    assert warehouse.rows("select * from bronze.t") == []


def test_a_row_that_returns_is_no_longer_deleted(warehouse):
    warehouse.load([BASIC, record(id=1, version=1)])
    warehouse.load([BASIC, activate(2), activate(2)])
    assert warehouse.rows("select count(*) from bronze.t where _sdc_deleted_at is null") == [(0,)]
    warehouse.load([BASIC, record(id=1, version=3), activate(3)])
    assert warehouse.rows("select count(*) from bronze.t where _sdc_deleted_at is null") == [(1,)]


def test_a_version_that_is_missing_from_the_records_spares_them(warehouse):
    warehouse.load([BASIC, record(id=1)])
    warehouse.load([BASIC, record(id=2), activate(5)], hard_delete=True)
    # Whether the first was left untouched because nothing had changed, or did not come, cannot be told.
    assert warehouse.rows("select id from bronze.t order by id") == [(1,), (2,)]
    warehouse.load([BASIC, record(id=2), activate(6)], hard_delete=True)
    assert warehouse.rows("select id from bronze.t order by id") == [(1,), (2,)]


def test_a_version_announced_only_before_the_records_removes_nothing(warehouse):
    """The input of a tap that was killed ends like that too."""
    warehouse.load([BASIC, record(id=1, version=1), record(id=2, version=1), activate(1)])
    for messages in ([BASIC, activate(2), record(id=3, version=2)], [BASIC, activate(2)]):
        warehouse.load(messages, hard_delete=True)
        assert {(1,), (2,)} <= set(warehouse.rows("select id from bronze.t where _sdc_deleted_at is null"))
    warehouse.load([BASIC, record(id=3, version=2), activate(2)], hard_delete=True)
    assert warehouse.rows("select id from bronze.t") == [(3,)]


def test_a_run_that_fails_removes_nothing(warehouse):
    warehouse.load([BASIC, record(id=1, version=1), record(id=2, version=1)])
    messages = [BASIC, activate(2), record(id=3, version=2), {"type": "STATE", "value": 1}, "x\n"]
    outcome = warehouse.fails(messages, "Line 5", hard_delete=True)
    assert outcome.states == ["1"]
    assert warehouse.rows("select id from bronze.t where _sdc_deleted_at is null order by id") == [(1,), (2,), (3,)]


def test_activation_can_be_off(warehouse):
    warehouse.load([BASIC, record(id=1, version=1)])
    warehouse.load([BASIC, activate(2)], hard_delete=True, activate_version=False)
    assert warehouse.rows("select id from bronze.t") == [(1,)]


def test_deletions_from_a_log_based_tap(warehouse):
    shape = schema(id=ID, _sdc_deleted_at={"type": ["string", "null"], "format": "date-time"})
    warehouse.load([shape, record(id=1, _sdc_deleted_at="2024-01-01T00:00:00Z"), record(id=2)])
    [first, second] = warehouse.rows("select _sdc_deleted_at from bronze.t order by id")
    assert first == (dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),)
    assert second == (None,)


# Columns


def test_added_column_and_one_that_is_gone(warehouse):
    warehouse.load([BASIC, record(id=1, v="a")])
    warehouse.load([schema(id=ID, w=ID), record(id=1, w=5), record(id=2, w=6)])
    assert warehouse.rows("select id, v, w from bronze.t order by id") == [(1, "a", 5), (2, None, 6)]


def test_schema_that_changes_midway(warehouse):
    wider = schema(id=ID, v=TEXT, w=ID)
    warehouse.load([BASIC, record(id=1, v="a"), wider, record(id=2, v="b", w=1), BASIC, record(id=3, v="c")])
    assert warehouse.rows("select id, v, w from bronze.t order by id") == [(1, "a", None), (2, "b", 1), (3, "c", None)]


WIDENINGS = [
    ({"type": "integer"}, 7, {"type": "number"}, 1.5, "numeric", ["1.5", "7"]),
    ({"type": "integer"}, 7, {"type": "string"}, "x", "text", ["7", "x"]),
    ({"type": "number"}, 7.25, {"type": "string"}, "x", "text", ["7.25", "x"]),
    ({"type": "string"}, "a", {"type": "object"}, {"b": 1}, "jsonb", ['"a"', '{"b": 1}']),
    (
        {"type": "string", "format": "date"},
        "2024-01-02",
        {"type": "string", "format": "date-time"},
        "2024-01-02T03:04:05Z",
        "timestamp with time zone",
        ["2024-01-02 00:00:00+00", "2024-01-02 03:04:05+00"],
    ),
]


@pytest.mark.parametrize(("old", "old_value", "new", "new_value", "sql_type", "expected"), WIDENINGS)
@pytest.mark.parametrize("midway", [True, False])
def test_widening(warehouse, old, old_value, new, new_value, sql_type, expected, midway):
    first = [schema(id=ID, v=old), record(id=1, v=old_value)]
    second = [schema(id=ID, v=new), record(id=2, v=new_value)]
    for messages in [first + second] if midway else [first, second]:
        warehouse.load(messages)
    rows = warehouse.rows("select v::text, pg_typeof(v)::text from bronze.t order by 1")
    assert rows == [(value, sql_type) for value in expected]


@pytest.mark.parametrize(("old", "old_value", "new", "new_value", "sql_type", "expected"), WIDENINGS)
def test_narrowing_keeps_the_wide_column(warehouse, old, old_value, new, new_value, sql_type, expected):
    if sql_type == "timestamp with time zone":
        expected = [expected[1], expected[0]]
    warehouse.load([schema(id=ID, v=new), record(id=1, v=new_value)])
    warehouse.load([schema(id=ID, v=old), record(id=2, v=old_value)])
    rows = warehouse.rows("select v::text, pg_typeof(v)::text from bronze.t order by id")
    assert sorted(rows) == sorted((value, sql_type) for value in expected)


def test_tables_of_the_peer_are_taken_over(warehouse):
    warehouse.do(
        "create schema bronze; create table bronze.t (id integer primary key, at timestamp, v text, "
        "_sdc_extracted_at timestamp, _sdc_received_at timestamp, _sdc_batched_at timestamp, "
        "_sdc_deleted_at timestamp, _sdc_sequence bigint, _sdc_table_version bigint, _sdc_sync_started_at bigint)"
    )
    shape = schema(id=ID, at={"type": "string", "format": "date-time"}, v=TEXT)
    warehouse.load([shape, record(id=1, at="2024-01-01T02:00:00+02:00", v="a")])
    assert warehouse.rows("select at, v, _sdc_stream from bronze.t") == [(dt.datetime(2024, 1, 1), "a", "t")]  # noqa: DTZ001


# Names


def test_hostile_names(warehouse):
    long = "p" * 70
    names = [
        "select",
        'a"b',
        "a'b",
        "%s",
        "_sdc_x",
        "x y",
        "Case",
        "case",
        "é😀",
        "ctid",
        "a;drop table t",
        long + "1",
        long + "2",
        "{}",
    ]
    stream = 'we"ird; %s {x} Näme'
    shape = schema(stream, keys=('a"b',), **{name: {"type": "string"} for name in names})
    values = {name: f"value of {name}" for name in names}
    for _ in range(2):
        warehouse.load([shape, record(stream, **values)])
    table = '"' + stream.replace('"', '""') + '"'
    columns = warehouse.rows("select count(*) from information_schema.columns where table_schema = 'bronze'")
    assert columns == [(len(names) + 11,)]
    [(row,)] = warehouse.rows(f"select to_jsonb(t) from bronze.{table} t")
    assert set(values.values()) <= set(map(str, row.values()))


def test_long_stream_names_stay_apart(warehouse):
    first, second = "s" * 80 + "1", "s" * 80 + "2"
    warehouse.load([schema(first, id=ID), record(first, id=1), schema(second, id=ID), record(second, id=2)])
    tables = warehouse.rows("select count(*) from information_schema.tables where table_schema = 'bronze'")
    assert tables == [(2,)]


def test_naming_settings(warehouse):
    stream = "db-public-sale_order"
    warehouse.load(
        [schema(stream, id=ID), record(stream, id=1)], source_name="odoo", table_name="raw_{source}_{stream}"
    )
    assert warehouse.rows("select id from bronze.raw_odoo_sale_order") == [(1,)]
    warehouse.load([schema(stream, id=ID), record(stream, id=2)], table_name="{full_stream}")
    assert warehouse.rows('select id from bronze."db-public-sale_order"') == [(2,)]
    warehouse.load([schema("shop-items", id=ID), record("shop-items", id=3)], default_target_schema="")
    assert warehouse.rows("select id from shop.items") == [(3,)]


def test_two_streams_for_one_table_are_refused(warehouse):
    messages = [schema("a-b-c", id=ID), record("a-b-c", id=1), schema("x-y-c", name=TEXT, id=ID)]
    warehouse.fails(messages, "'a-b-c'", "'x-y-c'", "table_name")
    assert warehouse.rows(
        "select count(*) from information_schema.columns where column_name = 'name' and table_schema = 'bronze'"
    ) == [(0,)]


def test_lineage(warehouse):
    shape = {**schema(id=ID, updated={"type": "string", "format": "date-time"}), "bookmark_properties": ["updated"]}
    message = {**record(id=1, updated="2024-01-01T00:00:00Z", version=7), "time_extracted": "2024-05-01T00:00:00Z"}
    warehouse.load([shape, message], source_name="odoo", batch_id="run-1")
    [row] = warehouse.rows(
        "select _sdc_source, _sdc_stream, _sdc_cursor, _sdc_batch_id, _sdc_table_version, "
        "_sdc_extracted_at, _sdc_deleted_at, _sdc_received_at <= _sdc_batched_at and _sdc_batched_at <= now(), "
        "_sdc_sequence > 0, _sdc_sync_started_at > 0 from bronze.t"
    )
    extracted = dt.datetime(2024, 5, 1, tzinfo=dt.timezone.utc)
    assert row == ("odoo", "t", "2024-01-01T00:00:00Z", "run-1", 7, extracted, None, True, True, True)


def test_without_lineage(warehouse):
    shape = schema(id=ID, _sdc_sequence=ID)
    warehouse.load([shape, record(id=1, _sdc_sequence=3)], add_record_metadata=False, activate_version=False)
    assert warehouse.rows("select column_name::text from information_schema.columns where table_schema = 'bronze'") == [
        ("id",)
    ]
