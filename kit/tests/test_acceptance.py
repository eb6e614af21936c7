"""The judge judged: targets that are right, wrong, early, silent or dead, on a destination of JSON files."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
import textwrap
import uuid
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from singer_kit.testing.acceptance import SCENARIOS, Kind, Outcome, Stored, TargetCommand, judge, judge_all
from singer_kit.testing.acceptance.__main__ import main
from singer_kit.testing.acceptance.messages import INTEGER, TEXT, BatchMessage, encoded, record, schema, state
from singer_kit.testing.acceptance.parametrize import parametrize
from singer_kit.testing.acceptance.postgres import PostgresDestination
from singer_kit.testing.acceptance.report import written
from singer_kit.testing.acceptance.scenario import dead, loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.values import Either, JsonNull, Present, Raw, Repeated, from_json, same, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UTC = dt.timezone.utc

# A target for JSON files. Its `behaviour` is what a test says it does wrong.
TARGET = """
import json, os, sys, time

config = json.load(open(sys.argv[2]))
behaviour = config.get("behaviour")
rows = {}
time.sleep(config.get("start_seconds", 0))

def commit():
    for stream, found in rows.items():
        path = os.path.join(config["folder"], stream + config.get("suffix", "") + ".json")
        with open(path + ".new", "w") as file:
            json.dump(list(found.values()), file)
        os.replace(path + ".new", path)

for number, line in enumerate(sys.stdin, 1):
    try:
        message = json.loads(line)
    except ValueError:
        if behaviour == "traceback":
            raise
        sys.exit("INFO orders" if behaviour == "mute" else f"CRITICAL Line {number} is broken")
    kind = message["type"]
    if kind == "SCHEMA":
        keys = message["key_properties"]
        rows.setdefault(message["stream"], {})
    elif kind == "RECORD":
        row = message["record"]
        if behaviour == "rounds":
            row = {name: round(value) if isinstance(value, float) else value for name, value in row.items()}
        if behaviour == "renames":
            row = {name + "_": value for name, value in row.items()}
            rows[message["stream"]][row["id_"]] = row
        else:
            rows[message["stream"]][row["id"]] = row
    elif kind == "STATE":
        if behaviour != "early":
            commit()
        if behaviour != "silent":
            print(json.dumps(message["value"] if behaviour != "invents" else {"other": 1}), flush=True)
if behaviour == "hangs":
    time.sleep(60)
if behaviour == "kills itself":
    os.kill(os.getpid(), 9)
if behaviour == "early":
    time.sleep(0.5)
if behaviour != "forgets":
    commit()
