"""Outcomes of several targets side by side, as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from singer_kit.testing.acceptance.judge import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from singer_kit.testing.acceptance.judge import Outcome
    from singer_kit.testing.acceptance.scenario import Scenario


def written(scenarios: Sequence[Scenario], results: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The whole report: counts, a row for each scenario, and what went wrong.

    Args:
        scenarios: in their order.
        results: outcomes by `Scenario.id`, by the target's name.

    """
    parts = (counts(scenarios, results), comparison(scenarios, results), details(scenarios, results))
    return "\n\n".join(filter(None, parts)) + "\n"


def counts(scenarios: Sequence[Scenario], results: Mapping[str, Mapping[str, Outcome]]) -> str:
    """How many scenarios of each group a target passed, and how it failed the others."""
    groups = list(dict.fromkeys(scenario.group for scenario in scenarios))
    rows = [["", *results], ["---", *("---" for _ in results)]]
    for group in groups:
        ids = [scenario.id for scenario in scenarios if scenario.group == group]
        rows.append([group, *(_passed([outcomes[each] for each in ids]) for outcomes in results.values())])
    rows.append(["**all**", *(f"**{_passed(list(outcomes.values()))}**" for outcomes in results.values())])
    labels = Counter(outcome.label for outcomes in results.values() for outcome in outcomes.values())
    rows += [
        [label, *(str(sum(each.label == label for each in outcomes.values())) for outcomes in results.values())]
        for label in labels
        if label != Kind.PASSED.value
    ]
    return _table(rows)


def comparison(scenarios: Sequence[Scenario], results: Mapping[str, Mapping[str, Outcome]]) -> str:
    """One row for each scenario."""
    rows = [["scenario", *results], ["---", *("---" for _ in results)]]
    rows += [[scenario.id, *(outcomes[scenario.id].label for outcomes in results.values())] for scenario in scenarios]
    return _table(rows)


def details(scenarios: Sequence[Scenario], results: Mapping[str, Mapping[str, Outcome]]) -> str:
    """What went wrong, scenario by scenario; empty if nothing did."""
    return "\n".join(
        f"- {name}, {scenario.id}: {outcomes[scenario.id].label}. {_one_line(outcomes[scenario.id].detail)}"
        for name, outcomes in results.items()
        for scenario in scenarios
        if outcomes[scenario.id].kind is not Kind.PASSED
    )


def _passed(outcomes: Sequence[Outcome]) -> str:
    asked = [outcome for outcome in outcomes if outcome.kind is not Kind.NOT_APPLICABLE]
    return f"{sum(outcome.kind is Kind.PASSED for outcome in asked)} of {len(asked)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
