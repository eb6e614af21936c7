"""Views on a column that is widened: there afterwards as they were before, or nothing has changed."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing, contextmanager
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pytest

from singer_kit.errors import ConfigurationError, ConnectionFailedError, DataError, PluginError
from target_postgres.connection import Connector
from target_postgres.database import Database
from target_postgres.naming import TableName
from target_postgres.tables import Column, prepare
from target_postgres.types import BIGINT, JSONB, NUMERIC, TEXT

NAME = TableName("bronze", "t")
OUTER = TableName("Silver", 'Outer "v"').quoted


def columns(**types):
    return [Column("id", BIGINT, key=True), *(Column(name, type_) for name, type_ in types.items())]


@contextmanager
def connected(url, **settings):
    with closing(Database(Connector({"sqlalchemy_url": url, **settings}))) as database:
        yield database


@pytest.fixture
def shape(warehouse):
    """Make the table fit columns of these types, as a run of its own would."""

    def run(url=None, **types):
        with connected(url or warehouse.url) as database:
            table = prepare(database, "s", NAME, columns(**types), unique=True)
            database.commit()
            return table

    return run


@pytest.fixture
def roles(warehouse):
    """Roles of this test alone, and the URL by which each logs in."""
    made = []

    def make(suffix):
        name = f"{warehouse.rows('select current_database()')[0][0]}_{suffix}"
        warehouse.do(f"create role \"{name}\" login password 'x'")
        made.append(name)
        parts = urlsplit(warehouse.url)
        return name, parts._replace(netloc=f"{name}:x@{parts.hostname}:{parts.port}").geturl()

    yield make
    for name in made:
        warehouse.do(f'reassign owned by "{name}" to current_user; drop owned by "{name}"; drop role "{name}"')


def snapshot(warehouse, *names):
    """What the catalog says of views, as text, but for types and object ids: a constant is cast to what it meets."""
    wanted = ", ".join(f"'{name}'" for name in names)
    found = warehouse.rows(f"""
        select c.relname, c.relkind::text, pg_get_userbyid(c.relowner)::text, c.reloptions, c.relispopulated,
          (select array_agg(x::text order by x::text) from unnest(coalesce(c.relacl, acldefault('r', c.relowner))) x),
          obj_description(c.oid, 'pg_class'),
          (select array_agg(array[a.attname::text, a.attacl::text, col_description(c.oid, a.attnum),
                                  pg_get_expr(d.adbin, d.adrelid)] order by a.attnum)
           from pg_attribute a left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
           where a.attrelid = c.oid and a.attnum > 0),
          (select array_agg(pg_get_indexdef(i.indexrelid) || i.indisclustered
                            || coalesce(obj_description(i.indexrelid, 'pg_class'), '')
                            order by i.indexrelid::regclass::text)
           from pg_index i where i.indrelid = c.oid),
          (select array_agg(pg_get_ruledef(r.oid) || coalesce(obj_description(r.oid, 'pg_rewrite'), ''))
           from pg_rewrite r where r.ev_class = c.oid and r.rulename <> '_RETURN'),
          (select array_agg(pg_get_triggerdef(g.oid) || coalesce(obj_description(g.oid, 'pg_trigger'), ''))
           from pg_trigger g where g.tgrelid = c.oid),
          pg_get_viewdef(c.oid)
        from pg_class c where c.relname in ({wanted}) order by c.relname""")
    return [re.sub(r"\((\d)\)::numeric", r"\1", str(row)) for row in found]


def test_everything_about_views_survives(warehouse, shape, roles):
    """A view, a view on it in another schema, a materialized view on both, each with all that a view can have."""
    reader, _ = roles("reader")
    owner, _ = roles("owner")
    shape(v=BIGINT, w=TEXT)
    warehouse.do(f"""
        insert into bronze.t values (1, 10, 'a'), (2, null, 'it''s');
        create schema "Silver";
        grant usage, create on schema "Silver", bronze to "{owner}"; grant select on bronze.t to "{owner}";
        create view bronze.plain as select id, v, w from bronze.t where v > 5;
        create view bronze.bystander as select id, w from bronze.t;
        create view {OUTER} with (security_barrier, check_option = local) as
          select p.id, p.v as "The V", 'c\\d' as c from bronze.plain p;
        create materialized view "Silver".matter with (fillfactor = 70) as
          select o."The V" + 1 as n, p.w from {OUTER} o join bronze.plain p using (id);
        create materialized view "Silver".unfilled as select max(v) as most from bronze.t with no data;
        create unique index matter_n on "Silver".matter (n desc);
        create index matter_w on "Silver".matter (lower(w)) where n > 0;
        alter materialized view "Silver".matter cluster on matter_n;
        comment on view bronze.plain is 'it''s a \\ view'; comment on column bronze.plain.v is 'the %s value {{}}';
        comment on materialized view "Silver".matter is 'm'; comment on index "Silver".matter_n is 'i';
        alter view bronze.plain alter column v set default 7;
        create rule quiet as on delete to bronze.plain do instead nothing;
        comment on rule quiet on bronze.plain is 'r';
        create function bronze.ignore() returns trigger language plpgsql as 'begin return null; end';
        create trigger still instead of insert on bronze.plain for each row execute function bronze.ignore();
        comment on trigger still on bronze.plain is 't';
        grant select, insert on bronze.plain to "{reader}" with grant option; grant select on bronze.plain to public;
        grant update ("The V"), select (id) on {OUTER} to "{reader}";
        revoke delete on "Silver".matter from current_user;
        alter view {OUTER} owner to "{owner}";
        grant select on bronze.plain to "{owner}";
        alter default privileges grant all on tables to "{reader}";
    """)
    names = ("plain", "bystander", 'Outer "v"', "matter", "unfilled")
    before = snapshot(warehouse, *names)
    bystander = warehouse.rows("select 'bronze.bystander'::regclass::oid")
    shape(v=NUMERIC, w=TEXT)
    warehouse.do("insert into bronze.t values (3, 10.5, 'b')")
    assert snapshot(warehouse, *names) == before
    assert warehouse.rows("select 'bronze.bystander'::regclass::oid") == bystander
    assert warehouse.rows(f"select * from {OUTER} order by 1") == [
        (1, 10, "c\\d"),
        (3, Decimal("10.5"), "c\\d"),
    ]
    assert warehouse.rows('select n, w from "Silver".matter') == [(11, "a")]
    warehouse.do('refresh materialized view "Silver".matter')
    assert warehouse.rows('select n, w from "Silver".matter order by n') == [(11, "a"), (Decimal("11.5"), "b")]


def test_a_view_of_many_layers_and_ways(warehouse, shape):
    """Each layer uses the one below twice: without care the ways through them double with each."""
    shape(v=BIGINT)
    warehouse.do("insert into bronze.t values (1, 2); create view bronze.v0 as select id, v from bronze.t")
    for layer in range(1, 30):
        warehouse.do(
            f"create view bronze.v{layer} as select id, v from bronze.v{layer - 1} "
            f"union select id, v from bronze.v{layer - 1}"
            if layer < 6
            else f"create view bronze.v{layer} as select a.id, a.v from bronze.v{layer - 1} a, bronze.v{layer - 6} b"
        )
    with connected(warehouse.url) as database:
        before = database.rows("select count(*) from pg_views where schemaname = 'bronze'")
        prepare(database, "s", NAME, columns(v=NUMERIC), unique=True)
        database.commit()
        assert database.rows("select count(*) from pg_views where schemaname = 'bronze'") == before
    assert warehouse.rows("select v, pg_typeof(v)::text from bronze.v5") == [(2, "numeric")]


def test_partitions_are_part_of_their_table(warehouse, shape):
    warehouse.do("""
        create schema bronze; create table bronze.t (id bigint primary key, v bigint) partition by range (id);
        create table bronze.part partition of bronze.t for values from (0) to (10);
        insert into bronze.t values (1, 2); create view bronze.on_part as select v from bronze.part;
        create view bronze.on_all as select v from bronze.t
    """)
    shape(v=NUMERIC)
    found = warehouse.rows(
        "select p.v, pg_typeof(p.v)::text, pg_typeof(a.v)::text from bronze.on_part p, bronze.on_all a"
    )
    assert found == [(2, "numeric", "numeric")]


def test_rows_of_the_open_transaction_and_two_columns_at_once(warehouse, shape):
    shape(v=BIGINT, w=BIGINT)
    warehouse.do("create view bronze.both as select v, w from bronze.t")
    with connected(warehouse.url) as database:
        database.run("insert into bronze.t values (1, 2, 3)", doing="testing")
        prepare(database, "s", NAME, columns(v=NUMERIC, w=JSONB, x=TEXT), unique=True)
        database.run("insert into bronze.t values (2, 2.5, '[1]', 'x')", doing="testing")
        database.commit()
    assert warehouse.rows("select v, w from bronze.both order by v") == [(2, 3), (Decimal("2.5"), [1])]


REFUSED = {
    "a view that the new type breaks": (
        "create view bronze.seen as select v / 2 as half from bronze.t",
        TEXT,
        DataError,
        ["bronze.seen", "operator does not exist", "DROP VIEW bronze.seen CASCADE"],
    ),
    "a function on a view": (
        (
            "create view bronze.seen as select v from bronze.t; "
            "create function bronze.f() returns setof bronze.seen language sql as 'select * from bronze.seen'"
        ),
        NUMERIC,
        DataError,
        ["bronze.seen", "function bronze.f()", "DROP VIEW bronze.seen CASCADE"],
    ),
    "a policy on the column": (
        "create policy p on bronze.t using (v > 1); create view bronze.seen as select v from bronze.t",
        NUMERIC,
        DataError,
        ["policy p on table bronze.t", "drop what depends"],
    ),
    "a rule that reads the column": (
        (
            "create table bronze.o (x bigint); "
            "create rule r as on insert to bronze.o do also delete from bronze.t where v = new.x"
        ),
        NUMERIC,
        DataError,
        ["rule r on table bronze.o", "drop what depends"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_stands_in_the_way_is_named_and_nothing_changes(warehouse, shape, name):
    setup, wanted, error, parts = REFUSED[name]
    shape(v=BIGINT)
    warehouse.do("insert into bronze.t values (1, 3)")
    warehouse.do(setup)
    before = snapshot(warehouse, "seen")
    with connected(warehouse.url) as database:
        database.run("insert into bronze.t values (2, 4)", doing="testing")
        with pytest.raises(error) as raised:
            prepare(database, "s", NAME, columns(v=wanted), unique=True)
        # The transaction goes on as if nothing had been tried.
        database.commit()
    for part in (*parts, "'s'", "'v'", "Next:", "from bigint to"):
        assert part in str(raised.value)
    assert snapshot(warehouse, "seen") == before
    assert warehouse.rows("select id, v, pg_typeof(v)::text from bronze.t order by id") == [
        (1, 3, "bigint"),
        (2, 4, "bigint"),
    ]


def test_a_view_of_somebody_else(warehouse, shape, roles):
    """Refused in words; a GRANT of the view's owner, as the error says, is the way out."""
    analyst, _ = roles("analyst")
    loader, loader_url = roles("loader")
    database = warehouse.rows("select current_database()")[0][0]
    warehouse.do(f'grant create on database "{database}" to "{loader}"')
    shape(loader_url, v=BIGINT)
    warehouse.do(f"""
        grant usage, create on schema bronze to "{analyst}"; grant select on bronze.t to "{analyst}";
        create view bronze.seen as select v from bronze.t; alter view bronze.seen owner to "{analyst}"
    """)
    before = snapshot(warehouse, "seen")
    with pytest.raises(ConfigurationError) as raised:
        shape(loader_url, v=NUMERIC)
    assert f"view bronze.seen stands on it and must be made anew, but user '{loader}' may not" in str(raised.value)
    assert f'GRANT {analyst} TO "{loader}"' in str(raised.value)
    assert snapshot(warehouse, "seen") == before
    warehouse.do(f'grant "{analyst}" to "{loader}"')
    shape(loader_url, v=NUMERIC)
    assert snapshot(warehouse, "seen") == before
    assert warehouse.rows("select pg_typeof(v)::text from (select null) x left join bronze.seen on true") == [
        ("numeric",)
    ]


