"""HTTP calls and retries of a real tap on the Singer SDK, from an HTTP server to `ipai status`."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipai.plans import make_plan
from ipai.specs import Catalogs, connector_from_spec, instance_from_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipai.service import Platform


class Source(BaseHTTPRequestHandler):
    """Three pages; the second answers only at the third call."""

    calls: list[str]

    def do_GET(self) -> None:
        page = int(self.path.rpartition("=")[2])
        self.calls.append(self.path)
        busy = page == 2 and self.calls.count(self.path) < 3
        body = json.dumps({"rows": [{"id": page * 10 + n} for n in range(2)], "more": page < 3}).encode()
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def source() -> Iterator[tuple[str, list[str]]]:
    calls: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Source,), {"calls": calls}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", calls
    server.shutdown()
    server.server_close()
    thread.join()


def test_calls_and_retries_are_counted(
    platform: Platform, plugins_on_path: Path, tmp_path: Path, source: tuple[str, list[str]]
) -> None:
    url, calls = source
    tap = plugins_on_path / "tap-http"
    tap.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("sdk_tap.py")}" "$@"\n')
    tap.chmod(0o755)
    connectors = {
        name: connector_from_spec(
            {
                "kind": "connector",
                "name": name,
                "role": role,
                "title": name,
                "source_type": "api",
                "plugin": {"command": command},
            },
            tmp_path,
        )
        for name, role, command in (("http", "source", "tap-http"), ("files", "destination", "target-fake"))
    }
    spec = {
        "kind": "instance", "name": "test_http", "source": {"connector": "http", "config": {"url": url}},
        "destination": {"connector": "files", "config": {"output": str(tmp_path / "out.jsonl")}},
    }  # fmt: skip
    with platform.control_plane() as control_plane:
        make_plan(control_plane, Catalogs(connectors, {"test_http": instance_from_spec(spec)}), {}, prune=False).apply(
            control_plane
        )
    (stream,) = platform.run("test_http").streams
    assert len(calls) == 5
    assert (stream.stream, stream.rows, stream.http_requests, stream.retries) == ("orders", 6, 5, 2)
    assert platform.status("test_http", limit=1)[0].streams == [stream]
    _, lines = platform.logs("test_http", run_id=None, side="tap", limit=None)
    assert {(line.level, line.stream) for line in lines if "Backing off" in line.message} == {
        ("info", "orders"),
        ("error", "orders"),
    }
