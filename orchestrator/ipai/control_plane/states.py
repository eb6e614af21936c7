"""STATE, behind the fencing token of the run that holds the instance.

    prod_odoo              what the instance resumes from
    prod_odoo#0, #1 …      a pipeline's own while a run is under way: its target may write it, in the rows' transaction
    prod_odoo#backfill.7   of the backfill that began with run 7, which never touches the bookmarks of the instance

A run first *folds* what the parts of the run before have come to into the instance's row. So it does not matter how
that one ended. From then on the parts carry the new token, and whoever was left behind is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from ipai import bookmarks
from ipai.control_plane.database import Room
from ipai.errors import BusyError, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ipai.control_plane.records import Run

STATE_TABLE = "connectors.connector_state"  # its columns id, state and fencing_token are a public contract
_LOCK_TIMEOUT = "10s"


class StateStore(Room):
    """Table `connector_state`."""

    statements_of = "states"

    def of(self, instance: str) -> dict[str, Any]:
        """The STATE the instance would resume from, empty when there is none."""
        rows = self._rows("state", id=instance)
        return _folded(dict(rows[0]["state"]) if rows else {}, self._rows("parts", scope=instance))

    def take_over(self, run: Run, *, clear: Collection[str] | bool = False, anew: bool = False) -> dict[str, Any]:
        """Make the run the only one that may write STATE, and fold what earlier ones left; return what there is now.

        Args:
            clear: the streams whose bookmarks are to be forgotten, or True for all.
            anew: begin with nothing, whatever is stored.

        Raises:
            BusyError: a newer run has taken over.
        """
        return self._settle(run, lambda state: {} if anew or clear is True else bookmarks.without(state, clear or ()))

    def open_part(self, run: Run, index: int, state: Mapping[str, Any], streams: Collection[str] | None) -> str:
        """Make the row of one pipeline; return its id.

        Raises:
            BusyError: a newer run has taken over.
        """
        scope = scope_of(run)
        part = f"{scope}#{index}" if scope == run.instance else f"{scope}.{index}"
        if not self._do(
            "part_open", id=part, scope=scope, instance=run.instance, state=Jsonb(state),
            streams=None if streams is None else sorted(streams), token=run.fencing_token,
        ):  # fmt: skip
            raise _taken_over(run)
        return part

    def store(self, run: Run, part: str, state: Mapping[str, Any]) -> None:
        """Store what a target that does not do so itself has acknowledged.

        Raises:
            BusyError: a newer run has taken over; nothing was written.
        """
        if not self._do("part_store", id=part, instance=run.instance, state=Jsonb(state), token=run.fencing_token):
            raise _taken_over(run)

    def fold(self, run: Run) -> dict[str, Any]:
        """Bring the parts of a run that has ended together; return the STATE.

        Raises:
            BusyError: a newer run has taken over, and has done so itself.
        """
        return self._settle(run, lambda state: state)

    def _settle(self, run: Run, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        connection = self._database.connection
        for ends_targets in (True, False):
            try:
                with self._database.explained(), connection.transaction():
                    connection.execute(self._statement("lock_timeout"), {"timeout": _LOCK_TIMEOUT})
                    return self._fold(run, change)
            except psycopg.errors.LockNotAvailable:
                if ends_targets:
                    # A target that was left behind sits in a transaction over its part of the STATE.
                    self._rows("end_targets", instance=run.instance)
        raise DatabaseError(
            f"The bookmark of {run.instance} is locked by another session for longer than {_LOCK_TIMEOUT}.",
            hint="Look for it in pg_stat_activity; it is no session of a run that still counts.",
        )

    def _fold(self, run: Run, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        held = self._rows("hold", instance=run.instance, token=run.fencing_token)
        if not held:
            raise _taken_over(run)
        scope = scope_of(run)
        if scope == run.instance:
            stored = dict(held[0]["state"])
        else:
            rows = self._rows("state", id=scope)
            stored = dict(rows[0]["state"]) if rows else {}
        self._rows("fence", instance=run.instance, token=run.fencing_token)
        state = change(_folded(stored, self._rows("parts_hold", scope=scope)))
        self._do("scope_store", id=scope, state=Jsonb(state), token=run.fencing_token)
        self._do("parts_empty", scope=scope, token=run.fencing_token)
        return state

    def replace(self, instance: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Change the STATE by hand, as `change` makes it from what is stored; return it.

        The caller holds the instance.
        """
        with self._database.transaction():
            state = change(self.of(instance))
            self._do("state_replace", id=instance, state=Jsonb(state))
            self._do("parts_empty", scope=instance, token=self._token(instance))
        return state

    def _token(self, instance: str) -> int:
        (row,) = self._rows("state", id=instance)
        token: int = row["fencing_token"]
        return token


def scope_of(run: Run) -> str:
    """The row that a run's parts are folded into."""
    return run.instance if run.kind == "sync" else f"{run.instance}#backfill.{run.first_run_id or run.id}"


def _folded(state: dict[str, Any], parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    for part in parts:
        if part["state"]:
            state = bookmarks.merge(state, bookmarks.from_document(part["state"]), part["streams"])
    return state


def _taken_over(run: Run) -> BusyError:
    return BusyError(
        f"A newer run of {run.instance} has taken over; run {run.id} (fencing token {run.fencing_token}) writes "
        "nothing any more."
    )
