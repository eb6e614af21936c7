"""Every check can fail: a toy tap that is right passes all, and each way of being wrong fails just the check meant."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from singer_kit.testing.conformance import CHECKS, Kind, Subject, TapCommand, judge, judge_all
from singer_kit.testing.conformance.__main__ import main
from singer_kit.testing.conformance.bookmarks import bookmark_of, earlier
from singer_kit.testing.conformance.command import Interruption
from singer_kit.testing.conformance.parametrize import parametrize
from singer_kit.testing.conformance.report import as_table

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret-canary"

# A tap for numbered rows. Its `behaviour` is what a test says it does wrong.
TAP = r"""
import json, os, signal, sys, time

arguments = sys.argv[1:]
option = lambda name: json.load(open(arguments[arguments.index(name) + 1])) if name in arguments else None
config = option("--config") or {}
behaviour = config.get("behaviour", os.environ.get("BEHAVIOUR"))
SETTINGS = {"required": ["token"], "properties": {
    "token": {"type": "string", "description": "to sign in", "secret": behaviour != "calls nothing secret"},
    "behaviour": {"type": "string", "description": "what is wrong"}}}

def fail(text):
    if behaviour == "tracebacks":
        raise RuntimeError(text)
    sys.exit("CRITICAL " + text)

if "--version" in arguments:
    sys.exit(print("tap-toy" if behaviour == "nameless" else "tap-toy v1.2.3"))
if "--help" in arguments:
    sys.exit(print("--config --discover --catalog" + ("" if behaviour == "helpless" else " --state")))
if "--about" in arguments:
    if behaviour == "undescribed":
        del SETTINGS["properties"]["token"]["description"]
    sys.exit(print(json.dumps({"settings": SETTINGS})))
if "token" not in config:
    if behaviour == "lenient":
        config["token"] = "s3cret-canary"
    else:
        fail("a setting is missing" if behaviour == "vague" else "'token' is a required property")

nullable = lambda kind, **more: {"type": [kind, "null"], **more}
items = {"id": {"type": "integer"}, "name": nullable("string"), "size": nullable("number"),
         "updated_at": nullable("string", format="date-time")}
kinds = {"id": {"type": "integer"}, "name": nullable("string")}
entry = lambda name, properties, key, method: {
    "tap_stream_id": name, "stream": name, "key_properties": ["id"], "replication_key": key,
    "replication_method": method, "schema": {"type": "object", "properties": properties},
    "metadata": [{"breadcrumb": [], "metadata": {"inclusion": "available"}}] + [
        {"breadcrumb": ["properties", each], "metadata": {"inclusion": "automatic" if each == "id" else "available"}}
        for each in properties]}
catalog = {"streams": [entry("items", items, "updated_at", "INCREMENTAL"), entry("kinds", kinds, None, "FULL_TABLE")]}
first = catalog["streams"][0]
if behaviour == "unstable":
    catalog["at"] = time.time()
if behaviour == "invalid schema":
    first["schema"]["properties"]["name"] = {"type": "text"}
if behaviour == "stray metadata":
    first["metadata"].append({"breadcrumb": ["properties", "gone"], "metadata": {}})
if behaviour == "missing key":
    first["key_properties"] = ["number"]
if behaviour == "nullable key":
    items["id"] = nullable("integer")
if behaviour == "keyless":
    first["key_properties"] = []
if behaviour == "odd replication key":
    first["replication_key"] = "changed_at"
if behaviour == "strict":
    items["name"] = {"type": "string"}
if "--discover" in arguments:
    if behaviour == "prints its secret":
        print("token", config["token"], file=sys.stderr)
    sys.exit(print("no catalog" if behaviour == "mumbles" else json.dumps(catalog)))
if config["token"] != "s3cret-canary" and behaviour != "lenient":
    fail("not accepted" + (": " + config["token"] if behaviour == "prints a wrong secret" else ""))

catalog = option("--catalog") or catalog
state = option("--state") or {}
start = state.get("bookmarks", {}).get("items", {}).get("replication_key_value", "")
stopped = []

def stop(number, frame):
    if behaviour == "never ends":
        time.sleep(60)
    if behaviour == "ends as if done":
        os._exit(0)
    if behaviour == "cuts its line":
        os.write(1, b'{"type": "REC')
        os._exit(143)
    stopped.append(number)

signal.signal(signal.SIGTERM, stop)
if behaviour != "complains of pipes":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    if behaviour == "says all at the end":
        return
    sys.stdout.flush()
    if stopped:
        sys.exit(143)

