"""Schema drift as people see it: what has changed, and deciding on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipai.errors import NotFoundError

if TYPE_CHECKING:
    from ipai.control_plane import Drift, SeenSchema
    from ipai.service.platform import Platform


@dataclass(frozen=True)
class Drifts:
    """The changes that runs have found."""

    _platform: Platform

    def all(self, name: str | None = None, limit: int = 50) -> list[Drift]:
        """Changes of one instance or of all, those that wait for a decision first, then the newest."""
        with self._platform.control_plane() as control_plane:
            if name is not None:
                control_plane.specs.instance(name)
            return control_plane.drift.all(name, limit)

    def accept(self, name: str, stream: str | None = None) -> list[Drift]:
        """Let loads go by what was found; schedules that rest for it go on.

        Raises:
            NotFoundError: nothing waits for a decision.
        """
        with self._platform.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return control_plane.drift.accept(name, stream) or _nothing(name, stream)

    def reject(self, name: str, stream: str | None = None) -> list[Drift]:
        """Hold on to what was accepted before: schedules go on, and runs fail as long as they meet the same.

        Raises:
            NotFoundError: nothing waits for a decision.
        """
        with self._platform.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return control_plane.drift.reject(name, stream) or _nothing(name, stream)

    def baseline(self, name: str) -> list[SeenSchema]:
        """The schemas that the next run is compared with, and those that wait for a decision."""
        with self._platform.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return control_plane.drift.schemas(name)

    def reset(self, name: str) -> int:
        """Forget them: the next run begins anew. How many there were."""
        with self._platform.control_plane() as control_plane:
            control_plane.specs.instance(name)
            return control_plane.drift.forget(name)


def _nothing(name: str, stream: str | None) -> list[Drift]:
    of = f"stream {stream} of {name}" if stream else name
    raise NotFoundError(f"No change of {of} waits for a decision.", hint=f"ipai drift {name} shows what was found.")
