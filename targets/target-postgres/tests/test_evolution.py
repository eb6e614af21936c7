"""A column whose stream sends another type: every value, old and new, is there afterwards to the last digit."""

from __future__ import annotations

import re
from contextlib import closing
from decimal import Decimal

import psycopg
import pytest

from singer_kit.errors import DataError
from target_postgres.connection import Connector
from target_postgres.database import Database
from target_postgres.encoding import encoder
from target_postgres.lattice import fitted, guard, widened
from target_postgres.naming import TableName, quote
from target_postgres.tables import Column, prepare, widen, widened_for
from target_postgres.types import BIGINT, JSONB, NUMERIC, TEXT, column_type, make, named_type

NAME = TableName("bronze", "t")
DIGITS = "1234567890123456789012345678901234567890.123456789"


@pytest.fixture
def session(warehouse):
    with closing(Database(Connector({"sqlalchemy_url": warehouse.url}))) as opened:
        yield opened


def write(session, table, record):
    """Bring one record in as the target does: encoded, copied into staged columns, assigned."""
    staged = ", ".join(f"{quote(column.name)} {column.type.staged}" for column in table.columns)
    cells = [
        guard(encoder(column.type.kind, sanitize=False), column.type)(record[column.name])
        if record.get(column.name) is not None
        else r"\N"
        for column in table.columns
    ]
    session.connection.execute(f"create temporary table stage ({staged}) on commit drop".encode())
    session.copy("copy stage from stdin", ["\t".join(cells).encode() + b"\n"])
    names = ", ".join(quote(column.name) for column in table.columns)
    session.run(f"insert into bronze.t ({names}) select * from stage", doing="testing")
    session.connection.execute("drop table stage")


