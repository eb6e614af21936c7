"""Every check of the suite, in the order in which they are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_kit.testing.conformance.checks import commands, discovery, endings, records, secrets, selection, states

if TYPE_CHECKING:
    from singer_kit.testing.conformance.check import Check

CHECKS: tuple[Check, ...] = (
    *commands.CHECKS,
    *discovery.CHECKS,
    *records.CHECKS,
    *selection.CHECKS,
    *states.CHECKS,
    *endings.CHECKS,
    *secrets.CHECKS,
)
