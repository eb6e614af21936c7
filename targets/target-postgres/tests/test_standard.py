"""The SDK's own suite for targets."""

from __future__ import annotations

import pytest
from singer_sdk.testing.config import SuiteConfig
from singer_sdk.testing.runners import TargetTestRunner
from singer_sdk.testing.suites import target_tests

from target_postgres.target import TargetPostgres


@pytest.mark.parametrize("test_class", target_tests.tests, ids=lambda test: test.name)
def test_standard(warehouse, test_class):
    # One of the suite's strings holds NUL, which Postgres cannot store.
    config = warehouse.config(sanitize_null_text_characters=True)
    runner = TargetTestRunner(TargetPostgres, config=config, suite_config=SuiteConfig())
    try:
        test_class().run(config=SuiteConfig(), resource=None, runner=runner)
    finally:
        if runner.target_input:  # the runner itself leaves its file open
            runner.target_input.close()
