"""The command line itself: help, JSON on every command, exit codes, errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from ipai.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ipai.service import Platform


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = dict(commands(main))


@pytest.fixture
def ipai(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def run(*arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's name
        options = ["--home", str(platform.home), "--database", platform.url]
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        return CliRunner().invoke(main, [*options, *arguments], input=input, catch_exceptions=False)

    return run


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_and_json(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    assert any("--json" in parameter.opts for parameter in command.params)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "as_json":
            assert parameter.help or isinstance(parameter.type, click.Choice), parameter.name


def test_help_teaches_the_first_steps_and_the_exit_codes() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    assert "ipai demo" in text
    assert "  5    A tap or a target failed" in text


def test_an_instance_from_apply_to_logs(ipai: Callable[..., Result], declare: Any) -> None:
    name = declare({})
    listed = json.loads(ipai("list", "--json").stdout)
    assert listed[0]["latest_run"] is None
    assert "never ran" in ipai("list").stdout
    assert "2 of 2 streams selected" in ipai("check", name).stdout
    assert json.loads(ipai("discover", name, "--json").stdout)["streams"][0]["stream"] == "orders"
    ran = ipai("run", name)
    assert ran.exit_code == 0
    assert "succeeded: 8 rows" in ran.stdout
    assert json.loads(ipai("status", name, "--json").stdout)[0]["run"]["status"] == "succeeded"
    assert "succeeded" in ipai("status").stdout
    assert "the secret is None" in ipai("logs", name).stdout
    again = json.loads(ipai("run", name, "--json").stdout)
    assert again["run"]["status"] == "succeeded"


def test_state_get_set_clear_export_import(ipai: Callable[..., Result], declare: Any) -> None:
    name = declare({})
    ipai("run", name)
    assert json.loads(ipai("state", "get", name).stdout) == {"bookmarks": {"orders": {"id": 5}, "items": {"id": 3}}}
    assert json.loads(ipai("state", "get", name, "--stream", "items").stdout) == {"id": 3}
    ipai("state", "set", name, "items", '{"id": 1}')
    ipai("state", "clear", name, "--stream", "orders")
    assert json.loads(ipai("state", "get", name).stdout) == {"bookmarks": {"items": {"id": 1}}}
    exported = ipai("state", "export", name, "--format", "meltano").stdout
    assert json.loads(exported) == {"singer_state": {"bookmarks": {"items": {"id": 1}}}}
    ipai("state", "clear", name)
    assert json.loads(ipai("state", "get", name).stdout) == {}
    ipai("state", "import", name, "-", input=exported)
    assert json.loads(ipai("state", "get", name).stdout) == {"bookmarks": {"items": {"id": 1}}}
    assert ipai("state", "get", name, "--stream", "gone").exit_code == 4
    assert ipai("state", "set", name, "items", "nonsense").exit_code == 3


def test_apply_shows_its_plan_and_prunes_only_when_asked(
    ipai: Callable[..., Result], tmp_path: Path, platform: Platform
) -> None:
    spec = tmp_path / "specs" / "prod_odoo.yaml"
    spec.parent.mkdir()
    text = "kind: instance\nname: prod_odoo\nsource: {connector: odoo}\ndestination: {connector: postgres}\n"
    spec.write_text(text)
    assert "Nothing has been changed" in ipai("apply", str(spec.parent), "--plan").stdout
    assert platform.instances() == []
    changes = json.loads(ipai("apply", str(spec.parent), "--json").stdout)["changes"]
    assert {(each["kind"], each["name"], each["action"]) for each in changes} == {
        ("connector", "odoo", "create"), ("connector", "postgres", "create"), ("instance", "prod_odoo", "create"),
    }  # fmt: skip
    assert "Nothing to change." in ipai("apply", str(spec.parent)).stdout
    spec.write_text(text + "schedule: '0 * * * *'\n")
    (change,) = [
        each for each in json.loads(ipai("apply", str(spec.parent), "--json").stdout)["changes"]
        if each["action"] == "update"
    ]  # fmt: skip
    assert (change["name"], change["keys"]) == ("prod_odoo", ["schedule"])
    spec.rename(tmp_path / "specs" / "other.yaml")
    (tmp_path / "specs" / "other.yaml").write_text(text.replace("prod", "test"))
    assert "not in folder" in ipai("apply", str(spec.parent)).stdout
    ipai("apply", str(spec.parent), "--prune")
    assert [instance.name for instance, _ in platform.instances()] == ["test_odoo"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run", "nothing_here"), 4, "No instance 'nothing_here'."),
        (("validate", "/nonexistent/specs"), 3, "no such file or folder"),
        (("logs", "nothing_here"), 4, "No instance"),
        (("run",), 2, "Missing argument 'NAME'"),
        (("local", "url"), 6, "the embedded one is not in use"),
    ],
)
def test_errors_say_what_and_what_next(
    ipai: Callable[..., Result], arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = ipai(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_an_error_in_json(ipai: Callable[..., Result]) -> None:
    result = ipai("run", "nothing_here", "--json")
    assert result.exit_code == 4
    assert json.loads(result.stdout)["error"]["code"] == "not_found"


def test_a_failed_run_in_json_tells_the_cause(ipai: Callable[..., Result], declare: Any) -> None:
    result = ipai("run", declare({"fail_after": ["orders", 2], "how": "exit"}), "--json")
    assert result.exit_code == 5
    details = json.loads(result.stdout)["error"]["details"]
    assert (details["side"], details["exit_code"], details["stream"]) == ("tap", 7, "orders")
    assert details["tail"][-1] == "CRITICAL stream orders: the source went away"


def test_cleaning_up_a_demo_that_is_not_there_touches_nothing(tmp_path: Path) -> None:
    mine = tmp_path / "demo" / "thesis"
    mine.mkdir(parents=True)
    (mine / "chapter.txt").write_text("precious")
    result = CliRunner().invoke(main, ["--home", str(tmp_path), "demo", "--clean"])
    assert "There is no demo" in result.stdout
    assert (mine / "chapter.txt").read_text() == "precious"


def test_what_nobody_foresaw_is_a_sentence_too(tmp_path: Path, ipai: Callable[..., Result], declare: Any) -> None:
    (tmp_path / "state.json").write_bytes(b"\xff\xfe")
    result = ipai("state", "import", declare({}), str(tmp_path / "state.json"))
    assert result.exit_code == 1
    assert "UnicodeDecodeError" in result.stderr
    assert "IPAI_DEBUG=1" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("cancel", "99999999999999999999"),
        ("quota", "set", "x", "99999999999"),
        ("logs", "x", "--run", "99999999999999999999"),
        ("run", "x", "--wait"),
    ],
)
def test_what_cannot_be_is_a_mistake_of_the_command_line(
    ipai: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    """A number that was too large used to be taken for a database that was too old."""
    assert ipai(*arguments).exit_code == 2
