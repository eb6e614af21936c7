"""How the fake server pages."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from singer_kit.testing.api import (
    Collection,
    FakeApi,
    body_cursor,
    body_url,
    keyset,
    link_cursor,
    link_pages,
    offsets,
    page_numbers,
)

ROWS = [{"id": number, "name": f"row {number}"} for number in range(1, 8)]


def everything(request) -> list[dict[str, Any]]:  # noqa: ARG001
    return ROWS


def ids(answer: requests.Response, items: str = "") -> list[int]:
    body = answer.json()
    for name in filter(None, items.split(".")):
        body = body[name]
    return [row["id"] for row in body]


@pytest.fixture
def api():
    with FakeApi() as api:
        yield api


def test_link_pages(api) -> None:
    api.route("GET", "/items", Collection(everything, link_pages(size=3)))
    first = requests.get(f"{api.url}/items?sort=name", timeout=5)
    assert ids(first) == [1, 2, 3]
    assert first.links == {
        "next": {"url": f"{api.url}/items?sort=name&page=2", "rel": "next"},
        "last": {"url": f"{api.url}/items?sort=name&page=3", "rel": "last"},
    }
    third = requests.get(first.links["last"]["url"], timeout=5)
    assert ids(third) == [7]
    assert set(third.links) == {"prev", "first"}
    assert ids(requests.get(f"{api.url}/items?page=9", timeout=5)) == []


def test_a_page_is_no_larger_than_the_server_likes(api) -> None:
    api.route("GET", "/items", Collection(everything, link_pages(maximum=2)))
    assert ids(requests.get(f"{api.url}/items?per_page=100", timeout=5)) == [1, 2]


def test_a_cursor_stands_behind_a_key_and_not_at_a_place(api) -> None:
    rows = [dict(row) for row in ROWS]
    api.route("GET", "/items", Collection(lambda _: rows, link_cursor(size=3)))
    first = requests.get(f"{api.url}/items", timeout=5)
    del rows[0]
    assert "after=" in first.links["next"]["url"]
    assert ids(requests.get(first.links["next"]["url"], timeout=5)) == [4, 5, 6]


def test_pages_by_number_shift_when_rows_go(api) -> None:
    rows = [dict(row) for row in ROWS]
    api.route("GET", "/items", Collection(lambda _: rows, link_pages(size=3)))
    api.after(1, lambda: rows.pop(0))
    first = requests.get(f"{api.url}/items", timeout=5)
    assert ids(requests.get(first.links["next"]["url"], timeout=5)) == [5, 6, 7]


@pytest.mark.parametrize(
    ("paging", "queries", "items", "pages"),
    [
        (page_numbers("data.rows", "meta.total"), ["per_page=5", "per_page=5&page=2"], "data.rows", [5, 2]),
        (offsets("rows", "total"), ["limit=4", "limit=4&offset=4", "limit=4&offset=8"], "rows", [4, 3, 0]),
        (keyset("starting_after"), ["limit=4", "limit=4&starting_after=4", "starting_after=7"], "", [4, 3, 0]),
        (page_numbers("rows", first=0), ["per_page=5&page=0", "per_page=5&page=1"], "rows", [5, 2]),
    ],
)
def test_positions_that_the_client_counts(api, paging, queries, items, pages) -> None:
    api.route("GET", "/items", Collection(everything, paging))
    answers = [requests.get(f"{api.url}/items?{query}", timeout=5) for query in queries]
    assert [len(ids(answer, items)) for answer in answers] == pages
    assert [number for answer in answers for number in ids(answer, items)] == [1, 2, 3, 4, 5, 6, 7]
    if paging.total:
        assert answers[0].json()[paging.total.partition(".")[0]] in (7, {"total": 7})


def test_a_cursor_in_the_body(api) -> None:
    api.route("GET", "/items", Collection(everything, body_cursor("data", "meta.next", descending=False)))
    found, cursor = [], None
    while True:
        body = requests.get(f"{api.url}/items", params={"limit": 3, "cursor": cursor}, timeout=5).json()
        found += [row["id"] for row in body["data"]]
        cursor = body["meta"]["next"]
        if cursor is None:
            break
    assert found == [1, 2, 3, 4, 5, 6, 7]
    assert len(api.log) == 3


@pytest.mark.parametrize(("omits", "end"), [(True, {"droplets": ROWS[6:]}), (False, None)])
def test_a_url_in_the_body(api, omits, end) -> None:
    api.route("GET", "/d", Collection(everything, body_url("droplets", "links.pages.next", size=6, omits=omits)))
    body = requests.get(f"{api.url}/d", timeout=5).json()
    assert body["links"] == {"pages": {"next": f"{api.url}/d?page=2"}}
    last = requests.get(body["links"]["pages"]["next"], timeout=5).json()
    assert last == (end or {"droplets": ROWS[6:], "links": {"pages": {"next": None}}})


def test_descending_by_two_keys(api) -> None:
    rows = [{"id": number, "at": "2024-01-02" if number > 3 else "2024-01-01"} for number in range(1, 8)]

    def key(row) -> list[Any]:
        return [row["at"], row["id"]]

    paging = link_cursor(size=2, key=key, descending=True)
    api.route("GET", "/items", Collection(lambda _: sorted(rows, key=key, reverse=True), paging))
    answer = requests.get(f"{api.url}/items", timeout=5)
    found = ids(answer)
    while "next" in answer.links:
        answer = requests.get(answer.links["next"]["url"], timeout=5)
        found += ids(answer)
    assert found == [7, 6, 5, 4, 3, 2, 1]


def test_filters_and_order_are_functions(api) -> None:
    api.route(
        "GET",
        "/items",
        Collection(
            everything,
            link_pages(),
            keep=lambda row, request: row["id"] >= int(request.query.get("since", 0)),
            order=lambda rows, request: rows[::-1] if request.query.get("direction") == "desc" else rows,
        ),
    )
    assert ids(requests.get(f"{api.url}/items?since=5&direction=desc", timeout=5)) == [7, 6, 5]
    assert ids(requests.get(f"{api.url}/items?since=50", timeout=5)) == []