def selected(entry, *breadcrumb):
    for each in entry["metadata"]:
        if each["breadcrumb"] == list(breadcrumb):
            return each["metadata"].get("selected", True)
    return True

def rows(name):
    for number in range(310 if name == "items" else 3):
        moment = "2024-01-01T%02d:%02d:00Z" % divmod(number, 60)
        row = {"id": number, "name": "row" + "." * 200, "size": number / 2, "updated_at": moment}
        yield row if name == "items" else {"id": number, "name": "kind"}

if behaviour == "reads nothing":
    sys.exit(say({"type": "STATE", "value": {"bookmarks": {}}}))
for entry in catalog["streams"]:
    name = entry["tap_stream_id"]
    if not selected(entry) and behaviour != "selects all":
        continue
    properties = {each: schema for each, schema in entry["schema"]["properties"].items()
                  if selected(entry, "properties", each) or behaviour == "selects every property"}
    schema = {"type": "SCHEMA", "stream": name, "key_properties": entry["key_properties"],
              "schema": {"type": "object", "properties": dict(properties)}}
    if behaviour == "other keys":
        schema["key_properties"] = []
    if behaviour == "more properties":
        schema["schema"]["properties"]["extra"] = {}
    if behaviour != "no schema":
        say(schema)
    if behaviour == "chatty":
        print("hello")
    seen = start
    for row in rows(name):
        number = row["id"]
        if name == "items" and row["updated_at"] < start and behaviour != "reads all again":
            continue
        record = {each: value for each, value in row.items() if each in properties}
        if behaviour == "wrong type":
            record["name"] = number
        if behaviour == "wrong format" and "updated_at" in record:
            record["updated_at"] = "yesterday"
        if behaviour == "unknown property":
            record["extra"] = 1
        if behaviour == "lost key" and number == 2:
            del record["id"]
        if behaviour == "same key" and number == 2:
            record["id"] = 1
        say({"type": "RECORD", "stream": name, "record": record})
        if behaviour == "twice":
            say({"type": "RECORD", "stream": name, "record": record})
        if name == "items":
            seen = row["updated_at"]
            if number % 20 == 19:
                value = "2024-01-02T00:00:00Z" if behaviour == "runs ahead" else seen
                say({"type": "STATE", "value": {"bookmarks": {"items": {"replication_key_value": value}}}})
    if name == "items" and behaviour not in ("no last state", "no state"):
        if behaviour == "goes back" and start:
            seen = "2023-01-01T00:00:00Z"
        if behaviour == "ends at its own time":
            seen = "2024-01-05T00:00:00Z"
        value = {"bookmarks": {"items": {"replication_key_value": seen}}} if behaviour != "forgets" else {}
        say({"type": "STATE", "value": value})
if behaviour == "fails":
    fail("it went wrong")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("toy") / "tap.py"
    path.write_text(TAP)
    return path


def toy(script: Path, behaviour: str | None = None, **options: Any) -> Subject:
    config = {"token": SECRET, **({"behaviour": behaviour} if behaviour else {})}
    environment = {"BEHAVIOUR": behaviour or ""}
    command = TapCommand((sys.executable, str(script)), environment, timeout_seconds=20, grace_seconds=2)
    return Subject(command, config, **{"kills": 3, **options})


CHECK = {check.id: check for check in CHECKS}


def test_a_tap_that_is_right(script) -> None:
    outcomes = {check.id: (outcome.kind, outcome.detail) for check, outcome in judge_all(CHECKS, toy(script))}
    assert outcomes == dict.fromkeys(CHECK, (Kind.PASSED, ""))


