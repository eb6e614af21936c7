"""Deletions, unchanged answers, details, rows inside rows, exports, limits, and runs that are killed."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime, timezone

import pytest
from fake_erp import FakeErp
from rest_harness import manifest, run

from singer_kit.testing.api import Answer, Collection, link_pages, page_numbers

UTC = timezone.utc
INLINE = {"mode": "inline", "inline": {"properties": {"id": {"type": "integer"}}}}
ROWS = {"name": "rows", "path": "/rows", "primary_key": ["id"], "schema": INLINE}


# Deletions


def test_vanished_rows_are_told_twice(api, tmp_path) -> None:
    """Again in the next run: the first may have died before the target had it. Then no more."""
    rows = [{"id": n} for n in range(10)]
    api.route("GET", "/rows", lambda _: Answer(rows))
    spec = manifest(api, {**ROWS, "deletion": {"mode": "soft"}})
    run(spec, state_dir=str(tmp_path))
    del rows[3], rows[5]
    for expected in ([3, 6], [3, 6], []):
        output = run(spec, state_dir=str(tmp_path))
        assert [r["id"] for r in output.records("rows") if r["_sdc_deleted_at"]] == expected
    assert output.schema("rows")["_sdc_deleted_at"] == {"type": ["string", "null"], "format": "date-time"}


def test_a_list_that_breaks_off_deletes_nothing(api, tmp_path) -> None:
    rows = [{"id": n} for n in range(10)]
    pages = Collection(lambda _: rows, page_numbers("data"))
    api.route("GET", "/rows", pages)
    stream = {
        **ROWS,
        "records": {"path": "$.data[*]"},
        "pagination": {"kind": "page", "param": "page", "size": 5, "size_param": "per_page"},
    }
    soft = manifest(api, {**stream, "deletion": {"mode": "soft"}})
    snapshot = manifest(api, {**stream, "deletion": {"mode": "snapshot"}})
    run(soft, state_dir=str(tmp_path))
    kinds = [each["type"] for each in run(snapshot).messages if each["type"] != "STATE"]
    assert kinds == ["SCHEMA", *["RECORD"] * 10, "ACTIVATE_VERSION"]
    api.route("GET", "/rows", lambda r: Answer({}, 404) if r.query["page"] == "2" else pages(r))
    output = run(soft, state_dir=str(tmp_path))
    assert output.exit_code == 4
    assert not [r for r in output.records("rows") if r["_sdc_deleted_at"]]
    assert "ACTIVATE_VERSION" not in {each["type"] for each in run(snapshot).messages}
    skip = {"errors": [{"status": 404, "action": "skip_partition"}]}
    output = run(manifest(api, {**stream, **skip, "deletion": {"mode": "snapshot"}}))
    assert output.exit_code == 0
    assert "ACTIVATE_VERSION" not in {each["type"] for each in output.messages}


def test_an_empty_list_looks_like_a_fault(api, tmp_path) -> None:
    rows = [{"id": n} for n in range(10)]
    api.route("GET", "/rows", lambda _: Answer(rows))
    spec = manifest(api, {**ROWS, "deletion": {"mode": "soft"}})
    run(spec, state_dir=str(tmp_path))
    rows.clear()
    output = run(spec, state_dir=str(tmp_path))
    assert output.exit_code == 4
    assert "10 of 10 rows have vanished" in str(output.error)
    assert run(spec, state_dir=str(tmp_path), max_delete_fraction=1).exit_code == 0


def test_soft_deletion_needs_a_memory(api) -> None:
    output = run(manifest(api, {**ROWS, "deletion": {"mode": "soft"}}))
    assert output.exit_code == 2
    assert "set state_dir" in str(output.error)


# Unchanged answers


def test_a_304_means_no_rows_and_the_same_bookmark(api) -> None:
    rows = [{"id": 1, "at": "2024-01-01T00:00:00Z"}]

    def handler(request):
        tag = f'"{len(rows)}"'
        return (
            Answer(status=304) if request.headers.get("If-None-Match") == tag else Answer(rows, headers={"ETag": tag})
        )

    api.route("GET", "/rows", handler)
    stream = {**ROWS, "conditional": {"etag": True}, "incremental": {"cursor": "at", "start": {"name": "since"}}}
    first = run(manifest(api, stream))
    second = run(manifest(api, stream), first.state)  # it asks with `since` for the first time
    third = run(manifest(api, stream), second.state)
    assert [each.status for each in api.log] == [200, 200, 304]
    assert third.records("rows") == []
    assert third.bookmark("rows") == first.bookmark("rows")
    rows.append({"id": 2, "at": "2024-01-02T00:00:00Z"})
    assert run(manifest(api, stream), third.state).column("rows", "id") == [1, 2]


def test_a_first_page_that_has_not_changed_does_not_hide_the_others(api) -> None:
    """New rows of an ascending list are on the last page."""
    rows = [{"id": n} for n in range(5)]

    def handler(request):
        answer = link_pages().answer(request, rows)
        tag = f'"{hash(answer.content)}"'
        return Answer(status=304) if request.headers.get("If-None-Match") == tag else answer.with_headers({"ETag": tag})

    api.route("GET", "/rows", handler)
    stream = {
        **ROWS,
        "conditional": {"etag": True},
        "pagination": {"kind": "link_header", "size": 2, "size_param": "per_page"},
    }
    first = run(manifest(api, stream))
    rows.append({"id": 5})
    assert run(manifest(api, stream), first.state).column("rows", "id") == [0, 1, 2, 3, 4, 5]


# More requests for a record, and more rows in one


@pytest.mark.parametrize(
    ("merge", "expected"),
    [
        ("deep", {"id": 1, "a": {"x": 1, "y": 2}, "b": 1}),
        ("shallow", {"id": 1, "a": {"y": 2}, "b": 1}),
        ("replace", {"id": 1, "a": {"y": 2}}),
    ],
)
def test_details(api, merge, expected) -> None:
    api.route("GET", "/rows", lambda _: Answer([{"id": 1, "a": {"x": 1}, "b": 1}, {"id": 2}]))
    api.route("GET", "/rows/{id}", lambda r: Answer({"row": {"id": int(r.parameters["id"]), "a": {"y": 2}}}))
    detail = {
        "path": "/rows/${record.id}",
        "records": {"path": "$.row", "single": True},
        "merge": merge,
        "where": "record['id'] == 1",
    }
    output = run(manifest(api, {**ROWS, "detail": detail}))
    assert output.records("rows") == [expected, {"id": 2}]


def test_rows_inside_rows(api) -> None:
    api.route("GET", "/rows", lambda _: Answer([{"id": 1, "lines": [{"pos": 1}, {"pos": 2}]}, {"id": 2, "lines": []}]))
    child = {"name": "lines", "path": "$.lines[*]", "primary_key": ["row_id", "pos"], "keep": {"row_id": "$.id"}}
    stream = {
        "name": "rows",
        "path": "/rows",
        "primary_key": ["id"],
        "children_inline": [child],
        "fields": {"drop": ["lines"]},
    }
    output = run(manifest(api, stream))
    assert output.records("rows") == [{"id": 1}, {"id": 2}]
    assert output.records("lines") == [{"pos": 1, "row_id": 1}, {"pos": 2, "row_id": 1}]
    assert output.schema("lines") == {"pos": {"type": ["integer"]}, "row_id": {"type": ["integer"]}}
    assert len(api.log) == 2  # a sample, and the rows


def test_a_filter(api) -> None:
    api.route("GET", "/rows", lambda _: Answer([{"id": n, "tags": ["x"] * n} for n in range(4)]))
    assert run(manifest(api, {**ROWS, "filter": "len(record['tags']) > 1"})).column("rows", "id") == [2, 3]


# Exports


def job_manifest(api):
    return manifest(
        api,
        {
            "name": "stock",
            "path": "/exports",
            "primary_key": ["sku"],
            "schema": {"mode": "inline", "inline": {"properties": {"sku": {"type": "string"}}}},
            "job": {
                "create": {"path": "/exports", "method": "POST", "json": {"report": "stock"}},
                "id_path": "$.job.id",
                "poll": {
                    "call": {"path": "/exports/${job.id}"},
                    "done_when": "response['state'] == 'READY'",
                    "failed_when": "response['state'] == 'FAILED'",
                    "interval": 0,
                },
                "download": {"urls_path": "$.files[*].url", "auth": False},
            },
            "records": {
                "format": "gzip",
                "inner_format": "csv",
                "csv": {"delimiter": ";", "decimal": ","},
                "encoding": "cp1252",
            },
        },
        headers={"X-App-Key": "appkey-9"},
    )


def test_an_export_that_was_under_way_is_waited_for() -> None:
    """The former run was killed behind the STATE that names it: no second one is started."""
    erp = FakeErp([])
    erp.api.gates.clear()
    with erp.api:
        state = {"bookmarks": {"stock": {"job": "J1"}}}
        output = run(job_manifest(erp.api), state)
        assert output.exit_code == 0
        assert len(output.records("stock")) == 2
        assert not erp.api.log.of("/exports", method="POST")
        assert output.state["bookmarks"].get("stock", {}) == {}
        first = run(job_manifest(erp.api))
        states = [
            each["value"]["bookmarks"]["stock"]
            for each in first.messages
            if each["type"] == "STATE" and "stock" in each["value"].get("bookmarks", {})
        ]
        assert len(erp.api.log.of("/exports", method="POST")) == 1
        assert states[-1] == {}


def test_a_rule_that_makes_no_sense_for_an_export(api) -> None:
    api.route("POST", "/exports", lambda _: Answer({}, 409))
    spec = job_manifest(api)
    spec["streams"][0]["errors"] = [{"status": 409, "action": "ignore"}]
    output = run(spec)
    assert output.exit_code == 4
    assert "Stream 'stock'" in str(output.error)


def test_an_export_that_fails(api) -> None:
    api.route("POST", "/exports", lambda _: Answer({"job": {"id": 7}}))
    api.route("GET", "/exports/{id}", lambda _: Answer({"state": "FAILED", "why": "no stock"}))
    output = run(job_manifest(api))
    assert output.exit_code == 4
    assert "the export 7 has failed" in str(output.error)
    assert "no stock" in str(output.error)


# Limits


def test_a_budget_is_never_exceeded(api) -> None:
    """Eight threads, and not one request more than the budget in any period."""
    times = []
    lock = threading.Lock()

    def handler(_):
        with lock:
            times.append(time.monotonic())
        return Answer([{"id": 1}])

    api.route("GET", "/rows/{n}", handler)
    stream = {**ROWS, "path": "/rows/${partition.n}", "partitions": [{"values": list(range(30)), "as": "n"}]}
    limits = {"budgets": [{"limit": 10, "per": "300ms"}], "max_concurrency": 8}
    assert run(manifest(api, stream, rate_limit=limits)).exit_code == 0
    assert len(times) == 30
    times.sort()
    # The server sees them a little later than they are counted, one more than another.
    assert all(later - earlier > 0.25 for earlier, later in zip(times, times[10:], strict=False))


def test_a_reserve_is_left_to_others(api) -> None:
    left = [12]

    def handler(_):
        left[0] -= 1
        reset = str(int(datetime.now(UTC).timestamp()) + 9000)
        return Answer([{"id": 1}], headers={"x-left": str(left[0]), "x-reset": reset})

    api.clock.set(datetime.now(UTC))
    api.route("GET", "/rows/{n}", handler)
    stream = {**ROWS, "path": "/rows/${partition.n}", "partitions": [{"values": list(range(30)), "as": "n"}]}
    limits = {
        "headers": {"remaining": "x-left", "reset": "x-reset"},
        "reserve": 5,
        "max_wait": "1m",
        "max_concurrency": 1,
    }
    output = run(manifest(api, stream, rate_limit=limits))
    assert output.exit_code == 3
    assert left[0] == 5


def test_settings_are_not_secrets_but_their_secrets_are(api, caplog) -> None:
    api.route("GET", "/rows", lambda _: Answer({"message": "acme s3cret-token"}, 400))
    spec = manifest(api, ROWS, settings={"org": {}, "token": {"secret": True}})
    output = run(spec, settings={"org": "acme", "token": "s3cret-token"})
    assert output.exit_code == 4
    assert "acme ***" in caplog.text
    assert json.dumps(output.messages, default=str).count("s3cret-token") == 0
