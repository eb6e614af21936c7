"""What goes from the threads that read to the one that writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from singer_kit.rest.stream import RestStream

State = Mapping[str, Any]


@dataclass(frozen=True)
class Partition:
    """A part of a stream that is read on its own and has its own bookmark: a repository, an account, a project.

    Attributes:
        context: names it in the STATE; JSON values, empty for a stream that has no parts.
        data: what its reader wants to know besides.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    data: Any = None

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.context.items())


@dataclass(frozen=True)
class Page:
    """Some rows, in the order in which they are to be written.

    Attributes:
        records: of the stream.
        state: what the partition's bookmark is once they are written; None leaves it.
        stream: whose rows and bookmark; None is the stream that reads.
    """

    records: list[dict[str, Any]]
    state: State | None = None
    stream: RestStream | None = None


class SkippedError(Exception):
    """A partition that cannot be read, for a reason that the tap's settings tolerate.

    It is logged and its bookmark stays; it never counts as empty.
    """
