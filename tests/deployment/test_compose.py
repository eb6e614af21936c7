"""The files in integrations/docker and docs/deployment.md, held against the command line and the code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from ipai import pipeline
from ipai.cli import main

if TYPE_CHECKING:
    import click

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "integrations" / "docker"
COMPOSE = {path.name: YAML(typ="safe").load(path) for path in sorted(DOCKER.glob("compose*.yaml"))}
SERVICES = [(file, name) for file, document in COMPOSE.items() for name in document["services"] if name != "postgres"]
DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")


def service(file: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE[file]["services"][name]
    return found


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, those over several lines in one."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def parse(command: list[str]) -> click.Context:
    """What click makes of a command line of `ipai`, without running it."""
    name, *rest = [re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", word) for word in command]
    return main.commands[name].make_context(name, rest)


def test_both_variants_have_the_same_services() -> None:
    assert COMPOSE.keys() == {"compose.yaml", "compose.supabase.yaml"}
    assert set(COMPOSE["compose.yaml"]["services"]) - {"postgres"} == set(COMPOSE["compose.supabase.yaml"]["services"])


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_every_command_and_healthcheck_is_one_of_ipai(file: str, name: str) -> None:
    found = service(file, name)
    command = [*found.get("entrypoint", ["ipai-entrypoint"])[1:], *found["command"]]
    assert command[0] == "ipai"
    assert parse(command[1:]).command.name == (name if name != "ipai" else "status")
    if name in {"scheduler", "worker"}:
        test = found["healthcheck"]["test"]
        # Only through the entrypoint does a healthcheck see what comes as a file.
        assert test[:3] == ["CMD", "ipai-entrypoint", "ipai"]
        assert parse(test[3:]).params["role"] == name
        assert "as_json" in parse(command[1:]).params


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_nobody_has_more_rights_than_needed(file: str, name: str) -> None:
    found = service(file, name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found
    assert "ports" not in found
    assert found["init"] is True


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_stopping_leaves_a_pipeline_its_grace(file: str, name: str) -> None:
    seconds = int(service(file, name)["stop_grace_period"].removesuffix("s"))
    grace = next(each.default for each in pipeline.Pipeline.__dataclass_fields__.values() if each.name == "grace")
    assert seconds >= grace + 15


@pytest.mark.parametrize("file", COMPOSE)
def test_migrations_come_first_and_what_serves_comes_back(file: str) -> None:
    for name in ("scheduler", "worker"):
        found = service(file, name)
        assert found["depends_on"]["init"]["condition"] == "service_completed_successfully"
        assert found["restart"] == "unless-stopped"
    assert service(file, "init")["restart"].startswith("on-failure")
    assert "container_name" not in service(file, "worker")  # it could not be scaled


@pytest.mark.parametrize("file", COMPOSE)
def test_no_secret_stands_in_a_file(file: str) -> None:
    document = COMPOSE[file]
    for name, found in document["services"].items():
        for variable, value in found.get("environment", {}).items():
            given = str(value)
            is_secret = re.search(r"PASSWORD|DATABASE_URL|KEY|TOKEN", variable)
            assert not is_secret or given.startswith(("/run/secrets/", "${")), (name, variable)
            if given.startswith("/run/secrets/"):
                assert given.rpartition("/")[2] in found["secrets"], (name, variable)
    used = {secret for found in document["services"].values() for secret in found.get("secrets", [])}
    assert used == set(document.get("secrets", {}))


@pytest.mark.parametrize("file", COMPOSE)
def test_ipais_variables_are_known(file: str) -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "orchestrator" / "ipai").rglob("*.py"))
    for name, found in COMPOSE[file]["services"].items():
        for variable in found.get("environment", {}):
            if variable.startswith("IPAI_"):
                assert variable.removesuffix("_FILE") in code, (name, variable)


def test_the_dockerfile_ends_without_rights_and_copies_what_is_there() -> None:
    parts = instructions()
    stages = [index for index, (word, _) in enumerate(parts) if word == "FROM"]
    assert len(stages) == 2
    final = parts[stages[-1] :]
    (user,) = [rest for word, rest in final if word == "USER"]
    assert user == "10001:10001"
    assert not any("apt-get" in rest or "pip install" in rest for word, rest in final if word == "RUN")
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    assert [path for path in kept if not (ROOT / path).exists()] == []
    for word, rest in parts:
        if word == "COPY" and "--from" not in rest and not rest.startswith("."):
            source = next(part for part in rest.split() if not part.startswith("--"))
            assert (ROOT / source).exists()
            assert source in kept
    # Whatever the wheel of `ipai` carries has to be in the build's context.
    carried = re.findall(
        r'^"\.\./([^"]+)" = "ipai/_resources', (ROOT / "orchestrator/pyproject.toml").read_text(), re.MULTILINE
    )
    assert set(carried) <= set(kept)


def test_the_dockerfile_installs_connectors_that_exist() -> None:
    from ipai.specs import builtin_connectors

    (default,) = re.findall(r'ARG CONNECTORS="([^"]*)"', DOCKERFILE)
    assert set(default.split()) <= set(builtin_connectors())
    for document in COMPOSE.values():
        arguments = document["x-ipai"]["build"]["args"]
        assert arguments == {"CONNECTORS": f"${{IPAI_CONNECTORS:-{default}}}"}


def entrypoint(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", DOCKER / "entrypoint.sh", *command], env={"PATH": os.environ["PATH"], **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_entrypoint_reads_secrets_from_files(tmp_path: Path) -> None:
    """On a copy of the script that looks for secrets in the test's own folder."""
    secret = "p@ss 'w\"ord$(id)`id` \\ ü"
    (tmp_path / "url").write_text(f"{secret}\n")
    script = tmp_path / "entrypoint.sh"
    script.write_text((DOCKER / "entrypoint.sh").read_text().replace("/run/secrets/", f"{tmp_path}/"))
    done = subprocess.run(
        ["sh", script, "sh", "-c", 'printf %s "$IPAI_DATABASE_URL"; printf "|%s|" "${SSL_CERT:-}" "$@"', "x", "a b"],
        env={"PATH": os.environ["PATH"], "IPAI_DATABASE_URL_FILE": f"{tmp_path}/url", "SSL_CERT_FILE": "/etc/cert.pem"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{secret}||" + "|a b|"


def test_the_entrypoint_says_which_secret_is_missing() -> None:
    done = entrypoint("true", IPAI_DATABASE_URL_FILE="/run/secrets/nothing_here")
    assert done.returncode == 78
    assert "/run/secrets/nothing_here, which IPAI_DATABASE_URL_FILE names, cannot be read" in done.stderr


def test_the_entrypoint_becomes_the_command() -> None:
    """No shell stays in between: signals reach `ipai` itself."""
    done = entrypoint("sh", "-c", 'test "$(cat /proc/$$/comm)" = sh && tr "\\0" " " < /proc/$$/cmdline')
    assert done.stdout.startswith("sh -c test")


def test_the_units_of_the_guide_call_commands_that_exist() -> None:
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    calls = re.findall(r"^(?:ExecStart|ExecStartPre)=\S*/ipai (.+)$", text, re.MULTILINE)
    assert calls
    for call in calls:
        parse(shlex.split(call))
    grace = [int(seconds) for seconds in re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)]
    assert grace
    assert min(grace) >= 45
