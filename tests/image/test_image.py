"""The image as far as it can be tried without an engine: built by replay, then run as its user on a read-only root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCKER = ROOT / "integrations" / "docker"
UID = 10001


def python_prefix() -> Path | None:
    """A Python of the version that the Dockerfile names."""
    wanted = "3.12"
    found = [
        Path("/usr/local"),
        *Path.home().glob(f".pyenv/versions/{wanted}*"),
        *Path("/opt").glob("pyenv/versions/*"),
    ]
    return next((path for path in found if (path / "bin" / f"python{wanted}").exists()), None)


@pytest.fixture(scope="module")
def namespace() -> None:
    """The rest of this module happens in a mount namespace of its own."""
    if os.environ.get("IPAI_TEST_IN_NAMESPACE") != "yes":
        pytest.skip("tests/image runs by `tox -e image`, as root")


@pytest.fixture(scope="module")
def context(namespace: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """The repository as Dockerfile.dockerignore leaves it."""
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    ignored = shutil.ignore_patterns(*(line[3:] for line in lines if line.startswith("**/")))
    made = tmp_path_factory.mktemp("context")
    for path in kept:
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, made / path, ignore=ignored)
        else:
            shutil.copy(ROOT / path, made / path)
    return made


@pytest.fixture(scope="module")
def stage(context: Path) -> Any:
    sys.path.insert(0, str(HERE))
    import replay

    prefix = python_prefix()
    if prefix is None:
        pytest.skip("no Python 3.12 on this machine")
    # On a disk, which /tmp need not be. Not removed here, where /dev is mounted below it: tox empties its own folder.
    work = Path(tempfile.mkdtemp(prefix="ipai-image-", dir=os.environ.get("IPAI_TEST_IMAGE_WORK", "/var/tmp")))
    built = replay.build(DOCKER / "Dockerfile", context, work, prefix)
    # As compose.yaml has it: nothing can be written but what is in memory.
    for folder in ("tmp", "var/lib/ipai", "run"):
        owner = (
            f",uid={UID},gid={UID},mode=0700" if folder == "var/lib/ipai" else ",mode=1777" if folder == "tmp" else ""
        )
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=64m{owner}", "tmpfs", built.root / folder], check=True)
    (built.root / "run/secrets").mkdir()
    for mounted in ("usr/local", ""):
        subprocess.run(["mount", "-o", "remount,ro", built.root / mounted], check=True)
    return built


@pytest.fixture
def start(stage: Any, database: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command of the image, as the engine would."""
    secret = stage.root / "run/secrets/database_url"
    secret.write_text(database)
    secret.chmod(0o644)
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**stage.env, "IPAI_DATABASE_URL_FILE": "/run/secrets/database_url", **variables}
        started.append(
            subprocess.Popen(
                stage.command([*stage.entrypoint, *words]),
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def done(process: subprocess.Popen[str], code: int = 0) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, (process.args, out, err)
    return out


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


def healthcheck(role: str) -> list[str]:
    """The one in compose.yaml."""
    compose = YAML(typ="safe").load(DOCKER / "compose.yaml")
    words: list[str] = compose["services"][role]["healthcheck"]["test"]
    assert words[:2] == ["CMD", "ipai-entrypoint"]
    return words[2:]


def test_the_image_is_what_it_should_be(stage: Any, start: Any) -> None:
    assert stage.user == f"{UID}:{UID}"
    assert done(start("id", "-u")).strip() == str(UID)
    assert done(start("sh", "-c", "touch /opt/ipai/x /usr/local/x 2>/dev/null || echo refused")).strip() == "refused"
    assert done(start("sh", "-c", "touch /tmp/x /var/lib/ipai/x && echo written")).strip() == "written"
    assert "3.12" in done(start("python", "--version"))
    plugins = done(start("sh", "-c", "ls /opt/ipai/home/plugins")).split()
    assert {name.rpartition("-")[0] for name in plugins} == {"tap-odoo", "target-postgres"}
    # The native scanner was compiled where there was a compiler.
    assert "_target_postgres_scan.so" in done(
        start("find", "/opt/ipai/home/plugins", "-name", "_target_postgres_scan.so")
    )


def test_from_an_empty_database_to_rows(
    stage: Any, start: Any, database: str, create_database: Callable[..., Any]
) -> None:
    assert "needs" not in done(start("ipai", "health"), 6)
    done(start("ipai", "init"))
    assert done(start("ipai", "health")).count("ok") == 2
    source = create_database()
    demo = ROOT / "orchestrator" / "ipai" / "demo" / "source"
    with psycopg.connect(source.url) as connection:
        connection.execute("set ipai.today = '2026-01-31'")
        for name in ("schema.sql", "seed.sql"):
            connection.execute(demo.joinpath(name).read_bytes())
    specs = stage.root / "var/lib/ipai/specs"
    specs.mkdir()
    config = {**source.tap_config(), "db_password": "${env:ODOO_DB_PASSWORD}", "db_sslmode": "prefer"}
    spec = {
        "kind": "instance", "name": "test_odoo", "source": {"connector": "odoo", "config": config},
        "destination": {"connector": "postgres"}, "streams": ["res_partner", "account_move"],
    }  # fmt: skip
    (specs / "test_odoo.yaml").write_text(json.dumps(spec))
    done(start("ipai", "apply", "/var/lib/ipai/specs"))
    scheduler = start("ipai", "scheduler", "--json", "--metrics-host", "127.0.0.1", "--metrics-port", "0")
    worker = start("ipai", "worker", "--json", ODOO_DB_PASSWORD=str(source.parts["password"]))
    for role in ("scheduler", "worker"):
        until(lambda role=role: start(*healthcheck(role)).wait(60) == 0)
    ended = json.loads(done(start("ipai", "run", "test_odoo", "--detach", "--wait", "--json")))
    assert ended["status"] == "succeeded"
    with psycopg.connect(database) as bronze, psycopg.connect(source.url) as odoo:
        for table, column in (("res_partner", "name"), ("account_move", "name")):
            query = sql.SQL("select id, {} from {} order by id")
            there = odoo.execute(query.format(sql.Identifier(column), sql.Identifier(table))).fetchall()
            loaded = bronze.execute(
                query.format(sql.Identifier(column), sql.Identifier("bronze", f"raw_odoo_{table}"))
            ).fetchall()
            assert len(there) > 5
            assert loaded == there
    for process in (worker, scheduler):
        process.terminate()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        lines = [json.loads(line) for line in err.splitlines()]
        assert all({"at", "level", "message"} <= line.keys() for line in lines)
    assert start(*healthcheck("worker")).wait(60) == 1
    assert sorted(path.name for path in (stage.root / "tmp").iterdir() if path.name != "x") == []
