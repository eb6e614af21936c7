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
from jsonschema import Draft202012Validator
from singer_sdk import typing as th

from singer_kit.errors import ConfigurationError
from target_postgres import settings
from target_postgres.settings import SETTINGS, complete, defaults, options
from target_postgres.target import TargetPostgres

SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}}},
}
OURS = tuple(settings._PROPERTIES)  # the SDK adds its own to SETTINGS
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


@pytest.mark.parametrize("settings", [{}, {"on_bad_record": "quarantine"}])
def test_an_existing_schema_needs_no_right_on_the_database(warehouse, role, settings):
    warehouse.do(f"create schema bronze; grant usage, create on schema bronze to {role[0]}")
    warehouse.load([SCHEMA], sqlalchemy_url=role[1], **settings)


def test_a_missing_database(warehouse):
    url = urlsplit(warehouse.url)._replace(path="/nowhere").geturl()
    warehouse.fails([SCHEMA], "nowhere", "does not exist", "Next:", sqlalchemy_url=url)


def test_a_view_in_the_place_of_the_table(warehouse):
    warehouse.do("create schema bronze; create view bronze.t as select 1 as id")
    warehouse.fails([SCHEMA], "'t'", "no table")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"ssh_tunnel": {"enable": True}}, "ssh_tunnel.host"),
        ({"state_table": "ops.state"}, "state_id"),
        ({"state_id": "odoo"}, "state_table"),
        ({"fencing_token": 7}, "state_table"),
        ({"add_record_metadata": False}, "activate_version"),
        ({"sqlalchemy_url": "mysql://x"}, "postgresql://"),
        ({"sqlalchemy_url": None}, "host"),
        ({"table_name": "{nope}"}, "{full_stream}"),
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
def test_wrong_settings(warehouse, given, part):
    outcome = warehouse.fails([SCHEMA], part, **given)
    assert outcome.error.exit_code == 2


def test_the_command_prints_no_traceback_and_no_password(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps({"sqlalchemy_url": "postgresql://u:s3cret@127.0.0.1:1/d", "connection_retry_seconds": 0})
    )
    done = subprocess.run(
        [sys.executable, "-m", "target_postgres", "--config", str(path)], input=b"", capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"127.0.0.1:1" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"s3cret" not in done.stderr


@pytest.mark.parametrize("through", ["parts", "url", "ssh"])
def test_no_secret_in_what_is_logged(tmp_path, through):
    pem = "-----BEGIN PRIVATE KEY-----\nc4nary\n-----END PRIVATE KEY-----\n"
    config = {
        "host": "127.0.0.1",
        "port": 1,
        "user": "u",
        "password": "c4nary",
        "database": "d",
        "ssl_client_certificate_enable": True,
        "ssl_client_certificate": pem,
        "ssl_client_private_key": pem,
        "connection_retry_seconds": 1,
    }
    if through == "url":
        config = {"sqlalchemy_url": "postgresql://u:c4nary@127.0.0.1:1/d", "connection_retry_seconds": 1}
    if through == "ssh":
        key = {"private_key": pem, "private_key_password": "c4nary"}
        config["ssh_tunnel"] = {"enable": True, "host": "127.0.0.1", "port": 1, "username": "u", **key}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "target_postgres", "--config", str(path)],
        input=b"",
        capture_output=True,
        check=False,
        env={**os.environ, "TARGET_POSTGRES_LOGLEVEL": "DEBUG"},
    )
    assert done.returncode in {2, 3}
    assert b"Next:" in done.stderr
    assert b"c4nary" not in done.stdout + done.stderr


def test_peer_settings_are_accepted(warehouse):
    given = {
        "use_copy": True,
        "dialect+driver": "postgresql+psycopg",
        "ssh_tunnel": {"enable": False},
        "ssl_enable": False,
    }
    warehouse.load([SCHEMA], sqlalchemy_url=warehouse.url.replace("postgresql://", "postgresql+psycopg://"), **given)


@pytest.mark.parametrize("name", OURS)
def test_every_setting_is_in_the_readme(name):
    assert f"| `{name}`" in README.read_text()


# The table