"""


@dataclass(frozen=True)
class Folder:
    """A place of JSON files."""

    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {"folder": str(self.folder)}

    def names_of(self, stream: str) -> tuple[str, ...]:
        return (stream,)

    def tables(self) -> dict[str, Stored]:
        found = {}
        for path in self.folder.glob("*.json"):
            rows = from_json(path.read_text())
            found[path.stem] = Stored({name: "other" for row in rows for name in row}, rows)
        return found

    def make_view(self, name: str, table: str, columns: tuple[str, ...]) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Folders:
    folder: Path
    offers: frozenset[str] = frozenset()

    @contextlib.contextmanager
    def open(self) -> Iterator[Folder]:
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        yield Folder(folder)


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> TargetCommand:
    script = tmp_path / "target.py"
    script.write_text(textwrap.dedent(TARGET))
    return TargetCommand((sys.executable, str(script)), timeout_seconds=20)


ORDERS = schema("orders", {"id": INTEGER, "v": TEXT})
ONE, TWO = {"id": 1, "v": 1.5}, {"id": 2, "v": "b"}
LINES = (ORDERS, record("orders", ONE), record("orders", TWO), state({"id": 2}))
LOADS = scenario("loads", "", run(*LINES, endings=loaded(table("orders", ONE, TWO))))
BREAKS = scenario(
    "breaks", "", run(*LINES, "broken", endings=refused("line 5", tables=(table("orders", ONE, TWO),), state={"id": 2}))
)
FORGIVES = scenario("forgives", "", run(*LINES, "broken", endings=loaded(table("orders", ONE, TWO))))
REFUSES = scenario("refuses", "", run(*LINES, endings=refused("orders")))
COVERED = scenario("covered", "", run(*LINES, covers="orders", endings=loaded(table("orders", ONE, TWO))))
ACCEPTS = scenario("accepts", "", run(*LINES, endings=(refused("orders"), loaded(table("orders", TWO, others=True)))))
KILLED = scenario("killed", "", run(*LINES, hold_seconds=0.5, kill=True, endings=dead(table("orders", ONE, TWO))))
READ = scenario("read", "", run(*LINES, hold_seconds=0.5, meanwhile=(table("orders", ONE),), endings=loaded()))
AGAIN = scenario("again", "", LOADS.runs[0], replace(LOADS.runs[0], endings=(loaded(table("orders", ONE)),)))
VIEWED = scenario("viewed", "", *LOADS.runs, needs=frozenset({"views"}))


@pytest.mark.parametrize(
    ("chosen", "behaviour", "kind", "detail"),
    [
        (LOADS, None, Kind.PASSED, ""),
        (BREAKS, None, Kind.PASSED, ""),
        (COVERED, None, Kind.PASSED, ""),
        (ACCEPTS, None, Kind.PASSED, ""),
        (KILLED, None, Kind.PASSED, ""),
        (LOADS, "renames", Kind.PASSED, ""),  # names are the target's business
        (LOADS, "rounds", Kind.WRONG, "row {id: 1}: v is 2 instead of 1.5"),
        (LOADS, "forgets", Kind.PASSED, ""),  # what it had committed at the STATE was all
        (LOADS, "silent", Kind.WRONG, "the last STATE is not printed"),
        (LOADS, "invents", Kind.WRONG, "no STATE of the input"),
        (LOADS, "hangs", Kind.HUNG, "killed after 2 seconds"),
        (FORGIVES, "traceback", Kind.CRASHED, "JSONDecodeError"),
        (FORGIVES, None, Kind.REFUSED, "Line 5 is broken"),
        (LOADS, "kills itself", Kind.CRASHED, "it said nothing"),
        (COVERED, "early", Kind.WRONG, "printed before its rows were there"),
        (BREAKS, "traceback", Kind.VAGUE, "does not name 'line 5'"),
        (BREAKS, "mute", Kind.VAGUE, "does not name 'line 5'"),
        (BREAKS, "silent", Kind.WRONG, "was to be the last printed"),
        (REFUSES, None, Kind.WRONG, "not refused"),
        (READ, None, Kind.WRONG, "while it ran: orders: 1 rows too many"),
        (AGAIN, None, Kind.WRONG, "run 2: orders: 1 rows too many, such as {id: 2"),
        (VIEWED, None, Kind.NOT_APPLICABLE, "views"),
    ],
)
def test_judge(chosen, behaviour, kind, detail, target, folders):
    seconds = 2 if behaviour == "hangs" else target.timeout_seconds
    target = replace(target, config={"behaviour": behaviour}, timeout_seconds=seconds)
    outcome = judge(chosen, target, folders)
    assert (outcome.kind, detail in outcome.detail) == (kind, True), outcome
    assert outcome.silent == (kind is Kind.WRONG and "broken" not in str(chosen.runs[0].lines))


def test_tables_and_columns_are_found_by_their_values(target, folders):
    rows = {"id": 1, "a": "value of a", "b": "value of b"}, {"id": 2, "a": "another a", "b": "another b"}
    shape = schema("orders", {"id": INTEGER, "a": TEXT, "b": TEXT})
    lines = (shape, *(record("orders", row) for row in rows))
    good = scenario("names", "", run(*lines, endings=loaded(table("orders", *rows))))
    target = replace(target, config={"behaviour": "renames", "suffix": "_1"})
    assert judge(good, target, folders).kind is Kind.PASSED
    mixed = {**rows[0], "b": "another b"}
    bad = scenario("names", "", run(*lines, endings=loaded(table("orders", mixed, rows[1]))))
    assert judge(bad, target, folders).kind is Kind.WRONG


def test_input_is_held_until_a_slow_target_has_read_it(target, folders):
    target = replace(target, config={"start_seconds": 2})
    assert judge(READ, target, folders).detail == "while it ran: orders: 1 rows too many, such as {id: 2, v: 'b'}"
    assert judge(KILLED, target, folders) == Outcome(Kind.PASSED)


def test_judge_all_keeps_the_order(target, folders):
    outcomes = list(judge_all([LOADS, REFUSES, BREAKS], target, folders, workers=2))
    assert [(each.name, outcome.kind) for each, outcome in outcomes] == [
        ("loads", Kind.PASSED),
        ("refuses", Kind.WRONG),
        ("breaks", Kind.PASSED),
    ]


def test_a_command_that_reads_no_input(folders, tmp_path):
    script = tmp_path / "deaf.py"
    script.write_text("import sys; sys.exit('no')")
    many = run(ORDERS, record("orders", {"id": 1, "v": Repeated("x", 1 << 22)}))
    outcome = judge(scenario("long", "", many), TargetCommand((sys.executable, str(script))), folders)
    assert outcome == Outcome(Kind.REFUSED, "no")


# Values

SAME = [
    (1, 1), (1, Decimal("1.0")), (Decimal("1.10"), Decimal("1.1")), (1.5, Decimal("1.5")), (None, None), ("a", "a"),
    (Decimal("NaN"), Decimal("NaN")), (True, True), (b"\0", b"\0"), (Either(1, "1"), "1"), (Present(), 0),
    (Repeated("ab", 2), "abab"), ({"a": [Decimal("1.1"), None]}, {"a": [Decimal("1.10"), None]}), ([1], "[1]"),
    (dt.datetime(2024, 1, 1, 12, tzinfo=UTC), dt.datetime(2024, 1, 1, 12)),  # noqa: DTZ001
    (dt.datetime(2024, 1, 1, 12, tzinfo=UTC), dt.datetime(2024, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1)))),
    (dt.time(10), dt.time(10, tzinfo=UTC)),
]  # fmt: skip
DIFFERENT = [
    (1, True), (True, 1), (True, "true"), (1, "1"), ("1", 1), (None, JsonNull()), (Present(), None),
    (Present(), JsonNull()), ({"a": 1}, {"a": True}), ({"a": 1}, {"a": 1, "b": 2}), ([1, 2], [1]), ([1], ["1"]),
    ({"a": None}, {}), (Decimal("0.1"), Decimal("0.1000000000000000055511151231257827")), ("a", "A"), ({}, []),
    (dt.date(2024, 1, 1), dt.datetime(2024, 1, 1)),  # noqa: DTZ001
    (dt.time(10), dt.time(10, tzinfo=dt.timezone(dt.timedelta(hours=2)))), ({}, None), ("{}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "stored"), SAME)
def test_same(expected, stored):
    assert same(expected, stored)


@pytest.mark.parametrize(("expected", "stored"), DIFFERENT)
def test_different(expected, stored):
    assert not same(expected, stored)


def test_json_keeps_digits_and_raw_text():
    value = {"a": [Decimal("1.10"), 10**30, Raw("NaN"), None, True], "é": Repeated("x", 3)}
    assert to_json(value) == '{"a":[1.10,1000000000000000000000000000000,NaN,null,true],"\\u00e9":"xxx"}'
    assert from_json('{"a":0.12345678901234567890}') == {"a": Decimal("0.12345678901234567890")}
    assert from_json("null") == JsonNull()


# Scenarios


def test_scenarios_are_complete_and_told_apart(tmp_path):
    assert len({each.id for each in SCENARIOS}) == len(SCENARIOS)
    for each in SCENARIOS:
        assert each.shows.endswith((".", "!")), each.id
        assert each.runs, each.id
        for line in (line for one in each.runs for line in one.lines):
            assert encoded(line, tmp_path)


def test_batch_messages_name_the_files_they_write(tmp_path):
    message = json.loads(encoded(BatchMessage("s", (({"id": 1},), ("broken",))), tmp_path))
    assert message["manifest"] == [(tmp_path / f"s-{number}.jsonl").as_uri() for number in (0, 1)]
    assert (tmp_path / "s-1.jsonl").read_text() == "broken\n"


def test_parametrize_marks_what_is_known_to_fail():
    mark = parametrize([LOADS, REFUSES], known={REFUSES.id: "why"})
    good, bad = mark.args[1]
    assert (good.id, list(good.marks)) == (LOADS.id, [])
    assert bad.marks[0].kwargs == {"strict": True, "reason": "why"}
    with pytest.raises(ValueError, match="nonsense"):
        parametrize([LOADS], known={"nonsense": "why"})


def test_report():
    scenarios = [replace(LOADS, group="one"), replace(BREAKS, group="two")]
    good, bad = (each.id for each in scenarios)
    wrong = Outcome(Kind.WRONG, "1\ninstead | of 2", silent=True)
    text = written(
        scenarios,
        {
            "ours": dict.fromkeys((good, bad), Outcome(Kind.PASSED)),
            "theirs": {good: wrong, bad: Outcome(Kind.NOT_APPLICABLE)},
        },
    )
    assert "| **all** | **2 of 2** | **0 of 1** |" in text
    assert "| wrong silently | 0 | 1 |" in text
    assert f"| {good} | ok | wrong silently |" in text
    assert f"- theirs, {good}: wrong silently. 1 instead | of 2" in text


# Postgres

ROW = """
select 1::smallint as i, 1.10::numeric as n, 0.1::float8 as f, true as b, 'x'::varchar as t, '\\xff00'::bytea as y,
    date '2024-01-02' as d, time '10:00:00.5' as h, timetz '10:00+02' as z, timestamp '2024-01-02 03:04:05.5' as s,
    timestamptz '2024-01-02 03:04:05+02' as w, 'infinity'::timestamptz as e, '{"a":1.10}'::jsonb as j,
    'null'::jsonb as l, array['a', null] as a, null::text as u, 'NaN'::numeric as q, time '24:00' as m
