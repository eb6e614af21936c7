"""The suite as pytest tests, one for each scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_kit.testing.acceptance.scenarios import SCENARIOS
from singer_kit.testing.known import parametrized

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

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
    return parametrized("scenario", scenarios, known)
