"""Webhooks after the Standard Webhooks specification 1.0 (github.com/standard-webhooks): one signed POST per event."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import httpx

from ipai.errors import SpecError
from ipai.notifications.addresses import RefusedAddressError, resolve
from ipai.notifications.outcomes import Outcome

_SECONDS = 20.0  # for the whole attempt; the specification recommends 15 to 30
_CONNECT_SECONDS = 5.0
_LONGEST_PAUSE = 86_400.0
_ANSWER_BYTES = 500
_GONE = 410
_PREFIX = "whsec_"

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each address, tokens and all


def key_of(secret: str) -> bytes:
    """The key in a signing secret, `whsec_` and 24 to 64 bytes in base64.

    Raises:
        SpecError: it is none.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or not 24 <= len(key) <= 64:  # noqa: PLR2004 - the specification's limits
        raise SpecError(
            "A signing secret is whsec_ followed by 24 to 64 bytes in base64.",
            hint='Make one: echo "whsec_$(openssl rand -base64 32)"',
        )
    return key


def signature(message_id: str, timestamp: int, body: bytes, secrets: str) -> str:
    """The header `webhook-signature`; two secrets, a space between them, make two signatures."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key_of(secret), signed, "sha256") for secret in secrets.split())
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def client() -> httpx.AsyncClient:
    """A client for `post`: no redirects, no proxy, no cookies, and no connection that outlives its request."""
    # Connections are to addresses, so one that was kept might serve another host behind the same address.
    return httpx.AsyncClient(
        verify=httpx.create_ssl_context(), trust_env=False, follow_redirects=False,
        limits=httpx.Limits(max_keepalive_connections=0), timeout=httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS),
    )  # fmt: skip


async def post(
    client: httpx.AsyncClient, url: str, *, message_id: str, body: bytes, secrets: str | None, seconds: float = _SECONDS
) -> Outcome:
    """Make one attempt; whatever goes wrong is in the outcome.

    Args:
        secrets: one or two signing secrets; None leaves the message unsigned.
        seconds: for the whole attempt.
    """
    try:
        timestamp = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "ipai-webhooks/1",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
        }
        if secrets is not None:
            headers["webhook-signature"] = signature(message_id, timestamp, body, secrets)
        return await asyncio.wait_for(_attempt(client, httpx.URL(url), headers, body), seconds)
    except (asyncio.TimeoutError, httpx.TimeoutException):
        return Outcome("failed", error=f"No answer within {seconds:g} seconds.")
    except (httpx.HTTPError, httpx.InvalidURL, RefusedAddressError, SpecError, OSError, UnicodeError) as error:
        return Outcome("failed", error=f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


async def _attempt(client: httpx.AsyncClient, url: httpx.URL, headers: dict[str, str], body: bytes) -> Outcome:
    if url.scheme not in ("http", "https") or not url.host:
        return Outcome("failed", error="A webhook's address starts with https:// or http://.")
    port = url.port or (443 if url.scheme == "https" else 80)
    addresses = await resolve(url.host, port)
    for address in addresses:
        # To the address that was looked at; the name stands in Host, and is what the certificate must be for.
        request = client.build_request(
            "POST", url.copy_with(host=address, username=None, password=None), content=body,
            headers={**headers, "host": url.netloc.decode("ascii").rpartition("@")[2]},
            extensions={"sni_hostname": url.host},
        )  # fmt: skip
        auth = httpx.BasicAuth(url.username, url.password) if url.username else None
        try:
            response = await client.send(request, stream=True, auth=auth)
        except httpx.ConnectError:
            if address == addresses[-1]:
                raise
            continue
        try:
            return await _outcome(response)
        finally:
            await response.aclose()
    raise OSError(f"{url.host} has no address.")


async def _outcome(response: httpx.Response) -> Outcome:
    answer = b""
    async for chunk in response.aiter_raw():
        answer += chunk
        if len(answer) >= _ANSWER_BYTES:
            break
    said = " ".join(answer[:_ANSWER_BYTES].decode("utf-8", "replace").replace("\0", "").split())
    status = response.status_code
    if response.is_success:
        return Outcome("delivered", status, answer=said)
    error = f"The receiver answered {status} {response.reason_phrase}".rstrip() + (f": {said}" if said else ".")
    if response.is_redirect:
        error = f"The receiver answered {status}: it has moved. Give the channel its new address; nobody follows."
    return Outcome(
        "gone" if status == _GONE else "failed", status, error, _pause(response.headers.get("retry-after")), said
    )


def _pause(retry_after: str | None) -> float | None:
    """Seconds to wait by a header Retry-After, which is a number of them or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        seconds = float(retry_after)
    else:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        seconds = (moment - datetime.now(timezone.utc)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_PAUSE)
