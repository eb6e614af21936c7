"""What goes wrong every day, through the real command line: one clear message, a documented exit code, no traceback."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from ipai.cli.output import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

INVALID, NOT_FOUND, RUN_FAILED, DATABASE, PLUGIN = 3, 4, 5, 6, 7
CODES = {3: "invalid_spec", 4: "not_found", 5: "run_failed", 6: "database", 7: "plugin"}
CANARY = "c4n4ry-passw0rd"

CATALOG = {
    "streams": [
        {"tap_stream_id": "things", "stream": "things", "key_properties": ["id"],
         "schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
         "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}]}
    ]
}  # fmt: skip


@pytest.fixture
def fails(lake: Any) -> Callable[..., None]:
    """Call the command line, as text and with --json; both must fail with the code and say each of the parts."""

    def call(*arguments: str, code: int, says: list[str]) -> None:
        assert re.search(rf"^  {code} ", EXIT_CODES, re.MULTILINE)
        text = lake.ipai(*arguments, check=False)
        assert text.returncode == code, text.stdout + text.stderr
        errors = [line for line in text.stderr.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1
        machine = lake.ipai(*arguments, "--json", check=False)
        assert machine.returncode == code
        error = json.loads(machine.stdout)["error"]
        assert error["code"] == CODES[code]
        for part in says:
            assert part in text.stderr
            assert part in f"{error['message']} {error['hint']}"
        for output in (text.stdout, text.stderr, machine.stdout, machine.stderr):
            assert "Traceback" not in output
            assert CANARY not in output

    return call


@pytest.fixture
def things(lake: Any) -> None:
    lake.source.execute("create table things (id integer primary key); insert into things values (1), (2)")


@pytest.fixture
def executable(lake: Any, plugin_path: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a Python script on PATH as a command."""
    folder = lake.folder / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{plugin_path}")

    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!{sys.executable}\nimport json, sys\n{script}\n")
        (folder / name).chmod(0o755)

    return write


@contextlib.contextmanager
def role(database: Any) -> Iterator[str]:
    """A role that may connect and nothing else."""
    name = f"reader_{database.parts['dbname']}"
    database.execute(f"create role {name} login password '{CANARY}'")
    try:
        yield name
    finally:
        database.execute(f"drop owned by {name}; drop role {name}")


def test_help_lists_every_exit_code(lake: Any) -> None:
    shown = lake.ipai("--help").stdout
    assert all(f"\n    {code} " in shown for code in (0, 1, 2, *CODES, 8, 9, 130, 143))


# The source


def test_wrong_password(lake: Any, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.declare(["things"])
    monkeypatch.setenv("SOURCE_PASSWORD", CANARY)
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(**{**lake.source.parts, "password": CANARY}):
        pytest.skip("this server does not ask for passwords")
    user = lake.source.parts["user"]
    for command in ("run", "check"):
        says = ["The tap failed", f'password authentication failed for user "{user}"']
        fails(command, "test_odoo", code=RUN_FAILED, says=says)


@pytest.mark.usefixtures("things")
@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("db_host", "no-such-host.invalid", ["no-such-host.invalid"]),
        ("db_port", 1, ["127.0.0.1:1", "Connection refused"]),
        ("db_name", "no_such_database", ['database "no_such_database" does not exist']),
        ("db_user", "nobody_known", ['user "nobody_known"']),
    ],
)
def test_source_that_cannot_be_reached(lake: Any, fails: Any, setting: str, value: Any, says: list[str]) -> None:
    lake.declare(["things"], tap={setting: value})
    fails("run", "test_odoo", code=RUN_FAILED, says=["The tap failed", *says])


@pytest.mark.usefixtures("things")
def test_stream_that_does_not_exist(lake: Any, fails: Any) -> None:
    lake.declare(["thing"])
    fails("run", "test_odoo", code=INVALID, says=["no stream 'thing'", "Did you mean things?"])
    lake.declare(["things"])
    fails("run", "test_odoo", "--stream", "nothing", code=INVALID, says=["no stream 'nothing'"])


@pytest.mark.usefixtures("things")
def test_table_dropped_after_discovery(
    lake: Any, plugin_path: str, write_json: Callable[[str, Any], Path], tmp_path: Path
) -> None:
    write_json("c.json", lake.source.tap_config(streams=["things"]))
    pipe = "tap-odoo --config c.json --discover > k.json"
    shell = {"cwd": tmp_path, "env": {"PATH": plugin_path}, "capture_output": True, "text": True, "timeout": 60}
    subprocess.run(["bash", "-c", pipe], check=True, **shell)
    lake.source.execute("drop table things")
    done = subprocess.run(["bash", "-c", "tap-odoo --config c.json --catalog k.json"], check=False, **shell)
    assert done.returncode == 4
    assert "The catalog selects stream 'things', but database" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("things")
