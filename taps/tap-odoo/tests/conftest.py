"""A small Odoo-like database and the tap run against it, in this process."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tap_odoo import horizon
from tap_odoo.tap import TapOdoo


class Messages(list):
    """The messages of one run."""

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        return [m for m in self if m["type"] == kind and (stream is None or m.get("stream") == stream)]

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [message["record"] for message in self.of("RECORD", stream)]

    def ids(self, stream: str) -> list[int]:
        return [record["id"] for record in self.records(stream)]

    def properties(self, stream: str) -> dict[str, Any]:
        return self.of("SCHEMA", stream)[0]["schema"]["properties"]

    @property
    def state(self) -> dict[str, Any]:
        return self.of("STATE")[-1]["value"]

    def bookmark(self, stream: str) -> dict[str, Any]:
        return self.state["bookmarks"][stream]


class Odoo:
    """One database and the ways to read it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute("set time zone 'UTC'")

    def execute(self, query: str, *arguments: Any) -> psycopg.Cursor:
        return self.connection.execute(query, arguments or None)

    def config(self, **settings: Any) -> dict[str, Any]:
        place = conninfo_to_dict(self.url)
        found = {"db_host": "host", "db_name": "dbname", "db_user": "user", "db_password": "password"}
        config = {name: place[key] for name, key in found.items() if key in place}
        return {**config, "db_port": int(place["port"]), **settings}

    def discover(self, **settings: Any) -> dict[str, Any]:
        tap = TapOdoo(config=self.config(**settings), setup_mapper=False)
        return {stream["tap_stream_id"]: stream for stream in tap.catalog_dict["streams"]}

    def tap(self, *, catalog: Any = None, state: Any = None, **settings: Any) -> TapOdoo:
        return TapOdoo(config=self.config(**settings), catalog=catalog, state=json.loads(json.dumps(state or {})))

    def sync(self, *, catalog: Any = None, state: Any = None, **settings: Any) -> Messages:
        return self.run(self.tap(catalog=catalog, state=state, **settings))

    @staticmethod
    def run(tap: TapOdoo) -> Messages:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        try:
            with redirect_stdout(out):
                tap.sync_all()
        finally:
            tap.session.connection.close()  # as the process's end would
        lines = out.buffer.getvalue().splitlines()
        return Messages(json.loads(line, parse_float=Decimal) for line in lines)

    def moves(self, *dates: str | None, table: str = "account_move") -> None:
        """Make a table of moves, one a date, numbered from 1; a date may be null."""
        self.execute(f"""create table if not exists {table} (id serial primary key, name varchar, create_uid integer,
            create_date timestamp, write_uid integer, write_date timestamp)""")
        for date in dates:
            self.execute(f"insert into {table} (name, write_date) values ('move', %s)", date)


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in these tests starts a transaction within the very second; waiting for it would only cost time."""
    monkeypatch.setattr(horizon, "SETTLING", timedelta(0))


@pytest.fixture
def odoo(database: str):
    odoo = Odoo(database)
    yield odoo
    odoo.connection.close()


@pytest.fixture
def connect(odoo: Odoo):
    """Open further sessions, each in a transaction of its own as soon as it is used."""
    opened = []

    def open_one(**options: Any) -> psycopg.Connection:
        opened.append(psycopg.connect(odoo.url, **options))
        opened[-1].execute("set time zone 'UTC'")
        opened[-1].commit()
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()
