from __future__ import annotations

from pathlib import Path

import pytest

from ipai.errors import SpecError
from ipai.resources import resource
from ipai.specs import ScheduleSpec, StreamRule, builtin_connectors, load_catalogs

INSTANCE = """\
kind: instance
name: prod_odoo
source:
  connector: odoo
destination:
  connector: postgres
"""


def problems(folder: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_catalogs(folder)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


def write(folder: Path, text: str, name: str = "a.yaml") -> Path:
    (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: [unclosed\n", "a.yaml:2: not valid YAML: while parsing a flow sequence"),
        ("kind: a\nkind: b\n", "a.yaml:2: not valid YAML: while constructing a mapping, found duplicate key"),
        (INSTANCE + "description: a\0b\n", "a.yaml:7: not valid YAML: unacceptable character #x0000"),
        (INSTANCE + 'sla_tier: "a\\0b"\n', "a.yaml:7: sla_tier: it holds a character that cannot be stored, U+0000"),
        (INSTANCE + 'streams:\n  - "\\ud83d"\n', "a.yaml:8: streams.0: it holds a character that cannot be stored, U"),
        (INSTANCE.replace("connector: odoo", "connector: odoo\n  config: {a: 1,\n    b: .nan}"),
         "a.yaml:6: source.config.b: nan is no number in JSON"),
        (INSTANCE.replace("connector: odoo", "connector: odoo\n  config: {a: [1, 1e999]}"),
         "a.yaml:5: source.config.a.1: inf is no number in JSON"),
        (INSTANCE + "streams:\n  [" + "[" * 5000 + "]" * 5001, "a.yaml:8: not valid YAML: nested deeper than 100"),
        (INSTANCE + "x: " + "{a: " * 3000 + "}" * 3000, "a.yaml:7: not valid YAML: nested deeper than 100 levels"),
        ("---\n&all [*all]\n", "a.yaml:2: 0: it contains itself"),
        ("- 1\n", "a.yaml:1: a spec is a mapping"),
        ("kind: thing\n", "a.yaml:1: kind: 'thing' is not one of"),
        ("name: x\n", "a.yaml:1: (top): 'kind' is missing"),
        (INSTANCE + "schedul: x\n", "a.yaml:7: schedul: unknown key; did you mean 'schedule'?"),
        (INSTANCE + "schedule: daily\n", "a.yaml:7: schedule: 'daily' does not match"),
        (INSTANCE + "streams: account_move\n", "a.yaml:7: streams: 'account_move' is not of type 'array'"),
        (
            INSTANCE + "streams:\n  - stream: a\n    replication_method: FULL\n",
            "a.yaml:9: streams.0.replication_method: 'FULL' is not one of",
        ),
        (INSTANCE + "drift: stop\n", "a.yaml:7: drift: 'stop' is not one of ['apply', 'pause', 'fail']"),
        (INSTANCE + "drift: {remove: fail}\n", "a.yaml:7: drift.remove: unknown key; did you mean 'removed'?"),
        (INSTANCE + "drift: {removed: stop}\n", "a.yaml:7: drift.removed: 'stop' is not one of"),
        (INSTANCE.replace("prod_odoo", "prod_shop"), "a.yaml:2: name: must be <env>_<source>, here ending in _odoo"),
        (
            INSTANCE.replace("connector: odoo", "connector: odo"),
            "a.yaml:4: source.connector: no connector 'odo'; did you mean 'odoo'?",
        ),
        (INSTANCE.replace("connector: odoo", "connector: postgres").replace("prod_odoo", "prod_postgres"),
         "a.yaml:4: source.connector: 'postgres' is a destination, not a source"),
        (
            INSTANCE.replace("connector: odoo", "connector: odoo\n  config:\n    db_password: hunter2"),
            "a.yaml:6: source.config.db_password: a secret must not stand here; write ${secret:NAME} or ${env:NAME}",
        ),
    ],
)  # fmt: skip
def test_every_problem_names_file_line_and_key(tmp_path: Path, text: str, expected: str) -> None:
    found = problems(write(tmp_path, text))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(INSTANCE.encode() + b"description: caf\xe9\n")
    assert problems(tmp_path) == ["a.yaml:7: not valid YAML: a byte 0xe9 that is no UTF-8"]


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, INSTANCE + "one: 1\ntwo: 2\n", "a.yaml")
    write(tmp_path, "kind: nonsense\n", "b.yml")
    assert [line.split(": ")[0] for line in problems(tmp_path)] == ["a.yaml:7", "a.yaml:8", "b.yml:1"]