def test_a_table_of_somebody_else(warehouse, shape, roles):
    loader, loader_url = roles("loader")
    shape(v=BIGINT)
    warehouse.do(f'grant usage on schema bronze to "{loader}"; grant all on bronze.t to "{loader}"')
    with pytest.raises(ConfigurationError, match="must be owner of table t") as raised:
        shape(loader_url, v=NUMERIC)
    assert f'TO "{loader}"' in str(raised.value)


def test_functions_of_a_materialized_view_find_the_search_path(warehouse, shape):
    """Filling it calls them, and they may count on the session's path."""
    shape(v=BIGINT)
    # From 17 on Postgres itself empties the path for that.
    path = "set search_path = public" if int(warehouse.rows("show server_version_num")[0][0]) >= 170000 else ""
    warehouse.do(f"""
        insert into bronze.t values (1, 2); create table public.factors as select 3 as factor;
        create function public.scaled(n numeric) returns numeric language plpgsql {path}
          as 'begin return n * (select factor from factors); end';
        create materialized view bronze.seen as select public.scaled(v) as v from bronze.t
    """)
    shape(v=NUMERIC)
    assert warehouse.rows("select v from bronze.seen") == [(6,)]


def test_a_dbt_model_lives_through_a_load_that_widens(warehouse):
    """The whole way, from SCHEMA messages to what the model shows; rows before the change wait in one transaction."""

    def messages(definition, *values):
        schema = {"properties": {"id": {"type": "integer"}, "v": definition}}
        yield {"type": "SCHEMA", "stream": "t", "key_properties": ["id"], "schema": schema}
        for number, value in values:
            yield {"type": "RECORD", "stream": "t", "record": {"id": number, "v": value}}

    warehouse.load(messages({"type": "integer"}, (1, 1)))
    warehouse.do("create view bronze.stg_t as select id, v from bronze.t")
    warehouse.load([*messages({"type": "integer"}, (2, 2)), *messages({"type": "number"}, (1, 1.5), (3, 3))])
    assert warehouse.rows("select id, v from bronze.stg_t order by id") == [(1, Decimal("1.5")), (2, 2), (3, 3)]


