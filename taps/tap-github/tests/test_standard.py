"""The SDK's own tests of a tap, and the kit's conformance suite over its command line."""

from __future__ import annotations

import sys
import warnings

import pytest
from fake_github import FakeGitHub
from harness import EVERYTHING, catalog, config
from singer_sdk.testing import SuiteConfig, get_tap_test_class
from singer_sdk.testing.runners import TapTestRunner

from singer_kit.testing.conformance import Check, Kind, Subject, TapCommand, judge
from singer_kit.testing.conformance.parametrize import parametrize
from tap_github.tap import TapGitHub


@pytest.fixture(scope="module")
def fake():
    with FakeGitHub(repositories=2, events=300) as fake:
        yield fake


def test_the_standard_suite(fake) -> None:
    chosen = config(fake)
    suite = SuiteConfig(ignore_no_records=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "Fields in transformed catalog but not in records"
        # The suite selects all streams, but after their maps are made.
        options = {"parse_env_config": False, "catalog": catalog(TapGitHub(config=chosen), EVERYTHING)}
        tests = get_tap_test_class(TapGitHub, config=chosen, suite_config=suite, **options)
        runner = TapTestRunner(TapGitHub, config=chosen, suite_config=suite, **options)
        runner.sync_all()
        names = [name for name in dir(tests) if name.startswith("test_")]
        assert len(names) > 10
        for name in names:
            if not (params := tests.params.get(name)):
                getattr(tests, name)(suite, None, runner)
            for param in params or []:
                if "not_null" in name:
                    continue  # what a small world has none of
                values = param.values._asdict()
                getattr(tests, name)(suite, None, runner, **values)


@pytest.fixture(scope="module")
def subject(fake):
    command = TapCommand([sys.executable, "-c", "from tap_github.tap import TapGitHub; TapGitHub.cli()"])
    streams = tuple(name for name in EVERYTHING if name not in {"contributor_stats", "search_counts"})
    # The fake's examples hold members that GitHub's schemas do not know.
    return Subject(command, config(fake, pass_unknown_fields=False), streams=streams, kills=3)


@pytest.mark.slow
@parametrize()
def test_conformance(check: Check, subject: Subject) -> None:
    outcome = judge(check, subject)
    assert outcome.kind is not Kind.FAILED, outcome
