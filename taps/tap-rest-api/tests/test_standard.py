"""The SDK's own tests of a tap, against a small API."""

from __future__ import annotations

from rest_harness import manifest

from singer_kit.testing.api import Answer
from singer_kit.testing.standard import run_standard_suite
from tap_rest_api.tap import TapRestApi


def test_the_standard_suite(api) -> None:
    rows = [{"id": n, "name": f"N{n}", "price": 1.5, "at": "2024-01-01T00:00:00Z", "o": {"a": [1]}} for n in range(9)]
    api.route("GET", "/rows", lambda _: Answer(rows))
    streams = (
        {"name": "whole", "path": "/rows", "primary_key": ["id"]},
        {"name": "changed", "path": "/rows", "primary_key": ["id"], "incremental": {"cursor": "at"}},
    )
    run_standard_suite(TapRestApi, {"manifest": manifest(api, *streams)})
