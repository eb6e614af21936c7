"""`python -m singer_kit.testing.acceptance`: put targets through the suite and print how they did, as Markdown."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from singer_kit.testing.acceptance.command import TargetCommand
from singer_kit.testing.acceptance.judge import Kind, Outcome, judge_all
from singer_kit.testing.acceptance.postgres import PostgresDestination
from singer_kit.testing.acceptance.report import written
from singer_kit.testing.acceptance.scenarios import SCENARIOS


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m singer_kit.testing.acceptance", description=__doc__)
    parser.add_argument("--target", action="append", required=True, metavar="[NAME=]COMMAND", help="may be repeated")
    parser.add_argument("--postgres", required=True, metavar="URL", help="a database in which schemas may be made")
    parser.add_argument("--config", type=Path, metavar="FILE", help="JSON: settings for every run")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="scenarios whose name holds this")
    parser.add_argument("--workers", type=int, default=2, help="how many scenarios run at once (2)")
    parser.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="after which a run hangs (60)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 if every target passed every scenario, else 1."""
    arguments = _arguments(argv)
    config: dict[str, Any] = json.loads(arguments.config.read_text()) if arguments.config else {}
    chosen = [each for each in SCENARIOS if not arguments.only or any(text in each.id for text in arguments.only)]
    destination = PostgresDestination(arguments.postgres)
    results: dict[str, dict[str, Outcome]] = {}
    for text in arguments.target:
        name, _, command = text.rpartition("=") if " " not in text.partition("=")[0] else ("", "", text)
        target = TargetCommand(tuple(shlex.split(command)), config, timeout_seconds=arguments.timeout)
        outcomes = results.setdefault(name or command, {})
        for scenario, outcome in judge_all(chosen, target, destination, workers=arguments.workers):
            outcomes[scenario.id] = outcome
            sys.stderr.write(f"{name or command}: {scenario.id}: {outcome.label}\n")
    sys.stdout.write(written(chosen, results))
    fine = {Kind.PASSED, Kind.NOT_APPLICABLE}
    return 0 if all(outcome.kind in fine for outcomes in results.values() for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
