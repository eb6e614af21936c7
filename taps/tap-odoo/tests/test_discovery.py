"""What the catalog says, and what the catalog given to a run changes."""

from __future__ import annotations

import logging

import pytest

from singer_kit.errors import SourceError
from tap_odoo.client import Session
from tap_odoo.settings import CORE_STREAMS


def root(entry):
    return next(item["metadata"] for item in entry["metadata"] if not item["breadcrumb"])


def deselect(entry, *names: str) -> None:
    for item in entry["metadata"]:
        if item["breadcrumb"] and item["breadcrumb"][1] in names:
            item["metadata"]["selected"] = False


def test_keys_and_methods(odoo) -> None:
    odoo.moves()
    odoo.execute("""
        create table stock_quant (id serial primary key, write_date timestamp);
        create table tag_rel (b integer not null, a integer not null, primary key (a, b));
        create table by_unique (x integer, code text not null, y integer not null, write_date timestamp,
            unique (x), unique (y, code) include (x));
        create unique index on by_unique (code) where x > 1;
        create view report as select * from account_move;
        create materialized view stored as select 1 as id;
        create table parted (id integer, day date) partition by range (day);
        create table parted_1 partition of parted for values from ('2024-01-01') to ('2025-01-01');
        create schema other; create table other.elsewhere (id integer);
    """)
    found = odoo.discover()
    assert {name: (entry["key_properties"], entry["replication_method"]) for name, entry in found.items()} == {
        "account_move": (["id"], "INCREMENTAL"),
        "stock_quant": (["id"], "FULL_TABLE"),
        "tag_rel": (["a", "b"], "FULL_TABLE"),
        "by_unique": (["y", "code"], "INCREMENTAL"),
        "report": ([], "FULL_TABLE"),
        "stored": ([], "FULL_TABLE"),
        "parted": ([], "FULL_TABLE"),
    }
    assert found["account_move"]["replication_key"] == "write_date"
    assert list(odoo.discover(db_schema="other")) == ["elsewhere"]


def test_the_core_is_selected_by_default(odoo) -> None:
    for name in CORE_STREAMS:
        odoo.execute(f"create table {name} (id integer primary key, write_date timestamp)")
    odoo.execute("create table mail_message (id integer primary key)")
    found = odoo.discover()
    assert {name for name, entry in found.items() if root(entry)["selected"]} == set(CORE_STREAMS)
    chosen = odoo.discover(streams=["mail_*", "stock_move"])
    assert {name for name, entry in chosen.items() if root(entry)["selected"]} == {"mail_message", "stock_move"}


def test_a_glob_that_matches_nothing(odoo, caplog) -> None:
    odoo.moves()
    with caplog.at_level(logging.WARNING):
        odoo.discover(streams=["account_move", "acount_*"])
    assert [record.message for record in caplog.records] == [
        "Setting streams: 'acount_*' matches no table. Next: check its spelling."
    ]


def test_deselected_columns_are_not_read(odoo, monkeypatch) -> None:
    odoo.moves("2024-01-01")
    queries = []
    read = Session.read_pages
    monkeypatch.setattr(
        Session,
        "read_pages",
        lambda self, query: (queries.append(query.as_string(self.connection)), read(self, query))[1],
    )
    entry = odoo.discover(streams=["*"])["account_move"]
    deselect(entry, "name", "id", "write_date")
    messages = odoo.sync(catalog={"streams": [entry]})
    (record,) = messages.records("account_move")
    assert list(record) == list(messages.properties("account_move"))
    assert set(record) == {"id", "create_uid", "create_date", "write_uid", "write_date"}  # keys come all the same
    assert '"name"' not in queries[0]


CREDENTIALS = {
    "res_users": ["password", "totp_secret", "oauth_access_token", "new_password"],
    "res_users_apikeys": ["key"],
    "ir_mail_server": ["smtp_pass", "smtp_ssl_private_key", "google_gmail_refresh_token"],
    "fetchmail_server": ["password"],
    "payment_provider": ["stripe_secret_key", "stripe_publishable_key", "adyen_hmac_key", "paypal_client_secret"],
    "payment_acquirer": ["buckaroo_secretkey_key"],
    "ir_config_parameter": ["value"],
    "account_move": ["access_token"],
    "auth_totp_device": ["key"],
    "hr_employee": ["pin"],
}


def test_credentials_are_not_read(odoo) -> None:
    for table, columns in CREDENTIALS.items():
        names = ", ".join(f"{column} text default 'canary'" for column in columns)
        odoo.execute(f"create table {table} (id serial primary key, login text, key_id text, {names})")
        odoo.execute(f"insert into {table} (login) values ('user')")
    catalog = odoo.discover(streams=["*"])
    messages = odoo.sync(streams=["*"])
    assert "canary" not in str(messages)
    for table, columns in CREDENTIALS.items():
        assert {"id", "login", "key_id"} == set(catalog[table]["schema"]["properties"]) - {"x"}
        assert messages.records(table) == [{"id": 1, "login": "user", "key_id": None}]
        # A catalog cannot bring them back.
        catalog[table]["schema"]["properties"][columns[0]] = {"type": ["null", "string"]}
    assert "canary" not in str(odoo.sync(catalog={"streams": list(catalog.values())}))
    opened = odoo.sync(streams=["hr_employee"], credential_fields=[])
    assert opened.records("hr_employee")[0]["pin"] == "canary"


