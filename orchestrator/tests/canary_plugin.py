"""A tap and a target that tell everything they know, settings, arguments, environment, in all forms plugins print.

    canary_plugin.py tap|target --config FILE …

Settings: mode, side (which of the two acts on the mode), proof (a file for the digests of the secrets that arrived).
"""

import base64
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from pprint import pformat
from urllib.parse import quote, quote_plus

side, arguments = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2], strict=False))
config = json.loads(Path(arguments["--config"]).read_text())
mode = config["mode"] if config["side"] == side else "ok"
secrets = [config["password"], config["account"]]
Path(config["proof"]).write_text(json.dumps([hashlib.sha256(secret.encode()).hexdigest() for secret in secrets]))


def say(text):
    print(text, file=sys.stderr, flush=True)


def tell():
    say(f"INFO config {config}")
    say("INFO " + json.dumps(config))
    say("INFO " + json.dumps({"message": json.dumps(config)}))
    say(json.dumps(config, indent=2))
    say(pformat(config, width=40))
    say(f"INFO arguments {sys.argv}, environment {dict(os.environ)}")
    for secret in secrets:
        say(secret)
        say(f"GET https://api.example/?key={quote(secret)}&{quote_plus(secret)}&{quote(secret, safe='')}")
        for user in ("u", "us", "user"):
            say("Authorization: Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode())
        for width in (30, 76):
            for start in range(0, len(secret), width):
                say("│ " + secret.replace("\n", "")[start : start + width] + " │")
        say("x" * 65_520 + secret)
        for line in (secret, repr(secret)):
            point = {"type": "counter", "metric": "record_count", "value": 1, "tags": {"stream": line, "line": line}}
            say("INFO METRIC: " + json.dumps(point))
    say("INFO told")


def act():
    password = config["password"]
    if mode == "wrong password":
        say(f"CRITICAL password authentication failed for user reader with password '{password}'")
        sys.exit(3)
    if mode == "traceback":
        raise ValueError(f"cannot connect with {config}")
    if mode == "kill":
        say(f"CRITICAL about to die of {password}")
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "hang":
        time.sleep(3600)
    if mode == "garbage":
        print(f"this is no message but {json.dumps(config)}", flush=True)


tell()
if side == "target":
    rows = 0
    for line in sys.stdin:
        try:
            message = json.loads(line)
        except ValueError:
            say(f"CRITICAL not a Singer message: {line}")
            sys.exit(5)
        if message["type"] == "RECORD":
            act()
        elif message["type"] == "STATE":
            print(json.dumps(config))
            print(f"loaded with {config['account']}")
            print(json.dumps(message["value"]), flush=True)
elif "--discover" in sys.argv:
    if mode == "discovery prints it instead of a catalog":
        print(json.dumps(config))
        sys.exit()
    if mode == "discovery fails":
        print(config["account"])
        say(f"CRITICAL 401 Unauthorized: {config['password']}")
        sys.exit(1)
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    stream = {"stream": "rows", "tap_stream_id": "rows", "schema": schema, "key_properties": ["id"], "metadata": []}
    leaky = {
        **stream, "stream": f"of {config['password']}", "tap_stream_id": "leaky",
        "schema": {**schema, "description": json.dumps(config)},
        "metadata": [{"breadcrumb": [], "metadata": {"dsn": f"x://u:{quote(config['password'])}@h"}}],
    }  # fmt: skip
    print(json.dumps({"streams": [stream, leaky]}))
else:
    print(
        json.dumps(
            {
                "type": "SCHEMA",
                "stream": "rows",
                "schema": {"properties": {"id": {"type": "integer"}}},
                "key_properties": ["id"],
            }
        )
    )
    print(json.dumps({"type": "RECORD", "stream": "rows", "record": {"id": 1}}))
    print(json.dumps({"type": "STATE", "value": {"bookmarks": {"rows": {"id": 1}}}}), flush=True)
    act()
