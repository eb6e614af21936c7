"""Putting one tap through the checks."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from singer_kit.testing.conformance.subject import Failure, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from singer_kit.testing.conformance.check import Check
    from singer_kit.testing.conformance.subject import Subject

_SHOWN = 5  # problems of one check


class Kind(enum.Enum):
    """What came of a check."""

    PASSED = "ok"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Outcome:
    """What came of a check, and in what it failed or why it could not be made."""

    kind: Kind
    detail: str = ""


def judge(check: Check, subject: Subject) -> Outcome:
    """Make one check."""
    subject.reset()
    try:
        problems = list(islice(check.examine(subject), _SHOWN))
    except NotApplicable as reason:
        return Outcome(Kind.NOT_APPLICABLE, str(reason))
    except Failure as reason:
        return Outcome(Kind.FAILED, str(reason))
    return Outcome(Kind.FAILED, "; ".join(problems)) if problems else Outcome(Kind.PASSED)


def judge_all(checks: Iterable[Check], subject: Subject) -> Iterator[tuple[Check, Outcome]]:
    """Make checks one after another: each has the source to itself."""
    for check in checks:
        yield check, judge(check, subject)
