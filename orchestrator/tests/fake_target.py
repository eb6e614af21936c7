"""A small Singer target: appends records to a file and prints each STATE behind them.

Settings: output, die_at (rows), how (exit, kill, early), die_once (a file that says it died already), report_schemas.
"""

import json
import os
import signal
import sys
from pathlib import Path

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
config = json.loads(Path(arguments["--config"]).read_text())
finished = False


def stop(*_):
    print("INFO told to stop", file=sys.stderr)
    sys.exit(143)


signal.signal(signal.SIGTERM, stop)
rows = 0
with Path(config["output"]).open("a") as output:
    for number, line in enumerate(sys.stdin, 1):
        try:
            message = json.loads(line)
        except ValueError:
            print(f"CRITICAL line {number} is not a Singer message: {line[:40]!r}", file=sys.stderr)
            sys.exit(5)
        if message["type"] == "RECORD":
            if rows == config.get("die_at"):
                if config["how"] == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if config["how"] == "early":
                    os._exit(0)
                print("CRITICAL stream orders: the disk is full", file=sys.stderr)
                sys.exit(6)
            rows += 1
            output.write(json.dumps([message["stream"], message["record"]["id"]]) + "\n")
        elif message["type"] == "SCHEMA" and config.get("report_schemas"):
            print("INFO SCHEMA_RECEIVED: " + json.dumps(message), file=sys.stderr, flush=True)
        elif message["type"] == "STATE":
            output.flush()
            print(json.dumps(message["value"]), flush=True)
    output.write('"end"\n')
