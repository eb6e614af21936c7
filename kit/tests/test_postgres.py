"""Connection strings: what a user writes, and what must not be repeated to them."""

from __future__ import annotations

import pytest

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from singer_kit.postgres import connect, conninfo_from_url


@pytest.mark.parametrize(
    "rest",
    [
        "user:secret@host/db",
        "user:se%40cret@host:5432/db?sslmode=require&application_name=a@b",
        "user:se#cr?et@[::1]:5432/db",
        "user@%2Fvar%2Frun%2Fpostgresql/db",
        "user:secret@one:5432,two:5433/db",
        "/db",
    ],
)
@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_urls_that_libpq_understands(scheme: str, rest: str) -> None:
    assert conninfo_from_url(f"{scheme}://{rest}") == f"postgresql://{rest}"


@pytest.mark.parametrize(
    "url",
    [
        # libpq would take the rest of the password for a part of the host, the port or the database's name.
        "postgresql://user:one@secret@host/db",
        "postgresql://user:1/secret@host/db",
        "postgresql://user:one/secret@host/db",
        "postgresql://user:one?two@secret@host/db",
        "postgresql://user:secret%zz@host/db",
        "postgresql://user:x@host:secret/db",
        "postgresql://user:secret@host/db?two=secret&three=x@y",
        "host=h user=u password=secret secret",
        "host=h user=u secret=x",
        "postgres//user:secret@host/db",
        "mysql://user:secret@host/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        conninfo_from_url(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_parameter_that_libpq_does_not_know_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"parameter pgbouncer, .* Next: take it out") as caught:
        conninfo_from_url("postgresql://user:secret@host/db?sslmode=require&pgbouncer=true")
    assert "secret" not in str(caught.value)


def test_libpqs_own_form_stays_as_it_is() -> None:
    text = "host=h password='a b=c' dbname=d"
    assert conninfo_from_url(text) == text


def test_a_session_as_it_was_asked_for(database: str) -> None:
    session = {"lock_timeout": "5s", "transaction_timeout": "0"}  # the last is unknown before Postgres 17
    with connect(database, application_name="it's", session=session) as connection:
        shown = [connection.execute(f"show {name}").fetchone() for name in ("timezone", "lock_timeout")]
        assert shown == [("UTC",), ("5s",)]
        assert not connection.autocommit


def test_a_parameter_that_the_server_does_not_know_is_an_error(database: str) -> None:
    with pytest.raises(ConnectionFailedError, match="nonsense"):
        connect(database, application_name="test", session={"nonsense": "1"})


@pytest.mark.parametrize("host", ["aws-0-eu-central-1.pooler.supabase.com", "db.abc.supabase.co"])
def test_supabases_pooler_of_transactions_is_known_by_its_address(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Next: use its session mode .*5432"):
        connect(f"postgresql://postgres.abc:secret@{host}:6543/postgres", application_name="test", retry_seconds=60)
