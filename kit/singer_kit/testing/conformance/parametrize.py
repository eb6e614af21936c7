"""The suite as pytest tests, one for each check."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from singer_kit.testing.conformance.checks import CHECKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    checks = list(checks)
    reasons = dict(known or {})
    if strangers := reasons.keys() - {check.id for check in checks}:
        raise ValueError(f"There is no check {', '.join(sorted(strangers))}.")
    return pytest.mark.parametrize(
        "check",
        [
            pytest.param(
                check,
                id=check.id,
                marks=[pytest.mark.xfail(strict=True, reason=reasons[check.id])] if check.id in reasons else [],
            )
            for check in checks
        ],
    )
