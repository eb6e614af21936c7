"""What answers mean, and what is in them: rules, formats, types, numbers, memory."""

# ruff: noqa: E501 - tables are easier to read in one line
from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from rest_harness import manifest, run

from singer_kit.testing.api import Answer, Fault

ROWS = {"name": "rows", "path": "/rows", "primary_key": ["id"]}


def answer(api, *answers, path="/rows"):
    """Answers one after the other; the last one again and again."""
    left = list(answers)
    api.route("GET", path, lambda _: left.pop(0) if len(left) > 1 else left[0])


# Rules


def test_an_error_in_a_200_is_tried_again_and_then_fails(api) -> None:
    rules = [{"status": 200, "body_path": "$.error", "action": "retry", "wait": {"constant": 0}, "max_retries": 2}]
    answer(api, Answer({"error": "busy"}), Answer({"error": "busy"}), Answer([{"id": 1}]))
    spec = manifest(api, {**ROWS, "schema": {"mode": "inline", "inline": {}}, "errors": rules})
    assert run(spec).column("rows", "id") == [1]
    answer(api, Answer({"error": "busy"}))
    output = run(spec)
    assert output.exit_code == 4
    assert "Stream 'rows'" in str(output.error)
    assert len(api.log) == 3 + 3


def test_an_html_page_in_a_200(api) -> None:
    page = Answer(body="<html>maintenance</html>", headers={"Content-Type": "text/html"})
    answer(api, page, Answer([{"id": 1}]))
    spec = {**ROWS, "schema": {"mode": "inline", "inline": {}}}
    assert run(manifest(api, spec)).column("rows", "id") == [1]  # by itself it is tried again
    answer(api, page)
    spec["errors"] = [{"exception": "decode", "action": "fail", "message": "the API is being maintained"}]
    api.forget()
    output = run(manifest(api, spec))
    assert output.exit_code == 4
    assert "the API is being maintained" in str(output.error)
    assert len(api.log) == 1


def test_a_404_may_mean_no_rows(api) -> None:
    answer(api, Answer({"message": "none"}, 404))
    spec = {**ROWS, "errors": [{"status": 404, "body_contains": "NONE", "action": "ignore"}]}
    output = run(manifest(api, spec))
    assert output.exit_code == 0
    assert output.records("rows") == []


def test_rules_of_the_stream_come_before_those_of_the_top(api) -> None:
    answer(api, Answer({}, 409))
    top = [{"status": "4xx", "action": "fail"}]
    assert run(manifest(api, {**ROWS, "errors": [{"status": 409, "action": "ignore"}]}, errors=top)).exit_code == 0
    assert run(manifest(api, ROWS, errors=top)).exit_code == 4


def test_graphql_errors_are_errors(api) -> None:
    api.route("POST", "/graphql", lambda _: Answer({"data": None, "errors": [{"message": "Unknown field x"}]}))
    spec = {"name": "rows", "path": "/graphql", "graphql": {"query": "{x}"}, "records": {"path": "$.data.x[*]"}}
    output = run(manifest(api, spec))
    assert output.exit_code == 4
    assert "Unknown field x" in str(output.error)


def test_a_limit_in_a_body_is_waited_for(api) -> None:
    """Milliseconds of the epoch, in the past: no wait, and the same page is asked for again."""
    answer(api, Answer({"error": {"resetMs": 1}}, 429), Answer([{"id": 1}]))
    rule = {"status": 429, "action": "rate_limited", "wait": {"body": "$.error.resetMs", "unit": "epoch_ms"}}
    spec = {**ROWS, "schema": {"mode": "inline", "inline": {}}, "errors": [rule]}
    assert run(manifest(api, spec)).column("rows", "id") == [1]


@pytest.mark.parametrize("reset", ["4102444800", "4102444800000", "Fri, 01 Jan 2100 00:00:00 GMT", "99999999"])
def test_an_absurd_limit_ends_the_run(api, reset) -> None:
    answer(api, Answer({}, 429, {"x-reset": reset}))
    rule = {"status": 429, "action": "rate_limited", "wait": {"header": "x-reset"}}
    output = run(manifest(api, {**ROWS, "errors": [rule]}, rate_limit={"max_wait": "10s"}))
    assert output.exit_code == 3
    assert "max_wait_seconds (10)" in str(output.error)
    assert len(api.log) == 1