WRONG = [
    ("nameless", "commands: version", "'tap-toy', which holds no version"),
    ("helpless", "commands: help", "does not name --state"),
    ("undescribed", "commands: about", "setting 'token' has no description"),
    ("lenient", "commands: wrong setting", "'token' went unnoticed"),
    ("tracebacks", "commands: wrong setting", "ended in a traceback"),
    ("vague", "commands: wrong setting", "does not name 'token'"),
    ("unstable", "discovery: stable", "something else the second time"),
    ("mumbles", "discovery: valid", "--discover printed no catalog"),
    ("invalid schema", "discovery: valid", "stream 'items': its schema is no JSON Schema"),
    ("stray metadata", "discovery: valid", "metadata for property 'gone'"),
    ("missing key", "discovery: keys", "key 'number' is no property"),
    ("nullable key", "discovery: keys", "key 'id' may be null"),
    ("keyless", "discovery: keys", "is incremental without a key"),
    ("odd replication key", "discovery: replication keys", "replication key 'changed_at' is no property"),
    ("strict", "discovery: nullable", "stream 'items': name may not be null"),
    ("reads nothing", "records: there are some", "no RECORD was printed"),
    ("chatty", "records: messages", "is no JSON: b'hello'"),
    ("no schema", "records: messages", "a RECORD before its SCHEMA"),
    ("other keys", "records: messages", "SCHEMA has the keys [], the catalog ['id']"),
    ("wrong type", "records: schema", "stream 'items': name: 0 is not of type"),
    ("wrong format", "records: schema", 'updated_at: "yesterday" is not a "date-time"'),
    ("unknown property", "records: schema", "extra: not in the SCHEMA"),
    ("lost key", "records: keys", "a row without its key id"),
    ("same key", "records: keys", "two different rows with the key [1]"),
    ("more properties", "records: selected only", "SCHEMA has extra, which the catalog has not"),
    ("selects all", "selection: stream", "stream 'items' is printed though it is deselected"),
    ("selects every property", "selection: property", "property 'name' is in its SCHEMA"),
    ("runs ahead", "state: not ahead of its rows", "after a STATE with '2024-01-02T00:00:00Z'"),
    ("no last state", "state: not ahead of its rows", "rows without a STATE behind them"),
    ("reads all again", "state: resumes", "a row of '2024-01-01T00:00:00Z' again"),
    ("goes back", "state: resumes", "its bookmark went back"),
    ("forgets", "state: resumes", "every row again, and no bookmark in STATE"),
    ("runs ahead", "state: killed anywhere", "stream 'items' lacks"),
    ("ends as if done", "ending: SIGTERM", "exit code 0 before the last row"),
    ("cuts its line", "ending: SIGTERM", "its last line is cut off"),
    ("never ends", "ending: SIGTERM", "did not end within 2 seconds"),
    ("complains of pipes", "ending: broken pipe", "it complained"),
    ("prints its secret", "secrets: not printed", "the value of 'token' was printed"),
    ("prints a wrong secret", "secrets: not printed when wrong", "the wrong token was printed"),
    ("tracebacks", "secrets: not printed when wrong", "ended in a traceback"),
    ("fails", "records: messages", "a run ended with exit code 1: CRITICAL it went wrong"),
]


@pytest.mark.parametrize(("behaviour", "check", "problem"), WRONG)
def test_a_tap_that_is_wrong(script, behaviour, check, problem) -> None:
    outcome = judge(CHECK[check], toy(script, behaviour))
    assert outcome.kind is Kind.FAILED
    assert problem in outcome.detail


def test_every_check_has_a_tap_that_fails_it() -> None:
    assert {check for _, check, _ in WRONG} == set(CHECK)


def test_a_bookmark_may_be_a_moment_after_the_last_row(script) -> None:
    """That of the reading itself, say: no row that comes later is older."""
    subject = toy(script, "ends at its own time")
    assert subject.clean.state == {"bookmarks": {"items": {"replication_key_value": "2024-01-05T00:00:00Z"}}}
    assert judge(CHECK["state: not ahead of its rows"], subject).kind is Kind.PASSED


def test_a_wrapper_is_killed_with_its_child(script) -> None:
    """Else the child would go on, and no kill would be one."""
    command = TapCommand(("sh", "-c", f'{sys.executable} {script} "$@"; exit $?', "sh"), timeout_seconds=20)
    subject = Subject(command, {"token": SECRET})
    whole = subject.sync()
    killed = subject.sync(interruption=Interruption(10_000, signal.SIGKILL))
    assert killed.exit_code == -signal.SIGKILL
    assert 10_000 <= len(killed.stdout) < len(whole.stdout)


def test_a_row_that_comes_twice_does_no_harm(script) -> None:
    outcomes = [judge(check, toy(script, "twice")) for check in CHECKS if check.group in {"records", "state"}]
    assert {outcome.kind for outcome in outcomes} == {Kind.PASSED}


@pytest.mark.parametrize(
    ("behaviour", "check", "reason"),
    [
        ("calls nothing secret", "secrets: not printed", "no setting that --about calls secret"),
        ("lenient", "secrets: not printed when wrong", "accepts any credential"),
    ],
)
def test_what_cannot_be_asked(script, behaviour, check, reason) -> None:
    outcome = judge(CHECK[check], toy(script, behaviour))
    assert (outcome.kind, reason in outcome.detail) == (Kind.NOT_APPLICABLE, True)