# Others at the same time


@contextmanager
def in_the_background(step):
    """Run a step in a thread; leaving the block waits for it and raises what it raised."""
    raised = []

    def run():
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - handed on
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(60)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


def until_blocked(warehouse, thread):
    """Wait until a session of the target waits for a lock."""
    deadline = time.monotonic() + 30
    query = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() "
        "and application_name = 'target-postgres'"
    )
    while not warehouse.rows(query)[0][0]:
        assert time.monotonic() < deadline
        assert thread.is_alive()
        time.sleep(0.01)


def test_a_reader_of_the_outer_view_is_waited_for(warehouse, shape):
    """It holds the outer view and goes on to the inner one and the table: no ring of waiting."""
    shape(v=BIGINT)
    warehouse.do("""
        insert into bronze.t values (1, 2);
        create view bronze.a_inner as select v from bronze.t; create view bronze.b_outer as select v from bronze.a_inner
    """)
    with psycopg.connect(warehouse.url) as reader:
        reader.execute("lock table bronze.b_outer in access share mode")
        with in_the_background(lambda: shape(v=NUMERIC)) as thread:
            until_blocked(warehouse, thread)
            assert reader.execute("select v from bronze.b_outer").fetchall() == [(2,)]
            reader.commit()
    assert warehouse.rows("select v, pg_typeof(v)::text from bronze.b_outer") == [(2, "numeric")]


