"""Every kind of paging at every size, against servers that behave, cap pages, or never end."""

from __future__ import annotations

import pytest
from rest_harness import manifest, run

from singer_kit.testing.api import (
    Answer,
    Collection,
    body_cursor,
    body_url,
    keyset,
    link_cursor,
    link_pages,
    offsets,
    page_numbers,
)

SIZE = 5

KINDS = {
    "link_header": (
        link_pages(),
        {"kind": "link_header", "size_param": "per_page"},
        "$",
    ),
    "link_header with a cursor": (link_cursor(), {"kind": "link_header", "size_param": "per_page"}, "$"),
    "next_url": (
        body_url("data", "links.pages.next", omits=True),
        {"kind": "next_url", "path": "$.links.pages.next", "size_param": "per_page"},
        "$.data[*]",
    ),
    "cursor": (
        body_cursor("data", "next"),
        {"kind": "cursor", "from": {"body": "$.next"}, "param": "cursor", "size_param": "limit"},
        "$.data[*]",
    ),
    "cursor from a record": (
        keyset("starting_after", items="data"),
        {"kind": "cursor", "from": {"record": "$.id"}, "param": "starting_after", "size_param": "limit"},
        "$.data[*]",
    ),
    "page": (page_numbers("data"), {"kind": "page", "param": "page", "size_param": "per_page"}, "$.data[*]"),
    "page with a total": (
        page_numbers("data", "total"),
        {"kind": "page", "param": "page", "size_param": "per_page", "stop": [{"total": "$.total"}]},
        "$.data[*]",
    ),
    "pages at once": (
        page_numbers("data", "total"),
        {
            "kind": "page",
            "param": "page",
            "size_param": "per_page",
            "stop": [{"total": "$.total"}],
            "parallel_pages": 3,
        },
        "$.data[*]",
    ),
    "offset": (offsets("data"), {"kind": "offset", "param": "offset", "size_param": "limit"}, "$.data[*]"),
    "offset with a total": (
        offsets("data", "total"),
        {"kind": "offset", "param": "offset", "size_param": "limit", "stop": [{"total": "$.total"}]},
        "$.data[*]",
    ),
    "offsets at once": (
        offsets("data", "total"),
        {
            "kind": "offset",
            "param": "offset",
            "size_param": "limit",
            "stop": [{"total": "$.total"}],
            "parallel_pages": 3,
        },
        "$.data[*]",
    ),
}


