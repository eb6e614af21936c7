"""What the database holds: its tables, their columns and keys, from the system catalog.

Two statements for any number of tables. Odoo's own registry (`ir_model_fields`) is asked for one thing only, which
columns are translated; a database without it is read just the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import Connection
    from psycopg.rows import TupleRow

# One row a column. Domains stand for their base type. Partitions are left out: their parent holds their rows.
_COLUMNS = """
with recursive base (oid, type) as (
    select oid, oid from pg_type where typtype <> 'd'
    union all
    select d.oid, b.type from pg_type d join base b on b.oid = d.typbasetype where d.typtype = 'd'
)
select c.oid, c.relname, c.relkind::text, a.attnum, a.attname, t.typname, e.typname, a.attndims, a.attnotnull,
       has_column_privilege(c.oid, a.attnum, 'SELECT')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join base b on b.oid = a.atttypid
join pg_type t on t.oid = b.type
left join pg_type array_element on array_element.oid = t.typelem and array_element.typarray = t.oid
left join base element_base on element_base.oid = array_element.oid
left join pg_type e on e.oid = element_base.type
where n.nspname = %(schema)s and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and (%(only)s::text[] is null or c.relname = any (%(only)s))
order by c.relname, a.attnum
"""

# Only indexes that a row cannot escape: unique, whole, checked at once. The primary key comes first.
_KEYS = """
select i.indrelid, array(select k.attnum from unnest(i.indkey) with ordinality k (attnum, n)
                         where k.n <= i.indnkeyatts order by k.n)
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_class x on x.oid = i.indexrelid
where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
  and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
  and (%(only)s::text[] is null or c.relname = any (%(only)s))
order by i.indisprimary desc, i.indnkeyatts, x.relname
"""

# `translate` was a boolean up to Odoo 17 and names a way of translating since 18.
_TRANSLATED = """
select replace(model, '.', '_'), model, name from {schema}.ir_model_fields
where translate is not null and translate::text not in ('false', '')
"""


@dataclass(frozen=True)
class Column:
    """One column: `type` is the base type's name in Postgres; of an array, its elements' type."""

    name: str
    type: str
    array: bool
    dimensions: int
    nullable: bool
    readable: bool


@dataclass(frozen=True)
class Table:
    """A table, view or partitioned table with its columns in order and its key columns, if any."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def read_tables(connection: Connection[TupleRow], schema: str, only: Iterable[str] | None = None) -> dict[str, Table]:
    """Describe the tables of a schema, by name; with `only`, just those of these names that exist."""
    arguments = {"schema": schema, "only": None if only is None else list(only)}
    names: dict[int, str] = {}
    columns: dict[int, dict[int, Column]] = defaultdict(dict)
    for oid, table, _, number, name, kind, element, dimensions, not_null, readable in connection.execute(
        _COLUMNS, arguments
    ):
        names[oid] = table
        columns[oid][number] = Column(name, element or kind, element is not None, dimensions, not not_null, readable)
    candidates: dict[int, list[list[int]]] = defaultdict(list)
    for oid, numbers in connection.execute(_KEYS, arguments):
        candidates[oid].append(numbers)
    return {
        name: Table(schema, name, _readable(columns[oid].values()), _key(columns[oid], candidates[oid]))
        for oid, name in names.items()
    }


def read_translated(connection: Connection[TupleRow], schema: str) -> dict[tuple[str, str], str] | None:
    """Say which columns Odoo translates: (table, column) to the model's name; None where its registry is absent."""
    query = psycopg.sql.SQL(_TRANSLATED).format(schema=psycopg.sql.Identifier(schema))
    try:
        return {(table, name): model for table, model, name in connection.execute(query)}
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InsufficientPrivilege):
        return None


def _readable(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Leave out what column grants hide. A table of which nothing is granted stays whole: reading it says so."""
    everything = tuple(columns)
    return tuple(column for column in everything if column.readable) or everything


def _key(columns: dict[int, Column], candidates: list[list[int]]) -> tuple[str, ...]:
    for numbers in candidates:
        key = [columns[number] for number in numbers if number in columns]
        if len(key) == len(numbers) and all(column.readable and not column.nullable for column in key):
            return tuple(column.name for column in key)
    return ()
