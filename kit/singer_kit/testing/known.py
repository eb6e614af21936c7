"""Scenarios or checks as pytest parameters, those that are known to fail marked so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Named(Protocol):
    """What a test is made of."""

    @property
    def id(self) -> str: ...


def parametrized(argument: str, values: Iterable[Named], known: Mapping[str, str] | None) -> pytest.MarkDecorator:
    """Give a test an argument, once for each value.

    Args:
        argument: its name, which also says what the values are.
        values: each with an `id`.
        known: reasons why some fail today, by `id`. Such a test must fail: when that is mended, the line has to go.

    Raises:
        ValueError: `known` names one that there is not.

    """
    values = list(values)
    reasons = dict(known or {})
    if strangers := reasons.keys() - {value.id for value in values}:
        raise ValueError(f"There is no {argument} {', '.join(sorted(strangers))}.")
    return pytest.mark.parametrize(
        argument,
        [
            pytest.param(
                value,
                id=value.id,
                marks=[pytest.mark.xfail(strict=True, reason=reasons[value.id])] if value.id in reasons else [],
            )
            for value in values
        ],
    )
