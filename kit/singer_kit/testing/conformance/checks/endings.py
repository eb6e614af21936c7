"""How a tap ends that is told to, or whose reader goes away."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.checks.commands import TRACEBACK
from singer_kit.testing.conformance.checks.states import lacking
from singer_kit.testing.conformance.command import Finished, Interruption
from singer_kit.testing.conformance.subject import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("ending")

_TOO_FEW = "everything had been printed before: the source has too few rows"


@CHECKS.add("SIGTERM")
def sigterm(subject: Subject) -> Iterator[str]:
    """It ends soon, with another code than 0, behind a whole line, and its last STATE can be resumed from."""
    interruption = Interruption(_middle(subject), signal.SIGTERM)
    finished = subject.sync(interruption=interruption)
    if finished.exit_code in {None, -signal.SIGKILL}:
        yield f"it did not end within {subject.command.grace_seconds:.0f} seconds"
        return
    if not finished.reached or len(finished.stdout) >= subject.clean_bytes:
        raise NotApplicable(_TOO_FEW)
    if finished.exit_code == 0:
        yield "it ended with exit code 0 before the last row, as if it had finished"
    if not finished.stdout.endswith(b"\n"):
        yield "its last line is cut off"
    if TRACEBACK in finished.stderr:
        yield f"it ended in a traceback: {finished.last_words}"
    yield from lacking(subject, interruption, "ended by SIGTERM")


@CHECKS.add("broken pipe")
def broken_pipe(subject: Subject) -> Iterator[str]:
    """When its reader goes away it ends soon and says nothing more: the reader tells why."""
    finished: Finished = subject.sync(interruption=Interruption(1, None))
    if finished.exit_code in {None, -signal.SIGKILL}:
        yield f"it did not end within {subject.command.grace_seconds:.0f} seconds"
    for text in (TRACEBACK, "BrokenPipeError"):
        if text in finished.stderr:
            yield f"it complained: {finished.last_words}"
            return


def _middle(subject: Subject) -> int:
    return max(1, subject.clean_bytes // 2)
