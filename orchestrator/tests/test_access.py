"""Who may see and do what: every role and level against every table and function, and who tries to get around it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ipai.control_plane import ControlPlane
from ipai.control_plane.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipai.local import LocalPostgres
    from ipai.service import Platform

DOCS = Path(__file__).parents[2] / "docs" / "access.md"
NOTHING = "\N{EN DASH}"

# Everything that is open and should not be, as words. A table or function of any migration is held to it.
VIOLATIONS = """
with them (oid, name) as (
    select oid, rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role')
    union all select 0, 'public'
), relations as (
    select c.oid, c.oid::regclass::text as name, c.relkind, c.relrowsecurity, c.relacl, n.nspname as schema,
        exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'read' and p.polcmd = 'r') as readable
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('connectors', 'connectors_queue') and c.relkind <> 'i'
)
select name || ': row level security is off' from relations
where schema = 'connectors' and relkind in ('r', 'p') and not relrowsecurity
union all
select format('%s: %s has %s', r.name, them.name, a.privilege_type)
from relations r, aclexplode(r.relacl) a join them on them.oid = a.grantee
where not (
    a.privilege_type = 'SELECT' and r.readable and r.relkind in ('r', 'p')
    and them.name in ('authenticated', 'service_role')
)
union all
select format('%s.%s: %s has %s', r.name, c.attname, them.name, a.privilege_type)
from relations r join pg_attribute c on c.attrelid = r.oid, aclexplode(c.attacl) a join them on them.oid = a.grantee
union all
select format('%s: policy %s is for %s', r.name, p.polname, p.polcmd)
from relations r join pg_policy p on p.polrelid = r.oid
where r.name ~ 'secret' or not (
    p.polname = 'read' and p.polcmd = 'r'
    or r.name !~ 'audit|channel'
    and p.polroles = (select array_agg(oid) from pg_roles where rolname = 'connectors_worker')
)
union all
select format('%s: %s may call it', f.oid::regprocedure, them.name)
from pg_proc f join pg_namespace n on n.oid = f.pronamespace,
    aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a join them on them.oid = a.grantee
where n.nspname = 'connectors'
    and (them.name in ('public', 'anon') or coalesce(obj_description(f.oid, 'pg_proc'), '') not like 'RPC%')
union all
select format('%s: its search_path is not fixed', f.oid::regprocedure)
from pg_proc f join pg_namespace n on n.oid = f.pronamespace
where n.nspname = 'connectors' and not exists (select from unnest(f.proconfig) c where c ~ '^search_path=.*pg_temp$')
union all
select format('schema %s: %s has %s', n.nspname, them.name, a.privilege_type)
from pg_namespace n, aclexplode(n.nspacl) a join them on them.oid = a.grantee
where n.nspname in ('connectors', 'connectors_queue')
    and not (n.nspname = 'connectors' and a.privilege_type = 'USAGE' and them.name in ('authenticated', 'service_role'))