def test_column_that_may_not_be_read(lake: Any, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with role(lake.source) as name:
        monkeypatch.setenv("SOURCE_PASSWORD", CANARY)
        lake.declare(["things"], tap={"db_user": name})
        says = ["The tap failed", "Stream 'things'", "permission denied for table things", "GRANT SELECT"]
        fails("run", "test_odoo", code=RUN_FAILED, says=says)


# The plugins


@pytest.mark.parametrize(("side", "connector"), [("tap", "odoo"), ("target", "postgres")])
def test_plugin_that_is_not_there(lake: Any, fails: Any, side: str, connector: str) -> None:
    lake.connectors[connector]["plugin"] = {"command": f"{side}-nowhere"}
    lake.declare()
    fails("run", "test_odoo", code=PLUGIN, says=[f"'{side}-nowhere' is not on PATH", "plugin.install"])


def test_folder_that_holds_no_plugin(lake: Any, fails: Any) -> None:
    lake.connectors["odoo"]["plugin"]["install"] = "./empty"
    lake.declare()
    fails("run", "test_odoo", code=PLUGIN, says=["There is no plugin in", "odoo/empty", "pyproject.toml"])


def test_package_that_does_not_exist(lake: Any, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    lake.connectors["odoo"]["plugin"]["install"] = "tap-that-nobody-ever-made==1.0"
    lake.declare()
    fails("run", "test_odoo", code=PLUGIN, says=["tap-that-nobody-ever-made==1.0"])


GARBAGE = f"""
if "--discover" in sys.argv:
    print({json.dumps(json.dumps(CATALOG))})
else:
    schema = {{"properties": {{"id": {{"type": "integer"}}}}}}
    print(json.dumps({{"type": "SCHEMA", "stream": "things", "schema": schema, "key_properties": ["id"]}}))
    print(json.dumps({{"type": "RECORD", "stream": "things", "record": {{"id": 1}}}}))
    print(json.dumps({{"type": "STATE", "value": {{"bookmarks": {{"things": {{"id": 1}}}}}}}}))
    print("hello, this is not Singer")
"""


def test_tap_that_prints_garbage(lake: Any, fails: Any, executable: Any) -> None:
    executable("tap-odoo", GARBAGE)
    lake.declare(["things"])
    fails(
        "run", "test_odoo", code=RUN_FAILED, says=["The target failed", "Line 4 is not a Singer message", "hello, this"]
    )
    # What came before it counts.
    assert lake.bronze.rows("select id from bronze.raw_odoo_things") == [(1,)]
    assert lake.platform.state("test_odoo") == {"bookmarks": {"things": {"id": 1}}}


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        ("print('hello, this is no catalog')", "'hello, this is no catalog'"),
        ("pass", "''"),
        ("print('{}')", "no Singer catalog"),
        ("print('{\"streams\": [1]}')", "no Singer catalog"),
        ("sys.stdout.buffer.write(bytes([0xff, 0xfe, 0]))", "no Singer catalog"),
    ],
)
def test_tap_that_discovers_garbage(lake: Any, fails: Any, executable: Any, printed: str, says: str) -> None:
    executable("tap-odoo", printed)
    lake.declare(["things"])
    fails("run", "test_odoo", code=PLUGIN, says=["--discover", says])


def test_plugin_that_cannot_be_started(lake: Any, fails: Any, executable: Any) -> None:
    executable("tap-odoo", "")
    (lake.folder / "bin" / "tap-odoo").write_text("#!/no/such/interpreter\n")
    lake.declare(["things"])
    fails("run", "test_odoo", code=PLUGIN, says=["tap-odoo"])


# The destination


