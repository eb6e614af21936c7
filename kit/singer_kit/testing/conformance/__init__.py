"""A conformance suite that any Singer tap's command line can be put through.

Each `Check` starts the real command with a real configuration and looks at what it prints: discovery, rows, STATE,
selection, kills and resumption, secrets. The source must not change meanwhile.

    python -m singer_kit.testing.conformance --tap "tap-mine" --config config.json
"""

from singer_kit.testing.conformance.check import Check
from singer_kit.testing.conformance.checks import CHECKS
from singer_kit.testing.conformance.command import TapCommand
from singer_kit.testing.conformance.judge import Kind, Outcome, judge, judge_all
from singer_kit.testing.conformance.subject import Subject

__all__ = ["CHECKS", "Check", "Kind", "Outcome", "Subject", "TapCommand", "judge", "judge_all"]
