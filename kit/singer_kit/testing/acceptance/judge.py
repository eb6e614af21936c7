"""Putting one target through one scenario."""

from __future__ import annotations

import enum
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from singer_kit.testing.acceptance.comparison import differences
from singer_kit.testing.acceptance.scenario import ANY_STATE, Ending, Table
from singer_kit.testing.acceptance.values import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_kit.testing.acceptance.command import Finished, TargetCommand
    from singer_kit.testing.acceptance.destination import Destination, Place
    from singer_kit.testing.acceptance.scenario import Run, Scenario


class Kind(enum.Enum):
    """What came of a scenario."""

    PASSED = "ok"
    WRONG = "wrong"  # the destination, or the STATE printed, is not as it must be
    REFUSED = "refused"  # an error where loading was right
    VAGUE = "refused, not saying where"  # an error is right, but it does not name what it must
    CRASHED = "crashed"  # a traceback where loading was right, or a signal
    HUNG = "hung"
    NOT_APPLICABLE = "not applicable"  # the destination lacks what the scenario needs


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario, and in what it failed."""

    kind: Kind
    detail: str = ""
    silent: bool = False  # wrong with exit code 0: nobody would have noticed

    @property
    def label(self) -> str:
        """As it stands in a table."""
        if self.kind is Kind.WRONG:
            return "wrong silently" if self.silent else "wrong, with an error"
        return str(self.kind.value)


def judge(scenario: Scenario, target: TargetCommand, destination: Destination) -> Outcome:
    """Run a scenario in an empty place and say what came of it."""
    if lacking := scenario.needs - destination.offers:
        return Outcome(Kind.NOT_APPLICABLE, f"the destination has no {', '.join(sorted(lacking))}")
    with destination.open() as place:
        for number, run in enumerate(scenario.runs, 1):
            for view, (stream, columns) in run.views.items():
                name = next(name for name in place.names_of(stream) if name in place.tables())
                place.make_view(view, name, columns)
            outcome = _judged(run, target, place, scenario)
            if outcome.kind is not Kind.PASSED:
                return replace(outcome, detail=f"run {number}: {outcome.detail}") if number > 1 else outcome
    return Outcome(Kind.PASSED)


def judge_all(
    scenarios: Iterable[Scenario], target: TargetCommand, destination: Destination, *, workers: int = 2
) -> Iterator[tuple[Scenario, Outcome]]:
    """Judge scenarios, several at once, in their order."""
    with ThreadPoolExecutor(workers) as pool:
        scenarios = list(scenarios)
        yield from zip(
            scenarios, pool.map(lambda scenario: judge(scenario, target, destination), scenarios), strict=True
        )


def _judged(run: Run, target: TargetCommand, place: Place, scenario: Scenario) -> Outcome:
    seen: list[str] = []  # what was wrong while it ran
    lock = threading.Lock()  # the place is one connection

    def at_state(line: str) -> None:
        with lock:
            seen.extend(_uncovered(run, line, place))

    def meanwhile() -> None:
        with lock:
            seen.extend(f"while it ran: {each}" for each in differences(run.meanwhile, place))

    settings = {**place.settings, **scenario.settings, **run.settings}
    finished = target.finish(run, settings, at_state=at_state, meanwhile=meanwhile)
    if finished.exit_code is None:
        return Outcome(Kind.HUNG, f"killed after {target.timeout_seconds:.0f} seconds; {_last_words(finished.stderr)}")
    seen += _false_states(run, finished)
    fitting = [ending for ending in run.endings if ending.exit in {_exit(finished), "any"}]
    silent = finished.exit_code == 0
    if not fitting:
        if silent:
            return Outcome(Kind.WRONG, f"not refused; {_instead(run, place)}", silent=True)
        return Outcome(_failure(finished), _last_words(finished.stderr))
    tried = [(_unsaid(ending, finished), _unlike(ending, run, finished, place)) for ending in fitting]
    unsaid, unlike = min(tried, key=lambda pair: (bool(pair[1]), bool(pair[0])))
    if wrong := [*seen, *unlike]:
        return Outcome(Kind.WRONG, "; ".join(wrong[:3]), silent=silent)
    if unsaid:
        kind = Kind.VAGUE if finished.exit_code > 0 else Kind.CRASHED
        return Outcome(kind, f"the error does not name {', '.join(unsaid)}: {_last_words(finished.stderr)}")
    return Outcome(Kind.PASSED)


def _exit(finished: Finished) -> str:
    return "success" if finished.exit_code == 0 else "failure"


def _failure(finished: Finished) -> Kind:
    code = finished.exit_code or 0
    return Kind.CRASHED if code < 0 or "Traceback (most recent call last)" in finished.stderr else Kind.REFUSED


def _instead(run: Run, place: Place) -> str:
    """What a run that should have been refused left behind."""
    tables = {table.stream: table for ending in run.endings for table in ending.tables}
    found = differences(tuple(tables.values()), place)
    rows = {name: len(stored.rows) for name, stored in place.tables().items()}
    return "; ".join(found[:2]) or f"rows there: {rows}"


def _unlike(ending: Ending, run: Run, finished: Finished, place: Place) -> list[str]:
    found = differences(ending.tables, place)
    last = finished.printed[-1] if finished.printed else None
    sent = _states(run)
    if ending.exit == "success" and sent and (last is None or not _equal(last, sent[-1])):
        found.append(f"the last STATE is not printed: {sent[-1][:80]}")
    if ending.state is None and last is not None:
        found.append(f"STATE {last[:80]} was printed, though nothing may be")
    elif ending.state not in (ANY_STATE, None) and (last is None or not _equal(last, to_json(ending.state))):
        found.append(f"STATE {to_json(ending.state)} was to be the last printed, not {last}")
    return found


# STATE


def _states(run: Run) -> list[str]:
    return [to_json(line["value"]) for line in run.lines if isinstance(line, dict) and line.get("type") == "STATE"]


def _equal(printed: str, sent: str) -> bool:
    try:
        # Not `==` on the parsed values alone: True == 1 in Python.
        return bool(from_json(printed) == from_json(sent)) and ("true" in printed) == ("true" in sent)
    except ValueError:
        return False


def _false_states(run: Run, finished: Finished) -> list[str]:
    """Lines of stdout that are no STATE of the input, or that come out of order."""
    waiting = iter(_states(run))
    return [
        f"stdout says {line[:80]!r}, which is no STATE of the input at that point"
        for line in finished.printed
        if not any(_equal(line, sent) for sent in waiting)
    ]


def _uncovered(run: Run, line: str, place: Place) -> list[str]:
    """What a STATE that has just been printed covers, and is not there."""
    if run.covers is None:
        return []
    try:
        last = from_json(line)["id"]
    except (ValueError, TypeError, KeyError):
        return []
    rows = tuple({"id": number} for number in range(1, last + 1))
    missing = differences((Table(run.covers, rows, others=True),), place)
    return [f"STATE {line} was printed before its rows were there: {missing[0]}"] if missing else []


# Errors

_BOX = tuple("│╭╰┃┏┗")


def _error_text(stderr: str) -> str:
    """What an error says: no lines of a plain log, and of a traceback neither the code nor the variables."""
    kept = []
    rows = iter(stderr.splitlines())
    for row in rows:
        if row.lstrip().startswith('File "'):
            next(rows, None)  # the line of code
        elif not row.lstrip().startswith(_BOX) and not re.search(r"\b(INFO|DEBUG|info|debug)\b", row[:80]):
            kept.append(row)
    return "\n".join(kept)


def _unsaid(ending: Ending, finished: Finished) -> list[str]:
    text = _error_text(finished.stderr)
    return [
        repr(name) if isinstance(name, str) else " or ".join(map(repr, name))
        for name in ending.names
        if not any(_says(text, each) for each in ([name] if isinstance(name, str) else name))
    ]


def _says(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _last_words(stderr: str) -> str:
    """The line of an error that says most, for people: its last that is not empty."""
    rows = [row.strip() for row in _error_text(stderr).splitlines() if row.strip()]
    return rows[-1][:300] if rows else "it said nothing"
