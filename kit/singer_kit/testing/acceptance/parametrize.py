"""The suite as pytest tests, one for each scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from singer_kit.testing.acceptance.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from singer_kit.testing.acceptance.scenario import Scenario


def parametrize(
    scenarios: Iterable[Scenario] = SCENARIOS, *, known: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """Give a test the argument `scenario`, once for each.

    Args:
        scenarios: by default all.
        known: reasons why a target fails a scenario today, by `Scenario.id`. Such a test must fail: when the target is
            mended, the line has to go.

    Raises:
        ValueError: `known` names a scenario that there is not.

    """
    scenarios = list(scenarios)
    reasons = dict(known or {})
    if strangers := reasons.keys() - {scenario.id for scenario in scenarios}:
        raise ValueError(f"There is no scenario {', '.join(sorted(strangers))}.")
    return pytest.mark.parametrize(
        "scenario",
        [
            pytest.param(
                scenario,
                id=scenario.id,
                marks=[pytest.mark.xfail(strict=True, reason=reasons[scenario.id])] if scenario.id in reasons else [],
            )
            for scenario in scenarios
        ],
    )
