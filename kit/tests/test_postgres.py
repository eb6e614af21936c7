"""Connection strings: what a user writes, and what must not be repeated to them."""

from __future__ import annotations

import pytest

from singer_kit.errors import ConfigurationError
from singer_kit.postgres import conninfo_from_url


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
        "postgres//user:secret@host/db",
        "mysql://user:secret@host/db",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        conninfo_from_url(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
