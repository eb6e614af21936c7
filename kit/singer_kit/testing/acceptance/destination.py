"""Where a target loads to, as far as the suite must know: somewhere empty, and a way to read it back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Stored:
    """A table as it was found.

    `kinds` holds for each column one of integer, decimal, float, boolean, text, date, time, timestamp, uuid, bytes,
    json, array, other. Values of `rows` are as `values.same` wants them.
    """

    kinds: Mapping[str, str]
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    view: bool = False


class Place(Protocol):
    """An empty part of a destination, for one scenario."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The target's settings that make it load here."""

    def names_of(self, stream: str) -> tuple[str, ...]:
        """What the target may have called a stream's table, best first; it is found by its values otherwise."""

    def tables(self) -> dict[str, Stored]:
        """Everything that is there now, committed, as another session sees it."""

    def make_view(self, name: str, table: str, columns: tuple[str, ...]) -> None:
        """Make a view. Only where `Destination.offers` holds "views"."""


class Destination(Protocol):
    """A kind of storage."""

    @property
    def offers(self) -> frozenset[str]:
        """What scenarios may need that not every destination has."""

    def open(self) -> AbstractContextManager[Place]:
        """An empty place, cleared away at exit. Several may be open at once."""
