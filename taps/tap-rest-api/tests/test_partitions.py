"""Parents and children: three levels, parts that fail, parents that have not changed."""

from __future__ import annotations

import pytest
from rest_harness import manifest, run

from singer_kit.testing.api import Answer, Collection, page_numbers

ID = {"mode": "inline", "inline": {"properties": {"id": {"type": "integer"}, "updated_at": {"type": "string"}}}}
DATED = {"cursor": "updated_at", "order": "desc", "client_filter": True}


def orders(api, rows):
    api.route("GET", "/orders", Collection(lambda _: rows, page_numbers("data")))
    api.route(
        "GET",
        "/orders/{id}/lines",
        lambda request: Answer([{"id": int(request.parameters["id"]) * 10 + n} for n in (1, 2)]),
    )
    parent = {
        "name": "orders",
        "path": "/orders",
        "primary_key": ["id"],
        "records": {"path": "$.data[*]"},
        "pagination": {"kind": "page", "param": "page"},
        "schema": ID,
        "incremental": DATED,
    }
    child = {
        "name": "lines",
        "path": "/orders/${parent.id}/lines",
        "primary_key": ["id"],
        "schema": ID,
        "partitions": [{"parent": "orders", "fields": {"id": "$.id"}, "changed_only": True}],
        "fields": {"add": {"order_id": "${parent.id}"}},
    }
    return parent, child


def test_only_children_of_changed_parents(api) -> None:
    rows = [{"id": n, "updated_at": f"2024-01-0{n}T00:00:00Z"} for n in (3, 2, 1)]
    spec = manifest(api, *orders(api, rows))
    first = run(spec, max_concurrency=1)
    assert first.column("lines", "id") == [31, 32, 21, 22, 11, 12]
    assert first.column("lines", "order_id") == [3, 3, 2, 2, 1, 1]
    rows[:] = [{"id": 1, "updated_at": "2024-01-09T00:00:00Z"}, *rows[:2]]
    second = run(spec, first.state)
    assert second.column("orders", "id") == [1, 3]
    assert set(second.column("lines", "order_id")) == {1, 3}


def test_a_child_that_failed_sees_its_parents_again(api) -> None:
    """The parent's bookmark has moved on by then; the child has one of its own."""
    rows = [{"id": n, "updated_at": f"2024-01-0{n}T00:00:00Z"} for n in (3, 2, 1)]
    spec = manifest(api, *orders(api, rows))
    first = run(spec)
    rows[:] = [{"id": 4, "updated_at": "2024-01-04T00:00:00Z"}, *rows]
    api.route("GET", "/orders/{id}/lines", lambda _: Answer({"message": "no"}, 422))
    second = run(spec, first.state)
    assert second.exit_code == 4
    assert second.bookmark("orders") == "2024-01-04T00:00:00Z"
    rows[:] = [{"id": 5, "updated_at": "2024-01-05T00:00:00Z"}, *rows]
    orders(api, rows)
    third = run(spec, second.state)
    assert third.column("orders", "id") == [5, 4]
    assert set(third.column("lines", "order_id")) == {5, 4, 3}


def test_a_parent_that_is_not_selected_is_read_for_its_children(api) -> None:
    rows = [{"id": n, "updated_at": f"2024-01-0{n}T00:00:00Z"} for n in (2, 1)]
    parent, child = orders(api, rows)
    spec = manifest(api, parent, child)
    catalog = {
        "streams": [
            {
                "tap_stream_id": name,
                "stream": name,
                "schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
                "metadata": [{"breadcrumb": [], "metadata": {"selected": name == "lines"}}],
                "key_properties": ["id"],
            }
            for name in ("orders", "lines")
        ]
    }
    output = run(spec, catalog=catalog, max_concurrency=1)
    assert output.records("orders") == []
    assert output.column("lines", "id") == [21, 22, 11, 12]
    assert len(api.log.of("/orders")) == 2  # a page of rows and an empty one