def test_a_view_replaced_meanwhile_comes_back_as_the_new_one(warehouse, shape):
    """As dbt does it: made beside the old one, both renamed, the old one dropped."""
    shape(v=BIGINT)
    warehouse.do("create view bronze.model as select v from bronze.t")
    with psycopg.connect(warehouse.url) as dbt:
        dbt.execute("create view bronze.model__tmp as select v, 'new' as version from bronze.t")
        dbt.execute("alter view bronze.model rename to model__backup")
        dbt.execute("alter view bronze.model__tmp rename to model")
        with in_the_background(lambda: shape(v=NUMERIC)) as thread:
            until_blocked(warehouse, thread)
            dbt.execute("drop view bronze.model__backup")
            dbt.commit()
    warehouse.do("insert into bronze.t values (1, 1.5)")
    assert warehouse.rows("select v, version from bronze.model") == [(Decimal("1.5"), "new")]
    assert warehouse.rows("select viewname::text from pg_views where schemaname = 'bronze'") == [("model",)]


def test_two_targets_widen_one_table(warehouse, shape):
    shape(v=BIGINT)
    warehouse.do("create view bronze.model as select v from bronze.t")
    for _ in range(5):
        warehouse.do("drop view bronze.model; alter table bronze.t alter column v type bigint using null")
        warehouse.do("create view bronze.model as select v from bronze.t")
        with in_the_background(lambda: shape(v=NUMERIC)), in_the_background(lambda: shape(v=NUMERIC)):
            pass
        assert warehouse.rows(
            "select format_type(atttypid, -1) from pg_attribute "
            "where attrelid = 'bronze.model'::regclass and attname = 'v'"
        ) == [("numeric",)]


def test_lock_timeout_ends_the_wait_in_words(warehouse, shape):
    shape(v=BIGINT)
    warehouse.do("create view bronze.seen as select v from bronze.t")
    with psycopg.connect(warehouse.url) as reader:
        reader.execute("select * from bronze.seen")
        with connected(warehouse.url, lock_timeout_seconds=0.2) as database:
            with pytest.raises(PluginError, match="lock timeout") as raised:
                prepare(database, "s", NAME, columns(v=NUMERIC), unique=True)
            assert isinstance(raised.value, ConnectionFailedError)
    assert warehouse.rows("select viewname::text from pg_views where schemaname = 'bronze'") == [("seen",)]