"""
READ_BACK = {
    "i": ("integer", 1),
    "n": ("decimal", Decimal("1.10")),
    "f": ("float", Decimal("0.1")),
    "b": ("boolean", True),
    "t": ("text", "x"),
    "y": ("bytes", b"\xff\0"),
    "d": ("date", dt.date(2024, 1, 2)),
    "h": ("time", dt.time(10, 0, 0, 500000)),
    "z": ("time", dt.time(10, tzinfo=dt.timezone(dt.timedelta(hours=2)))),
    "s": ("timestamp", dt.datetime(2024, 1, 2, 3, 4, 5, 500000)),  # noqa: DTZ001
    "w": ("timestamp", dt.datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)),
    "e": ("timestamp", "infinity"),
    "j": ("json", {"a": Decimal("1.10")}),
    "l": ("json", JsonNull()),
    "a": ("array", ["a", None]),
    "u": ("text", None),
    "m": ("time", "24:00:00"),
}


def test_reading_back_from_postgres(database: str):
    with PostgresDestination(database).open() as place, psycopg.connect(database, autocommit=True) as connection:
        assert place.tables() == {}
        name = place.settings["default_target_schema"]
        connection.execute(f'create schema "{name}"'.encode())
        connection.execute(f'create table "{name}"."Odd ""name" as {ROW}'.encode())
        place.make_view("seen", 'Odd "name', ("i", "t"))
        found = place.tables()
        stored = found['Odd "name']
        [row] = stored.rows
        assert {column: (stored.kinds[column], row[column]) for column in READ_BACK} == READ_BACK
        assert row["q"].is_nan()
        assert found["seen"] == Stored({"i": "integer", "t": "text"}, [{"i": 1, "t": "x"}], view=True)
    with psycopg.connect(database) as connection:
        [gone] = connection.execute("select count(*) from pg_namespace where nspname like 'acceptance%'").fetchone()
        assert gone == 0


def test_the_command_line(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    config = tmp_path / "config.json"
    config.write_text("{}")
    targets = ["--target", f"mute={sys.executable} -c 1", "--target", f"loud={sys.executable} -c 1/0"]
    argv = ["--postgres", database, "--config", str(config), *targets, "--only", "no input at all"]
    assert main(argv) == 1
    printed = capsys.readouterr().out
    assert "| messages: no input at all | ok | crashed |" in printed
    assert main([*argv[:6], "--only", "no input at all"]) == 0
