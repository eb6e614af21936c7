"""What a user gets wrong ends in one clear message."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from target_postgres.settings import SETTINGS, conninfo

SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}}},
}
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def role(warehouse):
    """A login role with no rights, and the database's URL for it."""
    name = f"role_{os.urandom(4).hex()}"
    warehouse.do(f"create role {name} login password 's3cret'")
    parts = urlsplit(warehouse.url)
    yield name, parts._replace(netloc=f"{name}:s3cret@{parts.netloc.rsplit('@', 1)[-1]}").geturl()
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        connection.execute(f"drop owned by {name}; drop role {name}".encode())


def test_no_right_to_create_a_schema(warehouse, role):
    warehouse.fails([SCHEMA], "GRANT CREATE ON DATABASE", role[0], sqlalchemy_url=role[1])


def test_no_right_to_create_a_table(warehouse, role):
    warehouse.do("create schema bronze")
    warehouse.fails([SCHEMA], "GRANT USAGE, CREATE ON SCHEMA", role[0], sqlalchemy_url=role[1])


def test_an_existing_schema_needs_no_right_on_the_database(warehouse, role):
    warehouse.do(f"create schema bronze; grant usage, create on schema bronze to {role[0]}")
    warehouse.load([SCHEMA], sqlalchemy_url=role[1])


def test_a_missing_database(warehouse):
    url = urlsplit(warehouse.url)._replace(path="/nowhere").geturl()
    warehouse.fails([SCHEMA], "nowhere", "does not exist", "Next:", sqlalchemy_url=url)


def test_a_view_in_the_place_of_the_table(warehouse):
    warehouse.do("create schema bronze; create view bronze.t as select 1 as id")
    warehouse.fails([SCHEMA], "'t'", "no table")


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"ssh_tunnel": {"enable": True}}, "ssh_tunnel"),
        ({"add_record_metadata": False}, "activate_version"),
        ({"sqlalchemy_url": "mysql://x"}, "postgresql://"),
        ({"sqlalchemy_url": None}, "host"),
        ({"table_name": "{nope}"}, "{full_stream}"),
        ({"batch_size_rows": 0}, "batch_size_rows"),
        (
            {
                "sqlalchemy_url": None,
                "host": "h",
                "user": "u",
                "database": "d",
                "ssl_enable": True,
                "ssl_certificate_authority": "/nowhere",
            },
            "ssl_certificate_authority",
        ),
    ],
)
def test_wrong_settings(warehouse, settings, part):
    outcome = warehouse.fails([SCHEMA], part, **settings)
    assert outcome.error.exit_code == 2


def test_the_command_prints_no_traceback_and_no_password(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"sqlalchemy_url": "postgresql://u:s3cret@127.0.0.1:1/d"}))
    done = subprocess.run(
        [sys.executable, "-m", "target_postgres", "--config", str(path)], input=b"", capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"127.0.0.1:1" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"s3cret" not in done.stderr


def test_parts_make_a_connection_string(tmp_path):
    base = {"host": "h", "port": 5433, "user": "u", "password": "p w'", "database": "d"}
    assert conninfo(base) == "host=h port=5433 user=u password='p w\\'' dbname=d"
    pem = "-----BEGIN CERTIFICATE-----\n"
    text = conninfo(
        {
            **base,
            "ssl_enable": True,
            "ssl_mode": "verify-ca",
            "ssl_certificate_authority": pem,
            "ssl_client_certificate_enable": True,
            "ssl_client_certificate": pem,
            "ssl_client_private_key": pem,
            "ssl_storage_directory": str(tmp_path / "secrets"),
        }
    )
    assert "sslmode=verify-ca" in text
    key = tmp_path / "secrets" / "ssl_client_private_key.pem"
    assert key.read_text() == pem
    assert key.stat().st_mode & 0o777 == 0o600


def test_peer_settings_are_accepted(warehouse):
    settings = {
        "use_copy": True,
        "dialect+driver": "postgresql+psycopg",
        "ssh_tunnel": {"enable": False},
        "ssl_enable": False,
    }
    warehouse.load([SCHEMA], sqlalchemy_url=warehouse.url.replace("postgresql://", "postgresql+psycopg://"), **settings)


@pytest.mark.parametrize("name", SETTINGS["properties"])
def test_every_setting_is_in_the_readme(name):
    assert f"| `{name}`" in README.read_text()