# What a column may be, an SQL value of it with all the digits that it can have, and its text.
OLD = {
    "smallint": ("-32768", "-32768"),
    "integer": ("2147483647", "2147483647"),
    "bigint": ("9223372036854775807", "9223372036854775807"),
    "numeric": (DIGITS, DIGITS),
    "numeric(12,4)": ("12345678.1230", "12345678.1230"),
    "real": ("0.1", "0.1"),
    "double precision": ("1.2345678901234567", "1.2345678901234567"),
    "boolean": ("true", "true"),
    "text": ("'a\"b\\'", 'a"b\\'),
    "character varying": ("'ä'", "ä"),
    "character varying(3)": ("'abc'", "abc"),
    "character(3)": ("'abc'", "abc"),
    "date": ("'9999-12-31'", "9999-12-31"),
    "timestamp without time zone": ("'2024-02-29 23:59:59.123456'", "2024-02-29T23:59:59.123456"),
    "timestamp with time zone": ("'2024-02-29 23:59:59.123456+02'", "2024-02-29T21:59:59.123456+00:00"),
    "timestamp(3) without time zone": ("'2024-02-29 23:59:59.123'", "2024-02-29T23:59:59.123"),
    "time without time zone": ("'23:59:59.999999'", "23:59:59.999999"),
    "time(0) without time zone": ("'23:59:59'", "23:59:59"),
    "time with time zone": ("'10:00:00+05:30'", "10:00:00+05:30"),
    "uuid": ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "bytea": ("decode(repeat('00ff', 60), 'hex')", "AP8A" + "/wD/AP8A" * 19 + "/wD/"),
    "jsonb": ("'{\"a\": [1.50, null]}'", '{"a": [1.50, null]}'),
    "json": ("'{\"a\":1}'", '{"a":1}'),
    "text[]": ("array['a,\"b', null]", '["a,\\"b", null]'),
    "integer[]": ("'{{1,2},{3,4}}'", "[[1, 2], [3, 4]]"),
    "inet": ("'10.0.0.1/8'", "10.0.0.1/8"),
    "interval": ("'1 mon -2 days 03:04:05.6'", "1 mon -2 days +03:04:05.6"),
    "mood": ("'very happy'", "very happy"),
    "money": ("'1'", "$1.00"),
}
# What a stream may send, a JSON value of it, and its text.
NEW = {
    "integer": (column_type({"type": "integer"}, content_encoding=True), -(2**63), str(-(2**63))),
    "small integer": (
        column_type({"type": "integer", "minimum": 0, "maximum": 9}, content_encoding=True), 7, "7"
    ),
    "integer of any size": (make("numeric", "integer"), 10**50, str(10**50)),
    "number": (NUMERIC, Decimal(DIGITS), DIGITS),
    "numeric(20,10)": (named_type("numeric(20,10)"), Decimal("1234567890.0123456789"), "1234567890.0123456789"),
    "double": (named_type("double precision"), Decimal("1.2345678901234567"), "1.2345678901234567"),
    "boolean": (make("boolean", "boolean"), True, "true"),
    "text": (TEXT, "x\ty", "x\ty"),
    "varchar(4)": (named_type("varchar(4)"), "abcd", "abcd"),
    "date": (make("date", "date"), "2024-12-31", "2024-12-31"),
    "timestamptz": (make("timestamp with time zone", "timestamp"), "2024-12-31T22:59:59.123456+00:00",
                    "2024-12-31T22:59:59.123456"),
    "timestamp": (named_type("timestamp"), "2024-12-31T23:59:59.123456", "2024-12-31T23:59:59.123456"),
    "time": (make("time without time zone", "time"), "23:59:59.123456", "23:59:59.123456"),
    "timetz": (named_type("timetz"), "23:59:59.123456-09:30", "23:59:59.123456-09:30"),
    "uuid": (make("uuid", "uuid"), "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "b0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "base64": (make("bytea", "base64"), "AP8=", "AP8="),
    "object": (JSONB, {"a": [Decimal("1.50")]}, '{"a": [1.50]}'),
    "inet": (named_type("inet"), "::1", "::1"),
}  # fmt: skip


def canonical(text, expected):
    """A number by its value, a day or a time of day in UTC in one way: what two types write differently."""
    if re.fullmatch(r"-?[\d.]+", expected):
        return Decimal(text.strip('"'))
    for zero in (r"(T00:00:00)?\+00:00$", r"T00:00:00$", r"\+00(:00)?$"):
        text = re.sub(zero, "", text)
    return text.replace(" ", "") if text[:1] in "[{" else text.replace("T", " ")


@pytest.mark.parametrize("old", OLD)
def test_no_value_changes_whatever_is_sent_next(warehouse, session, old):
    """A column of the old type for each new one; all widen at once; old and new values are read back."""
    value, old_text = OLD[old]
    names = ", ".join(f'"{name}" {old}' for name in NEW)
    values = ", ".join([value] * len(NEW))
    warehouse.do("create type mood as enum ('sad', 'very happy'); create schema bronze")
    warehouse.do(f"create table bronze.t (id bigint primary key, {names}); insert into bronze.t values (1, {values})")
    wanted = [Column("id", BIGINT, key=True), *(Column(name, type_) for name, (type_, _, _) in NEW.items())]
    table = prepare(session, "s", NAME, wanted, unique=True)
    write(session, table, {"id": 2, **{name: value for name, (_, value, _) in NEW.items()}})
    session.commit()
    for name, (_, _, new_text) in NEW.items():
        cell = (
            f"translate(encode(\"{name}\", 'base64'), E'\\n', '')"
            if next(column for column in table.columns if column.name == name).type.sql == "bytea"
            else f"to_jsonb(\"{name}\") #>> '{{}}'"
        )
        found = [row[0] for row in warehouse.rows(f"select {cell} from bronze.t order by id")]
        for text, expected in zip(found, (old_text, new_text), strict=True):
            assert canonical(text, expected) == canonical(expected, expected), (name, found)
    # It fits now: another run changes nothing.
    again = prepare(session, "s", NAME, wanted, unique=True)
    assert [column.type.sql for column in again.columns] == [column.type.sql for column in table.columns]


LATTICE = [
    ("smallint", "integer", "bigint"),
    ("smallint", "small integer", "smallint"),
    ("bigint", "integer", "bigint"),
    ("bigint", "integer of any size", "numeric"),
    ("integer", "number", "numeric"),
    ("bigint", "text", "text"),
    ("numeric", "integer", "numeric"),
    ("numeric(12,4)", "small integer", "numeric(12,4)"),
    ("numeric(12,4)", "integer", "numeric"),
    ("numeric(20,10)", "numeric(20,10)", "numeric(20,10)"),
    ("numeric(12,4)", "numeric(20,10)", "numeric"),
    ("numeric(30,10)", "numeric(20,10)", "numeric(30,10)"),
    ("real", "double", "double precision"),
    ("double precision", "number", "numeric"),
    ("double precision", "small integer", "double precision"),
    ("double precision", "integer", "numeric"),
    ("numeric", "double", "numeric"),
    ("boolean", "integer", "text"),
    ("date", "timestamptz", "timestamp with time zone"),
    ("date", "timestamp", "timestamp without time zone"),
    ("date", "integer", "text"),
    ("timestamp without time zone", "timestamptz", "timestamp without time zone"),
    ("timestamp(3) without time zone", "timestamptz", "timestamp without time zone"),
    ("timestamp(6) with time zone", "timestamptz", "timestamp(6) with time zone"),
    ("timestamp with time zone", "date", "timestamp with time zone"),
    ("time without time zone", "timetz", "time with time zone"),
    ("time with time zone", "time", "time with time zone"),
    ("character varying(3)", "varchar(4)", "character varying(4)"),
    ("character varying(4)", "varchar(4)", "character varying(4)"),
    ("character varying(9)", "varchar(4)", "character varying(9)"),
    ("character varying(3)", "text", "text"),
    ("character varying", "text", "character varying"),
    ("character varying(36)", "uuid", "text"),
    ("text", "object", "jsonb"),
    ("text", "base64", "text"),
    ("jsonb", "text", "jsonb"),
    ("text[]", "object", "jsonb"),
    ("text[]", "text", "jsonb"),
    ("bytea", "text", "text"),
    ("uuid", "integer", "text"),
    ("mood", "text", "text"),
]


@pytest.mark.parametrize(("actual", "sent", "becomes"), LATTICE)
def test_the_least_type_that_holds_both(actual, sent, becomes):
    wanted = NEW[sent][0]
    fit = fitted(wanted, actual)
    assert (fit.sql if fit else widened(wanted, actual)[0].sql) == becomes
    assert bool(fit) == (becomes == actual)


def test_floats_are_read_in_full_whatever_the_role_says(warehouse, session):
    name = warehouse.rows("select current_database()")[0][0]
    warehouse.do(f'alter database "{name}" set extra_float_digits = 0; create schema bronze')
    warehouse.do("create table bronze.t (v double precision); insert into bronze.t values (1.2345678901234567)")
    prepare(session, "s", NAME, [Column("v", NUMERIC)], unique=False)
    session.commit()
    assert warehouse.rows("select v::text from bronze.t") == [("1.2345678901234567",)]


def test_what_belongs_to_the_column_stays(warehouse, session):
    """Its default, its collation, its index, its place in the primary key, its comment."""
    warehouse.do("""
        create schema bronze;
        create table bronze.t (id integer not null default 5, name varchar(3) collate "C", primary key (id, name));
        create index by_name on bronze.t (name, id); comment on column bronze.t.id is 'the id';
        insert into bronze.t (name) values ('a'), ('B')
    """)
    wanted = [Column("id", TEXT, key=True), Column("name", TEXT, key=True)]
    assert prepare(session, "s", NAME, wanted, unique=True).unique_key
    session.commit()
    assert warehouse.rows("insert into bronze.t (name) values ('c') returning id") == [("5",)]
    assert warehouse.rows("select name from bronze.t order by name") == [("B",), ("a",), ("c",)]
    assert warehouse.rows(
        "select i.indexrelid::regclass::text from pg_index i where indrelid = 'bronze.t'::regclass order by 1"
    ) == [("bronze.by_name",), ("bronze.t_pkey",)]
    assert warehouse.rows("select col_description('bronze.t'::regclass, 1)") == [("the id",)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        warehouse.do("insert into bronze.t values ('5', 'c')")


def test_one_rewrite_for_many_columns(warehouse, session):
    names = [f"c{number}" for number in range(20)]
    prepare(session, "s", NAME, [Column(name, BIGINT) for name in names], unique=False)
    session.commit()
    statements = warehouse.rows("select count(*) from pg_class where relname = 't'")
    file = "select pg_relation_filenode('bronze.t')"
    before = warehouse.rows(file)[0][0]
    prepare(session, "s", NAME, [Column(name, NUMERIC) for name in [*names, "new"]], unique=False)
    [(inside,)] = session.rows(file)
    session.commit()
    assert inside == warehouse.rows(file)[0][0] != before
    assert statements == [(1,)]


CONSTRAINED = {
    "check": "alter table bronze.t add check (v > 0)",
    "index": "create index on bronze.t (abs(v))",
    "generated column": "alter table bronze.t add g bigint generated always as (v * 2) stored",
    "trigger": (
        "create function f() returns trigger language plpgsql as 'begin return new; end'; "
        "create trigger f before update of v on bronze.t for each row execute function f()"
    ),
    "row type": "create table bronze.u (one bronze.t)",
    "foreign key": (
        "alter table bronze.t add unique (v); create table bronze.u (v bigint references bronze.t (v)); "
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTRAINED)
def test_what_needs_the_old_type_is_told_and_nothing_changes(warehouse, session, name):
    prepare(session, "s", NAME, [Column("v", BIGINT)], unique=False)
    session.commit()
    warehouse.do(CONSTRAINED[name])
    warehouse.do("insert into bronze.t (v) values (3)")
    with pytest.raises(DataError) as raised:
        prepare(session, "s", NAME, [Column("v", JSONB)], unique=False)
    for part in ("'s'", '"bronze"."t"', "column 'v' from bigint to jsonb", "Nothing was changed", "Next:"):
        assert part in str(raised.value)
    session.commit()
    assert warehouse.rows("select v, pg_typeof(v)::text from bronze.t") == [(3, "bigint")]


# One value that is too much


GROWING = [
    ("bigint", {"type": "integer"}, 2**63, "numeric"),
    ("bigint", {"type": "integer"}, -(2**63) - 1, "numeric"),
    ("bigint", {"type": "integer"}, 2**63 - 1, None),
    ("bigint", {"type": "integer"}, Decimal("1e30"), "numeric"),
    ("smallint", {"type": "integer", "x-sql-datatype": "smallint"}, 40_000, "bigint"),
    ("smallint", {"type": "integer", "x-sql-datatype": "smallint"}, 2**70, "numeric"),
    ("character varying(3)", {"type": "string", "x-sql-datatype": "varchar(3)"}, "abcd", "text"),
    ("character varying(3)", {"type": "string", "x-sql-datatype": "varchar(3)"}, "abc ", "text"),
    ("character varying(3)", {"type": "string", "x-sql-datatype": "varchar(3)"}, "äöü", None),
    ("numeric(5,2)", {"type": "number", "x-sql-datatype": "numeric(5,2)"}, Decimal("1.555"), "numeric"),
    ("numeric(5,2)", {"type": "number", "x-sql-datatype": "numeric(5,2)"}, Decimal("1000.1"), "numeric"),
    ("numeric(5,2)", {"type": "number", "x-sql-datatype": "numeric(5,2)"}, "Infinity", "numeric"),
    ("numeric(5,2)", {"type": "number", "x-sql-datatype": "numeric(5,2)"}, Decimal("999.990000"), None),
    ("numeric(5,2)", {"type": "number", "x-sql-datatype": "numeric(5,2)"}, "0E+40", None),
    ("numeric(5,2)", {"type": "number", "x-sql-datatype": "numeric(5,2)"}, "NaN", None),
    ("numeric", {"type": "number"}, Decimal("1e5000"), None),
    ("text", {"type": "string"}, "x" * 1000, None),
]


@pytest.mark.parametrize(("before", "definition", "value", "becomes"), GROWING)
def test_a_value_too_large_widens_its_column(warehouse, session, before, definition, value, becomes):
    wanted = [Column("id", BIGINT, key=True), Column("v", column_type(definition, content_encoding=False))]
    table = prepare(session, "s", NAME, wanted, unique=True)
    assert table.columns[1].type.sql == before
    write(session, table, {"id": 1, "v": None})
    to = widened_for(table.columns[1], value)
    assert (to and to.sql) == becomes
    if to:
        session.connection.execute("create view bronze.seen as select v from bronze.t")
        column = widen(session, "s", NAME, table.columns[1], to)
        assert column.type.sql == becomes
        assert widened_for(column, value) is None
        assert widen(session, "s", NAME, table.columns[1], to) == column
        table = prepare(session, "s", NAME, wanted, unique=True)
        assert table.columns[1].type.sql == becomes
    write(session, table, {"id": 2, "v": value})
    session.commit()
    [(found,)] = warehouse.rows("select v::text from bronze.t where id = 2")
    same = found == value if isinstance(value, str) and "E" not in value else Decimal(found) == Decimal(str(value))
    assert same, found