"""


@pytest.fixture
def owner(platform: Platform) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:
        yield connection


def violations(connection: psycopg.Connection[Any]) -> list[str]:
    return sorted(text for (text,) in connection.execute(VIOLATIONS))


def test_nothing_is_open_that_should_not_be(owner: psycopg.Connection[Any]) -> None:
    assert violations(owner) == []


def test_what_a_migration_forgets_is_found_and_what_secure_does_mends_it(owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        """
        create table connectors.forgotten (id bigint generated always as identity, secret text);
        grant insert (secret) on connectors.forgotten to authenticated;
        grant select on connectors.forgotten to anon;
        create view connectors.behind as select * from connectors.forgotten;
        grant select on connectors.behind to authenticated;
        create function connectors.backdoor() returns text
            language sql security definer set search_path = pg_catalog, pg_temp as 'select current_user';
        """
    )
    assert violations(owner) == [
        "connectors.backdoor(): public may call it",
        "connectors.behind: authenticated has SELECT",
        "connectors.forgotten.secret: authenticated has INSERT",
        "connectors.forgotten: anon has SELECT",
        "connectors.forgotten: row level security is off",
    ]
    owner.execute("call connectors.secure()")
    assert violations(owner) == []
    owner.execute("create function connectors.loose() returns void language sql as ''; call connectors.secure()")
    assert violations(owner) == ["connectors.loose(): its search_path is not fixed"]


def test_exposing_the_schema_as_supabase_advises_opens_no_table_and_secure_takes_it_back(
    owner: psycopg.Connection[Any], api: Any
) -> None:
    everybody = "to anon, authenticated, service_role"
    owner.execute(
        f"""
        grant usage on schema connectors {everybody};
        grant all on all tables in schema connectors {everybody};
        grant all on all routines in schema connectors {everybody};
        grant all on all sequences in schema connectors {everybody};
        alter default privileges in schema connectors grant all on tables {everybody};
        alter default privileges in schema connectors grant all on routines {everybody};
        alter default privileges in schema connectors grant all on sequences {everybody};
        """
    )
    for caller in ("anon", "no level", "admin"):
        with api.request(caller) as connection:
            assert not _let_in(connection, "insert into connectors.quota_groups values ('mine', 1)")
            assert connection.execute("update connectors.sla_tiers set retries = 99").rowcount == 0
            assert connection.execute("delete from connectors.sla_tiers").rowcount == 0
            assert not _let_in(connection, "select connectors.audit('made up', 'x')")
            seen = connection.execute("select count(*) from connectors.sla_tiers").fetchone()
            assert seen == ((3,) if caller == "admin" else (0,))
    owner.execute("call connectors.secure()")
    owner.execute("create table connectors.later (id bigint); alter table connectors.later enable row level security")
    assert violations(owner) == []


# The table of who may do what

# Arguments with which a function that lets a caller in ends in an error of its own, or does nothing.
HARMLESS = {
    "may": "'read'", "enqueue_connector_job": "'nothing_here'", "cancel_connector_job": "-1",
    "claim_connector_job": "''", "heartbeat_connector_job": "-1, 0", "store_connector_state": "-1, 0, '{}'",
    "complete_connector_job": "-1, 0",
    "fail_connector_job": "-1, 0, '\"x\"'",
}  # fmt: skip


@pytest.fixture
def seeded(platform: Platform, declare: Any) -> None:
    """A row in every table that a user can read."""
    name = declare({}, schedule="0 4 * * *")
    platform.run(name)
    platform.fleet.set_quota("fake", 3)


def _let_in(connection: psycopg.Connection[Any], statement: str) -> bool:
    """Whether the database lets the caller do it; other errors than of access mean that it does."""
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.Error:
        return True
    return True


def _sees(connection: psycopg.Connection[Any], table: str, policy: str | None, empty: bool) -> bool:
    if not _let_in(connection, f"select from {table}"):
        return False
    rows = f"select {policy}" if empty else f"select count(*) > 0 from {table}"
    return connection.execute(rows).fetchone() == (True,)


def _table_cell(
    connection: psycopg.Connection[Any], table: str, policy: str | None, *, empty: bool, column: str
) -> str:
    statements = {
        "insert": f"insert into {table} default values",
        "update": f"update {table} set {column} = {column} where false",
        "delete": f"delete from {table} where false",
    }
    may = ["read"] if _sees(connection, table, policy, empty) else []
    may += [verb for verb in statements if _let_in(connection, statements[verb])]
    return ", ".join(may) or NOTHING


@pytest.mark.usefixtures("seeded")
def test_who_may_do_what(api: Any, owner: psycopg.Connection[Any]) -> None:
    """The whole table, by trying; it stands in docs/access.md. IPAI_WRITE_ACCESS_TABLE=1 writes it there anew."""
    tables = owner.execute(
        """
        select c.relname, c.oid::regclass::text, pg_get_expr(p.polqual, p.polrelid),
            (select quote_ident(attname) from pg_attribute a
             where a.attrelid = c.oid and a.attnum > 0 and a.attidentity = '' and a.attgenerated = ''
                 and not a.attisdropped
             limit 1)
        from pg_class c left join pg_policy p on p.polrelid = c.oid and p.polname = 'read'
        where c.relnamespace = 'connectors'::regnamespace and c.relkind in ('r', 'p') order by 1
        """
    ).fetchall()
    functions = owner.execute(
        """
        select proname from pg_proc
        where pronamespace = 'connectors'::regnamespace and obj_description(oid, 'pg_proc') like 'RPC%' order by 1
        """
    ).fetchall()
    rows: dict[str, list[str]] = {}
    for relname, table, policy, column in tables:
        empty = owner.execute(f"select count(*) from {table}").fetchone() == (0,)
        for caller in api.callers:
            with api.request(caller) as connection:
                cell = _table_cell(connection, table, policy, empty=empty, column=column)
            rows.setdefault(f"`{relname}`", []).append(cell)
    called: dict[str, list[str]] = {}
    for (name,) in functions:
        base = re.sub(r"_v\d+$", "", name)
        for caller in api.callers:
            with api.request(caller) as connection:
                let_in = _let_in(connection, f"select connectors.{name}({HARMLESS.get(base, '')})")
            called.setdefault(name, []).append("call" if let_in else NOTHING)
    for name, cells in called.items():
        base = re.sub(r"_v\d+$", "", name)
        assert called[base] == cells, name  # an alias opens no more than what it stands for
        rows[f"`{base}()`"] = cells

    assert {cell for cells in rows.values() for cell in cells} == {NOTHING, "read", "call"}
    assert all(cells[0] == NOTHING for cells in rows.values())  # anon
    assert all(cells[1] == NOTHING for name, cells in rows.items() if name not in {"`access_level()`", "`may()`"})
    assert rows["`connector_runs`"] == [NOTHING, NOTHING, "read", "read", "read", "read"]
    assert rows["`audit_log`"] == [NOTHING, NOTHING, NOTHING, NOTHING, "read", "read"]
    assert rows["`enqueue_connector_job()`"] == [NOTHING, NOTHING, NOTHING, "call", "call", "call"]
    assert rows["`claim_connector_job()`"] == [NOTHING, NOTHING, NOTHING, NOTHING, "call", "call"]

    in_docs(
        "who may do what",
        ["", *(f"`{name}`" for name in api.callers)],
        [[name, *cells] for name, cells in rows.items()],
    )


def in_docs(title: str, heading: list[str], rows: list[list[str]]) -> None:
    """Hold a table of docs/access.md against what was found out, or write it there."""
    text = "\n".join(f"| {' | '.join(line)} |" for line in [heading, ["---"] * len(heading), *rows])
    print(text)
    start, end = f"<!-- {title}: written by test_access.py -->\n", "\n<!-- end -->"
    before, rest = DOCS.read_text(encoding="utf-8").split(start)
    old, after = rest.split(end, 1)
    if os.environ.get("IPAI_WRITE_ACCESS_TABLE"):
        DOCS.write_text(before + start + text + end + after, encoding="utf-8")
    else:
        assert old == text, (
            "docs/access.md is not what the database does; IPAI_WRITE_ACCESS_TABLE=1 writes the table anew"
        )


GRANTED = """
with objects (kind, name, part, acl) as (
    select 'b', c.oid::regclass::text, null, c.relacl from pg_class c
    union all select 'b', a.attrelid::regclass::text, a.attname, a.attacl from pg_attribute a where a.attacl is not null
    union all select 'c', format('%s()', f.oid::regproc), null, f.proacl from pg_proc f
    union all select 'a', 'schema ' || nspname, null, nspacl from pg_namespace
    union all select 'a', 'database', null, datacl from pg_database where datname = current_database()
)
select name, lower(a.privilege_type), array_agg(part order by part) filter (where part is not null)
from objects, aclexplode(acl) a where a.grantee = 'connectors_worker'::regrole
group by kind, name, a.privilege_type order by kind, name, a.privilege_type
"""


def test_what_a_worker_may_do(owner: psycopg.Connection[Any]) -> None:
    """Everything that is granted to workers, wherever it is; which rows of it are theirs, test_workers.py tries."""
    granted: dict[str, list[str]] = {}
    for name, privilege, columns in owner.execute(GRANTED):
        some = f" ({', '.join(columns)})" if columns else ""
        granted.setdefault(f"`{name}`", []).append(privilege + some)
    assert "`connectors.connector_state`" in granted
    assert not [name for name in granted if re.search("secrets|secret_access|audit|channel|database", name)]
    in_docs("what a worker may do", ["", "granted"], [[name, ", ".join(what)] for name, what in granted.items()])


# Those who try to get around it


@pytest.mark.parametrize(
    ("claims", "level"),
    [
        ({"ipai_role": "admin"}, "admin"),
        ({"app_metadata": {"ipai_role": "run"}}, "run"),
        ({"user_metadata": {"ipai_role": "admin"}}, "none"),
        ({"ipai_role": "none", "app_metadata": {"ipai_role": "admin"}}, "none"),
        ({"ipai_role": "owner"}, "none"),
        ({"ipai_role": ["admin"]}, "none"),
        ({"ipai_role": {"admin": True}}, "none"),
        ({"ipai_role": "Admin"}, "none"),
        ({"ipai_role": None, "app_metadata": None}, "none"),
        ({"role": "service_role"}, "none"),
        ([{"ipai_role": "admin"}], "none"),
        ("", "none"),
        ('"admin"', "none"),
    ],
)
def test_the_level_is_what_only_an_admin_can_write_into_a_token(api: Any, claims: Any, level: str) -> None:
    caller = type(api.callers["anon"])("authenticated", claims)
    assert api.call(caller, "access_level") == level
    with api.request(caller) as connection:
        if level == "none":
            assert connection.execute("select count(*) from connectors.sla_tiers").fetchone() == (0,)
        else:
            assert connection.execute("select count(*) from connectors.sla_tiers").fetchone() == (3,)


def test_claims_that_are_no_json_open_nothing(api: Any) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        api.call(type(api.callers["anon"])("authenticated", "{ipai_role: admin"), "access_level")


def test_a_login_cannot_write_itself_a_token(platform: Platform, create_login: Any) -> None:
    """One that is PostgREST's is believed, for it could be service_role at once; any other one is not."""
    with psycopg.connect(create_login("authenticated", options="inherit")(platform.url)) as mallory:
        mallory.execute(
            """select set_config('request.jwt.claims', '{"ipai_role": "admin", "role": "service_role"}', true)"""
        )
        assert mallory.execute("select connectors.access_level()").fetchone() == ("none",)
        mallory.execute("set local role authenticated")
        assert mallory.execute("select connectors.access_level()").fetchone() == ("none",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            mallory.execute("select connectors.claim_connector_job('mallory')")


def test_a_login_of_its_own_has_no_way_in(platform: Platform, create_login: Any) -> None:
    with (
        psycopg.connect(create_login()(platform.url)) as stranger,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="schema connectors"),
    ):
        stranger.execute("select connectors.access_level()")


