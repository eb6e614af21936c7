"""A webhook receiver: a real HTTP server that checks signatures by itself and answers as it is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Request:
    """What came: `signed` is None without a signature, else whether it is right."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes
    signed: bool | None

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass
class Receiver:
    """Answers with what `script` says for each request in turn, and with 200 afterwards.

    An answer is a status, a status with headers, or "hang"; `most_at_once` counts requests of one id that overlapped.
    """

    script: list[Any] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    seconds: float = 0.0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, int] = {}
        self.let_go = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def close(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()

    def take(self, request: Request) -> Any:
        with self._lock:
            answer = self.script.pop(0) if self.script else 200
            self.requests.append(request)
            key = request.headers.get("webhook-id", "")
            self._now[key] = self._now.get(key, 0) + 1
            self.most_at_once = max(self.most_at_once, self._now[key])
        try:
            if answer == "hang":
                self.let_go.wait(60)
                return 200
            time.sleep(self.seconds)
            return answer
        finally:
            with self._lock:
                self._now[key] -= 1


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver.take(Request(time.monotonic(), self.path, headers, body, is_signed(headers, body)))
            status, more = answer if isinstance(answer, tuple) else (answer, {})
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            text = f"answer {status} to {self.path}".encode()
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None: ...

    return Handler


def is_signed(headers: Mapping[str, str], body: bytes) -> bool | None:
    """Written from the specification, apart from the code that signs."""
    if "webhook-signature" not in headers:
        return None
    signed = b".".join((headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body))
    wanted = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    given = [part.partition(",")[2] for part in headers["webhook-signature"].split(" ") if part.startswith("v1,")]
    return abs(int(headers["webhook-timestamp"]) - time.time()) < 300 and wanted in given