def test_three_levels_and_two_parts_that_fail(api) -> None:
    """A 404 is left out, a 422 fails; the others' bookmarks move, that of the failed one stays."""
    api.route("GET", "/shops", lambda _: Answer([{"id": "a"}, {"id": "b"}]))
    api.route("GET", "/shops/{shop}/shelves", lambda _: Answer([{"n": n} for n in (1, 2)]))
    day = ["2024-01-02T00:00:00Z"]

    def items(request):
        shop, shelf = request.parameters["shop"], request.parameters["shelf"]
        if (shop, shelf) == ("a", "2"):
            return Answer({"message": "gone"}, 404)
        if (shop, shelf) == ("b", "1") and day[0] != "2024-01-02T00:00:00Z":
            return Answer({"message": "broken"}, 422)
        return Answer([{"id": f"{shop}{shelf}", "updated_at": day[0]}])

    api.route("GET", "/shops/{shop}/shelves/{shelf}/items", items)
    streams = (
        {"name": "shops", "path": "/shops", "primary_key": ["id"]},
        {
            "name": "shelves",
            "path": "/shops/${parent.id}/shelves",
            "primary_key": ["shop", "n"],
            "partitions": [{"parent": "shops", "fields": {"id": "$.id"}}],
            "fields": {"add": {"shop": "${parent.id}"}},
        },
        {
            "name": "items",
            "path": "/shops/${parent.parent.id}/shelves/${parent.n}/items",
            "primary_key": ["id"],
            "partitions": [{"parent": "shelves", "fields": {"n": "$.n"}}],
            "incremental": {"cursor": "updated_at"},
            "errors": [{"status": 404, "action": "skip_partition"}],
        },
    )
    spec = manifest(api, *streams)
    first = run(spec, max_concurrency=1)
    assert first.exit_code == 0
    assert first.column("items", "id") == ["a1", "b1", "b2"]
    assert [r["shop"] for r in first.records("shelves")] == ["a", "a", "b", "b"]
    day[0] = "2024-01-03T00:00:00Z"
    second = run(spec, first.state)
    assert second.exit_code == 4
    assert "n 1, parent {'id': 'b'" in str(second.error)
    bookmarks = {
        (each["context"]["parent"]["id"], each["context"]["n"]): each["replication_key_value"]
        for each in second.state["bookmarks"]["items"]["partitions"]
    }
    assert bookmarks == {
        ("a", 1): "2024-01-03T00:00:00Z",
        ("b", 1): "2024-01-02T00:00:00Z",
        ("b", 2): "2024-01-03T00:00:00Z",
    }


def test_values_are_a_cross_product(api) -> None:
    api.route("GET", "/{metric}/{unit}", lambda _: Answer([{"v": 1}]))
    stream = {
        "name": "metrics",
        "path": "/${partition.metric}/${partition.unit}",
        "partitions": [{"values": ["cpu", "disk"], "as": "metric"}, {"values": [1, 2], "as": "unit"}],
        "fields": {"add": {"metric": "${partition.metric}", "unit": "${partition.unit}"}},
    }
    output = run(manifest(api, stream), max_concurrency=1)
    assert [(r["metric"], r["unit"]) for r in output.records("metrics")] == [
        ("cpu", 1),
        ("cpu", 2),
        ("disk", 1),
        ("disk", 2),
    ]


@pytest.mark.parametrize("value", ["../admin", "a/b", "ä ?#", "%2e"])
def test_a_value_cannot_change_the_path(api, value) -> None:
    api.route("GET", "/items/{id}", lambda request: Answer([{"id": request.parameters["id"]}]))
    api.route("GET", "/admin", lambda _: Answer([{"id": "stolen"}]))
    raw = []
    serve = api.serve
    api.serve = lambda method, target, *rest: (raw.append(target), serve(method, target, *rest))[1]
    stream = {"name": "items", "path": "/items/${partition.id}", "partitions": [{"values": [value], "as": "id"}]}
    run(manifest(api, stream))
    assert len(raw[0].split("?")[0].strip("/").split("/")) == 2
    assert raw[0].startswith("/items/")
    assert "stolen" not in raw[0]
    api.complaints.clear()


@pytest.mark.parametrize("value", ["..", ".", ""])
def test_a_value_that_would_climb_is_refused(api, value) -> None:
    stream = {"name": "items", "path": "/items/${partition.id}/x", "partitions": [{"values": [value], "as": "id"}]}
    output = run(manifest(api, stream))
    assert output.exit_code == 2
    assert "would change the path" in str(output.error)
    assert not api.log
