"""The suite as pytest tests, one for each check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_kit.testing.conformance.checks import CHECKS
from singer_kit.testing.known import parametrized

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest

    from singer_kit.testing.conformance.check import Check


def parametrize(checks: Iterable[Check] = CHECKS, *, known: Mapping[str, str] | None = None) -> pytest.MarkDecorator:
    """Give a test the argument `check`, once for each.

    Args:
        checks: by default all.
        known: reasons why a tap fails a check today, by `Check.id`. Such a test must fail: when the tap is mended, the
            line has to go.

    Raises:
        ValueError: `known` names a check that there is not.

    """
    return parametrized("check", checks, known)