def stream(pagination, path="$"):
    return {
        "name": "rows",
        "path": "/rows",
        "primary_key": ["id"],
        "pagination": {"size": SIZE, **pagination},
        "records": {"path": path},
        "schema": {"mode": "inline", "inline": {"properties": {"id": {"type": "integer"}}}},
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 1, 3 * SIZE, 3 * SIZE + 1])
def test_every_row_once(api, kind, count) -> None:
    paging, pagination, path = KINDS[kind]
    api.route("GET", "/rows", Collection(lambda _: [{"id": number} for number in range(1, count + 1)], paging))
    output = run(manifest(api, stream(pagination, path)))
    assert output.exit_code == 0
    assert sorted(output.column("rows", "id")) == list(range(1, count + 1))
    # One more than there are pages, where only an empty page tells the end.
    assert len(api.log.of("/rows")) <= max(1, -(-count // SIZE)) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_caps_pages(api, kind) -> None:
    """Asked for 5, it gives 2: offsets go on by what came."""
    paging, pagination, path = KINDS[kind]
    paging = type(paging)(**{**vars(paging), "maximum": 2})
    api.route("GET", "/rows", Collection(lambda _: [{"id": number} for number in range(1, 12)], paging))
    output = run(manifest(api, stream(pagination, path)))
    assert sorted(output.column("rows", "id")) == list(range(1, 12))


def test_relay(api) -> None:
    rows = [{"id": number} for number in range(1, 13)]
    asked = []

    def graphql(request):
        variables = request.json["variables"]
        asked.append(variables)
        start = int(variables.get("after") or 0)
        page = rows[start : start + variables["n"]]
        end = start + len(page)
        info = {"hasNextPage": end < len(rows), "endCursor": str(end)}
        return Answer({"data": {"rows": {"nodes": page, "pageInfo": info}}})

    api.route("POST", "/graphql", graphql)
    spec = stream(
        {"kind": "relay", "page_info": "$.data.rows.pageInfo", "size_variable": "n"}, "$.data.rows.nodes[*]"
    ) | {"path": "/graphql", "graphql": {"query": "query($n:Int,$after:String){rows{id}}"}}
    output = run(manifest(api, spec))
    assert output.column("rows", "id") == list(range(1, 13))
    assert asked == [{"n": 5}, {"n": 5, "after": "5"}, {"n": 5, "after": "10"}]


def test_a_cursor_that_never_changes_ends_with_an_error(api) -> None:
    numbers = iter(range(1, 100))
    api.route("GET", "/rows", lambda _: Answer({"data": [{"id": next(numbers)}], "next": "again"}))
    output = run(manifest(api, stream(KINDS["cursor"][1], "$.data[*]")))
    assert output.exit_code == 4
    assert "the next page 'again' 3 times" in str(output.error)
    assert output.column("rows", "id") == [1, 2, 3]  # what came is written
    assert len(api.log) == 3


def test_a_server_that_ignores_the_page_ends_with_an_error(api) -> None:
    api.route("GET", "/rows", lambda _: Answer({"data": [{"id": 1}]}))
    output = run(manifest(api, stream(KINDS["page"][1], "$.data[*]")))
    assert output.exit_code == 4
    assert "the same page" in str(output.error)


def test_a_page_that_is_too_large_is_asked_for_in_halves(api) -> None:
    """Page 2 of size 4 is pages 3 and 4 of size 2: no row is lost or read twice."""
    rows = [{"id": number} for number in range(1, 12)]
    pages = Collection(lambda _: rows, page_numbers("data"))

    def handler(request):
        return Answer(status=502) if request.query == {"page": "2", "per_page": "4"} else pages(request)

    api.route("GET", "/rows", handler)
    spec = stream(KINDS["page"][1] | {"size": 4}, "$.data[*]") | {"errors": [{"status": 502, "action": "shrink_page"}]}
    output = run(manifest(api, spec))
    assert output.column("rows", "id") == list(range(1, 12))


def test_pages_that_are_asked_for_at_once_do_not_shrink(api) -> None:
    """Half of a page would be all that is read of it."""
    pages = Collection(lambda _: [{"id": number} for number in range(1, 30)], page_numbers("data", "total"))
    api.route("GET", "/rows", lambda r: Answer(status=502) if r.query["page"] == "3" else pages(r))
    spec = stream(KINDS["pages at once"][1], "$.data[*]") | {"errors": [{"status": 502, "action": "shrink_page"}]}
    output = run(manifest(api, spec))
    assert output.exit_code == 4


def test_links_start_again_when_a_page_is_too_large(api) -> None:
    """What a link says counts in pages of the old size."""
    rows = [{"id": number} for number in range(1, 12)]
    pages = Collection(lambda _: rows, link_pages())

    def handler(request):
        large = request.query.get("page") == "2" and request.query["per_page"] == "4"
        return Answer(status=502) if large else pages(request)

    api.route("GET", "/rows", handler)
    spec = stream(KINDS["link_header"][1] | {"size": 4}) | {"errors": [{"status": 502, "action": "shrink_page"}]}
    output = run(manifest(api, spec))
    assert set(output.column("rows", "id")) == set(range(1, 12))


def test_an_empty_page_before_the_last_is_not_the_end_where_the_server_says_so(api) -> None:
    pages = [
        {"data": [{"id": 1}], "next": "b"},
        {"data": [], "next": "c"},
        {"data": [{"id": 2}], "next": None},
    ]
    api.route("GET", "/rows", lambda request: Answer(pages[" bc".index(request.query.get("cursor", " "))]))
    output = run(manifest(api, stream(KINDS["cursor"][1], "$.data[*]")))
    assert output.column("rows", "id") == [1, 2]
