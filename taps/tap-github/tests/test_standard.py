"""The SDK's own tests of a tap, and the kit's conformance suite over its command line."""

from __future__ import annotations

import sys

import pytest
from fake_github import FakeGitHub
from harness import EVERYTHING, catalog, config

from singer_kit.testing.conformance import Check, Kind, Subject, TapCommand, judge
from singer_kit.testing.conformance.parametrize import parametrize
from singer_kit.testing.standard import run_standard_suite
from tap_github.tap import TapGitHub


@pytest.fixture(scope="module")
def fake():
    with FakeGitHub(repositories=2, events=300) as fake:
        yield fake


def test_the_standard_suite(fake) -> None:
    chosen = config(fake)
    # The suite selects all streams, but after their maps are made.
    everything = catalog(TapGitHub(config=chosen), EVERYTHING)
    run_standard_suite(TapGitHub, chosen, leave_out=["not_null"], ignore_no_records=True, catalog=everything)


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