@pytest.mark.parametrize("reset", ["0", "-5", "1700000000", "1700000000000", "Tue, 14 Nov 2023 22:13:20 GMT"])
def test_a_limit_that_is_over_is_not_waited_for(api, reset) -> None:
    answer(api, Answer({}, 429, {"x-reset": reset}), Answer([{"id": 1}]))
    rule = {"status": 429, "action": "rate_limited", "wait": {"header": "x-reset"}}
    spec = {**ROWS, "schema": {"mode": "inline", "inline": {}}, "errors": [rule]}
    assert run(manifest(api, spec, rate_limit={"max_wait": "10s"})).column("rows", "id") == [1]


# Where rows are


@pytest.mark.parametrize(
    ("records", "body", "rows"),
    [
        ({}, [{"id": 1}], [{"id": 1}]),
        ({"path": "$.data"}, {"data": [{"id": 1}]}, [{"id": 1}]),
        ({"path": "$['a.b'][*]"}, {"a.b": [{"id": 1}]}, [{"id": 1}]),
        ({"path": "$.one", "single": True}, {"one": {"id": 1, "tags": [1]}}, [{"id": 1, "tags": [1]}]),
        ({"path": "$.rates", "key_as": "code"}, {"rates": {"EUR": 1, "USD": 2}}, [{"value": 1, "code": "EUR"}, {"value": 2, "code": "USD"}]),
        ({"path": "$.users", "key_as": "id"}, {"users": {"a": {"n": 1}}}, [{"n": 1, "id": "a"}]),
        ({"path": "$.rows[*]", "columns_path": "[id,n]"}, {"rows": [[1, 2], [3]]}, [{"id": 1, "n": 2}, {"id": 3, "n": None}]),
        ({"path": "$.rows", "columns_path": "$.head"}, {"head": ["id", "n"], "rows": [[1, 2]]}, [{"id": 1, "n": 2}]),
        ({"path": "$.o[*]", "explode": "$.l[*]", "keep": {"o": "$.id"}}, {"o": [{"id": 1, "l": [{"id": 5}, {"id": 6}]}, {"id": 2, "l": []}]}, [{"id": 5, "o": 1}, {"id": 6, "o": 1}]),
        ({"path": "$.l[?(@.k=='x')]"}, {"l": [{"k": "x", "id": 1}, {"k": "y"}]}, [{"k": "x", "id": 1}]),
        ({"index_as": "n"}, [{"id": 7}, {"id": 8}], [{"id": 7, "n": 0}, {"id": 8, "n": 1}]),
        ({"empty_when": "response['total'] == 0"}, {"total": 0, "id": 1}, []),
        ({"path": "$.type[*]"}, {"type": [{"type": "a"}]}, [{"type": "a"}]),
        ({}, None, []),
        ({}, 5, [{"value": 5}]),
        ({"path": "$.nowhere"}, {"x": 1}, []),
    ],
)  # fmt: skip
def test_where_rows_are(api, records, body, rows) -> None:
    answer(api, Answer(body=json.dumps(body)))
    assert run(manifest(api, {"name": "rows", "path": "/rows", "records": records})).records("rows") == rows


def test_of_a_key_that_is_there_twice_the_last_counts(api) -> None:
    answer(api, Answer(body='[{"id": 1, "id": 2}]'))
    assert run(manifest(api, ROWS)).column("rows", "id") == [2]


def test_numbers_keep_their_digits(api) -> None:
    answer(api, Answer(body='[{"id": 9007199254740993, "price": 0.1000, "big": 123456789012345678901234567890}]'))
    output = run(manifest(api, ROWS))
    assert output.records("rows") == [
        {"id": 9007199254740993, "price": Decimal("0.1000"), "big": 123456789012345678901234567890}
    ]
    assert str(output.column("rows", "price")[0]) == "0.1000"
    decimal = run(manifest(api, {**ROWS, "schema": {"numbers_as_decimal": True}}))
    assert decimal.column("rows", "price") == ["0.1000"]
    assert decimal.schema("rows")["price"] == {"type": ["string", "null"], "format": "singer.decimal"}


# Formats