def test_too_few_rows_to_be_interrupted(script) -> None:
    outcome = judge(CHECK["ending: SIGTERM"], toy(script, "says all at the end", streams=("kinds",)))
    assert outcome.kind is Kind.NOT_APPLICABLE
    assert judge(CHECK["selection: stream"], toy(script, streams=("kinds",))).kind is Kind.NOT_APPLICABLE


def test_a_stream_that_is_not_there(script) -> None:
    outcome = judge(CHECK["records: messages"], toy(script, streams=("thing",)))
    assert "there is no stream thing" in outcome.detail


def test_lookback_is_granted(script) -> None:
    """The toy reads from the very start again: 309 minutes before its bookmark."""
    check = CHECK["state: resumes"]
    assert judge(check, toy(script, "reads all again", lookback_seconds=309 * 60)).kind is Kind.PASSED
    assert judge(check, toy(script, "reads all again", lookback_seconds=308 * 60)).kind is Kind.FAILED


def test_a_first_state_is_where_runs_start(script) -> None:
    state = {"bookmarks": {"items": {"replication_key_value": "2024-01-01T04:50:00Z"}}}
    subject = toy(script, state=state)
    assert [row["id"] for row in subject.clean.records()["items"]] == list(range(290, 310))
    assert judge(CHECK["state: resumes"], subject).kind is Kind.PASSED


def test_the_source_is_reset_before_each_check_and_each_kill(script) -> None:
    calls: list[int] = []
    subject = toy(script, reset=lambda: calls.append(1))
    judge(CHECK["state: killed anywhere"], subject)
    assert len(calls) == 1 + subject.kills


def test_bookmarks_of_partitions() -> None:
    partitions = [
        {"context": {"shop": 1}, "replication_key_value": 5},
        {"context": {"shop": 2}, "replication_key_value": 7},
    ]
    state = {"bookmarks": {"a": {"partitions": partitions}}}
    assert [bookmark_of(state, "a", {"shop": shop}) for shop in (1, 2, 3)] == [5, 7, None]
    assert bookmark_of({"bookmarks": {"a": {"replication_key_value": 3}}}, "a", {}) == 3
    assert bookmark_of(None, "a", {}) is None


@pytest.mark.parametrize(
    ("left", "right", "by", "expected"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", 0, False),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01+00:00", 0, True),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:01+00:00", 1, False),
        (9, 10, 0, True),
        ("9", "10", 0, False),
        ("2024-01-01", "2024-01-02", 86_400, False),
    ],
)
def test_the_order_of_replication_values(left, right, by, expected) -> None:
    assert earlier(left, right, by) is expected


def test_the_command_line(script, tmp_path, capsys) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"token": SECRET}))
    arguments = ["--tap", f"{sys.executable} {script}", "--config", str(config)]
    assert main([*arguments, "--only", "discovery", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [(each["check"], each["outcome"]) for each in results] == [
        (check.id, "ok") for check in CHECKS if check.group == "discovery"
    ]
    config.write_text(json.dumps({"token": SECRET, "behaviour": "strict"}))
    marker = tmp_path / "reset"
    assert main([*arguments, "--only", "nullable", "--reset", f"touch {marker}", "--streams", "items"]) == 1
    printed = capsys.readouterr()
    assert "| discovery: nullable | failed |" in printed.out
    assert "0 of 1 passed." in printed.out
    assert "- discovery: nullable: failed: stream 'items': name may not be null" in printed.out
    assert printed.err == "discovery: nullable: failed\n"
    assert marker.exists()


def test_a_table_counts_what_was_asked(script) -> None:
    chosen = [CHECK["commands: version"], CHECK["selection: stream"]]
    text = as_table(list(judge_all(chosen, toy(script, streams=("kinds",)))))
    assert "1 of 1 passed." in text
    assert "| selection: stream | not applicable |" in text


def test_known_failures_are_named() -> None:
    mark = parametrize(known={"state: resumes": "until it is mended"})
    marks = {parameter.id: parameter.marks for parameter in mark.args[1]}
    assert list(marks) == list(CHECK)
    assert [name for name, each in marks.items() if each] == ["state: resumes"]
    with pytest.raises(ValueError, match="no check nothing"):
        parametrize(known={"nothing": ""})
