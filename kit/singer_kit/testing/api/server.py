"""The fake server: real sockets, and behind them handlers, faults, limits, checks and a log."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from requests.structures import CaseInsensitiveDict

from singer_kit.testing.api.clock import Clock, http_date
from singer_kit.testing.api.exchange import Answer, Request
from singer_kit.testing.api.faults import Fault, When
from singer_kit.testing.api.log import Exchange, RequestLog
from singer_kit.testing.api.routes import Handler, Route, Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from typing_extensions import Self

    from singer_kit.testing.api.description import Description
    from singer_kit.testing.api.limits import Limit

_SHOWN = 10  # complaints in the error at the end
_FIRST_ERROR = 400


class Complaints(AssertionError):  # noqa: N818
    """Requests or answers were not as the API's description says."""


@dataclass(frozen=True)
class _Sent:
    """What goes over the wire, and how."""

    answer: Answer | None
    keep: int | None = None  # bytes of the body that are sent; None: all
    delay: float = 0


def refuse(request: Request, problems: list[str]) -> Answer:  # noqa: ARG001
    """The answer to an illegal request, unless the API has another form for it."""
    return Answer({"message": "Validation Failed", "errors": problems}, 422)


@dataclass
class FakeApi(AbstractContextManager["FakeApi"]):
    """A stateful server for the tests of one tap.

    Requests run through faults, limits, the description's rules for requests, the handler, and the description's rules
    for answers. All of that happens for one request at a time, so handlers need no locks; latency and sending do not.

    Args:
        description: what requests and answers are checked against; None: nothing is.
        latency: seconds that each answer takes on top.
        clock: the server's; by default it stands still until a test moves it.
        base_path: before every route, such as GitHub Enterprise's `/api/v3`.
        strict: raise `Complaints` at the end of the `with` block if there are any.
        refusal: makes the answer to an illegal request.

    Attributes:
        log: every request and its answer.
        complaints: what was illegal: requests, answers, requests without a route.
        limits: asked in their order whether a request may pass.
        gates: called before the handler; one that answers, refuses: authentication, say.

    Example:
        with FakeApi(read_description("api.json")) as api:
            api.route("GET", "/items", Collection(lambda request: rows, link_pages()))
            api.fault(Fault(Answer(status=502)), nth=2)
            …

    """

    description: Description | None = None
    latency: float = 0.0
    clock: Clock = field(default_factory=Clock)
    base_path: str = ""
    strict: bool = True
    refusal: Callable[[Request, list[str]], Answer] = refuse
    log: RequestLog = field(default_factory=RequestLog, init=False)
    complaints: list[str] = field(default_factory=list, init=False)
    limits: list[Limit] = field(default_factory=list, init=False)
    gates: list[Callable[[Request], Answer | None]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._routes, self._outside = Routes(), Routes()
        self._faults: list[tuple[When, Fault]] = []
        self._hooks: list[tuple[When, Callable[[], object]]] = []
        self._numbers = itertools.count(1)
        self._in_flight = 0
        self._server: _Server | None = None

    # For the test

    @property
    def url(self) -> str:
        """The address, without a slash at its end; there while the `with` block runs."""
        assert self._server is not None, "FakeApi has an address only inside its with block"  # noqa: S101
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.base_path}"

    def route(
        self,
        method: str,
        template: str,
        handler: Handler,
        *,
        described: bool = True,
        like: str = "",
        also: Collection[str] = (),
        absolute: bool = False,
    ) -> None:
        """Register a handler.

        Args:
            method: of HTTP.
            template: `{name}` for one segment of the path, `{name:path}` for one or more.
            handler: from a request to its answer. The same template again replaces the former.
            described: whether requests and answers are checked.
            like: the template that the description has instead.
            also: query parameters that the description does not know.
            absolute: whether the template is not below the base path.

        """
        routes = self._outside if absolute else self._routes
        routes.add(Route(method, template, handler, (like or template) if described else None, frozenset(also)))

    def fault(
        self,
        fault: Fault,
        *,
        nth: int | Collection[int] | None = None,
        path: str | None = None,
        method: str | None = None,
        where: Callable[[Request], bool] | None = None,
    ) -> When:
        """Let requests go wrong; see `When` for which. Its `seen` counts those that came near."""
        self._faults.append((When(nth, path, method, where), fault))
        return self._faults[-1][0]

    def after(
        self,
        nth: int | Collection[int] | None,
        change: Callable[[], object],
        *,
        path: str | None = None,
        method: str | None = None,
        where: Callable[[Request], bool] | None = None,
    ) -> When:
        """Change something after a request: its answer is made by then, but has not reached the client yet."""
        self._hooks.append((When(nth, path, method, where), change))
        return self._hooks[-1][0]

    def forget(self) -> None:
        """Drop faults, hooks, log and complaints; routes, limits and clock stay."""
        with self.lock:
            self._faults.clear()
            self._hooks.clear()
            self.log.clear()
            self.complaints.clear()

    def check(self) -> None:
        """Raise if there are complaints.

        Raises:
            Complaints: with the first of them.

        """
        if self.complaints:
            raise Complaints("\n".join(_counted(self.complaints)))

    # Its life

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None  # noqa: S101
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._server = None
        if kind is None and self.strict:
            self.check()

    # One request

    def serve(self, method: str, target: str, headers: CaseInsensitiveDict[str], body: bytes) -> _Sent:
        """Answer one request after its latency; called by the thread of its connection."""
        with self.lock:
            self._in_flight += 1
            in_flight = self._in_flight
        try:
            sent = self._sent(method, target, headers, body, in_flight)
            if pause := self.latency + sent.delay:
                time.sleep(pause)
            return sent
        finally:
            with self.lock:
                self._in_flight -= 1

    def _sent(self, method: str, target: str, headers: CaseInsensitiveDict[str], body: bytes, in_flight: int) -> _Sent:
        arrived = time.monotonic()
        parts = urlsplit(target)
        with self.lock:
            self.clock.advance(self.clock.per_request)
            path = unquote(parts.path)
            request = Request(
                number=next(self._numbers),
                method=method,
                path=path.removeprefix(self.base_path),
                pairs=tuple(parse_qsl(parts.query, keep_blank_values=True)),
                headers=headers,
                body=body,
                now=self.clock.now,
                root=f"http://{headers.get('Host', '')}{self.base_path}",
            )
            routes = self._routes if path.startswith(self.base_path) else self._outside
            route, parameters = routes.find(method, request.path) or (None, {})
            request = replace(request, parameters=parameters)
            try:
                sent = self._faulty(request, route, in_flight)
                for when, change in self._hooks:
                    if when.meets(request):
                        change()
            except Exception as error:  # noqa: BLE001  (of a test's own functions: the test must hear of it)
                self._complain(request, f"{error!r} was raised at {_place(error)}")
                sent = _Sent(Answer({"message": "Internal Server Error"}, 500))
            if sent.answer is not None:
                answer = sent.answer.with_headers({"Date": http_date(request.now)})
                _ = answer.content  # written now: hooks change the rows that it is made of
                sent = replace(sent, answer=answer)
            template = route.template if route else ""
            self.log.append(Exchange(request, sent.answer, template, threading.get_ident(), arrived, in_flight))
            return sent

    def _faulty(self, request: Request, route: Route | None, in_flight: int) -> _Sent:
        met = [fault for when, fault in self._faults if when.meets(request)]
        if not met:
            return _Sent(self._true(request, route, in_flight))
        fault = met[0]
        if fault.cut:
            return _Sent(None, delay=fault.delay)
        answer = fault.answer or self._true(request, route, in_flight)
        return _Sent(answer, fault.truncate, fault.delay)

    def _true(self, request: Request, route: Route | None, in_flight: int) -> Answer:
        refusals = (limit.admit(request, in_flight) for limit in self.limits)
        answer = next((each for each in refusals if each is not None), None) or self._admitted(request, route)
        for limit in self.limits:
            answer = limit.stamp(request, answer)
        return answer

    def _admitted(self, request: Request, route: Route | None) -> Answer:
        for gate in self.gates:
            if (refused := gate(request)) is not None:
                return refused
        if route is None:
            self._complain(request, "no route: it is not registered, or the client invented it")
            return Answer({"message": "Not Found"}, 404)
        checked = self.description if route.described_as is not None else None
        template = route.described_as or ""
        if checked is not None and (problems := checked.request_problems(template, request, route.also)):
            for problem in problems:
                self._complain(request, problem)
            return self.refusal(request, problems)
        answer = route.handler(request)
        if checked is not None:
            for problem in checked.answer_problems(template, request, answer):
                self._complain(request, f"answer {answer.status}: {problem}")
        return answer

    def _complain(self, request: Request, problem: str) -> None:
        self.complaints.append(f"{request.method} {request.path}: {problem}")


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _counted(complaints: list[str]) -> list[str]:
    shown = list(dict.fromkeys(complaints))
    more = [f"… and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    return [f"{len(complaints)} complaints:", *(f"  {each}" for each in shown[:_SHOWN]), *more]


class _Server(ThreadingHTTPServer):
    """A thread for each connection, which may hold many requests."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, api: FakeApi) -> None:
        self.api = api
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """End what clients keep alive, so that their threads end."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the server; an exception of a handler was answered."""


class _Connection(BaseHTTPRequestHandler):
    """HTTP as the standard library reads it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(self.headers.items())
        sent = self.server.api.serve(self.command, self.path, headers, body)
        answer = sent.answer
        if answer is None:
            self.close_connection = True
            return
        content = answer.content
        lines = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(content))}
        lines |= answer.headers
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        kept = content if sent.keep is None else content[: sent.keep]
        if self.command == "HEAD":
            kept = b""
        # In one piece: two writes would wait for each other.
        self.wfile.write(f"HTTP/1.1 {answer.status} {_reason(answer.status)}\r\n{head}\r\n".encode("latin-1") + kept)
        if sent.keep is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing on stderr: `FakeApi.log` has it."""


def _reason(status: int) -> str:
    return BaseHTTPRequestHandler.responses.get(status, ("",))[0]
