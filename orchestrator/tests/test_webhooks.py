"""Webhooks themselves: signatures, addresses that get nothing, what a channel may hold."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
import trustme

from ipai.errors import SpecError
from ipai.notifications import webhooks
from ipai.notifications.addresses import is_refused

sys.path.insert(0, str(Path(__file__).parent))

from receiver import SECRET, Receiver

# Apprise imports what Python is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ipai.service import Platform


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("169.254.169.254", True), ("::ffff:169.254.169.254", True), ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True), ("fe80::1%eth0", True), ("fd00:ec2::254", True), ("fd20:ce::254", True),
        ("100.100.100.200", True), ("0.0.0.0", True), ("192.0.0.192", True), ("::", True), ("255.255.255.255", True),
        ("127.0.0.1", False), ("::1", False), ("10.0.0.5", False), ("192.168.1.9", False), ("93.184.216.34", False),
        ("2606:2800:220:1::1", False), ("fd12:3456::1", False),
    ],
)  # fmt: skip
def test_which_addresses_get_nothing(address: str, refused: bool) -> None:
    assert is_refused(address) is refused


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "http://[::ffff:169.254.169.254]/", "http://2852039166/", "http://0xa9fea9fe/"],
)
def test_a_metadata_service_gets_nothing(platform: Platform, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL", url)
    platform.notifications.add("evil", kind="webhook", url="${env:EVIL}")
    assert "is a link-local or metadata address" in str(platform.notifications.test("evil").outcome.error)
    monkeypatch.setenv("EVIL", url.replace("http://", "json://"))
    platform.notifications.add("evil", kind="apprise", url="${env:EVIL}")
    assert platform.notifications.test("evil").outcome.result == "failed"


def test_what_a_name_leads_to_is_what_counts(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is asked for once, and the connection goes to the answer that was looked at."""
    asked = []
    real = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **more: Any) -> Any:
        if host != "rebound.example":
            return real(host, *arguments, **more)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setenv("REBOUND", receiver.url.replace("127.0.0.1", "rebound.example"))
    platform.notifications.add("rebound", kind="webhook", url="${env:REBOUND}")
    assert platform.notifications.test("rebound").outcome.result == "delivered"
    assert receiver.requests[0].headers["host"].startswith("rebound.example:")
    assert "metadata" in str(platform.notifications.test("rebound").outcome.error)
    assert asked == ["rebound.example"] * 2


@pytest.mark.parametrize(
    ("kind", "url", "secret", "said"),
    [
        (
            "webhook",
            "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX9XXXXXXXXXXXXXXX",
            None,
            "held a token",
        ),
        ("webhook", "https://user:secret@example.com/", None, "held a token"),
        ("webhook", "https://example.com/?key=1", None, "held a token"),
        ("webhook", "https://n8n.example.com/webhook/1f81eb52-5198-4599-803e-771906343485", None, "held a token"),
        ("webhook", "ftp://example.com/", None, "starts with https://"),
        ("webhook", "https://example.com/", SECRET, "must not stand in the database"),
        ("apprise", "slack://TokenA/TokenB/TokenC", None, "holds credentials"),
    ],
)
def test_credentials_do_not_get_into_the_database(
    platform: Platform, kind: str, url: str, secret: str | None, said: str
) -> None:
    with pytest.raises(SpecError, match=said) as error:
        platform.notifications.add("x", kind=kind, url=url, secret=secret)
    assert error.value.hint is None or "${env:" in error.value.hint
    with psycopg.connect(platform.url) as connection:
        assert connection.execute("select * from connectors.channels").fetchall() == []


