"""Two ways lead to one engine: the short one, which does not import the SDK, and the SDK's."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from target_postgres.cli import _short_way

SCHEMA = {
    "type": "SCHEMA",
    "stream": "t",
    "key_properties": ["id"],
    "schema": {"properties": {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}},
}
RECORD = {"type": "RECORD", "stream": "t", "record": {"id": 1, "v": "a"}}
STATE = {"type": "STATE", "value": {"at": 1}}
NO_ADDRESS = {"sqlalchemy_url": "postgresql://u:p@127.0.0.1:1/x", "connection_retry_seconds": 0}

# Arguments that lead to the SDK's way and change nothing else.
BY_SDK = ("--config", "ENV")


def lines(*messages):
    return b"".join(m if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages)


@pytest.fixture
def config(warehouse, tmp_path):
    def write(name="config.json", **settings):
        path = tmp_path / name
        path.write_text(json.dumps(warehouse.config(**settings)))
        return str(path)

    return write


def run(*arguments, given=b"", **environment):
    return subprocess.run(
        [sys.executable, "-m", "target_postgres", *arguments],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


# Which way


@pytest.mark.parametrize(
    ("arguments", "settings", "short"),
    [
        (["--config", "{file}"], {}, True),
        (["--config={file}"], {}, True),
        (["--config", "{file}", "--input", "x.jsonl"], {}, True),
        (["--config", "{file}", "--config", "{file}"], {}, True),
        (["--config", "{file}"], {"stream_maps": {}, "flattening_enabled": False}, True),
        (["--config", "{file}"], {"stream_maps": {"t": {"x": "id"}}}, False),
        (["--config", "{file}"], {"flattening_enabled": True}, False),
        (["--config", "ENV"], {}, False),
        (["--config", "{file}", "--config", "ENV"], {}, False),
        (["--config", "nowhere.json"], {}, False),
        (["--config"], {}, False),
        (["--about"], {}, False),
        (["--config", "{file}", "--version"], {}, False),
        (["--help"], {}, False),
        ([], {}, False),
    ],
)
def test_which_way(config, tmp_path, monkeypatch, arguments, settings, short):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ENV").write_text("{}")  # the SDK's word, not a file
    file = config(**settings)
    found = _short_way([argument.format(file=file) for argument in arguments])
    assert (found is not None) == short


@pytest.mark.parametrize("text", ["", "{", "[]", '[["host", "x"]]', "null", '"x"', "[" * 100_000])
def test_a_config_that_is_no_object_is_left_to_the_sdk(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    assert _short_way(["--config", str(path)]) is None


def test_a_log_config_of_the_sdk_is_its_business(config, monkeypatch):
    monkeypatch.setenv("SINGER_SDK_LOG_CONFIG", "logging.yaml")
    assert _short_way(["--config", config()]) is None


def test_the_short_way_imports_nothing_of_the_sdk(config):
    code = (
        "import sys; from target_postgres.cli import main; sys.argv[1:] = sys.argv[1:]; main(); "
        "print(sorted({n.partition('.')[0] for n in sys.modules} & {'singer_sdk', 'sqlalchemy', 'click', 'jsonschema', "
        "'fastjsonschema', 'fsspec', 'yaml', 'requests', 'pandas'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--config", config()],
        input=lines(SCHEMA, RECORD, STATE),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.splitlines() == [b'{"at": 1}', b"[]"]


# The same either way

INPUTS = {
    "clean": (lines(SCHEMA, RECORD, STATE, {"type": "SOMETHING"}, b"\n"), 0),
    "nothing": (b"", 0),
    "broken line": (lines(SCHEMA, RECORD, STATE, b"Traceback: boom\n"), 5),
    "bad record": (lines(SCHEMA, RECORD, STATE, {**RECORD, "record": {"id": "x"}}), 5),
    "refused by Postgres": (lines(SCHEMA, RECORD, STATE, {**RECORD, "record": {"id": 2, "v": "\0"}}), 5),
    "no schema": (lines(RECORD), 5),
    "not UTF-8": (lines(SCHEMA, b"\xff\n"), 5),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_both_ways_do_the_same(warehouse, config, kind):
    given, code = INPUTS[kind]
    seen = []
    for more in ((), BY_SDK):
        warehouse.do("drop schema if exists bronze cascade")
        done = run("--config", config(), *more, given=given)
        assert done.returncode == code, done.stderr.decode()
        assert b"Traceback (" not in done.stderr
        exists = warehouse.rows("select to_regclass('bronze.t') is not null")[0][0]
        rows = warehouse.rows("select id, v, _sdc_stream from bronze.t order by id") if exists else None
        log = re.sub(r'\d+\.\d+e?-?\d*|\d\d\d\d-\d\d-\d\d \S+|"pid":\d+', "#", done.stderr.decode())
        log = [" ".join(line.split()) for line in log.splitlines() if "target-postgres" in line or "METRIC" in line]
        # What each way says of itself, and how it counts what it has read.
        own = (" Loaded ", "Meltano SDK", "Parsing env var", "Reader 'target-postgres' completed")
        seen.append((done.stdout, rows, [line for line in log if not any(words in line for words in own)]))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"batch_size_rows": 0}, 2), ({"load_method": "x"}, 2), (NO_ADDRESS, 3), ({"state_id": "x"}, 2)],
    ids=["limit", "choice", "address", "contradiction"],
)
@pytest.mark.parametrize("more", [(), BY_SDK], ids=["short", "sdk"])
def test_settings_that_are_wrong_end_both_ways_in_words(config, settings, code, more):
    done = run("--config", config(**settings), *more, given=lines(SCHEMA, RECORD))
    # What the SDK checks first, it says in its own way.
    assert done.returncode in ({1, code} if more else {code})
    assert b"Traceback (" not in done.stderr
    assert done.stdout == b""


# Arguments and environment


def test_input_from_a_file(warehouse, config, tmp_path):
    file = tmp_path / "messages.jsonl"
    file.write_bytes(lines(SCHEMA, RECORD, STATE))
    done = run("--config", config(), "--input", str(file))
    assert (done.returncode, done.stdout) == (0, b'{"at": 1}\n')
    assert warehouse.rows("select id, v from bronze.t") == [(1, "a")]


def test_an_input_that_is_not_there_is_named(config):
    done = run("--config", config(), "--input", "/nowhere/x.jsonl")
    assert done.returncode == 2
    assert b"/nowhere/x.jsonl" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_later_config_goes_before_an_earlier(warehouse, config):
    done = run(
        *(
            "--config",
            config("a.json", table_name="first", source_name="s"),
            "--config",
            config("b.json", table_name="b"),
        ),
        given=lines(SCHEMA, RECORD),
    )
    assert done.returncode == 0, done.stderr
    assert warehouse.rows("select _sdc_source from bronze.b") == [("s",)]


@pytest.mark.parametrize("text", ["{", "[]", None])
def test_a_config_that_cannot_be_read_is_no_traceback_of_ours(tmp_path, text):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    done = run("--config", str(path))
    assert done.returncode != 0
    assert b"target_postgres/engine.py" not in done.stderr


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TARGET_POSTGRES_LOGLEVEL"])
@pytest.mark.parametrize(
    ("level", "quiet"), [("ERROR", True), ("warning", True), ("debug", False), ("nonsense", False)]
)
def test_log_level(config, variable, level, quiet):
    done = run("--config", config(), given=lines(SCHEMA, RECORD), **{variable: level})
    assert done.returncode == 0, done.stderr.decode()
    assert (b"Loaded 1 records" not in done.stderr) == quiet


def test_batch_messages_come_in_the_short_way_too(warehouse, config, tmp_path):
    file = tmp_path / "records.jsonl"
    file.write_text('{"id": 1, "v": "a"}\n{"id": 2}\n')
    batch = {"type": "BATCH", "stream": "t", "encoding": {"format": "jsonl"}, "manifest": [f"file://{file}"]}
    done = run("--config", config(), given=lines(SCHEMA, batch, STATE))
    assert (done.returncode, done.stdout) == (0, b'{"at": 1}\n'), done.stderr.decode()
    assert warehouse.rows("select id, v from bronze.t order by id") == [(1, "a"), (2, None)]


# Ends


def test_a_stdout_that_nobody_reads_is_quiet(spawn):
    process = spawn(commit_interval_seconds=0)
    process.stdout.close()
    try:
        for number in range(1, 2000):
            process.stdin.write(lines(SCHEMA, {**RECORD, "record": {"id": number}}, {**STATE, "value": number}))
            process.stdin.flush()
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.wait(30) == 141
    assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [0.02, 0.1, 0.25, 0.5])
def test_a_signal_while_starting_ends_the_target(spawn, number, after):
    """Before it can handle them, the system's own way does."""
    process = spawn()
    time.sleep(after)
    process.send_signal(number)
    # An early SIGINT meets the interpreter itself, which ends with 1 and says so.
    codes = {128 + number, -number, 1} if number == signal.SIGINT else {128 + number, -number}
    assert process.wait(10) in codes
    if number == signal.SIGTERM:
        assert b"Traceback" not in process.stderr.read()


def test_a_signal_while_nobody_answers_ends_the_target(spawn):
    process = spawn(**{**NO_ADDRESS, "connection_retry_seconds": 20})
    while b"Trying again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 143
