"""Trying again while the other side may yet answer."""

from __future__ import annotations

import itertools
import logging
import random
import time
from typing import TYPE_CHECKING, TypeVar

from singer_kit.errors import ConnectionFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("singer_kit")
_Result = TypeVar("_Result")

_FIRST_PAUSE = 0.5  # seconds
_LONGEST_PAUSE = 10.0


class UnavailableError(ConnectionFailedError):
    """Nobody answers, or only to say "not now": asking again may help within the same run."""


def retried(
    attempt: Callable[[], _Result], *, seconds: float, sleep: Callable[[float], object] = time.sleep
) -> _Result:
    """Call until it succeeds, with pauses that double and vary, so that many clients do not come back at once.

    Args:
        attempt: what to do; only an `UnavailableError` of it is worth another try.
        seconds: the budget. The last attempt begins within it; with 0 there is one.
        sleep: how to wait; may raise to end the waiting.

    Raises:
        UnavailableError: the last attempt's, when the budget is spent.
    """
    start = time.monotonic()
    for number in itertools.count():
        try:
            return attempt()
        except UnavailableError as error:
            left = start + seconds - time.monotonic()
            if left <= 0:
                if not number:
                    raise
                raise UnavailableError(f"{error} (Tried {number + 1} times in {seconds:g} seconds.)") from None
            _logger.warning("%s Trying again, for %.0f more seconds.", error, left)
        pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE) * random.uniform(0.5, 1)  # noqa: S311 - not a secret
        sleep(min(pause, left))
    raise AssertionError  # the loop has no end
