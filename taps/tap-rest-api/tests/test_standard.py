"""The SDK's own tests of a tap, against a small API."""

from __future__ import annotations

import warnings

from rest_harness import manifest
from singer_sdk.testing import SuiteConfig, get_tap_test_class
from singer_sdk.testing.runners import TapTestRunner

from singer_kit.testing.api import Answer
from tap_rest_api.tap import TapRestApi


def test_the_standard_suite(api) -> None:
    rows = [{"id": n, "name": f"N{n}", "price": 1.5, "at": "2024-01-01T00:00:00Z", "o": {"a": [1]}} for n in range(9)]
    api.route("GET", "/rows", lambda _: Answer(rows))
    streams = (
        {"name": "whole", "path": "/rows", "primary_key": ["id"]},
        {"name": "changed", "path": "/rows", "primary_key": ["id"], "incremental": {"cursor": "at"}},
    )
    config = {"manifest": manifest(api, *streams)}
    suite = SuiteConfig()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        tests = get_tap_test_class(TapRestApi, config=config, suite_config=suite, parse_env_config=False)
        runner = TapTestRunner(TapRestApi, config=config, suite_config=suite, parse_env_config=False)
        runner.sync_all()
        names = [name for name in dir(tests) if name.startswith("test_")]
        assert len(names) > 10
        for name in names:
            if not (params := tests.params.get(name)):
                getattr(tests, name)(suite, None, runner)
            for param in params or []:
                getattr(tests, name)(suite, None, runner, **param.values._asdict())
