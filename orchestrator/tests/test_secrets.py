"""Secrets kept, read by the run that holds its lease and by nobody else, rotated, and all of it on record."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from ipai.cli import main
from ipai.control_plane.secrets import Sealed
from ipai.errors import BusyError, NotFoundError, PluginError, SecretError, SpecError
from ipai.plugins import PluginEnvironments
from ipai.scheduler import run_scheduler
from ipai.secrets import KeyRing, SecretKeys, SecretReader
from ipai.service import Platform
from ipai.specs import PluginSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.control_plane import Run

Declare = Any
VALUE = "c4n4ry-value"


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    made = new_key()
    monkeypatch.setenv("IPAI_SECRET_KEY", made)
    monkeypatch.delenv("IPAI_SECRET_KEY_FILE", raising=False)
    monkeypatch.delenv("IPAI_SECRET_BACKEND", raising=False)
    return made


@pytest.fixture
def sql(platform: Platform) -> Iterator[Callable[..., list[Any]]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:

        def run(query: str, *arguments: Any) -> list[Any]:
            cursor = connection.execute(query, arguments or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def vault(sql: Callable[..., list[Any]]) -> None:
    sql((Path(__file__).parent / "vault.sql").read_text())


@pytest.fixture
def ipai(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: str, value: str | None = None) -> Result:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        options = ["--home", str(platform.home), "--database", platform.url]
        return CliRunner().invoke(main, [*options, *arguments], input=value, catch_exceptions=False)

    return run


def keep(platform: Platform, name: str = "canary", value: str = VALUE, **more: Any) -> None:
    platform.secrets.set(name, value, expires_at=more.pop("expires_at", None), backend=more.pop("backend", None))


def said_by_tap(platform: Platform, name: str) -> list[str]:
    return [line.message for line in platform.logs(name, run_id=None, side="tap", limit=None)[1]]


# Keys and sealing


def test_what_is_sealed_opens_under_its_name_only(key: str) -> None:
    ring = KeyRing([key], "here")
    sealed = ring.seal("a", "välue\n")
    assert b"lue" not in sealed.ciphertext
    assert ring.open("a", sealed) == "välue\n"
    assert ring.seal("a", "välue\n").ciphertext != sealed.ciphertext
    with pytest.raises(SecretError, match="secret b was not sealed by ipai under that name"):
        ring.open("b", sealed)
    broken = Sealed(sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1]), sealed.key_id)
    with pytest.raises(SecretError, match="was not sealed by ipai"):
        ring.open("a", broken)
    assert "lue" not in repr(sealed)


def test_a_key_that_is_missing_is_named_and_no_key_is_ever_shown(key: str) -> None:
    sealed = KeyRing([key], "here").seal("a", "x")
    with pytest.raises(SecretError, match=rf"sealed with the key {sealed.key_id}, which is not in there"):
        KeyRing([new_key()], "there").open("a", sealed)
    for wrong in (key[:-4], "pass-word", base64.b64encode(b"short").decode()):
        with pytest.raises(SecretError, match="is no key") as caught:
            KeyRing([wrong], "there")
        assert wrong not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_file_that_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, mode: int
) -> None:
    file = tmp_path / "key"
    file.write_text(key)
    monkeypatch.delenv("IPAI_SECRET_KEY")
    monkeypatch.setenv("IPAI_SECRET_KEY_FILE", str(file))
    file.chmod(mode)
    with pytest.raises(SecretError, match="Others than its owner can read") as caught:
        SecretKeys().ring()
    assert caught.value.hint == f"chmod 600 {file}"
    file.chmod(0o600)
    assert SecretKeys().ring().first == KeyRing([key], "").first


def test_a_key_is_made_by_itself_only_for_the_embedded_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IPAI_SECRET_KEY")
    assert Platform(tmp_path / "home").secret_keys == SecretKeys(tmp_path / "home", makes_own=True)
    assert not Platform(tmp_path / "home", "postgresql://elsewhere/x").secret_keys.makes_own
    with pytest.raises(SecretError, match="There is no key"):
        SecretKeys(tmp_path / "home").ring_for_sealing()
    with ThreadPoolExecutor(8) as threads:
        keys = SecretKeys(tmp_path / "home", makes_own=True)
        assert len({ring.first for ring in threads.map(lambda _: keys.ring_for_sealing(), range(8))}) == 1
    assert (tmp_path / "home" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_the_key_may_be_in_the_operating_systems_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    entries: dict[tuple[str, str], str] = {}

    class Entries(keyring.backend.KeyringBackend):  # type: ignore[misc, name-defined]
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return entries.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            entries[service, username] = password

    before = keyring.get_keyring()
    keyring.set_keyring(Entries())
    try:
        monkeypatch.setenv("IPAI_SECRET_KEY", "keyring")
        first = SecretKeys().ring_for_sealing()
        assert list(entries) == [("ipai", "secret-key")]
        assert SecretKeys().add_key().first != first.first
        assert SecretKeys().ring().open("a", first.seal("a", "x")) == "x"
    finally:
        keyring.set_keyring(before)


# Reading for a run


@pytest.mark.usefixtures("vault")
@pytest.mark.parametrize("backend", ["table", "vault"])
def test_a_run_reads_its_secret_and_it_is_on_record(platform: Platform, declare: Declare, backend: str) -> None:
    keep(platform, backend=backend)
    name = declare({"secret": "${secret:canary}"})
    result = platform.run(name)
    assert said_by_tap(platform, name) == ["INFO the secret is *** and in the environment None"]
    read, kept = platform.secrets.accesses(None, 10)
    assert (kept.action, kept.secret, kept.run_id) == ("set", "canary", None)
    assert (read.action, read.secret, read.run_id, read.instance, read.why) == (
        "read",
        "canary",
        result.run.id,
        name,
        "sync",
    )
    assert (read.allowed, read.outcome) == (True, "read")
    assert read.actor.startswith(f"{result.run.worker} as ")
    assert platform.secrets.all()[0].last_read_at == read.at


@pytest.mark.usefixtures("vault")
def test_vault_is_chosen_where_there_is_one(platform: Platform, sql: Any) -> None:
    keep(platform)
    assert [(each.backend, each.key_id) for each in platform.secrets.all()] == [("vault", None)]
    assert sql("select name, decrypted_secret from vault.decrypted_secrets") == [("ipai.canary", VALUE)]
    platform.secrets.rotate("canary", "another-value", expires_at=None)
    assert sql("select decrypted_secret from vault.decrypted_secrets") == [("another-value",)]
    platform.secrets.remove("canary")
    assert sql("select count(*) from vault.secrets") == [(0,)]


def test_without_vault_it_cannot_be_asked_for(platform: Platform) -> None:
    with pytest.raises(SecretError, match="no Supabase Vault"):
        keep(platform, backend="vault")
    assert platform.secrets.all() == []


@pytest.mark.usefixtures("vault")
def test_what_was_deleted_in_vault_is_explained(platform: Platform, declare: Declare, sql: Any) -> None:
    keep(platform)
    sql("delete from vault.secrets")
    with pytest.raises(SecretError, match=r"Vault does not give out the secret canary \(missing_in_vault\)"):
        platform.run(declare({"secret": "${secret:canary}"}))
    sql("drop schema vault cascade")
    with pytest.raises(SecretError, match=r"vault_closed"):
        platform.run(declare({"secret": "${secret:canary}"}))


def test_it_is_read_once_though_named_twice_and_may_stand_inside_a_text(platform: Platform, declare: Declare) -> None:
    keep(platform)
    name = declare({"secret": "Bearer ${secret:canary}"}, {"secret": "${secret:canary}"})
    platform.run(name)
    assert said_by_tap(platform, name) == ["INFO the secret is *** and in the environment None"]
    assert [each.action for each in platform.secrets.accesses("canary", 10)] == ["read", "set"]


def test_a_secret_that_is_not_there_names_the_setting(platform: Platform, declare: Declare) -> None:
    name = declare({"secret": "${secret:missing}"})
    with pytest.raises(SpecError, match=r"test_fake\.source\.secret needs the secret missing") as caught:
        platform.run(name)
    assert caught.value.hint == "ipai secret set missing"
    assert platform.status(name, limit=1)[0].run.error_kind == "config"
    (refusal,) = platform.secrets.accesses(None, 10)
    assert (refusal.allowed, refusal.outcome) == (False, "missing")


@pytest.fixture
def held(platform: Platform, declare: Declare) -> Run:
    """A run under way whose instance names `canary`."""
    keep(platform)
    name = declare({"secret": "${secret:canary}"})
    with platform.control_plane() as control_plane:
        return control_plane.runs.start(name, "worker here:1", 60)


REFUSALS = [
    ("", "p_token => {token} + 1", "not_held"),
    ("", "p_token => null", "not_held"),
    ("", "p_run => 0", "not_running"),
    ("", "p_name => 'other'", "not_referenced"),
    ("", "p_name => 'nothing_of_that_name'", "not_referenced"),
    ("update connectors.connector_runs set lease_expires_at = now() - interval '1 second'", "", "lease_expired"),
    ("update connectors.connector_runs set lease_expires_at = null", "", "lease_expired"),
    ("select connectors.finish_run({run}, {token}, 'succeeded')", "", "not_running"),
    ("update connectors.connector_instances set spec = spec #- '{{source,config,secret}}'", "", "not_referenced"),
    (
        (
            "update connectors.connector_instances set spec = "
            "spec #- '{{source,config,secret}}' || '{{\"description\": \"${{secret:canary}}\"}}'"
        ),
        "", "not_referenced",
    ),
    ("delete from connectors.connector_instances", "", "not_referenced"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "instead", "outcome"), REFUSALS)
def test_who_does_not_hold_the_run_is_refused_and_on_record(
    platform: Platform, held: Run, sql: Any, before: str, instead: str, outcome: str
) -> None:
    keep(platform, "other", "another-value")
    known = {"run": held.id, "token": held.fencing_token}
    if before:
        sql(before.format(**known))
    arguments = {"p_run": "{run}", "p_token": "{token}", "p_name": "'canary'", "p_why": "'try'"}
    if instead:
        arguments[instead.split(" ", maxsplit=1)[0]] = instead.split("=> ")[1]
    given = ", ".join(f"{name} => {value.format(**known)}" for name, value in arguments.items())
    assert sql(f"select * from connectors.read_secret({given})") == [(outcome, None, None, None)]
    refusal = platform.secrets.accesses(None, 1)[0]
    assert (refusal.allowed, refusal.outcome, refusal.why, refusal.action) == (False, outcome, "try", "read")


def test_a_reader_that_rolls_back_leaves_a_line_in_the_servers_log(platform: Platform, held: Run) -> None:
    with psycopg.connect(platform.url, options="-c client_min_messages=log") as connection:
        told: list[str | None] = []
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        call = "select outcome from connectors.read_secret(%s, %s, 'canary', 'secretly')"
        assert connection.execute(call, [held.id, held.fencing_token]).fetchone() == ("read",)
        connection.rollback()
    assert [each.action for each in platform.secrets.accesses(None, 10)] == ["set"]
    assert any("secret canary: read, by worker here:1 as" in str(line) and "secretly" in str(line) for line in told)
    assert VALUE not in str(told)


def test_a_connectors_own_setting_that_the_instance_replaces_is_not_named(held: Run, sql: Any) -> None:
    arguments = (held.id, held.fencing_token)
    read = "select outcome from connectors.read_secret(%s, %s, 'canary', 'try')"
    sql('update connectors.connector_definitions set spec = spec || \'{"config": {"secret": "${secret:canary}"}}\'')
    sql("update connectors.connector_instances set spec = spec #- '{source,config,secret}'")
    assert sql(read, *arguments) == [("read",)]
    for side in ("source", "destination"):
        sql(
            "update connectors.connector_instances "
            f"set spec = jsonb_set(spec, '{{{side},config,secret}}', '\"literal\"')"
        )
    assert sql(read, *arguments) == [("not_referenced",)]


def test_a_worker_whose_run_was_taken_over_gets_nothing(platform: Platform, held: Run, sql: Any) -> None:
    sql("update connectors.connector_runs set lease_expires_at = now() - interval '1 second'")
    with platform.control_plane() as control_plane:
        reader = SecretReader(control_plane.secrets, platform.secret_keys, held.instance, held, "sync")
        with pytest.raises(BusyError, match="does not hold the run any more"):
            reader("canary", "test_fake.source.secret")
        control_plane.runs.reap()
        newer = control_plane.runs.start(held.instance, "worker there:2", 60)
        with pytest.raises(BusyError):
            reader("canary", "test_fake.source.secret")
        mine = SecretReader(control_plane.secrets, platform.secret_keys, newer.instance, newer, "sync")
        assert mine("canary", "test_fake.source.secret") == VALUE


def test_a_role_without_rights_to_the_tables_can_read_for_a_run_it_holds_and_nothing_else(held: Run, sql: Any) -> None:
    role = f"foreign_worker_{os.getpid()}"
    sql(f"create role {role}")
    try:
        sql(f"grant usage on schema connectors to {role}")
        sql(f"set role {role}")
        call = "select outcome from connectors.read_secret(%s, %s, 'canary', 'sync')"
        for query in (
            "select * from connectors.secrets",
            "select * from connectors.secret_access",
            "select connectors.read_secret_for_check('test_fake', 'canary', 'check')",
            "select connectors.hand_out_secret(null, null, 'test_fake', 'canary', 'me', 'check')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                sql(query)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            sql(call, held.id, held.fencing_token)
        sql("reset role")
        sql(f"grant execute on function connectors.read_secret(bigint, bigint, text, text) to {role}")
        sql(f"set role {role}")
        assert sql(call, held.id, held.fencing_token) == [("read",)]
        assert sql(call, held.id, 12345) == [("not_held",)]
    finally:
        sql("reset role")
        sql(f"drop owned by {role}")
        sql(f"drop role {role}")


def test_check_and_discover_need_no_run_and_are_on_record(platform: Platform, declare: Declare) -> None:
    keep(platform)
    name = declare({"secret": "${secret:canary}"})
    platform.check(name)
    platform.discover(name)
    reads = [each for each in platform.secrets.accesses("canary", 10) if each.action == "read"]
    assert [(each.why, each.run_id, each.instance, each.allowed) for each in reads] == [
        ("discover", None, name, True), ("check", None, name, True),
    ]  # fmt: skip
    with platform.control_plane() as control_plane:
        assert control_plane.secrets.read_for_check(name, "other", "check").outcome == "not_referenced"


def test_what_builds_a_plugin_gets_no_key(tmp_path: Path, key: str) -> None:
    """Installing runs code of others: here a build backend that writes down what it was given."""
    folder, seen = tmp_path / "tap-x", tmp_path / "seen"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tap-x"\nversion = "1"\n'
    )
    (folder / "backend.py").write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(seen)!r}).write_text(str(dict(os.environ)))\n"
        "def build_editable(*_): raise SystemExit('no')\n"
    )
    with pytest.raises(PluginError, match="cannot be installed"):
        PluginEnvironments(tmp_path / "plugins").executable(PluginSpec("tap-x", (str(folder),)))
    assert "PATH" in seen.read_text()
    assert key not in seen.read_text()


# Changing


def test_rotating_gives_the_next_run_the_new_value(platform: Platform, declare: Declare) -> None:
    keep(platform, value="wrong", expires_at=datetime(2030, 1, 1, tzinfo=timezone.utc))
    name = declare({"password": "${secret:canary}"})
    with pytest.raises(Exception, match="password authentication failed"):
        platform.run(name)
    rotated = platform.secrets.rotate("canary", "the right one", expires_at=None)
    assert (rotated.expires_at, rotated.rotated_at is not None) == (None, True)
    platform.run(name)
    with pytest.raises(SecretError, match="There is a secret 'canary' already"):
        keep(platform)
    with pytest.raises(NotFoundError):
        platform.secrets.rotate("nothing", "x", expires_at=None)


def test_a_value_swapped_for_another_in_the_database_is_refused(platform: Platform, declare: Declare, sql: Any) -> None:
    keep(platform, "cheap", "known-to-many")
    keep(platform)
    sql(
        "update connectors.secrets c set ciphertext = o.ciphertext from connectors.secrets o "
        "where o.name = 'cheap' and c.name = 'canary'"
    )
    with pytest.raises(SecretError, match="was not sealed by ipai under that name"):
        platform.run(declare({"secret": "${secret:canary}"}))


def test_a_new_key_seals_everything_anew(
    platform: Platform, declare: Declare, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    keep(platform)
    keep(platform, "other", "another-value")
    with pytest.raises(SecretError, match="sealed everything already") as caught:
        platform.secrets.rotate_key()
    assert key not in f"{caught.value}{caught.value.hint}"
    newer = new_key()
    monkeypatch.setenv("IPAI_SECRET_KEY", f"{newer} {key}")
    name = declare({"secret": "${secret:canary}"})
    platform.run(name)  # the old key still opens
    done = platform.secrets.rotate_key()
    assert (done.secrets, done.key_id) == (2, KeyRing([newer], "").first)
    monkeypatch.setenv("IPAI_SECRET_KEY", newer)
    platform.run(name)
    assert said_by_tap(platform, name) == ["INFO the secret is *** and in the environment None"]
    monkeypatch.setenv("IPAI_SECRET_KEY", key)
    with pytest.raises(SecretError, match="which is not in IPAI_SECRET_KEY"):
        platform.run(name)
    assert platform.status(name, limit=1)[0].run.error_kind == "config"


def test_a_key_file_gets_its_new_key_by_itself(
    platform: Platform, declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(key)
    file.chmod(0o600)
    monkeypatch.delenv("IPAI_SECRET_KEY")
    monkeypatch.setenv("IPAI_SECRET_KEY_FILE", str(file))
    keep(platform)
    done = platform.secrets.rotate_key()
    assert file.read_text().split()[1:] == [key]
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(file.read_text().split()[0])
    assert platform.secrets.all()[0].key_id == done.key_id
    platform.run(declare({"secret": "${secret:canary}"}))


def test_a_key_that_opens_not_all_changes_nothing(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(platform)
    newer = new_key()
    monkeypatch.setenv("IPAI_SECRET_KEY", newer)
    keep(platform, "other", "another-value")
    before = {each.name: each.key_id for each in platform.secrets.all()}
    with pytest.raises(SecretError, match="The secret canary is sealed with the key"):
        platform.secrets.rotate_key()
    assert {each.name: each.key_id for each in platform.secrets.all()} == before


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a" * 64, "${x}", "a\n"])
def test_names_are_checked(platform: Platform, name: str) -> None:
    with pytest.raises(SecretError, match="is no name for a secret"):
        keep(platform, name)


@pytest.mark.parametrize("value", ["", " \n", "a\0b"])
def test_values_are_checked(platform: Platform, value: str) -> None:
    with pytest.raises(SecretError, match="empty, or holds a NUL"):
        keep(platform, value=value)


# Expiry


def test_a_secret_that_expires_soon_is_told_once_for_each_expiry(
    platform: Platform, declare: Declare, sql: Any
) -> None:
    soon = datetime.now(timezone.utc) + timedelta(days=10)
    keep(platform, expires_at=soon)
    keep(platform, "later", expires_at=soon + timedelta(days=30))
    keep(platform, "never")
    declare({"secret": "${secret:canary}"})
    with ThreadPoolExecutor(4) as threads:

        def tell(_: int) -> list[str]:
            with platform.control_plane() as control_plane:
                return control_plane.secrets.tell_expiring()

        assert [name for told in threads.map(tell, range(8)) for name in told] == ["canary"]
    events = sql("select payload from connectors.events where kind = 'secret.expiring'")
    assert [(each["secret"], each["instances"]) for (each,) in events] == [("canary", ["test_fake"])]
    assert datetime.fromisoformat(events[0][0]["expires_at"]) == soon
    platform.secrets.rotate("canary", "new-value", expires_at=soon + timedelta(days=1))
    assert tell(0) == ["canary"]


def test_the_scheduler_tells(platform: Platform, sql: Any) -> None:
    keep(platform, expires_at=datetime.now(timezone.utc))
    stop = threading.Event()
    thread = threading.Thread(target=run_scheduler, args=(platform.connect, stop))
    thread.start()
    try:
        for _ in range(600):
            if sql("select 1 from connectors.events where kind = 'secret.expiring'"):
                return
            stop.wait(0.05)
        pytest.fail("it was not told")
    finally:
        stop.set()
        thread.join()


# The command line


def test_the_commands_never_print_a_value(ipai: Callable[..., Result], declare: Declare, platform: Platform) -> None:
    said = []

    def run(*arguments: str, value: str | None = None, code: int = 0) -> str:
        result = ipai(*arguments, value=value)
        said.append(result.output)
        assert result.exit_code == code, result.output
        return result.stdout

    assert "No secrets yet" in run("secret", "list")
    kept = json.loads(run("secret", "set", "canary", "--expires", "2031-01-31", "--json", value=f"{VALUE}\n"))
    assert (kept["name"], kept["backend"], kept["expires_at"]) == ("canary", "table", "2031-01-31T00:00:00+00:00")
    run("secret", "set", "canary", value=VALUE, code=10)
    run("secret", "set", "canary", "--json", value=VALUE, code=10)
    run("secret", "set", "empty", value="", code=10)
    platform.run(declare({"secret": "${secret:canary}"}))
    assert re.search(r"canary +the encrypted table +2031-01-31", run("secret", "list"))
    assert json.loads(run("secret", "list", "--json"))[0]["last_read_at"]
    assert "has a new value" in run("secret", "rotate", "canary", value=f"{VALUE}-2\n")
    run("secret", "rotate", "nothing", value=VALUE, code=4)
    assert "sync" in run("secret", "log")
    record = json.loads(run("secret", "log", "canary", "--json"))
    assert [line["action"] for line in record] == ["rotate", "read", "set"]
    run("secret", "rotate-key", code=10)
    assert "Still named by: test_fake" in run("secret", "rm", "canary")
    run("secret", "rm", "canary", code=4)
    assert VALUE not in "".join(said)


def test_a_value_is_never_an_argument(ipai: Callable[..., Result]) -> None:
    assert ipai("secret", "set", "canary", VALUE).exit_code == 2


@pytest.mark.parametrize(
    ("piped", "kept"),
    [("a-value", "a-value"), ("a-value\n", "a-value"), ("line 1\nline 2\n\n", "line 1\nline 2\n"), ("a\r\n", "a")],
)
def test_a_value_from_standard_input(
    ipai: Callable[..., Result], platform: Platform, declare: Declare, piped: str, kept: str
) -> None:
    ipai("secret", "set", "canary", value=piped)
    name = declare({"secret": "${secret:canary}"})
    with platform.control_plane() as control_plane:
        reader = SecretReader(control_plane.secrets, platform.secret_keys, name, None, "check")
        assert reader("canary", "x") == kept
