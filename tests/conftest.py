"""What the tests across packages share: two databases, the real plugins between them, and a comparison by value."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML

from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ipai.runs import RunResult

# They have environments of their own in tox.ini, of the same names.
collect_ignore = ["connections", "image", "meltano", "supabase", "thirdparty"]

REPOSITORY = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ODOO17 = REPOSITORY.parent / "shared" / "fixtures" / "odoo17_demo.sql.gz"
INSTANCE = "test_odoo"


class Database:
    """One database; every statement is a transaction of its own, so that none stays open behind a tap's back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("set time zone 'UTC'")

    def execute(self, statement: str, *arguments: Any) -> None:
        self.connection.execute(statement, arguments or None)

    def rows(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, arguments or None).fetchall()

    def value(self, query: str, *arguments: Any) -> Any:
        ((value,),) = self.rows(query, *arguments)
        return value

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Names and types of a table's columns, the element's type and [] for an array, the base type for a domain."""
        return dict(
            self.rows(
                """select a.attname, coalesce(e.typname || '[]', b.typname, t.typname)
                from pg_attribute a join pg_type t on t.oid = a.atttypid
                left join pg_type b on b.oid = t.typbasetype
                left join pg_type e on e.oid = t.typelem and e.typarray = t.oid
                where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum""",
                f'"{schema}"."{table}"',
            )
        )

    @property
    def parts(self) -> dict[str, Any]:
        """Host, port, user, password and dbname."""
        return {"password": "", **conninfo_to_dict(self.url)}

    def tap_config(self, **settings: Any) -> dict[str, Any]:
        """The settings with which tap-odoo reads this database."""
        parts = self.parts
        return {
            "db_host": parts["host"], "db_port": int(parts["port"]), "db_name": parts["dbname"],
            "db_user": parts["user"], "db_password": parts["password"], **settings,
        }  # fmt: skip


@pytest.fixture
def create_database(postgres_server: str) -> Iterator[Callable[..., Database]]:
    """Make further databases, empty or as copies of another; they are gone after the test."""
    made: list[tuple[str, Database]] = []

    def create(template: str = "template1") -> Database:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f'create database "{name}" template "{template}"')
        made.append((name, Database(urlsplit(postgres_server)._replace(path=f"/{name}").geturl())))
        return made[-1][1]

    yield create
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name, database in made:
            database.connection.close()
            connection.execute(f'drop database "{name}" with (force)')


@pytest.fixture
def source(create_database: Callable[..., Database]) -> Database:
    """An empty database to read from."""
    return create_database()


@pytest.fixture
def odoo17(source: Database) -> Database:
    """The database of an Odoo 17 with its demo data."""
    if not ODOO17.exists():
        pytest.skip(f"the dump of an Odoo 17 database is not there: {ODOO17}")
    # A plain dump of SQL, apart from two commands of psql's own.
    lines = gzip.decompress(ODOO17.read_bytes()).decode().split("\n")
    source.execute("\n".join(line for line in lines if not line.startswith(("\\restrict ", "\\unrestrict "))))
    source.execute("set search_path = public")
    return source


# Comparing by value

_NUMBERS = {"int2", "int4", "int8", "oid", "numeric", "float4", "float8"}


def _source_text(column: str, kind: str) -> sql.Composed:
    """A column of the source as text that is equal whenever the values are."""
    if kind.endswith("[]"):
        cast = "::timestamptz[]" if kind == "timestamp[]" else ""
        template = f"to_jsonb({{0}}{cast})::text"
    elif kind in _NUMBERS:
        template = "trim_scale({0}::text::numeric)::text"  # through its text: 17 digits of a float, not 15
    elif kind == "timestamp":
        template = "({0} at time zone 'UTC')::text"
    elif kind in {"json", "jsonb"}:
        template = "nullif({0}::jsonb, 'null')::text"
    elif kind == "bytea":
        template = "encode({0}, 'hex')"
    elif kind == "bpchar":
        template = "case when {0} is not null then format('%%s', {0}) end"  # a cast would trim it
    else:
        template = "{0}::text"
    return sql.SQL(template).format(sql.Identifier(column))


# What Bronze makes of a type; everything else is text.
_BRONZE = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), "int8"),
    **dict.fromkeys(("numeric", "float4", "float8"), "numeric"),
    **dict.fromkeys(("timestamp", "timestamptz"), "timestamptz"),
    **dict.fromkeys(("json", "jsonb"), "jsonb"),
    **{kind: kind for kind in ("bool", "date", "time", "uuid", "bytea")},
}


def _bronze_text(column: str, kind: str) -> sql.Composed:
    if kind == "bytea":
        return sql.SQL("encode({}, 'hex')").format(sql.Identifier(column))
    if kind in {"int8", "numeric"}:
        return sql.SQL("trim_scale({}::numeric)::text").format(sql.Identifier(column))
    return sql.SQL("{}::text").format(sql.Identifier(column))


@dataclass
class Comparison:
    """Tables of a source beside what Bronze holds of them: every column, every row, every value."""

    source: Database
    bronze: Database
    schema: str = "bronze"
    prefix: str = "raw_odoo_"
    left_out: set[tuple[str, str]] = field(default_factory=set)  # columns of the source that Bronze lacks
    rows: Counter[str] = field(default_factory=Counter)  # how many rows were found equal

    def differences(self, *tables: str) -> list[str]:
        """Every way in which the tables differ; rows that are marked as deleted in Bronze are not there."""
        return [difference for table in tables for difference in self._table(table)]

    def _table(self, table: str) -> Iterator[str]:
        kinds = self.source.columns("public", table)
        loaded = self._bronze_name(table)
        there = self.bronze.columns(self.schema, loaded)
        if not there:
            yield f"{table}: not in Bronze"
            return
        common = [name for name in kinds if name in there]
        self.left_out |= {(table, name) for name in kinds if name not in there}
        yield from (f"{table}.{name}: only in Bronze" for name in there if name not in kinds and name[:5] != "_sdc_")
        for name in common:
            expected = "jsonb" if kinds[name].endswith("[]") else _BRONZE.get(kinds[name], "text")
            if there[name] != expected:
                yield f"{table}.{name}: {kinds[name]} became {there[name]}"
        expected = self._read(
            self.source, "public", table, [_source_text(name, kinds[name]) for name in common], "true"
        )
        found = self._read(
            self.bronze, self.schema, loaded, [_bronze_text(name, there[name]) for name in common],
            "_sdc_deleted_at is null",
        )  # fmt: skip
        missing, extra = expected - found, found - expected
        if missing or extra:
            yield f"{table}: {missing.total()} rows only in the source, {extra.total()} rows only in Bronze"
            yield from _first_difference(table, common, list(missing), list(extra))
        self.rows[table] = (expected & found).total()

    def _bronze_name(self, table: str) -> str:
        """The table's name in Bronze; one of more than 63 bytes is cut and ends in a hash."""
        name = self.prefix + table
        if len(name.encode()) <= 63:
            return name
        query = "select relname from pg_class where relnamespace = %s::regnamespace and starts_with(relname, %s)"
        found = self.bronze.rows(f"{query} and relkind = 'r'", self.schema, name[:52])
        return found[0][0] if len(found) == 1 else name

    @staticmethod
    def _read(
        database: Database, schema: str, table: str, columns: Sequence[sql.Composed], condition: str
    ) -> Counter[tuple[Any, ...]]:
        query = sql.SQL("select {} from {} where {}").format(
            sql.SQL(", ").join(columns), sql.Identifier(schema, table), sql.SQL(condition)
        )
        return Counter(database.connection.execute(query, ()).fetchall())


