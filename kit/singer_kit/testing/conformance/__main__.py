"""`python -m singer_kit.testing.conformance`: put a tap through the checks and print how it did."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

from singer_kit.testing.conformance.checks import CHECKS
from singer_kit.testing.conformance.command import TapCommand
from singer_kit.testing.conformance.judge import Kind, judge_all
from singer_kit.testing.conformance.report import as_json, as_table
from singer_kit.testing.conformance.subject import Subject


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m singer_kit.testing.conformance", description=__doc__)
    parser.add_argument("--tap", required=True, metavar="COMMAND", help="without its options")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="JSON: the tap's settings")
    parser.add_argument("--state", type=Path, metavar="FILE", help="JSON: where every run starts")
    parser.add_argument("--streams", default="", metavar="A,B", help="to select; default: what discovery selects")
    parser.add_argument("--reset", metavar="COMMAND", help="run before each check, to bring the source back")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="checks whose name holds this")
    parser.add_argument("--kills", type=int, default=5, help="how many runs are killed (5)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which they are (0)")
    parser.add_argument("--lookback", type=float, default=0, metavar="SECONDS", help="behind its bookmark it reads (0)")
    parser.add_argument("--timeout", type=float, default=300, metavar="SECONDS", help="after which a run hangs (300)")
    parser.add_argument("--json", action="store_true", help="outcomes as JSON instead of a table")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 if the tap passed every check that could be made of it, else 1."""
    arguments = _arguments(argv)
    subject = Subject(
        TapCommand(tuple(shlex.split(arguments.tap)), timeout_seconds=arguments.timeout),
        json.loads(arguments.config.read_text()),
        streams=tuple(filter(None, arguments.streams.split(","))),
        state=json.loads(arguments.state.read_text()) if arguments.state else None,
        seed=arguments.seed,
        kills=arguments.kills,
        lookback_seconds=arguments.lookback,
    )
    if arguments.reset:
        subject.reset = partial(subprocess.run, shlex.split(arguments.reset), check=True, stdout=subprocess.DEVNULL)
    results = []
    for check, outcome in judge_all(
        [each for each in CHECKS if not arguments.only or any(text in each.id for text in arguments.only)], subject
    ):
        results.append((check, outcome))
        sys.stderr.write(f"{check.id}: {outcome.kind.value}\n")
    sys.stdout.write(as_json(results) if arguments.json else as_table(results))
    return 0 if all(outcome.kind is not Kind.FAILED for _, outcome in results) else 1


if __name__ == "__main__":
    sys.exit(main())
