from __future__ import annotations

import pytest

from ipai.control_plane import StreamMetrics
from ipai.drift import StreamSchema
from ipai.plugin_logs import (
    Meter,
    Metric,
    PluginLine,
    is_metric,
    message_of,
    parse_backoff,
    parse_line,
    parse_metric,
    parse_schema,
)

SDK = (
    "2026-01-01 10:00:00,000 | INFO     | singer_sdk.metrics | "
    'METRIC: {"type":"counter","metric":"record_count","value":7,"tags":{"stream":"a"}}'
)
OLD = 'INFO METRIC: {"type": "counter", "metric": "record_count", "value": 3, "tags": {"endpoint": "b"}}'


def test_both_generations_of_metrics_are_read() -> None:
    assert parse_metric(SDK) == Metric("a", "record_count", 7)
    assert parse_metric(OLD) == Metric("b", "record_count", 3)


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        "METRIC: {broken",
        'METRIC: {"metric":"x","value":1,"tags":{}}',
        'METRIC: {"metric":"x","value":1,"tags":null}',
        'METRIC: {"metric":"x","value":NaN,"tags":{"stream":"a"}}',
        'METRIC: {"metric":"x","value":1e300,"tags":{"stream":"a"}}',
        'METRIC: {"metric":"x","value":1,"tags":{"stream":"a\\u0000"}}',
        "METRIC: {" + "[" * 100_000 + "}",
    ],
)
def test_other_lines_are_no_streams_metric(line: str) -> None:
    assert parse_metric(line) is None


def test_a_metric_without_a_stream_is_still_no_log_line() -> None:
    assert is_metric('METRIC: {"metric":"x","value":1,"tags":{}}')


def test_a_schema_that_a_target_received_is_read() -> None:
    line = '12:00 | INFO | x | SCHEMA_RECEIVED: {"stream":"a","schema":{"properties":{}},"key_properties":["id","n"],'
    assert parse_schema(line + '"bookmark_properties":["t"]}') == StreamSchema(
        "a", {"properties": {}}, ("id", "n"), "t"
    )
    assert parse_schema(line + '"bookmark_properties":null}') == StreamSchema(
        "a", {"properties": {}}, ("id", "n"), None
    )
    assert is_metric(line + "}")


@pytest.mark.parametrize(
    "said",
    [
        "{",
        "[]",
        "{}",
        '{"stream":1,"schema":{}}',
        '{"stream":"a","schema":[]}',
        '{"stream":"a","schema":{},"key_properties":[1]}',
        '{"stream":"a","schema":{},"key_properties":5}',
        "{" + "[" * 100_000 + "}",
    ],
)
def test_other_lines_are_no_schema(said: str) -> None:
    assert parse_schema(f"SCHEMA_RECEIVED: {said}") is None


def test_the_meter_prefers_what_the_target_counted() -> None:
    meter = Meter()
    for side, name, value in [
        ("tap", "record_count", 10), ("target", "record_count", 4), ("target", "record_count", 5),
        ("target", "record_bytes", 900), ("tap", "sync_duration", 1.5), ("target", "batch_processing_time", 9.0),
    ]:  # fmt: skip
        meter.add(side, Metric("a", name, value))
    meter.add("tap", Metric("b", "record_count", 2))
    assert meter.streams() == [StreamMetrics("a", 9, 900, 1.5), StreamMetrics("b", 2, None, None)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2026-11-22 21:05:54,885 | CRITICAL | tap-odoo                       | Stream 'a': no", "Stream 'a': no"),
        ("time=2026-01-01 name=singer level=CRITICAL message=went away", "went away"),
        ("CRITICAL went away", "went away"),
        ("psycopg.OperationalError: a | b", "psycopg.OperationalError: a | b"),
    ],
)
def test_the_message_of_a_line(line: str, expected: str) -> None:
    assert message_of(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "2026-11-22 21:05:54,885 | WARNING  | tap-x.orders      | slow | very",
            PluginLine("warning", "tap-x.orders", "orders", "slow | very"),
        ),
        (
            "2026-11-22 21:05:54,885 | INFO     | tap-x             | Stream 'items': begun",
            PluginLine("info", "tap-x", "items", "Stream 'items': begun"),
        ),
        (
            "time=2026-01-01 10:00:00 name=singer level=CRITICAL message=gone",
            PluginLine("critical", "singer", None, "gone"),
        ),
        (
            "ERROR stream orders: the source went away",
            PluginLine("error", None, "orders", "stream orders: the source went away"),
        ),
        (
            '{"level":"error","pid":1,"logger_name":"tap-x.items","ts":1.5,"stream_name":null,"message":"no"}',
            PluginLine("error", "tap-x.items", "items", "no"),
        ),
        ('{"level": "error"', PluginLine(None, None, None, '{"level": "error"')),
        ("[1, 2]", PluginLine(None, None, None, "[1, 2]")),
        ("Traceback (most recent call last):", PluginLine(None, None, None, "Traceback (most recent call last):")),
        ("all orders are in", PluginLine(None, None, None, "all orders are in")),  # a word, not a name
    ],
)  # fmt: skip
def test_a_line_in_parts(line: str, expected: PluginLine) -> None:
    assert parse_line(line, {"orders", "items"}) == expected


STRUCTURED = (
    '{"level":"info","pid":1,"logger_name":"singer_sdk.metrics","ts":1.5,"app_name":"singer-sdk","stream_name":null,'
    '"message":"METRIC","metric_info":{"type":"counter","metric":"record_count","value":7,"tags":{"stream":"a","pid":1}},"extra":{}}'
)


def test_metrics_of_the_structured_log_are_read() -> None:
    assert parse_metric(STRUCTURED) == Metric("a", "record_count", 7)
    assert is_metric(STRUCTURED)
    assert parse_metric(STRUCTURED.replace('"value":7', '"value":null')) is None


def test_http_calls_are_whichever_says_more() -> None:
    meter = Meter()
    for stream, name, value in [
        ("failed", "http_request_duration", 0.1), ("failed", "http_request_duration", 0.1),  # none of them was good
        ("both", "http_request_duration", 0.1), ("both", "http_request_duration", 0.1),
        ("both", "http_request_count", 1),
        ("counted", "http_request_count", 40), ("counted", "http_request_count", 2),
    ]:  # fmt: skip
        meter.add("tap", Metric(stream, name, value))
    assert {each.stream: each.http_requests for each in meter.streams()} == {"failed": 2, "both": 2, "counted": 42}


@pytest.mark.parametrize(
    ("line", "retried"),
    [
        ("2026-11-22 21:05:54,885 | INFO     | tap-x.orders | Backing off _request(...) for 1.0s (Timeout)", True),
        (
            "2026-11-22 21:05:54,885 | ERROR    | tap-x.orders | Backing off 1.00 seconds after 1 tries for URL /x",
            False,
        ),
        ("INFO Backing off request(...) for 0.4s (requests.exceptions.ConnectionError)", False),  # whose?
    ],
)
def test_a_retry_is_counted_once(line: str, retried: bool) -> None:
    assert (parse_backoff(parse_line(line, {"orders"})) is not None) == retried