def _first_difference(
    table: str, columns: Sequence[str], missing: list[tuple[Any, ...]], extra: list[tuple[Any, ...]]
) -> Iterator[str]:
    """What differs in the first row that both sides hold, by its first column; or the row that only one holds."""
    for row in missing[:1] or extra[:1]:
        other = next((each for each in extra if missing and each[0] == row[0]), None)
        if other is None:
            yield f"{table}: only one side holds {dict(zip(columns, row, strict=True))}"
            return
        for column, left, right in zip(columns, row, other, strict=True):
            if left != right:
                yield f"{table}.{column} where {columns[0]} = {row[0]}: {left!r} became {right!r}"


# A platform

Specs = dict[str, dict[str, Any]]


@pytest.fixture
def connectors() -> Specs:
    """The specs of the platform's own connectors, without `install`: the commands of this environment are used."""
    specs = {}
    for name in ("github", "odoo", "postgres", "rest-api"):
        spec = YAML(typ="safe").load(REPOSITORY / "catalogs" / name / "connector.yaml")
        spec["plugin"] = {"command": spec["plugin"]["command"]}
        specs[name] = spec
    return specs


@dataclass
class Lake:
    """A platform over an empty database, and an instance of odoo that reads the source into it."""

    platform: Platform
    folder: Path
    connectors: Specs
    source: Database
    bronze: Database

    def write_specs(
        self,
        streams: Sequence[Any] = ("*",),
        tap: dict[str, Any] | None = None,
        destination: dict[str, Any] | None = None,
        instance: dict[str, Any] | None = None,
    ) -> Path:
        """Write the connectors and the instance as YAML; return their folder.

        Args:
            streams: what to sync.
            tap: settings of tap-odoo besides the place of the source.
            destination: settings of the destination.
            instance: another instance than the one of odoo into Bronze.
        """
        catalogs = self.folder / "catalogs"
        config = {**self.source.tap_config(), "db_password": "${env:SOURCE_PASSWORD}", **(tap or {})}
        instance = instance or {
            "kind": "instance", "name": INSTANCE, "streams": list(streams),
            "source": {"connector": "odoo", "config": config},
            "destination": {"connector": "postgres", "config": destination or {}},
        }  # fmt: skip
        for name, spec in {**self.connectors, "instances/test": instance}.items():
            path = catalogs / name / "connector.yaml" if spec["kind"] == "connector" else catalogs / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                YAML(typ="safe").dump(spec, file)
        return catalogs

    def declare(self, streams: Sequence[Any] = ("*",), **specs: Any) -> None:
        self.platform.apply(self.platform.plan(self.write_specs(streams, **specs)))

    def run(self, **options: Any) -> RunResult:
        return self.platform.run(INSTANCE, **options)

    def moved(self, result: RunResult) -> dict[str, int]:
        """How many rows each stream moved, of those that moved any."""
        return {each.stream: each.rows for each in result.streams if each.rows}

    def differences(self, *tables: str) -> list[str]:
        return Comparison(self.source, self.bronze).differences(*tables)

    def ipai_command(self, *arguments: str) -> list[str]:
        home = str(self.platform.home)
        return [sys.executable, "-m", "ipai", "--database", self.bronze.url, "--home", home, *arguments]

    def ipai(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Call the command line."""
        done = subprocess.run(
            self.ipai_command(*arguments), capture_output=True, text=True, timeout=170, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture
def lake(
    tmp_path: Path, database: str, source: Database, connectors: Specs, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lake]:
    for name in [name for name in os.environ if name.startswith("IPAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SOURCE_PASSWORD", source.parts["password"])
    platform = Platform(tmp_path / "home", database)
    platform.init()
    bronze = Database(database)
    yield Lake(platform, tmp_path, connectors, source, bronze)
    bronze.connection.close()


@pytest.fixture
def compare(lake: Lake) -> Comparison:
    return Comparison(lake.source, lake.bronze)


@pytest.fixture
def plugin_path() -> str:
    """A PATH that begins with this environment's commands."""
    return f"{BIN}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def create_connection() -> Iterator[Callable[[str], psycopg.Connection]]:
    """Open further sessions, each in a transaction as soon as it is used."""
    opened: list[psycopg.Connection] = []

    def create(url: str) -> psycopg.Connection:
        opened.append(psycopg.connect(url))
        return opened[-1]

    yield create
    for connection in opened:
        connection.close()


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[str, Any], Path]:
    def write(name: str, value: Any) -> Path:
        (tmp_path / name).write_text(json.dumps(value))
        return tmp_path / name

    return write


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition, not for a time."""

    def wait(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}"
            time.sleep(0.01)

    return wait
