"""A check as data: what it is called, what it shows, and how it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from singer_kit.testing.conformance.subject import Subject

Examination = Callable[["Subject"], Iterator[str]]


@dataclass(frozen=True)
class Check:
    """One thing that a tap must do.

    Args:
        group: a word for what it is about.
        name: within the group.
        shows: one sentence.
        examine: yields every problem in words; may raise `NotApplicable` or `Failure`.

    """

    group: str
    name: str
    shows: str
    examine: Examination

    @property
    def id(self) -> str:
        """What it is called on a command line."""
        return f"{self.group}: {self.name}"


class Checks(list[Check]):
    """The checks of a module, in their order."""

    def __init__(self, group: str) -> None:
        super().__init__()
        self._group = group

    def add(self, name: str) -> Callable[[Examination], Examination]:
        """Make a function a check; its docstring is what it shows."""

        def register(examine: Examination) -> Examination:
            self.append(Check(self._group, name, " ".join((examine.__doc__ or "").split()), examine))
            return examine

        return register
