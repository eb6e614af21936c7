"""One way to ask an HTTP API: with patience, within its limits, and with credentials that go nowhere else."""

from __future__ import annotations

import logging
import random
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter

from singer_kit.errors import ConfigurationError
from singer_kit.http.errors import (
    FailingServerError,
    RefusedError,
    UnauthorizedError,
    UnreachableError,
    UnreadableError,
)
from singer_kit.http.limiter import Lease, LimitedBy, Limiter
from singer_kit.http.links import is_trusted, link, trusted
from singer_kit.http.verdict import Action, Judge, Verdict, describe, excerpt, judge_by_status
from singer_kit.http.waits import http_date, seconds_to_wait

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from singer_kit.http.call import Call
    from singer_kit.http.credentials import Credential

_logger = logging.getLogger("singer_kit")

_MOST_REDIRECTS = 10
_MOST_CONNECTIONS = 64
_CONNECT_SECONDS = 30.0
# On the way, or in a body that broke off or came in pieces that do not fit.
_PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True)
class Retry:
    """How often something that passes is tried, and how long the pauses are: random up to a ceiling that doubles.

    Source of the "full jitter": AWS Architecture Blog, "Exponential Backoff And Jitter".

    Attributes:
        tries: in all.
        base: seconds, the first ceiling.
        cap: seconds, the highest one.
    """

    tries: int = 8
    base: float = 1.0
    cap: float = 60.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures."""
        return random.uniform(0, min(self.cap, self.base * 2.0 ** (failures - 1)))  # noqa: S311 - not a secret


class Client:
    """Sends calls to one API. Threads share it.

    Args:
        base_url: what relative URLs are below, and where credentials may go.
        user_agent: who this is.
        credentials: of which the limiter chooses; none means anonymous.
        judge: what this API means by its answers.
        limiter: made with `max_wait` if left out.
        retry: for what passes.
        max_wait: seconds that one call may be held up by limits.
        timeout: seconds without a byte of the answer.
        verify: check certificates; or the path of a bundle of authorities.
        proxy: URL of one; the environment's otherwise.
        allowed_hosts: further hosts that the credentials may go to, by https.
        headers: of each request.

    Raises:
        ConfigurationError: the base URL is none.

    Attributes:
        knows_time: whether `now` is the server's clock already.
    """

    def __init__(
        self,
        base_url: str,
        *,
        user_agent: str,
        credentials: Sequence[Credential] = (),
        judge: Judge | None = None,
        limiter: Limiter | None = None,
        retry: Retry = Retry(),
        max_wait: float = 3900,
        timeout: float = 300,
        verify: bool | str = True,
        proxy: str | None = None,
        allowed_hosts: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        place = urlsplit(base_url)
        if place.scheme not in {"http", "https"} or not place.hostname:
            raise ConfigurationError(
                f"The API's address (setting api_url) is {base_url!r}. Next: write it like https://api.example.com."
            )
        self.base_url = base_url.rstrip("/") + "/"
        self.credentials = tuple(credentials)
        self.limiter = limiter or Limiter(max_wait=max_wait)
        self.allowed_hosts = frozenset(host.lower() for host in allowed_hosts)
        self._judge = judge
        self._retry = retry
        self._timeout = (min(_CONNECT_SECONDS, timeout), timeout)
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", **(headers or {})}
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_connections=_MOST_CONNECTIONS, pool_maxsize=_MOST_CONNECTIONS)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._verify = verify
        self._refreshing = threading.Lock()
        self._refreshed_at: dict[str, float] = {}
        self._skew = timedelta(0)
        self.knows_time = False

    def send(self, call: Call) -> requests.Response:
        """Ask until there is an answer that the caller can use.

        Returns:
            One that is accepted, or whose status the call tolerates.

        Raises:
            UnreachableError: nobody answers, in all tries.
            FailingServerError: something that should pass did not, in all tries.
            QuotaExhaustedError: the limit lasts longer than `max_wait`.
            UnauthorizedError: the credential does not do.
            RefusedError: any other refusal.
            UnreadableError: what came is no JSON.
            ForeignHostError: it redirects credentials elsewhere.
            StoppedError: the tap is about to end.
        """
        credentials = [credential for credential in self.credentials if credential.serves(call)]
        failures = 0
        waited = 0.0
        renewed: set[str] = set()
        while True:
            asked_at = time.monotonic()
            lease = self.limiter.acquire(urlsplit(self._url(call)).netloc, credentials, call, waited=waited)
            waited += time.monotonic() - asked_at
            response, verdict = self._try(call, lease)
            if verdict.action is Action.ACCEPT:
                assert response is not None  # noqa: S101
                return response
            if verdict.action is Action.FAIL:
                assert verdict.error is not None  # noqa: S101
                raise verdict.error
            if verdict.action is Action.REFRESH:
                if lease.credential.name in renewed or not self._renew(lease):
                    raise UnauthorizedError(
                        f"{self._describe(call, response)}: {verdict.reason}. Next: check the credential"
                        f" ({lease.credential.name}): it is wrong, has expired or was revoked."
                    )
                renewed.add(lease.credential.name)
            elif verdict.action is Action.RETRY:
                failures += 1
                if failures >= self._retry.tries:
                    kind = UnreachableError if response is None else FailingServerError
                    raise kind(
                        f"{self._describe(call, response)}: {verdict.reason}, {failures} times in a row. Next: run "
                        "again with the last state; if it stays, look at the API's status page."
                    )
                pause = self._retry.pause(failures) if verdict.wait is None else verdict.wait
                if pause > self.limiter.max_wait:
                    raise FailingServerError(
                        f"{self._describe(call, response)}: {verdict.reason}, for {pause:.0f} seconds, which is longer "
                        f"than max_wait_seconds ({self.limiter.max_wait:.0f}) allows. Next: run again then, with the "
                        "last state."
                    )
                _logger.warning(
                    "%s: %s. Trying again in %.1f seconds (%d of %d).",
                    self._describe(call, response), verdict.reason, pause, failures + 1, self._retry.tries,
                )  # fmt: skip
                self.limiter.sleep(pause)

    def now(self) -> datetime:
        """The server's clock, as its answers' `Date` tells; this machine's before the first one."""
        return datetime.now(timezone.utc) + self._skew

    def next_link(self, response: requests.Response, rel: str = "next") -> str | None:
        """The target of a `Link` header.

        Raises:
            ForeignHostError: it leads to a host that the credentials may not go to.
        """
        return link(response, rel, self.base_url, self.allowed_hosts)

    def trusted(self, url: str, response: requests.Response) -> str:
        """Make a URL that an answer holds absolute.

        Raises:
            ForeignHostError: it leads to a host that the credentials may not go to.
        """
        return trusted(urljoin(response.url, url), self.base_url, self.allowed_hosts)

    def stop(self) -> None:
        """End all waiting, see `Limiter.stop`."""
        self.limiter.stop()

    # One try

    def _try(self, call: Call, lease: Lease) -> tuple[requests.Response | None, Verdict]:
        headers: Mapping[str, str] = {}
        limited = None
        response = None
        try:
            response = self._exchange(call, lease.credential)
            headers = response.headers
            self._read_clock(response)
            verdict = self._judged(call, response)
            if call.to_file and verdict.action is not Action.ACCEPT:
                response.raw.close()  # of a body that was read, `Response.close` leaves it open
            if verdict.action is Action.WAIT:
                wait = verdict.wait
                if wait is None:
                    wait = seconds_to_wait(headers.get("retry-after"), self.now())
                limited = LimitedBy(wait, verdict.least, verdict.scope)
        except requests.exceptions.SSLError as error:
            verdict = Verdict.fail(
                ConfigurationError(
                    f"{self._describe(call)}: {_plainly(error)}. Next: set ca_bundle to a file with the authority that "
                    "signs for this server, or see who answers in its place."
                )
            )
        except _PASSING as error:
            verdict = Verdict.retry(_plainly(error))
        finally:
            self.limiter.settle(lease, headers, self.now(), limited=limited)
        return response, verdict

    def _judged(self, call: Call, response: requests.Response) -> Verdict:
        verdict = self._judge(call, response) if self._judge else None
        if verdict is None and (
            response.status_code in call.tolerate or (call.etag and response.status_code == requests.codes.not_modified)
        ):
            return Verdict.accept()
        verdict = verdict or judge_by_status(call, response)
        if verdict.action is Action.RETRY and verdict.wait is None:
            wait = seconds_to_wait(response.headers.get("retry-after"), self.now())
            verdict = verdict if wait is None else Verdict.retry(verdict.reason, wait=wait)
        if verdict.action is Action.ACCEPT and call.reads_json and response.ok and response.content:
            try:
                decoded(response)
            except UnreadableError as error:
                return Verdict.retry(str(error))
        return verdict

    def _exchange(self, call: Call, credential: Credential) -> requests.Response:
        request = self._prepare(call)
        for _ in range(_MOST_REDIRECTS):
            assert request.url is not None  # noqa: S101
            if not call.anonymous and is_trusted(request.url, self.base_url, self.allowed_hosts):
                credential.apply(request)
            settings = self._session.merge_environment_settings(
                request.url,
                self._proxies,
                stream=call.to_file,
                verify=None if self._verify is True else self._verify,
                cert=None,
            )
            response = self._session.send(request, timeout=self._timeout, allow_redirects=False, **settings)
            if not response.is_redirect or request.method not in {"GET", "HEAD"}:
                if call.to_file and response.ok:
                    _save(response)
                return response
            response.close()
            target = urljoin(request.url, response.headers["location"])
            if urlsplit(target).scheme not in {"http", "https"}:
                break
            trusts = is_trusted(target, self.base_url, self.allowed_hosts)
            headers = request.headers if trusts else {"User-Agent": self._headers["User-Agent"], "Accept": "*/*"}
            request = requests.Request(request.method, target, headers=dict(headers)).prepare()
        raise RefusedError(f"{self._describe(call)}: the server redirects without an end. Next: check the base URL.")

    def _prepare(self, call: Call) -> requests.PreparedRequest:
        url = self._url(call)
        pairs = [
            (name, _text(item))
            for name, value in call.params.items()
            for item in (value if isinstance(value, (list, tuple)) else (value,))
            if item is not None
        ]
        if pairs:
            url += ("&" if urlsplit(url).query else "?") + urlencode(pairs)
        # Those that go with every call may be credentials too: a host that is not the API's gets the call's own only.
        trusts = not call.anonymous and is_trusted(url, self.base_url, self.allowed_hosts)
        headers = {**(self._headers if trusts else {"User-Agent": self._headers["User-Agent"]}), **call.headers}
        if call.etag:
            headers["If-None-Match"] = call.etag
        data: Any = call.data
        if call.json is not None:
            headers.setdefault("Content-Type", "application/json")
            data = msgspec.json.Encoder(decimal_format="number").encode(call.json)
        # Not by the session, which would add cookies and the credentials of a .netrc file.
        return requests.Request(call.method, url, headers=headers, data=data).prepare()

    def _describe(self, call: Call, response: requests.Response | None = None) -> str:
        return describe(replace(call, url=self._url(call)), response)

    def _url(self, call: Call) -> str:
        return call.url if "://" in call.url else self.base_url + call.url.lstrip("/")

    def _read_clock(self, response: requests.Response) -> None:
        if date := http_date(response.headers.get("date")):
            self._skew = date - datetime.now(timezone.utc)
            self.knows_time = True

    def _renew(self, lease: Lease) -> bool:
        """Renew a credential, once for all threads that found out at the same time."""
        name = lease.credential.name
        with self._refreshing:
            if self._refreshed_at.get(name, float("-inf")) >= lease.since:
                return True
            done = lease.credential.refresh()
            self._refreshed_at[name] = time.monotonic()
            return done