def test_csv_as_the_office_writes_it(api) -> None:
    text = 'Nr;Name;Betrag\r\n1;"Müller; Söhne";"1.234,50"\r\n2;"Zeile 1\nZeile ""2""";\r\n'
    answer(api, Answer(body=text.encode("cp1252"), headers={"Content-Type": "text/csv"}))
    inline = {"properties": {"Nr": {"type": "integer"}, "Betrag": {"type": ["number", "null"]}}}
    spec = {
        "name": "rows",
        "path": "/rows",
        "primary_key": ["nr"],
        "records": {"format": "csv", "csv": {"delimiter": ";", "decimal": ","}, "encoding": "cp1252"},
        "fields": {"case": "lower"},
        "schema": {"mode": "inline", "inline": inline},
    }
    assert run(manifest(api, spec)).records("rows") == [
        {"nr": 1, "name": "Müller; Söhne", "betrag": Decimal("1234.50")},
        {"nr": 2, "name": 'Zeile 1\nZeile "2"', "betrag": None},
    ]


def test_csv_without_a_header(api) -> None:
    answer(api, Answer(body="1,a\n2,b\n"))
    spec = {**ROWS, "records": {"format": "csv", "csv": {"header": False}, "columns_path": "[id,name]"}}
    assert run(manifest(api, spec)).records("rows") == [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}]


@pytest.mark.parametrize("count", [1, 2])
def test_xml_of_one_element_and_of_several(api, count) -> None:
    order = '<o:order id="{}" xmlns:o="urn:x"><note lang="de">hi</note><line><sku>A</sku></line></o:order>'
    body = f"<list><total>9</total>{''.join(order.format(n) for n in range(count))}</list>"
    answer(api, Answer(body=body, headers={"Content-Type": "application/xml"}))
    spec = {
        **ROWS,
        "primary_key": ["@id"],
        "records": {"format": "xml", "xml": {"record_tag": "order", "force_list": ["line"]}},
    }
    assert run(manifest(api, spec)).records("rows") == [
        {"@id": str(n), "note": {"@lang": "de", "#text": "hi"}, "line": [{"sku": "A"}]} for n in range(count)
    ]


def test_a_body_that_breaks_off_is_asked_for_again(api) -> None:
    """Half of the lines have come; none of them is written twice."""
    lines = "".join(json.dumps({"id": n}) + "\n" for n in range(50))
    answer(api, Answer(body=lines))
    api.fault(Fault(truncate=100), nth=1)
    spec = {**ROWS, "records": {"format": "jsonl"}, "schema": {"mode": "inline", "inline": {}}}
    assert run(manifest(api, spec)).column("rows", "id") == list(range(50))
    assert len(api.log) == 2


def test_a_last_line_that_is_broken_is_asked_for_again(api) -> None:
    """The server's own fault: its Content-Length fits."""
    answer(api, Answer(body='{"id": 1}\n{"id": 2'), Answer(body='{"id": 1}\n{"id": 2}'))
    spec = {**ROWS, "records": {"format": "jsonl"}, "schema": {"mode": "inline", "inline": {}}}
    assert run(manifest(api, spec)).column("rows", "id") == [1, 2]


def test_a_file_that_is_not_what_the_manifest_says(api) -> None:
    answer(api, Answer(body=b"\x1f\x8b broken"))
    spec = {**ROWS, "records": {"format": "gzip"}, "schema": {"mode": "inline", "inline": {}}}
    output = run(manifest(api, spec))
    assert output.exit_code == 4
    assert "Stream 'rows': the body is not gzip" in str(output.error)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to tell the peak of memory")
