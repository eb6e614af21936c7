"""A small Singer tap: counts up to a number per stream, remembers where it stopped, and fails on request.

Settings: streams {name: rows}, state_every, fail_after [stream, rows], how (exit, kill, garbage, hang, shout), secret,
password, pause (seconds after each row), columns {stream: properties} (or that as JSON text), keys {stream: names},
sends {stream: properties} (in its SCHEMA, other than in the catalog), say (more last words).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
config = json.loads(Path(arguments["--config"]).read_text())
if isinstance(config.get("columns"), str):
    config["columns"] = json.loads(config["columns"])
streams = dict(sorted(config["streams"].items(), reverse=True))

if config.get("password") == "wrong":
    print("CRITICAL password authentication failed", file=sys.stderr)
    sys.exit(3)
if "--discover" in sys.argv:
    note = {"id": {"type": "integer"}, "note": {"type": "string"}}
    entries = [
        {
            "tap_stream_id": name,
            "stream": name,
            "schema": {"type": "object", "properties": config.get("columns", {}).get(name, note)},
            "key_properties": config.get("keys", {}).get(name, ["id"]),
            "replication_key": "id",
            "metadata": [{"breadcrumb": [], "metadata": {"selected-by-default": not name.startswith("extra")}}],
        }
        for name in streams
    ]
    print(json.dumps({"streams": entries}))
    sys.exit()

catalog = json.loads(Path(arguments["--catalog"]).read_text()) if "--catalog" in arguments else {"streams": []}
selected = (
    list(streams)
    if "--catalog" not in arguments
    else [
        entry["stream"]
        for entry in catalog["streams"]
        if any(item["metadata"].get("selected") for item in entry["metadata"] if not item["breadcrumb"])
    ]
)
state = json.loads(Path(arguments["--state"]).read_text()) if "--state" in arguments else {}
state.setdefault("bookmarks", {})


def write(message):
    print(json.dumps(message), flush=True)


def fail(how):
    if how == "exit":
        print(f"CRITICAL stream orders: the source went away{config.get('say', '')}", file=sys.stderr)
        sys.exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "garbage":
        print("hello, I am no Singer message", flush=True)
    if how == "hang":
        time.sleep(3600)


in_environment = os.environ.get("FAKE_SECRET")
print(f"INFO the secret is {config.get('secret')} and in the environment {in_environment}", file=sys.stderr)
for stream in selected:
    write(
        {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {
                "properties": config.get("sends", config.get("columns", {})).get(stream, {"id": {"type": "integer"}})
            },
            "key_properties": ["id"],
        }
    )
    start = state["bookmarks"].get(stream, {}).get("id", 0)
    for number in range(start + 1, streams[stream] + 1):
        if config.get("fail_after") == [stream, number - 1]:
            fail(config["how"])
        write({"type": "RECORD", "stream": stream, "record": {"id": number}})
        time.sleep(config.get("pause", 0))
        if number % config.get("state_every", 1) == 0 or number == streams[stream]:
            state["bookmarks"][stream] = {"id": number}
            write({"type": "STATE", "value": state})
    point = {"type": "counter", "metric": "record_count", "value": streams[stream] - start, "tags": {"stream": stream}}
    print("INFO METRIC: " + json.dumps(point), file=sys.stderr)