@pytest.mark.usefixtures("things")
def test_target_that_may_not_write(lake: Any, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = lake.bronze.parts
    with role(lake.bronze) as name:
        monkeypatch.setenv("READER", f"postgresql://{name}:{CANARY}@{parts['host']}:{parts['port']}/{parts['dbname']}")
        lake.declare(["things"], destination={"sqlalchemy_url": "${env:READER}"})
        says = ["The target failed", f"user '{name}' may not create schema 'bronze'", "GRANT CREATE ON DATABASE"]
        fails("run", "test_odoo", code=RUN_FAILED, says=says)
    assert lake.bronze.value("select to_regnamespace('bronze')") is None


@pytest.mark.usefixtures("things")
def test_destination_that_cannot_be_reached(lake: Any, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOWHERE", f"postgresql://loader:{CANARY}@127.0.0.1:1/lake")
    lake.declare(["things"], destination={"sqlalchemy_url": "${env:NOWHERE}", "connection_retry_seconds": 1})
    for command in ("run", "check"):
        fails(command, "test_odoo", code=RUN_FAILED, says=["The target failed", "127.0.0.1:1", "Connection refused"])


# The control plane


def test_control_plane_that_is_not_set_up(lake: Any, fails: Any) -> None:
    lake.bronze.execute("drop schema connectors cascade")
    for command in (["list"], ["run", "test_odoo"], ["status", "test_odoo"], ["apply", str(lake.write_specs())]):
        fails(*command, code=DATABASE, says=["The control plane is not set up in this database.", "ipai init"])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"postgresql://ipai:{CANARY}@127.0.0.1:1/ipai", ["control plane", "Connection refused", "IPAI_DATABASE_URL"]),
        (f"postgresql://ipai:{CANARY}@no-such-host.invalid/ipai", ["no-such-host.invalid", "IPAI_DATABASE_URL"]),
        (f"postgresql://ipai:{CANARY}@127.0.0.1:port/ipai", ["port"]),
        ("nonsense", ["database"]),
    ],
)
def test_control_plane_that_cannot_be_reached(lake: Any, fails: Any, url: str, says: list[str]) -> None:
    lake.bronze.url = url
    fails("list", code=DATABASE, says=says)


def test_instance_that_does_not_exist(lake: Any, fails: Any) -> None:
    lake.declare()
    for command in ("run", "check", "discover", "status", "logs"):
        fails(command, "prod_odoo", code=NOT_FOUND, says=["No instance 'prod_odoo'", "test_odoo"])


def test_variable_that_is_not_set(lake: Any, fails: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.declare()
    monkeypatch.delenv("SOURCE_PASSWORD")
    fails("run", "test_odoo", code=INVALID, says=["db_password", "SOURCE_PASSWORD"])


# The specs

INSTANCE = """\
kind: instance
name: test_odoo
source:
  connector: odoo
  config: {db_name: odoo}
destination:
  connector: postgres
streams: [res_partner]
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("[res_partner]", "[res_partner", 9, ["not valid YAML"]),
        ("  connector: odoo", "\tconnector: odoo", 4, ["not valid YAML"]),
        ("name: test_odoo", "name: test_odoo\nname: other_odoo", 3, ["name"]),
        ("streams:", "strams:", 8, ["strams: unknown key; did you mean 'streams'?"]),
        ("[res_partner]", "res_partner", 8, ["streams:", "is not of type 'array'"]),
        ("[res_partner]", "[{stream: x, replication_method: SOMETIMES}]", 8, ["replication_method", "SOMETIMES"]),
        ("  connector: odoo\n", "  connector: oddo\n", 4, ["no connector 'oddo'; did you mean 'odoo'?"]),
        ("  connector: postgres\n", "  connector: odoo\n", 7, ["'odoo' is a source, not a destination"]),
        ("name: test_odoo", "name: Test Odoo", 2, ["name", "Test Odoo"]),
        ("name: test_odoo\n", "", 1, ["'name' is missing"]),
        ("db_name: odoo", f"db_password: {CANARY}", 5, ["a secret must not stand here"]),
        ("kind: instance\n", "kind: instnace\n", 1, ["instnace"]),
        (INSTANCE, "- a list\n", 1, ["a spec is a mapping"]),
        (INSTANCE, "", 1, ["a spec is a mapping"]),
    ],
)
def test_invalid_yaml(lake: Any, fails: Any, old: str, new: str, line: int, says: list[str]) -> None:
    assert INSTANCE.count(old) == 1
    lake.write_specs()
    file = lake.folder / "catalogs" / "instances" / "test.yaml"
    file.write_text(INSTANCE.replace(old, new))
    fails("validate", str(lake.folder / "catalogs"), code=INVALID, says=[f"{file}:{line}: ", *says])


def test_invalid_yaml_changes_nothing(lake: Any, fails: Any) -> None:
    folder = lake.write_specs()
    (folder / "instances" / "other.yaml").write_text("kind: [")
    fails("apply", str(folder), code=INVALID, says=["other.yaml:1: not valid YAML"])
    assert lake.platform.instances() == []


def test_folder_of_specs_that_does_not_exist(lake: Any, fails: Any) -> None:
    fails("validate", str(lake.folder / "nowhere"), code=INVALID, says=["nowhere: no such file or folder"])
