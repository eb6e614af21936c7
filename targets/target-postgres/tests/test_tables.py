"""Tables made, left alone or refused, by policy and by what stands in their place."""

from __future__ import annotations

import logging
import re
from contextlib import closing
from decimal import Decimal

import pytest

from singer_kit.errors import ConfigurationError, DataError
from target_postgres.connection import Connector
from target_postgres.database import Database
from target_postgres.encoding import encoder
from target_postgres.lattice import guard
from target_postgres.naming import TableName, column_name, table_name
from target_postgres.tables import Column, prepare
from target_postgres.types import BIGINT, JSONB, NUMERIC, TEXT, TIMESTAMPTZ, make

NAME = TableName("bronze", "t")
ID = Column("id", BIGINT, key=True)


@pytest.fixture
def shape(warehouse):
    """Make the table fit these columns, committed."""

    def run(*columns, policy="evolve", name=NAME):
        with closing(Database(Connector({"sqlalchemy_url": warehouse.url}))) as session:
            table = prepare(session, "s", name, columns, unique=True, policy=policy)
            session.commit()
            return table

    return run


def types(warehouse, table="bronze.t"):
    return dict(
        warehouse.rows(
            "select attname::text, "
            "format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end "
            f"from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"
        )
    )


@pytest.mark.parametrize("policy", ["evolve", "freeze", "fail"])
def test_a_table_that_is_not_there_is_made_whatever_the_policy(warehouse, shape, policy):
    table = shape(ID, Column("v", TEXT), policy=policy)
    assert table.unique_key
    assert table.left_out == frozenset()
    assert shape(ID, Column("v", TEXT), policy=policy) == table
    assert types(warehouse) == {"id": "bigint not null", "v": "text"}


def test_freeze_leaves_the_table_as_it_is(warehouse, shape, caplog):
    """What it lacks is left out, what does not fit is told, all in one warning."""
    shape(ID, Column("n", BIGINT), Column("w", TEXT))
    warehouse.do("alter table bronze.t alter n set not null")
    with caplog.at_level(logging.WARNING):
        table = shape(
            ID, Column("n", NUMERIC), Column("w", TEXT), Column("new", TEXT), Column("newer", JSONB), policy="freeze"
        )
    assert [column.name for column in table.columns] == ["id", "n", "w"]
    assert table.left_out == {"new", "newer"}
    assert table.unique_key
    assert types(warehouse) == {"id": "bigint not null", "n": "bigint not null", "w": "text"}
    [warning] = [record.getMessage() for record in caplog.records]
    for part in ("'s'", "freeze", "left out: new, newer", "n is bigint and not numeric"):
        assert part in warning


def test_a_frozen_table_without_a_key_column_is_refused(shape):
    shape(Column("v", TEXT))
    with pytest.raises(DataError, match=r"'s'.*no column 'id', which is a key.*Next:"):
        shape(ID, Column("v", TEXT), policy="freeze")


# The text of what the column gives back, or why it is refused.
FROZEN = [
    ("integer", NUMERIC, 2**31 - 1, "2147483647"),
    ("integer", NUMERIC, 2**31, "out of range for integer"),
    ("bigint", NUMERIC, Decimal("1.0"), "1"),
    ("bigint", NUMERIC, Decimal("1.5"), "not an integer"),
    ("bigint", NUMERIC, Decimal("1e1000000000"), "out of range"),
    ("bigint", TEXT, "x", "not an integer"),
    ("numeric(5,2)", NUMERIC, Decimal("1.50"), "1.50"),
    ("numeric(5,2)", NUMERIC, Decimal("1.555"), "would not hold all its digits"),
    ("real", NUMERIC, Decimal("0.1"), "0.1"),
    ("real", NUMERIC, Decimal(16777217), "would not hold all its digits"),
    ("real", NUMERIC, Decimal("1e39"), "would not hold all its digits"),
    ("real", NUMERIC, Decimal("1e-50"), "would not hold all its digits"),
    ("double precision", NUMERIC, Decimal("0.1"), "0.1"),
    ("double precision", NUMERIC, "NaN", "NaN"),
    ("double precision", NUMERIC, Decimal("0.12345678901234567890"), "would not hold all its digits"),
    ("character varying(3)", TEXT, "abc", "abc"),
    ("character varying(3)", TEXT, "abc ", "too long"),
    ("text", JSONB, "plain", "plain"),
    ("text", JSONB, {"a": [1]}, '{"a":[1]}'),
    ("boolean", JSONB, {"a": 1}, "not a boolean"),
    ("date", TIMESTAMPTZ, "2024-01-01", "2024-01-01"),
    ("date", TIMESTAMPTZ, "2024-01-01T10:00:00Z", "time of day"),
    ("timestamp(3) with time zone", TIMESTAMPTZ, "2024-01-01T10:00:00.123000Z", "2024-01-01 10:00:00.123+00"),
    ("timestamp(3) with time zone", TIMESTAMPTZ, "2024-01-01T10:00:00.1234Z", "would round"),
    ("uuid", TEXT, 1, "not a UUID"),
    ("bytea", TEXT, "abcd", "the column is bytea"),
    ("text[]", JSONB, ["a"], "not a value of text[]"),
]


