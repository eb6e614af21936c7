"""What is secret is never printed."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.checks.commands import TRACEBACK
from singer_kit.testing.conformance.subject import NotApplicable, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("secrets")


@CHECKS.add("not printed")
def not_printed(subject: Subject) -> Iterator[str]:
    """No text of a setting that `--about` calls secret is in anything that any run printed."""
    if not subject.secret_names:
        raise NotApplicable("the configuration has no setting that --about calls secret")
    if not subject.secrets:
        raise NotApplicable("every secret is also the value of another setting, or too short to be found")
    _ = subject.discovered, subject.clean
    for name in subject.secret_names:
        if subject.leaked.intersection(texts(subject.config[name])):
            yield f"the value of {name!r} was printed"


@CHECKS.add("not printed when wrong")
def not_printed_when_wrong(subject: Subject) -> Iterator[str]:
    """With wrong credentials a run ends with an error, no traceback, and without saying them."""
    if not subject.secret_names:
        raise NotApplicable("the configuration has no setting that --about calls secret")
    canary = f"wrong-{uuid.uuid4().hex}"
    _ = subject.catalog
    finished = subject.run(config=subject.with_canary(canary), catalog=subject.catalog.document, state=subject.state)
    printed = canary in finished.stderr or canary.encode() in finished.stdout
    if finished.exit_code == 0 and not printed:
        raise NotApplicable("the source accepts any credential")
    if printed:
        yield f"the wrong {' or '.join(subject.secret_names)} was printed"
    if TRACEBACK in finished.stderr:
        yield f"it ended in a traceback: {finished.last_words.replace(canary, '…')}"
    if finished.exit_code is None:
        yield f"it did not end within {subject.command.timeout_seconds:.0f} seconds"