def test_exclude_fields(odoo) -> None:
    odoo.moves("2024-01-01")
    odoo.moves("2024-01-01", table="sale_order")
    found = odoo.discover(streams=["*"], exclude_fields=["*_uid", "sale_order.na*"])
    assert set(found["account_move"]["schema"]["properties"]) == {"id", "name", "create_date", "write_date"}
    assert set(found["sale_order"]["schema"]["properties"]) == {"id", "create_date", "write_date"}
    keyless = odoo.discover(streams=["*"], exclude_fields=["id"])["account_move"]
    assert (keyless["key_properties"], keyless["replication_method"]) == ([], "FULL_TABLE")


def test_a_catalog_older_than_the_database(odoo, caplog) -> None:
    odoo.moves("2024-01-01")
    odoo.execute("alter table account_move add gone integer")
    entry = odoo.discover(streams=["*"])["account_move"]
    odoo.execute("alter table account_move drop gone, add x_new integer,"
                 " alter name type jsonb using jsonb_build_object('en_US', name)")  # fmt: skip
    with caplog.at_level(logging.WARNING):
        messages = odoo.sync(catalog={"streams": [entry]})
    (record,) = messages.records("account_move")
    assert record["name"] == {"en_US": "move"}
    assert "object" in messages.properties("account_move")["name"]["type"]
    assert not {"gone", "x_new"} & {*record, *messages.properties("account_move")}
    assert "column 'gone' is in the catalog but not readable" in caplog.text


def test_a_table_that_is_gone(odoo) -> None:
    odoo.moves("2024-01-01")
    odoo.moves("2024-01-01", table="x_gone")
    entries = odoo.discover(streams=["*"])
    odoo.execute("drop table x_gone")
    with pytest.raises(SourceError, match=r"stream 'x_gone', but database .* has no such table.*run discovery again"):
        odoo.sync(catalog={"streams": list(entries.values())})
    root(entries["x_gone"])["selected"] = False
    assert odoo.sync(catalog={"streams": list(entries.values())}).ids("account_move") == [1]


def test_only_selected_tables_are_looked_up(odoo, monkeypatch) -> None:
    from tap_odoo import tap

    odoo.moves("2024-01-01")
    odoo.moves("2024-01-01", table="other")
    entries = odoo.discover(streams=["account_move"])
    read, asked = tap.read_tables, []
    monkeypatch.setattr(tap, "read_tables", lambda *given: (asked.append(given[2]), read(*given))[1])
    assert odoo.sync(catalog={"streams": list(entries.values())}).ids("account_move") == [1]
    assert asked == [{"account_move", "ir_translation"}]


def test_column_grants(odoo) -> None:
    odoo.moves("2024-01-01")
    odoo.execute("drop role if exists tap_odoo_few; create role tap_odoo_few login password 'few'")
    odoo.execute("grant select (id, name, write_date) on account_move to tap_odoo_few")
    try:
        messages = odoo.sync(streams=["account_move"], db_user="tap_odoo_few", db_password="few")
        assert set(messages.records("account_move")[0]) == {"id", "name", "write_date"}
        odoo.execute("revoke select (id, name, write_date) on account_move from tap_odoo_few")
        with pytest.raises(SourceError, match=r'GRANT SELECT ON "public"."account_move" TO "tap_odoo_few"'):
            odoo.sync(streams=["account_move"], db_user="tap_odoo_few", db_password="few")
    finally:
        odoo.execute("drop owned by tap_odoo_few; drop role tap_odoo_few")


def test_a_thousand_tables(odoo) -> None:
    odoo.execute("""do $$ begin for n in 1..1000 loop
        execute format('create table x_table_%s (id serial primary key, write_date timestamp, %s)', n,
            (select string_agg(format('column_%s varchar', c), ', ') from generate_series(1, 28) c));
    end loop; end $$""")
    found = odoo.discover()
    assert len(found) == 1000
    assert all(len(entry["schema"]["properties"]) == 30 for entry in found.values())
    assert odoo.sync(catalog={"streams": list(found.values())}) == []


def test_a_wide_table(odoo) -> None:
    columns = ", ".join(f"c{number} integer default {number}" for number in range(1599))
    odoo.execute(f"create table wide (id integer primary key, {columns}); insert into wide values (7)")
    (record,) = odoo.sync(streams=["wide"]).records("wide")
    assert record == {"id": 7, **{f"c{number}": number for number in range(1599)}}
