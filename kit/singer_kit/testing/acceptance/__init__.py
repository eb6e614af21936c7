"""A read-back acceptance suite that any Singer target's command line can be put through.

A `Scenario` is data: messages in, rows expected out. `judge` starts the real command with real pipes, lets a
`Destination` read back what is there, and says what came of it. The scenarios ask for what a careful user would want:
every value is loaded exactly, or refused with an error that names its stream and line.

    python -m singer_kit.testing.acceptance --postgres postgresql://… --target "mine=target-mine"
"""

from singer_kit.testing.acceptance.command import TargetCommand
from singer_kit.testing.acceptance.destination import Destination, Place, Stored
from singer_kit.testing.acceptance.judge import Kind, Outcome, judge, judge_all
from singer_kit.testing.acceptance.scenario import Ending, Run, Scenario, Table
from singer_kit.testing.acceptance.scenarios import SCENARIOS

__all__ = [
    "SCENARIOS",
    "Destination",
    "Ending",
    "Kind",
    "Outcome",
    "Place",
    "Run",
    "Scenario",
    "Stored",
    "Table",
    "TargetCommand",
    "judge",
    "judge_all",
]
