"""Scanners of small streams, and a server that stores their rows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
from decoding import fields_of

from target_postgres import scanner
from target_postgres.binary import HEADER, TRAILER
from target_postgres.plans import compile_plan
from target_postgres.scanner import Scanner

SQL = {
    "integer": "bigint",
    "number": "numeric",
    "text": "text",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp with time zone",
    "time": "time without time zone",
    "uuid": "uuid",
    "jsonb": "jsonb",
}


INT8 = ("integer", "bigint")
ZONED = SQL["timestamp"]
_PLAIN = {
    "keys": (),
    "validate": True,
    "lineage": False,
    "sequence": False,
    "bookmark": (),
    "ignored": (),
    "constants": (),
}


def build(folder):
    """The library from the sources as they stand: an installed one may be older."""
    source = Path(__file__).parents[2] / "native" / "scan.c"
    built = folder / "scan.so"
    subprocess.run(
        ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", built, source], check=True
    )
    return scanner.load(str(built))


def plan_of(*columns, schema=None, **changes):
    """A stream's plan, from the name, the kind, or kind and SQL type, and the schema of each column."""
    properties = {name: definition for name, _, definition in columns}
    pairs = [(name, *((kind, SQL[kind]) if isinstance(kind, str) else kind)) for name, kind, _ in columns]
    plan = compile_plan({"type": "object", "properties": properties, **(schema or {})}, pairs, **{**_PLAIN, **changes})
    assert plan is not None
    return plan


def scanner_of(library, *columns, stream="s", into=None, **changes):
    """A scanner with one stream more than `into` has."""
    found = into or Scanner(library)
    found.set(stream, plan_of(*columns, **changes))
    return found


def scan(found, block, start=0, *, line=1, sequence=1, rows=1 << 40):
    return found.scan(
        block if isinstance(block, bytes) else block.encode(), start, line=line, sequence=sequence, rows=rows
    )


def record(text, stream="s"):
    return f'{{"type": "RECORD", "stream": "{stream}", "record": {text}}}\n'


def row(found, block):
    """The fields of the one row that a line becomes; None: it is declined."""
    scanned = scan(found, block)
    assert (scanned.lines, scanned.rows) in {(0, 0), (1, 1)}
    return fields_of(scanned.chunks[0].data) if scanned.rows else None


class Destination:
    """A real server: what it stores of rows, as text."""

    def __init__(self, url):
        self._connection = psycopg.connect(url, autocommit=True, options="-c timezone=UTC -c datestyle=ISO,MDY")

    def close(self):
        self._connection.close()

    def stored(self, types, data, form=""):
        """The rows of a table of these types that COPY fills; psycopg.DataError: it refuses one."""
        columns = ", ".join(f"c{number} {sql}" for number, sql in enumerate(types))
        self._connection.execute("drop table if exists pg_temp.t")
        self._connection.execute(f"create temp table t (number serial, {columns})")
        names = ", ".join(f"c{number}" for number in range(len(types)))
        with self._connection.cursor() as cursor, cursor.copy(f"copy t ({names}) from stdin {form}") as copy:
            copy.write(data)
        texts = ", ".join(f"c{number}::text" for number in range(len(types)))
        return self._connection.execute(f"select {texts} from t order by number").fetchall()

    def from_binary(self, types, rows):
        return self.stored(types, HEADER + b"".join(rows) + TRAILER, "(format binary)")

    def from_text(self, types, rows):
        return self.stored(types, "".join("\t".join(fields) + "\n" for fields in rows))
