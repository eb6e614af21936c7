"""A scenario as data: what goes in, and what must be there afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_kit.testing.acceptance.messages import Line

_NONE: Mapping[str, Any] = MappingProxyType({})
ANY_STATE = object()  # an ending that does not ask which STATE was printed


@dataclass(frozen=True)
class Table:
    """What one stream's table must hold, whatever the target calls it.

    A property is looked for under its name. Where the target had to choose another name, table or column is found by
    its values, which therefore differ between the properties of a scenario about names.
    """

    stream: str
    rows: tuple[Mapping[str, Any], ...] = ()  # expected values by property; a property may be left out
    key: tuple[str, ...] = ("id",)  # which rows to compare with each other; empty: in any order
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # accepted `Column.kind`s by property
    others: bool = False  # whether further rows may be there
    view: bool = False  # `stream` is the name of a view that the scenario made


@dataclass(frozen=True)
class Ending:
    """One way in which a run may end. `loaded` and `refused` make them."""

    exit: Literal["success", "failure", "any"]
    tables: tuple[Table, ...] = ()
    names: tuple[str | tuple[str, ...], ...] = ()  # what the error must say; of a tuple, one
    state: Any = ANY_STATE  # the last value that must have been printed; None: nothing may have been


def loaded(*tables: Table) -> Ending:
    """Exit code 0, the tables hold this, and the last STATE was printed."""
    return Ending("success", tables)


def refused(*names: str | tuple[str, ...], tables: tuple[Table, ...] = (), state: Any = ANY_STATE) -> Ending:
    """Another exit code, an error that says all of `names`, and the tables hold this.

    A name `line 3` is looked for as a whole word, so that `line 30` is something else.
    """
    return Ending("failure", tables, names, state)


def dead(*tables: Table) -> Ending:
    """For a run that is killed: the tables hold this."""
    return Ending("any", tables)


@dataclass(frozen=True)
class Run:
    """One start of the target."""

    lines: tuple[Line, ...]
    endings: tuple[Ending, ...] = (Ending("success"),)  # each is right
    settings: Mapping[str, Any] = field(default_factory=dict)
    views: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    """Views to make before the run: name → stream, columns."""
    hold_seconds: float = 0
    """How long input stays open after the target has read its last line."""
    meanwhile: tuple[Table, ...] = ()
    """What a reader must see at the end of that time."""
    covers: str | None = None
    """A stream. STATE `{"id": n}` says that its records with ids 1 to n are there: checked whenever one is printed."""
    kill: bool = False
    """SIGKILL after `hold_seconds`, with input still open."""


@dataclass(frozen=True)
class Scenario:
    """Runs one after another against one destination that is empty at first. Wrong as soon as one of them is."""

    name: str
    group: str
    shows: str  # one sentence
    runs: tuple[Run, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()  # what the destination must offer, such as "views"

    @property
    def id(self) -> str:
        """What it is called on a command line."""
        return f"{self.group}: {self.name}"


def table(
    stream: str,
    *rows: Mapping[str, Any],
    key: tuple[str, ...] = ("id",),
    kinds: Mapping[str, tuple[str, ...]] = _NONE,
    others: bool = False,
    view: bool = False,
) -> Table:
    """A `Table` with its rows as arguments."""
    return Table(stream, rows, key, kinds, others, view)


def scenario(name: str, shows: str, *runs: Run, needs: frozenset[str] = frozenset(), **settings: Any) -> Scenario:
    """A scenario whose group is the module that holds it."""
    return Scenario(name, "", shows, runs, settings, needs)


def run(*each: Line, endings: tuple[Ending, ...] | Ending = (), **more: Any) -> Run:
    """One start of the target with these lines; `endings` is one or several, by default: exit code 0."""
    if isinstance(endings, Ending):
        endings = (endings,)
    return Run(each, endings or (loaded(),), **more)
