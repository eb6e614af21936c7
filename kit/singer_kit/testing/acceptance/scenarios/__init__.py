"""Every scenario, by group. A group is a module that can be read on its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from singer_kit.testing.acceptance.scenarios.batching import SCENARIOS as _BATCHING
from singer_kit.testing.acceptance.scenarios.deletes import SCENARIOS as _DELETES
from singer_kit.testing.acceptance.scenarios.evolution import SCENARIOS as _EVOLUTION
from singer_kit.testing.acceptance.scenarios.hostile import SCENARIOS as _HOSTILE
from singer_kit.testing.acceptance.scenarios.keys import SCENARIOS as _KEYS
from singer_kit.testing.acceptance.scenarios.messages import SCENARIOS as _MESSAGES
from singer_kit.testing.acceptance.scenarios.names import SCENARIOS as _NAMES
from singer_kit.testing.acceptance.scenarios.state import SCENARIOS as _STATE
from singer_kit.testing.acceptance.scenarios.texts import SCENARIOS as _TEXTS
from singer_kit.testing.acceptance.scenarios.times import SCENARIOS as _TIMES
from singer_kit.testing.acceptance.scenarios.types import SCENARIOS as _TYPES

if TYPE_CHECKING:
    from singer_kit.testing.acceptance.scenario import Scenario

_GROUPS = {
    "types": _TYPES,
    "texts": _TEXTS,
    "times": _TIMES,
    "evolution": _EVOLUTION,
    "keys": _KEYS,
    "deletes": _DELETES,
    "names": _NAMES,
    "messages": _MESSAGES,
    "hostile": _HOSTILE,
    "state": _STATE,
    "batching": _BATCHING,
}

SCENARIOS: tuple[Scenario, ...] = tuple(
    replace(scenario, group=group) for group, scenarios in _GROUPS.items() for scenario in scenarios
)