def about(form: str) -> str:
    command = [sys.executable, "-m", "target_postgres", "--about", f"--format={form}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_about_shows_descriptions_defaults_secrets_and_choices():
    shown = json.loads(about("json"))["settings"]["properties"]
    assert {name: shown[name] for name in OURS} == {name: SETTINGS["properties"][name] for name in OURS}
    assert all(setting["description"] for setting in shown.values())
    secrets = {"sqlalchemy_url", "password", "ssl_client_private_key"}
    assert {name for name, setting in shown.items() if setting.get("secret")} == secrets
    tunnel = shown["ssh_tunnel"]["properties"]
    assert {name for name, setting in tunnel.items() if setting.get("secret")} == {
        "private_key",
        "private_key_password",
    }
    assert "upsert" in shown["load_method"]["enum"]
    assert shown["port"]["default"] == 5432


def test_about_in_markdown_shows_nested_settings():
    shown = about("markdown")
    assert "| ssh_tunnel.private_key |" in shown
    assert "| lock_timeout_seconds | False | 0 |" in shown


def test_the_table_is_what_the_sdk_would_have_written():
    likewise = th.PropertiesList(
        th.Property("host", th.StringType, description=SETTINGS["properties"]["host"]["description"]),
        th.Property("port", th.IntegerType, default=5432, description=SETTINGS["properties"]["port"]["description"]),
        th.Property(
            "password", th.StringType, secret=True, description=SETTINGS["properties"]["password"]["description"]
        ),
    ).to_dict()
    assert {**likewise, "properties": None} == {**SETTINGS, "properties": None}
    assert likewise["properties"] == {name: SETTINGS["properties"][name] for name in likewise["properties"]}


def test_the_table_needs_nothing_of_the_sdk():
    code = (
        "import sys, target_postgres.settings, target_postgres.connection\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('singer_sdk', 'asyncssh', 'jsonschema')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def validator():
    """Of our settings alone: those that the SDK adds do not stand up to the schema of schemas."""
    return Draft202012Validator({**SETTINGS, "properties": {name: SETTINGS["properties"][name] for name in OURS}})


def test_every_default_is_of_its_kind(validator):
    assert complete({}) == defaults()
    validator.check_schema(validator.schema)
    validator.validate(defaults())


def test_defaults_are_nobodys_to_change():
    defaults()["schema_policies"]["x"] = "fail"
    assert defaults()["schema_policies"] == {}


WRONG = [
    {"port": "5432"},
    {"port": True},
    {"port": 5432.5},
    {"activate_version": "true"},
    {"commit_interval_seconds": -1},
    {"commit_interval_seconds": True},
    {"load_method": "replace"},
    {"max_bad_records": -1},
    {"batch_size_bytes": 0},
    {"fencing_token": "7"},
    {"schema_policies": {"sale_*": "never"}},
    {"schema_policies": ["freeze"]},
    {"ssh_tunnel": {"enable": "yes"}},
    {"ssh_tunnel": {"prot": 22}},
    {"ssh_tunnel": []},
]
RIGHT = [
    {"port": None},
    {"load_method": None},
    {"commit_interval_seconds": 0.5},
    {"schema_policies": {"sale_*": "freeze"}},
    {"ssh_tunnel": None},
    {"ssh_tunnel": {"enable": False, "port": None}},
    {"stream_maps": {"anything": 1}},
]


@pytest.mark.parametrize("config", WRONG)
def test_what_is_wrong_to_the_sdk_is_wrong_without_it(validator, config):
    assert not validator.is_valid(config)
    with pytest.raises(ConfigurationError, match=next(iter(config))):
        complete(config)


@pytest.mark.parametrize("config", RIGHT)
def test_what_is_right_to_the_sdk_is_right_without_it(validator, config):
    assert validator.is_valid(config)
    assert complete(config) == {**defaults(), **config}


@pytest.mark.parametrize("name", ["password", "sqlalchemy_url", "ssl_client_private_key"])
def test_a_secret_of_the_wrong_kind_is_not_repeated(name):
    with pytest.raises(ConfigurationError, match=name) as caught:
        complete({name: ["s3cret"]})
    assert "s3cret" not in str(caught.value)


def test_settings_of_the_sdk_pass_through_after_it_has_added_its_own(warehouse):
    warehouse.load([SCHEMA])  # it adds them now, to a table of its own
    assert "stream_maps" in TargetPostgres.config_jsonschema["properties"]
    assert "stream_maps" not in SETTINGS["properties"]
    maps = {"t": {"__filter__": None, "id": "id"}}
    assert complete({"stream_maps": maps}) == {**defaults(), "stream_maps": maps}
    assert set(defaults()) <= set(OURS)


def test_options_of_no_settings_are_the_defaults():
    assert options({}, batch_id="b") == options(defaults(), batch_id="b")
    nothing = dict.fromkeys(SETTINGS["properties"])
    assert options({**nothing, "default_target_schema": "melty"}, batch_id="b") == options({}, batch_id="b")


def test_an_empty_schema_is_a_choice():
    assert options({}, batch_id="b").schema == "melty"
    assert not options({"default_target_schema": ""}, batch_id="b").schema
    assert not options({"default_target_schema": None}, batch_id="b").schema


def test_options():
    given = options(
        {
            "state_table": "ops.state",
            "state_id": "odoo",
            "fencing_token": 7,
            "end_of_input": "finished",
            "on_bad_record": "quarantine",
            "max_bad_records": 3,
            "bad_records_table": "bad",
            "batch_id": "mine",
        },
        batch_id="theirs",
    )
    assert (given.state_table, given.state_id, given.fencing_token) == ("ops.state", "odoo", 7)
    assert (given.input_end_is_success, given.quarantine, given.max_bad_records) == (True, True, 3)
    assert (given.bad_records_table, given.batch_id) == ("bad", "mine")


@pytest.mark.parametrize(
    ("stream", "policy"),
    [("sale_order", "fail"), ("sale_line", "freeze"), ("sale", "evolve"), ("Sale_line", "evolve"), ("x[1]", "fail")],
)
def test_the_schema_policy_of_a_stream(stream, policy):
    policies = {"sale_*": "freeze", "sale_order": "fail", "s*_line": "fail", "x[1]": "fail"}
    assert options({"schema_policies": policies}, batch_id="b").policy(stream) == policy