def test_a_secret_never_appears_in_a_complaint_about_it(tmp_path: Path) -> None:
    text = INSTANCE.replace("connector: odoo", "connector: odoo\n  config:\n    db_password: hunter2")
    assert not any("hunter2" in line for line in problems(write(tmp_path, text)))


def test_two_instances_that_would_share_tables_are_refused(tmp_path: Path) -> None:
    write(tmp_path, INSTANCE)
    write(tmp_path, INSTANCE.replace("prod", "test"), "b.yaml")
    assert problems(tmp_path)[0].startswith(
        "b.yaml:5: destination: 'test_odoo' and 'prod_odoo' would load into the same"
    )
    write(tmp_path, INSTANCE.replace("prod", "test") + "  config: {default_target_schema: bronze_test}\n", "b.yaml")
    assert sorted(load_catalogs(tmp_path).instances) == ["prod_odoo", "test_odoo"]


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, INSTANCE)
    write(tmp_path, INSTANCE + "  config: {default_target_schema: other}\n", "b.yaml")
    assert "b.yaml:2: name: 'prod_odoo' is declared already" in problems(tmp_path)[0]


def test_a_valid_folder_becomes_values(tmp_path: Path) -> None:
    write(
        tmp_path, INSTANCE + 'streams: ["a*", {stream: b, exclude: [c]}]\nschedule: "0 * * * *"\nsla_tier: critical\n'
    )
    instance = load_catalogs(tmp_path).instances["prod_odoo"]
    assert instance.streams == (StreamRule("a*"), StreamRule("b", exclude=frozenset({"c"})))
    assert (instance.schedules, instance.sla_tier) == ((ScheduleSpec("0 * * * *"),), "critical")


def test_dates_and_numbers_in_settings_stay_json(tmp_path: Path) -> None:
    settings = "\n  config:\n    start_date: 2026-01-31\n    db_port: 5433\n    off: no"
    write(tmp_path, INSTANCE.replace("connector: odoo", "connector: odoo" + settings))
    config = load_catalogs(tmp_path).instances["prod_odoo"].source.config
    assert config == {"start_date": "2026-01-31", "db_port": 5433, "off": "no"}


def test_a_broken_catalog_json_is_found(tmp_path: Path) -> None:
    write(tmp_path, INSTANCE)
    (tmp_path / "catalog.json").write_text('{"streams": [{"tap_stream_id": "a", "schema": {"properties": {}}}]}')
    assert problems(tmp_path) == ["catalog.json: a: its schema has no properties"]
    (tmp_path / "catalog.json").write_text("[]")
    assert problems(tmp_path) == ["catalog.json: this is JSON without a list of streams, so no Singer catalog"]


def test_a_folder_without_specs_is_a_mistake_not_an_empty_plan(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"{tmp_path}: there is no spec in this folder"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert problems(tmp_path / "gone") == [f"{tmp_path}/gone: no such file or folder"]


def test_the_repositorys_own_catalogs_are_valid_and_their_plugins_exist() -> None:
    catalogs = load_catalogs(resource("catalogs"))
    assert "prod_odoo" in catalogs.instances
    for connector in builtin_connectors().values():
        for item in connector.plugin.install:
            assert (Path(item) / "pyproject.toml").is_file()
