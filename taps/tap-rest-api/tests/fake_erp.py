"""The ERP of the third example: sessions, a search in local time that allows so many rows, details, an export."""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from singer_kit.testing.api import Answer, FakeApi, Request

if TYPE_CHECKING:
    from datetime import timedelta

BERLIN = ZoneInfo("Europe/Berlin")
LOCAL = "%d.%m.%Y %H:%M:%S"
UTC = timezone.utc


def order(number: int, changed: datetime, company: int = 1, **more: Any) -> dict[str, Any]:
    """A row as the ERP keeps it."""
    return {"company": company, "number": number, "_changed": changed, "status": "OPEN", "total": "12.50", **more}


class FakeErp:
    """An API at `/api/v2`.

    Args:
        orders: rows of `order`.
        most: rows that a search may find.
        page: rows of an answer.
        session_life: requests that a session is good for.
    """

    def __init__(
        self, orders: list[dict[str, Any]], *, most: int = 10_000, page: int = 500, session_life: int = 10_000
    ) -> None:
        self.api = FakeApi(base_path="/api/v2")
        self.orders, self.most, self.page, self.session_life = orders, most, page, session_life
        self.sessions: dict[str, int] = {}
        self.logged_out: list[str] = []
        self.polls = 0
        self.searches: list[tuple[str, str]] = []
        self.stock = 'warehouse;sku;qty\r\nNORD;Käse;1,5\r\n"SÜD;2";"Two\nlines ""q""";1000\r\n'.encode("cp1252")
        self.api.gates.append(self._gate)
        for method, path, handler in (
            ("POST", "/login", self._login),
            ("POST", "/logout", self._logout),
            ("POST", "/orders/search", self._search),
            ("GET", "/orders/{number}", self._order),
            ("POST", "/exports", lambda _: Answer({"job": {"id": "J1"}}, 201)),
            ("GET", "/exports/{id}", self._poll),
            ("GET", "/files/{name}", self._file),
        ):
            self.api.route(method, path, handler)

    def _gate(self, request: Request) -> Answer | None:
        if request.path.startswith("/files/"):
            assert "X-App-Key" not in request.headers
            assert "Cookie" not in request.headers
            return None
        if request.headers.get("X-App-Key") != "appkey-9":
            return Answer({"error": "app key"}, 403)
        if request.path == "/login":
            return None
        session = request.headers.get("Cookie", "").removeprefix("SID=")
        if self.sessions.get(session, 0) <= 0:
            return Answer({"error": "session"}, 401)
        self.sessions[session] -= 1
        return None

    def _login(self, request: Request) -> Answer:
        assert request.json == {"user": "joe", "password": "s3cret-pass"}
        session = f"session-{len(self.sessions) + 1}"
        self.sessions[session] = self.session_life
        return Answer({"session": {"id": session}})

    def _logout(self, request: Request) -> Answer:
        self.logged_out.append(request.headers["Cookie"])
        return Answer(status=204)

    def _search(self, request: Request) -> Answer:
        wanted = request.json["filter"]["changed"]
        self.searches.append((wanted["from"], wanted["to"]))
        start, end = (
            datetime.strptime(wanted[key], LOCAL).replace(tzinfo=BERLIN).astimezone(UTC) for key in ("from", "to")
        )
        # Both ends are included, so a row on the seam of two windows is in both.
        found = sorted(
            (
                each
                for each in self.orders
                if each["company"] == request.json["company"] and start <= each["_changed"] <= end
            ),
            key=lambda each: (each["_changed"], each["number"]),
        )
        at = int(request.json["cursor"] or 0)
        hits = found[at : at + self.page]
        if len(found) > self.most and at + len(hits) > self.most:
            return Answer({"error": "too many results"}, 422)
        following = at + len(hits) if at + len(hits) < len(found) else None
        return Answer(
            {
                "total": len(found),
                "hits": [{"doc": self.seen(each)} for each in hits],
                "next": {"cursor": None if following is None else str(following)},
            }
        )

    def seen(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row as the search shows it."""
        shown = {name: value for name, value in row.items() if not name.startswith("_")}
        return {**shown, "changed": row["_changed"].astimezone(BERLIN).strftime(LOCAL)}

    def _order(self, request: Request) -> Answer:
        row = next(each for each in self.orders if str(each["number"]) == request.parameters["number"])
        return Answer({"order": {"customer": {"name": f"C{row['number']}"}, "lines": row["_lines"]}})

    def _poll(self, request: Request) -> Answer:
        assert request.parameters["id"] == "J1"
        self.polls += 1
        if self.polls == 1:
            return Answer({"state": "RUNNING"})
        return Answer({"state": "READY", "files": [{"url": f"{request.root}/files/{n}.gz"} for n in (1,)]})

    def _file(self, _: Request) -> Answer:
        return Answer(body=gzip.compress(self.stock), headers={"Content-Type": "application/gzip"})

    def expected(self) -> dict[tuple[int, int], str]:
        """What a target should hold: changed by key."""
        return {(row["company"], row["number"]): self.seen(row)["changed"] for row in self.orders}

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self.api.clock.advance(by)
