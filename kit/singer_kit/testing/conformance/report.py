"""Outcomes as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from singer_kit.testing.conformance.judge import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_kit.testing.conformance.check import Check
    from singer_kit.testing.conformance.judge import Outcome


def as_table(results: Sequence[tuple[Check, Outcome]]) -> str:
    """Markdown: a row for each check, then how many passed, then what went wrong."""
    lines = ["| check | outcome | shows |", "| --- | --- | --- |"]
    lines += [f"| {check.id} | {outcome.kind.value} | {check.shows} |" for check, outcome in results]
    made = [outcome for _, outcome in results if outcome.kind is not Kind.NOT_APPLICABLE]
    passed = sum(outcome.kind is Kind.PASSED for outcome in made)
    lines += ["", f"{passed} of {len(made)} passed."]
    lines += [
        f"- {check.id}: {outcome.kind.value}: {' '.join(outcome.detail.split())}"
        for check, outcome in results
        if outcome.kind is not Kind.PASSED
    ]
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[tuple[Check, Outcome]]) -> str:
    """A list of objects: check, outcome, detail, shows."""
    return (
        json.dumps(
            [
                {"check": check.id, "outcome": outcome.kind.value, "detail": outcome.detail, "shows": check.shows}
                for check, outcome in results
            ],
            indent=2,
        )
        + "\n"
    )