def test_the_owner_of_the_schema_needs_no_claim(owner: psycopg.Connection[Any]) -> None:
    assert owner.execute("select connectors.access_level()").fetchone() == ("admin",)


def test_what_is_not_for_callers_refuses_them(api: Any, owner: psycopg.Connection[Any]) -> None:
    inner = owner.execute(
        """
        select oid::regprocedure::text from pg_proc where pronamespace = 'connectors'::regnamespace
            and coalesce(obj_description(oid, 'pg_proc'), '') not like 'RPC%' order by 1
        """
    ).fetchall()
    assert len(inner) > 20
    for caller in ("admin", "service_role"):
        with api.request(caller) as connection:
            for (function,) in inner:
                may = connection.execute("select has_function_privilege(%s, 'execute')", [function]).fetchone()
                assert may == (False,), function
            for statement in (
                "select connectors.finish_run(1, 1, 'succeeded')",
                "select connectors.claim_run(1, 'me', '1 hour')",
                "select connectors.audit('run.request', 'x')",
                "call connectors.secure()",
                "call connectors.let_read('connectors.audit_log', 'none')",
                "select * from connectors_queue.procrastinate_jobs",
                "select connectors_queue.procrastinate_fetch_job_v2(null, null)",
            ):
                assert not _let_in(connection, statement), statement


