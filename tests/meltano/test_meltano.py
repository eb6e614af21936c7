"""Our taps and our target in a real Meltano project, unchanged: `meltano run` twice, values read back.

Meltano is installed into an environment of its own; the plugins are those of this one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parents[2] / "taps" / "tap-github" / "tests"))

from fake_github import TOKEN, FakeGitHub
from truth import truth

MELTANO = "meltano==4.4.0"
BIN = Path(sys.executable).parent
KEYS = {"issues": ("id",), "commits": ("repo_id", "sha"), "reviews": ("id",), "labels": ("id",)}
MANIFEST = {
    "version": 1,
    "base_url": "${config.url}",
    "settings": {"url": {"required": True}, "token": {"secret": True, "required": True}},
    "auth": {"kind": "bearer", "token": "${config.token}"},
    "pagination": {"kind": "link_header", "size": 100, "size_param": "per_page"},
    "streams": [
        {
            "name": "rest_issues",
            "path": "/repos/acme-0/repo-1/issues",
            "params": {"state": "all", "sort": "updated", "direction": "asc"},
            "primary_key": ["id"],
            "incremental": {"cursor": "updated_at", "order": "asc", "start": {"name": "since"}},
        }
    ],
}


@pytest.fixture(scope="session")
def meltano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command."""
    home = tmp_path_factory.mktemp("meltano-environment") / "venv"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
    environment = {name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"}
    install = ["uv", "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), MELTANO, "setuptools<81"]
    subprocess.run(install, check=True, env=environment)
    return home / "bin" / "meltano"


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub(seed=3, repositories=3, events=300) as fake:
        yield fake


class Project:
    """A Meltano project with our plugins, as `meltano add` would leave it."""

    def __init__(self, meltano: Path, folder: Path, url: str, github: FakeGitHub) -> None:
        self._meltano, self._folder, self._url = meltano, folder, url
        self._call("init", "--no-usage-stats", str(folder), cwd=folder.parent)
        place = conninfo_to_dict(url)
        rest = {
            "manifest_path": "api.yaml",
            "settings": {"url": github.url, "token": TOKEN},
            "infer_cache_path": "types.json",
        }
        (folder / "api.yaml").write_text(yaml.safe_dump(MANIFEST))
        plugins = {
            "extractors": [
                self._plugin(
                    "tap-github", organizations=["acme-0"], auth_token=TOKEN, api_url=github.url, requests_per_second=0
                ),
                self._plugin("tap-rest-api", **rest),
            ],
            "loaders": [
                self._plugin(
                    "target-postgres", host=place["host"], port=int(place["port"]), user=place["user"],
                    password=place.get("password", ""), database=place["dbname"], default_target_schema="bronze",
                    sanitize_null_text_characters=True,
                )
            ],
        }  # fmt: skip
        plugins["extractors"][0]["select"] = [f"{stream}.*" for stream in KEYS]
        (folder / "meltano.yml").write_text(
            json.dumps({
                "version": 1, "send_anonymous_usage_stats": False, "default_environment": "dev",
                "environments": [{"name": "dev"}], "plugins": plugins,
            })
        )  # fmt: skip

    def run(self, *blocks: str) -> str:
        return self._call("run", *blocks, cwd=self._folder)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._url) as connection:
            return connection.execute(query).fetchall()

    def _plugin(self, name: str, **config: Any) -> dict[str, Any]:
        kind = {"capabilities": ["catalog", "discover", "state"]} if name.startswith("tap") else {}
        settings = [{"name": each, **({"kind": "array"} if isinstance(config[each], list) else {})} for each in config]
        executable = str(BIN / name)
        return {"name": name, "namespace": name.replace("-", "_"), "executable": executable, "config": config,
                "settings": settings, **kind}  # fmt: skip

    def _call(self, *arguments: str, cwd: Path) -> str:
        done = subprocess.run(
            [str(self._meltano), *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=300,
            env={**os.environ, "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false", "NO_COLOR": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def project(meltano: Path, tmp_path: Path, database: str, github: FakeGitHub) -> Project:
    return Project(meltano, tmp_path / "project", database, github)


def test_github(project: Project, github: FakeGitHub) -> None:
    for change in (0, 30):
        github.mutate(change)
        project.run("tap-github", "target-postgres")
        for stream, keys in KEYS.items():
            rows = project.rows(f"select {', '.join(keys)} from bronze.{stream}")
            assert sorted(rows) == sorted(truth(github, stream)), stream
    # The bookmark that Meltano keeps is the one that the tap goes on from: an unchanged run brings nothing.
    before = project.rows("select max(_sdc_sequence) from bronze.issues")
    project.run("tap-github", "target-postgres")
    assert project.rows("select max(_sdc_sequence) from bronze.issues") == before


def test_rest_api(project: Project, github: FakeGitHub) -> None:
    (repository,) = (each for each in github.repositories if each.url.endswith("/repo-1"))
    for change in (0, 30):
        github.mutate(change, repository=repository)
        project.run("tap-rest-api", "target-postgres")
        rows = dict(
            project.rows('select id, to_char(updated_at, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\') from bronze.rest_issues')
        )
        assert rows == {issue["id"]: issue["updated_at"] for issue in repository.issues.values()}