def test_a_large_file_stays_out_of_memory(api, tmp_path) -> None:
    """200 MB of gzipped lines: their size is on the disk, not in the process."""
    path = tmp_path / "big.gz"
    noise = os.urandom(1 << 14).hex()
    with gzip.open(path, "wb", compresslevel=0) as file:
        for n in range(6600):
            file.write(json.dumps({"id": n, "v": noise[n:] + noise[:n]}).encode() + b"\n")
    assert path.stat().st_size > 200 << 20
    body = path.read_bytes()
    answer(api, Answer(body=body))
    config = tmp_path / "config.json"
    spec = {**ROWS, "records": {"format": "gzip"}, "schema": {"mode": "inline", "inline": {}}}
    config.write_text(json.dumps({"manifest": manifest(api, spec)}))
    program = (
        "import sys\nfrom tap_rest_api.cli import main\n"
        "try: main()\nfinally: sys.stderr.write(open('/proc/self/status').read())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--config", str(config)],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.count(b'"type":"RECORD"') == 6600
    peak = next(line for line in done.stderr.decode().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 150 * 1024


# Types


def test_types_are_seen_in_samples(api) -> None:
    rows = [
        {"id": 1, "a": None, "n": 1, "t": "2024-01-01T00:00:00Z", "d": "2024-01-01", "o": {"x": 1}, "l": [], "m": 1},
        {
            "id": 2,
            "a": None,
            "n": 1.5,
            "t": "2024-01-01T00:00:00.5+02:00",
            "d": "x",
            "o": {"y": "z"},
            "l": ["a"],
            "m": "s",
        },
    ]
    answer(api, Answer(rows))
    schema = run(manifest(api, ROWS)).schema("rows")
    assert schema == {
        "id": {"type": ["integer"]},
        "n": {"type": ["number", "null"]},
        "t": {"type": ["string", "null"], "format": "date-time"},
        "d": {"type": ["string", "null"]},
        "o": {
            "type": ["object", "null"],
            "properties": {"x": {"type": ["integer", "null"]}, "y": {"type": ["string", "null"]}},
            "additionalProperties": True,
        },
        "l": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        "m": {"type": ["string", "integer", "null"]},
        "a": {"type": ["null"]},
    }


def test_a_field_that_was_null_in_all_samples_is_declared_when_its_value_comes(api) -> None:
    rows = [{"id": n, "a": None, "n": n} for n in range(10)] + [{"id": 10, "a": "x", "n": Decimal("1.5")}]
    answer(api, Answer(body=json.dumps(rows, default=float)))
    output = run(manifest(api, {**ROWS, "schema": {"sample_records": 5}}))
    assert output.schema("rows")["a"]["type"] == ["string", "null"]
    assert "number" in output.schema("rows")["n"]["type"]
    last = max(n for n, each in enumerate(output.messages) if each["type"] == "SCHEMA")
    assert output.messages[last + 1]["type"] == "RECORD"


def test_inferred_types_are_kept(api, tmp_path) -> None:
    answer(api, Answer([{"id": 1}]))
    spec = manifest(api, ROWS)
    run(spec, state_dir=str(tmp_path))
    assert len(api.log) == 2  # a sample, and the rows
    api.forget()
    output = run(spec, state_dir=str(tmp_path))
    assert output.schema("rows") == {"id": {"type": ["integer"]}}
    assert len(api.log) == 1
    changed = manifest(api, {**ROWS, "fields": {"add": {"x": "${record.id}"}}})
    api.forget()
    run(changed, state_dir=str(tmp_path))
    assert len(api.log) == 2


def test_casts_and_names(api) -> None:
    answer(
        api, Answer([{"orderId": "7", "at": "27.10.2024", "ok": "yes", "raw": {"a": 1.10}, "none": "-", "n": "0.10"}])
    )
    spec = {
        "name": "rows",
        "path": "/rows",
        "primary_key": ["order_id"],
        "fields": {
            "case": "snake",
            "null_values": ["-"],
            "cast": {"orderId": "integer", "at": "datetime:%d.%m.%Y", "ok": "boolean", "raw": "json", "n": "decimal"},
            "add": {"label": "#${record.orderId}", "again": "${record.orderId|int}"},
            "hash": {"digest": "$.raw"},
        },
    }
    record = run(manifest(api, spec)).records("rows")[0]
    assert len(record.pop("digest")) == 64
    assert record == {
        "order_id": 7,
        "at": "2024-10-27T00:00:00Z",
        "ok": True,
        "raw": '{"a":1.1}',
        "none": None,
        "n": "0.10",
        "label": "#7",
        "again": 7,
    }


def test_a_value_that_cannot_be_cast_is_named(api) -> None:
    answer(api, Answer([{"id": "seven"}]))
    output = run(
        manifest(api, {**ROWS, "fields": {"cast": {"id": "integer"}}, "schema": {"mode": "inline", "inline": {}}})
    )
    assert output.exit_code == 5
    assert "Stream 'rows': field 'id' cannot be cast to integer: 'seven'" in str(output.error)


def test_params(api) -> None:
    """Null leaves one out, a list repeats it, text takes any value."""
    answer(api, Answer([]))
    spec = {
        **ROWS,
        "params": {
            "a": None,
            "b": "${config.missing}",
            "c": [1, 2],
            "d": "${config.ids|join:,}",
            "e": True,
            "f": "x${config.missing}",
        },
    }
    run(manifest(api, spec, settings={"missing": {}, "ids": {"type": "array"}}), settings={"ids": [7, 8]})
    assert api.log[-1].request.pairs == (("c", "1"), ("c", "2"), ("d", "7,8"), ("e", "true"), ("f", "x"))
