"""What any Singer target for Postgres should do, asked of this one's command line."""

from __future__ import annotations

import sys

from singer_kit.testing.acceptance import Kind, TargetCommand, judge
from singer_kit.testing.acceptance.parametrize import parametrize
from singer_kit.testing.acceptance.postgres import PostgresDestination

TARGET = TargetCommand((sys.executable, "-m", "target_postgres"))


@parametrize()
def test_acceptance(scenario, postgres_server: str) -> None:
    outcome = judge(scenario, TARGET, PostgresDestination(postgres_server))
    assert outcome.kind is Kind.PASSED, outcome.detail
