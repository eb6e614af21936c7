"""Windows, seams, local time, bookmarks that wait, lists that move while they are read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from fake_erp import FakeErp, order
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_harness import manifest, run

from singer_kit.testing.api import Answer, Collection, FakeApi, Fault, link_pages, offsets, page_numbers

UTC = timezone.utc
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def erp_manifest(erp, **incremental):
    return manifest(
        erp.api,
        {
            "name": "orders",
            "path": "/orders/search",
            "method": "POST",
            "primary_key": ["company", "number"],
            "json": {
                "company": 1,
                "filter": {
                    "changed": {
                        "from": "${window.start|format:%d.%m.%Y %H:%M:%S}",
                        "to": "${window.end|format:%d.%m.%Y %H:%M:%S}",
                    }
                },
                "cursor": None,
            },
            "pagination": {
                "kind": "cursor",
                "from": {"body": "$.next.cursor"},
                "in": "body",
                "path_in_body": "$.cursor",
            },
            "records": {"path": "$.hits[*].doc"},
            "schema": {"mode": "inline", "inline": {"properties": {"number": {"type": "integer"}}}},
            "incremental": {
                "cursor": "changed",
                "format": ["%d.%m.%Y %H:%M:%S", "rfc3339"],
                "timezone": "Europe/Berlin",
                "window": {"step": "30d", "min_step": "1h"},
                **incremental,
            },
            "errors": [{"status": 422, "body_contains": "too many results", "action": "split_window"}],
        },
        headers={"X-App-Key": "appkey-9"},
    )


@pytest.fixture
def erp():
    made = []

    def make(orders, **settings):
        server = FakeErp(orders, **settings)
        server.api.gates.clear()
        server.api.clock.set(NOW)
        server.api.__enter__()
        made.append(server)
        return server

    yield make
    for server in made:
        server.api.__exit__(None, None, None)


START = {"start_date": "2024-03-01T00:00:00Z", "settings": {}}


@pytest.mark.parametrize("by", ["total", "error"])
def test_windows_are_split_until_they_fit(erp, by) -> None:
    """5,000 rows in a month, 2,000 of them may be found: the server says so, or refuses."""
    start = datetime(2024, 3, 5, tzinfo=UTC)
    server = erp([order(n, start + timedelta(seconds=355 * n)) for n in range(5_000)], most=2_000, page=1_000)
    split = {"split_when": {"total": "$.total", "over": 2_000}} if by == "total" else {}
    spec = erp_manifest(server, window={"step": "30d", "min_step": "1h", **split})
    output = run(spec, **START)
    assert output.exit_code == 0
    numbers = output.column("orders", "number")
    if by == "total":  # the other one finds out when it has read 2,000 rows, which then come again
        assert len(numbers) == 5_000  # rows on a seam come once, though the server has them in both windows
    assert set(numbers) == set(range(5_000))


def test_a_window_that_cannot_be_split_ends_with_an_error(erp) -> None:
    moment = datetime(2024, 3, 5, tzinfo=UTC)
    server = erp([order(n, moment) for n in range(50)], most=20, page=10)
    output = run(erp_manifest(server), **START)
    assert output.exit_code == 4
    assert "cannot be split further" in str(output.error)
    assert output.bookmark("orders") is None


@pytest.mark.parametrize("step", ["1h", "6h", "1d", "30d"])
@pytest.mark.parametrize("changed_at", ["2024-10-27", "2024-03-31"])
def test_the_hours_that_are_repeated_or_left_out(erp, step, changed_at) -> None:
    """The server takes and gives local time without an offset; nothing may fall into the gap between two windows."""
    day = datetime.fromisoformat(changed_at).replace(tzinfo=UTC)
    orders = [order(n, day - timedelta(hours=3) + timedelta(minutes=10 * n)) for n in range(60)]
    server = erp(orders)
    server.api.clock.set(day + timedelta(days=1))
    output = run(
        erp_manifest(server, window={"step": step, "min_step": "10m"}),
        start_date=f"{day.date()}T00:00:00Z",
        settings={},
    )
    assert output.exit_code == 0
    wanted = {each["number"] for each in orders if each["_changed"] >= day}
    assert wanted <= set(output.column("orders", "number"))


def test_a_window_never_begins_or_ends_in_an_hour_that_happens_twice(erp) -> None:
    server = erp([])
    server.api.clock.set(datetime(2024, 10, 28, tzinfo=UTC))
    run(erp_manifest(server, window={"step": "30m"}), start_date="2024-10-26T20:00:00Z", settings={})
    bounds = {each for search in server.searches for each in search}
    assert not [each for each in bounds if each.startswith("27.10.2024 02:")]
    assert "27.10.2024 03:00:00" in bounds


def test_the_bookmark_follows_windows_of_which_none_is_missing(erp) -> None:
    """Three at once, and the second fails: the bookmark stands at its beginning, though the third was read."""
    orders = [order(n, datetime(2024, 3, 2, tzinfo=UTC) + timedelta(days=n)) for n in range(59)]
    server = erp(orders)
    bad = Fault(Answer({"error": "no"}, 400))
    server.api.fault(
        bad, path="/orders/search", where=lambda r: r.json["filter"]["changed"]["from"].startswith("31.03")
    )
    spec = erp_manifest(server, parallel_windows=3)
    output = run(spec, **START)
    assert output.exit_code == 4
    assert output.bookmark("orders") == "2024-03-31T00:00:00Z"
    server.api.forget()
    again = run(spec, output.state, **START)
    assert again.exit_code == 0
    assert set(output.column("orders", "number")) | set(again.column("orders", "number")) == set(range(59))
    assert again.bookmark("orders") == "2024-05-01T11:59:00Z"


def test_the_next_run_begins_at_the_bookmark_less_the_lookback(erp) -> None:
    server = erp([order(1, datetime(2024, 4, 30, tzinfo=UTC))])
    spec = erp_manifest(server, lookback="10m", delay="5m")
    first = run(spec, **START)
    assert first.bookmark("orders") == "2024-05-01T11:55:00Z"
    server.searches.clear()
    run(spec, first.state, **START)
    assert server.searches[0][0] == "01.05.2024 13:45:00"  # 11:45 UTC


@pytest.mark.parametrize(("policy", "numbers"), [("include", [1, 2]), ("exclude", [1])])
def test_rows_without_a_cursor(api, policy, numbers) -> None:
    api.clock.set(NOW)
    api.route("GET", "/rows", lambda _: Answer([{"id": 1, "at": "2024-01-01T00:00:00Z"}, {"id": 2, "at": None}]))
    stream = {"name": "rows", "path": "/rows", "incremental": {"cursor": "at", "missing_cursor": policy}}
    assert run(manifest(api, stream)).column("rows", "id") == numbers


def test_a_row_without_a_cursor_may_be_an_error(api) -> None:
    api.route("GET", "/rows", lambda _: Answer([{"id": 2, "at": None}]))
    stream = {"name": "rows", "path": "/rows", "incremental": {"cursor": "at", "missing_cursor": "fail"}}
    output = run(manifest(api, stream))
    assert output.exit_code == 5
    assert "Stream 'rows': a row has no cursor 'at'" in str(output.error)


def test_a_cursor_in_another_format_is_named(api) -> None:
    api.route("GET", "/rows", lambda _: Answer([{"id": 2, "at": "yesterday"}]))
    stream = {"name": "rows", "path": "/rows", "incremental": {"cursor": "at"}}
    output = run(manifest(api, stream))
    assert output.exit_code == 5
    assert "cursor 'at' holds 'yesterday', which is not rfc3339" in str(output.error)


def test_a_bookmark_is_never_later_than_the_server_s_clock(api) -> None:
    """A row from the future must not hide those that are still to come."""
    api.clock.set(NOW)
    api.route("GET", "/rows", lambda _: Answer([{"id": 1, "at": "2030-01-01T00:00:00Z"}]))
    stream = {"name": "rows", "path": "/rows", "incremental": {"cursor": "at"}}
    assert run(manifest(api, stream)).bookmark("rows") == "2024-05-01T11:59:00Z"


def test_integers_and_an_exclusive_start(api) -> None:
    """The server takes its parameter as "greater than": the last row of the run before is asked for again."""
    rows = [{"id": n} for n in range(1, 8)]
    api.route(
        "GET", "/rows", lambda request: Answer([row for row in rows if row["id"] > int(request.query.get("after", 0))])
    )
    stream = {
        "name": "rows",
        "path": "/rows",
        "incremental": {
            "cursor": "id",
            "type": "integer",
            "inclusive": False,
            "start": {"name": "after", "format": "epoch_s"},
        },
    }
    first = run(manifest(api, stream))
    assert first.bookmark("rows") == 7
    rows.append({"id": 8})
    assert run(manifest(api, stream), first.state).column("rows", "id") == [7, 8]


def test_rows_out_of_order_keep_the_bookmark_back(api) -> None:
    """The manifest says ascending, the server does otherwise, and breaks off: nothing may be lost."""
    api.clock.set(NOW)
    pages = [
        [{"id": 1, "at": "2024-04-03T00:00:00Z"}],
        [{"id": 2, "at": "2024-04-01T00:00:00Z"}],
        [{"id": 3, "at": "2024-04-09T00:00:00Z"}],
    ]

    def handler(request):
        number = int(request.query["page"])
        return Answer({"message": "no"}, 400) if number > 3 else Answer(pages[number - 1])

    api.route("GET", "/rows", handler)
    stream = {
        "name": "rows",
        "path": "/rows",
        "pagination": {"kind": "page", "param": "page"},
        "incremental": {"cursor": "at", "order": "asc"},
    }
    output = run(manifest(api, stream), catalog=None)
    assert output.exit_code == 4
    assert output.bookmark("rows") == "2024-04-03T00:00:00Z"


def test_a_descending_list_is_read_until_the_bookmark(api) -> None:
    api.clock.set(NOW)
    rows = [{"id": n, "at": f"2024-04-{n:02}T00:00:00Z"} for n in range(20, 0, -1)]
    api.route("GET", "/rows", Collection(lambda _: rows, page_numbers("data")))
    stream = {
        "name": "rows",
        "path": "/rows",
        "primary_key": ["id"],
        "records": {"path": "$.data[*]"},
        "pagination": {
            "kind": "page",
            "param": "page",
            "size": 5,
            "size_param": "per_page",
            "stop": [{"older_than_bookmark": True}],
        },
        "schema": {"mode": "inline", "inline": {"properties": {"id": {"type": "integer"}}}},
        "incremental": {"cursor": "at", "order": "desc", "client_filter": True},
    }
    first = run(manifest(api, stream))
    assert len(first.records("rows")) == 20
    rows.insert(0, {"id": 21, "at": "2024-04-21T00:00:00Z"})
    api.forget()
    second = run(manifest(api, stream), first.state)
    assert second.column("rows", "id") == [21, 20]
    assert [each.request.query["page"] for each in api.log] == ["1", "2"]  # the first page had something new
    assert second.bookmark("rows") == "2024-04-21T00:00:00Z"


# Random changes between and within runs

BASE = datetime(2024, 1, 1, tzinfo=UTC)


class Moving:
    """Rows that are changed, added and deleted while they are read. Each change has a time of its own."""

    def __init__(self, count: int) -> None:
        self.tick = 0
        self.next_id = count + 1
        self.rows = {n: self._row(n) for n in range(1, count + 1)}
        self.deleted: set[int] = set()

    def _row(self, number: int) -> dict:
        self.tick += 1
        moment = BASE + timedelta(seconds=self.tick)
        return {"id": number, "value": self.tick, "updated_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def change(self, kind: str, which: int) -> None:
        numbers = sorted(self.rows)
        if kind == "add" or not numbers:
            self.rows[self.next_id] = self._row(self.next_id)
            self.next_id += 1
        elif kind == "update":
            number = numbers[which % len(numbers)]
            self.rows[number] = self._row(number)
        else:
            number = numbers[which % len(numbers)]
            del self.rows[number]
            self.deleted.add(number)

    def since(self, text: str | None) -> list[dict]:
        rows = sorted(self.rows.values(), key=lambda row: row["updated_at"])
        return [row for row in rows if text is None or row["updated_at"] >= text]


WAYS = {
    "pages since": (page_numbers("data"), {"kind": "page", "param": "page", "size_param": "per_page"}, "asc"),
    "links since": (link_pages(items="data"), {"kind": "link_header", "size_param": "per_page"}, "asc"),
    "offsets since": (offsets("data"), {"kind": "offset", "param": "offset", "size_param": "limit"}, "asc"),
}
CHANGES = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["add", "update", "update", "delete"]), st.integers(0, 50)),
    max_size=12,
)


@pytest.mark.parametrize("way", WAYS)
@given(count=st.integers(0, 14), size=st.integers(2, 4), first=CHANGES, between=CHANGES, second=CHANGES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_upserted_equals_the_source(way, count, size, first, between, second) -> None:
    paging, pagination, order_ = WAYS[way]
    source = Moving(count)
    target: dict[int, dict] = {}
    with FakeApi() as api:
        api.clock.set(BASE + timedelta(days=30))
        api.route("GET", "/rows", Collection(lambda request: source.since(request.query.get("since")), paging))
        stream = {
            "name": "rows",
            "path": "/rows",
            "primary_key": ["id"],
            "pagination": {"size": size, **pagination},
            "records": {"path": "$.data[*]"},
            "schema": {"mode": "inline", "inline": {"properties": {"id": {"type": "integer"}}}},
            "incremental": {"cursor": "updated_at", "order": order_, "start": {"name": "since"}},
        }
        state = None
        for changes in (first, second, []):
            api.forget()
            for nth, kind, which in changes:
                api.after(nth, lambda kind=kind, which=which: source.change(kind, which))
            output = run(manifest(api, stream), state)
            assert output.exit_code == 0
            for record in output.records("rows"):
                target[record["id"]] = record
            state = output.state
            if changes is first:
                for _, kind, which in between:
                    source.change(kind, which)
        source_rows = {number: row["value"] for number, row in source.rows.items()}
        found = {number: int(row["value"]) for number, row in target.items() if number not in source.deleted}
        assert found == source_rows