SHADOWS = """
create temp table pg_namespace (nspname text, nspowner oid);
insert into pg_temp.pg_namespace select 'connectors', oid from pg_catalog.pg_roles where rolname = current_user;
create temp table connector_instances (name text, sla_tier text, queue text, quota_group text);
insert into pg_temp.connector_instances values ('nothing_here', 'standard', 'default', null);
create function pg_temp.access_level() returns text language sql as $$ select 'admin' $$;
create function pg_temp.may(text) returns boolean language sql as $$ select true $$;
create function pg_temp.acting_role() returns text language sql as $$ select 'service_role' $$;
create function pg_temp.array_position(text[], text) returns integer language sql as $$ select 9 $$;
set local search_path = pg_temp, pg_catalog, connectors;
"""


@pytest.mark.usefixtures("seeded")
def test_a_search_path_full_of_traps_changes_nothing(api: Any) -> None:
    with api.request("read") as connection:
        connection.execute(SHADOWS)
        assert connection.execute("select connectors.access_level(), connectors.may('run')").fetchone() == (
            "read",
            False,
        )
        assert not _let_in(connection, "select connectors.enqueue_connector_job('test_fake')")
        assert not _let_in(connection, "select connectors.claim_connector_job_v1('me')")
        assert connection.execute("select count(*) from connectors.audit_log").fetchone() == (0,)
    with api.request("run") as connection:
        connection.execute(SHADOWS)
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("select connectors.enqueue_connector_job('nothing_here')")
        assert caught.value.sqlstate == "PT404"


# Where the platform lives on a plain Postgres, under a login that may do little


def test_a_role_that_may_create_no_roles_sets_the_platform_up_all_the_same(own_server: LocalPostgres) -> None:
    with psycopg.connect(own_server.url("postgres"), autocommit=True) as root:
        root.execute("create role humble login password 'x'")
        root.execute("create database plain owner humble")
        url = re.sub(r"//[^@]*@", "//humble:x@", own_server.url("plain"))
        said: list[str] = []
        with psycopg.connect(url, autocommit=True) as humble:
            humble.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
            migrate(humble)
            assert len([text for text in said if "is missing and humble may not create it" in text]) == 4
            assert humble.execute("select connectors.access_level()").fetchone() == ("admin",)
            with ControlPlane(url) as control_plane:
                assert control_plane.migrate() == []  # sets the queue up
                assert control_plane.audit.newest(5) == []
            root.execute(
                "create role anon nologin; create role authenticated nologin; create role service_role nologin"
            )
            humble.execute("call connectors.secure()")
        with psycopg.connect(own_server.url("plain")) as connection:
            connection.execute(
                """set local role authenticated; set local request.jwt.claims = '{"ipai_role": "read"}'"""
            )
            assert connection.execute("select count(*) from connectors.sla_tiers").fetchone() == (3,)
            connection.execute("reset role")
            assert violations(connection) == []