def test_two_secrets_make_two_signatures_while_one_replaces_the_other(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", "whsec_" + "A" * 32 + " " + SECRET)
    platform.notifications.add("hook", kind="webhook", url=receiver.url, secret="${env:HOOK_SECRET}")
    assert platform.notifications.test("hook").outcome.result == "delivered"
    assert receiver.requests[0].signed is True
    assert receiver.requests[0].headers["webhook-signature"].count("v1,") == 2
    monkeypatch.setenv("HOOK_SECRET", "hunter2")
    outcome = platform.notifications.test("hook").outcome
    assert "whsec_ followed by" in str(outcome.error)
    assert "hunter2" not in str(outcome)


def test_the_signature_of_the_specifications_own_libraries() -> None:
    """The vector that the reference implementations are tested with."""
    body = b'{"test": 2432232314}'
    given = webhooks.signature(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_certificate_must_be_the_hosts() -> None:
    """Connections are to addresses, yet the certificate is checked against the name."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    async def post(host: str) -> Any:
        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        async with httpx.AsyncClient(verify=trusting, trust_env=False) as client:
            url = f"https://{host}:{server.server_address[1]}/"
            return await webhooks.post(client, url, message_id="msg_1", body=b"{}", secrets=None)

    try:
        assert asyncio.run(post("localhost")).status == 204
        assert "certificate" in asyncio.run(post("127.0.0.1")).error.lower()
    finally:
        server.shutdown()
        server.server_close()


def test_the_example_in_the_documentation_checks_signatures(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    known: dict[str, Any] = {}
    exec(example, known)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    platform.notifications.add("hook", kind="webhook", url=receiver.url, secret="${env:HOOK_SECRET}")
    platform.notifications.test("hook")
    (request,) = receiver.requests
    assert known["is_genuine"](request.headers, request.body, SECRET) is True
    assert known["is_genuine"](request.headers, request.body + b" ", SECRET) is False
    assert known["is_genuine"](request.headers, request.body, "whsec_" + "A" * 32) is False
    assert known["is_genuine"]({**request.headers, "webhook-timestamp": "1"}, request.body, SECRET) is False
    assert known["is_genuine"]({**request.headers, "webhook-id": "msg_2"}, request.body, SECRET) is False


def test_a_receiver_that_repeats_the_path_gives_no_token_away(
    platform: Platform, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_path = receiver.url.removesuffix("/hook") + "/services/T0000/B0Gq7Zk2/hush%20Very-Secret-1?key=hunterhunter"
    receiver.script = [404, 200]
    monkeypatch.setenv("HOOK_URL", secret_path)
    platform.notifications.add("hook", kind="webhook", url="${env:HOOK_URL}")
    for outcome in (platform.notifications.test("hook").outcome, platform.notifications.test("hook").outcome):
        told = f"{outcome.error} {outcome.answer}"
        assert "to /services/T0000/***/***?" in told
        assert not any(part in told for part in ("B0Gq7Zk2", "Very-Secret-1", "hunter"))
    assert receiver.requests[0].path == "/services/T0000/B0Gq7Zk2/hush%20Very-Secret-1?key=hunterhunter"


def test_a_token_in_an_address_is_seen_nowhere(
    platform: Platform, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "T0k3nT0k3nT0k3n"
    people = Receiver(script=[500])
    receiver.script = [500]
    monkeypatch.setenv("HOOK_URL", receiver.url.replace("hook", token))
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("PEOPLE_URL", people.url.replace("http://", "json://user:hunterhunter@").replace("hook", token))
    platform.notifications.add("hook", kind="webhook", url="${env:HOOK_URL}", secret="${env:HOOK_SECRET}", kinds=["*"])
    platform.notifications.add("people", kind="apprise", url="${env:PEOPLE_URL}", kinds=["*"])
    seen = ""
    log, options = tmp_path / "log", ["--home", str(tmp_path), "--database", platform.url]
    with psycopg.connect(platform.url, autocommit=True) as connection, log.open("wb") as output:
        connection.execute("select connectors.emit('run.late', 'prod_a', null)")
        command = [sys.executable, "-m", "ipai", *options, "scheduler", "--json"]
        scheduler = subprocess.Popen(command, stderr=output, stdout=output, env=dict(os.environ))
        deadline = time.monotonic() + 60
        while connection.execute("select count(*) from connectors.deliveries where attempts = 2").fetchone() != (2,):
            assert time.monotonic() < deadline, log.read_text()
            seen += str(connection.execute("select error from connectors.deliveries").fetchall())
            connection.execute("update connectors.deliveries set next_at = now() where error is not null")
            time.sleep(0.05)
        scheduler.terminate()
        scheduler.wait(30)
        for table in ("channels", "deliveries", "events"):
            seen += str(connection.execute(f"select * from connectors.{table}").fetchall())
    people.close()
    seen += log.read_text()
    assert "answered 500" in seen
    assert "error=500" in seen
    for secret in (token, "hunterhunter", SECRET):
        assert secret not in seen
    assert [token in request.path for request in (*receiver.requests, *people.requests)] == [True] * 4