def _save(response: requests.Response) -> None:
    """Move a body to a file, unpacked as its `Content-Encoding` says; one that breaks off raises as it would."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by who reads it
    try:
        for part in response.iter_content(1 << 16):
            file.write(part)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    response.raw = file
    response._content = b""  # noqa: SLF001 - for who looks for a reason in every answer's text


def decoded(response: requests.Response) -> Any:
    """The answer's JSON, numbers with a point as `Decimal`, so that each digit stays.

    Raises:
        UnreadableError: it is no JSON.
    """
    found = response.__dict__.get("_decoded", _decode)
    if found is _decode:
        try:
            found = _decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            kind = response.headers.get("content-type", "no content type")
            raise UnreadableError(f"the answer is no JSON but {kind} ({error}){excerpt(response)}") from None
        response.__dict__["_decoded"] = found
    return found


def _plainly(error: Exception) -> str:
    """What went wrong on the way, without the layers of libraries around it."""
    inner: BaseException = error
    while (cause := inner.__cause__ or inner.__context__ or getattr(inner, "reason", None)) is not None and isinstance(
        cause, BaseException
    ):
        inner = cause
    if isinstance(error, requests.Timeout):
        return "no connection in time" if isinstance(error, requests.ConnectTimeout) else "no answer in time"
    return f"{type(inner).__name__}: {inner}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
