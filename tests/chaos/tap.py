"""A tap over the formula: begins at its bookmark, sends what the source has grown to, notes when it began and ended."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from tests.fault.source import STREAMS

_STATE_EVERY = 40


def main() -> None:
    arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))
    config = json.loads(Path(arguments["--config"]).read_text())
    if "--discover" in sys.argv:
        print(json.dumps({"streams": [_entry(stream.name, stream.schema()) for stream in STREAMS]}))
        return
    catalog = json.loads(Path(arguments["--catalog"]).read_text())
    chosen = {
        entry["stream"]
        for entry in catalog["streams"]
        if any(item["metadata"].get("selected") for item in entry["metadata"] if not item["breadcrumb"])
    }
    state = json.loads(Path(arguments["--state"]).read_text()) if "--state" in arguments else {}
    bookmarks: dict[str, int] = state.get("bookmarks", {})
    size = int(Path(config["size_file"]).read_text())
    _note(config, "begin", sorted(chosen))
    output = sys.stdout
    for stream in STREAMS:
        if stream.name not in chosen:
            continue
        print(json.dumps(stream.schema()), file=output)
        for number in range(bookmarks.get(stream.name, 0), size):
            message = {"type": "RECORD", "stream": stream.name, "record": stream.record(config["seed"], number)}
            print(json.dumps(message), file=output)
            bookmarks[stream.name] = number + 1
            if number % _STATE_EVERY == 0:
                print(json.dumps({"type": "STATE", "value": {"bookmarks": bookmarks}}), file=output, flush=True)
                time.sleep(config["pause"])
    print(json.dumps({"type": "STATE", "value": {"bookmarks": bookmarks}}), file=output, flush=True)
    _note(config, "end", sorted(chosen))


def _note(config: dict[str, Any], what: str, streams: list[str]) -> None:
    """One write, so that lines of several processes do not mix."""
    line = json.dumps({"run": config["run"], "what": what, "at": time.time(), "pid": os.getpid(), "streams": streams})
    descriptor = os.open(config["journal"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


def _entry(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "tap_stream_id": name,
        "stream": name,
        "schema": schema["schema"],
        "key_properties": schema["key_properties"],
        "metadata": [{"breadcrumb": [], "metadata": {"selected-by-default": True}}],
    }


if __name__ == "__main__":
    main()
