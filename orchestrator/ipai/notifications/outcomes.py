"""What came of one attempt to deliver."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from ipai.errors import IpaiError


@dataclass(frozen=True)
class Outcome:
    """One attempt.

    Args:
        result: `gone` means that the receiver wants nothing from us any more.
        status: of the HTTP answer, if there was one.
        error: why it failed, in one line.
        pause: seconds for which the receiver wants to be left in peace.
        answer: the beginning of what the receiver said.
    """

    result: Literal["delivered", "failed", "gone"]
    status: int | None = None
    error: str | None = None
    pause: float | None = None
    answer: str = ""


class NotDeliveredError(IpaiError):
    """A channel did not take a message."""

    code = "not_delivered"

    def __init__(self, channel: str, outcome: Outcome) -> None:
        super().__init__(
            f"{channel} did not take it: {outcome.error}",
            hint=f"Mend the address or the receiver, then ipai notify test {channel}.",
        )
        self.details = asdict(outcome)