@pytest.mark.parametrize(("actual", "sent", "value", "expected"), FROZEN)
def test_values_for_a_frozen_column_fit_exactly_or_are_refused(warehouse, shape, actual, sent, value, expected):
    warehouse.do(f"create schema bronze; create table bronze.t (v {actual})")
    column = shape(Column("v", sent), policy="freeze").columns[0]
    assert column.type.sql == actual
    encode = guard(encoder(column.type.kind, sanitize=False), column.type)
    if " " in expected and not expected[0].isdigit():
        with pytest.raises(DataError, match=re.escape(expected)):
            encode(value)
        return
    written = encode(value)
    assert warehouse.rows(f"select $v${written}$v$::{column.type.staged}::{actual}::text") == [(expected,)]


REFUSED_BY_FAIL = {
    "a new column": ((ID, Column("v", BIGINT), Column("w", TEXT)), ["column 'w' to be added as text", "ADD COLUMN"]),
    "a wider type": (
        (ID, Column("v", NUMERIC)),
        ["column 'v' from bigint to numeric", 'ALTER COLUMN "v" TYPE numeric'],
    ),
}


@pytest.mark.parametrize("name", REFUSED_BY_FAIL)
def test_fail_names_every_change_and_its_statement(warehouse, shape, name):
    columns, parts = REFUSED_BY_FAIL[name]
    shape(ID, Column("v", BIGINT))
    with pytest.raises(DataError) as raised:
        shape(*columns, policy="fail")
    for part in ("Stream 's'", '"bronze"."t"', "schema_policy is 'fail'", "Next:", *parts):
        assert part in str(raised.value)
    assert types(warehouse) == {"id": "bigint not null", "v": "bigint"}
    # The statement in the message is the way out.
    warehouse.do(str(raised.value).split("yourself: ")[1].split("; or set it")[0])
    shape(*columns, policy="fail")


def test_fail_lets_a_narrower_stream_pass(warehouse, shape):
    shape(ID, Column("v", NUMERIC), Column("gone", TEXT))
    shape(ID, Column("v", BIGINT), policy="fail")
    assert types(warehouse) == {"id": "bigint not null", "v": "numeric", "gone": "text"}


def test_a_property_that_is_gone_leaves_a_nullable_column(warehouse, shape):
    warehouse.do("""
        create schema bronze;
        create table bronze.t (id bigint primary key, gone text not null, filled text not null default 'x',
          number bigint generated always as identity)
    """)
    shape(ID)
    assert types(warehouse) == {
        "id": "bigint not null", "gone": "text", "filled": "text not null", "number": "bigint not null",
    }  # fmt: skip
    warehouse.do("insert into bronze.t (id) values (1)")


@pytest.mark.parametrize("make_it", ["view bronze.t as select 1", "sequence bronze.t", "type bronze.t as (a int)"])
def test_something_else_of_the_name(warehouse, shape, make_it):
    warehouse.do("create schema bronze")
    warehouse.do(f"create {make_it}")
    with pytest.raises(ConfigurationError, match=r"is no table.*Next:"):
        shape(ID)


def test_a_stream_named_as_an_index(shape):
    shape(ID)
    with pytest.raises(ConfigurationError, match=r"'s'.*t_pkey.*is no table.*Next:"):
        shape(ID, name=TableName("bronze", "t_pkey"))


# Names


def test_names_depend_on_the_name_alone_and_stay_apart():
    long = "ä" * 40
    names = [long + str(number) for number in range(1000)] + [long, "ctid", "CTID", "xmin", "x" * 63, "x" * 64]
    made = [column_name(name, stream="s") for name in names]
    assert len(set(made)) == len(names)
    assert made == [column_name(name, stream="t") for name in names]
    assert all(len(name.encode()) <= 63 for name in made)
    assert made[names.index("CTID")] == "CTID"
    assert made[names.index("x" * 63)] == "x" * 63


@pytest.mark.parametrize(
    ("stream", "schema", "expected"),
    [
        ("orders", None, ("public", "orders")),
        ("shop-orders", None, ("shop", "orders")),
        ("db-shop-orders", None, ("shop", "orders")),
        ("db-shop-orders", "bronze", ("bronze", "orders")),
        ("orders-", "bronze", ("bronze", "orders-")),
        ("-", None, ("public", "-")),
        ("a--b", None, ("public", "a--b")),
    ],
)
def test_where_a_stream_goes(stream, schema, expected):
    found = table_name(stream, schema=schema, pattern="{stream}", source="")
    assert (found.schema, found.table) == expected


def test_two_properties_that_would_share_a_column(warehouse):
    long = "p" * 70
    shape = {"properties": {"id": {"type": "integer"}, long: {}, column_name(long, stream="t"): {}}}
    message = {"type": "SCHEMA", "stream": "t", "key_properties": ["id"], "schema": shape}
    warehouse.fails([message], "'t'", long, "share column")


def test_a_column_of_a_kind_of_its_own(shape):
    """`make` and `fitted` agree on what COPY fills."""
    table = shape(ID, Column("at", make("timestamp without time zone", "timestamp")))
    assert table.columns[1].type.staged == "timestamp with time zone"
