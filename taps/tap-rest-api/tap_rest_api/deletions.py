"""Rows that are gone: a field that says so, or ids that a whole list does not hold any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from singer_kit.errors import ConfigurationError, SourceError
from tap_rest_api.moments import to_rfc3339
from tap_rest_api.templates import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_rest_api.extraction import Record
    from tap_rest_api.language import Stream
    from tap_rest_api.memory import Memory

DELETED_AT = "_sdc_deleted_at"
SCHEMA: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}


def marks(stream: Stream) -> bool:
    """Whether its records have the column."""
    return stream.deletion is not None and stream.deletion.mode in {"soft", "field"}


def check_memory(stream: Stream, memory: Memory) -> None:
    """Refuse a mode that cannot do without a memory.

    Raises:
        ConfigurationError: there is none.
    """
    if stream.deletion is not None and stream.deletion.mode == "soft" and not memory.lasts:
        raise ConfigurationError(
            f"Stream '{stream.name}': deletion mode soft has to remember ids between runs. Next: set state_dir."
        )


class Deletions:
    """The `deletion` of one stream.

    Ids are kept in a file for each stream. What vanished in one run is told in the next one again: the first may have
    died before the target had it.

    Args:
        stream: of the manifest.
        memory: where ids are kept.
        max_fraction: of the config.
        started: when the run began, by the server's clock.
    """

    def __init__(self, stream: Stream, memory: Memory, max_fraction: float, started: datetime) -> None:
        assert stream.deletion is not None  # noqa: S101 - see resolved
        self._stream, self._spec, self._memory = stream, stream.deletion, memory
        self._key = stream.primary_key or []
        own = stream.deletion.max_fraction
        self._fraction = max_fraction if own is None else own
        self._now = to_rfc3339(started.replace(microsecond=0))
        self._soft = stream.deletion.mode == "soft"
        self._former: dict[str, Any] = (memory.read(f"ids.{stream.name}") or {}) if self._soft else {}
        self._latest: dict[str, Any] = {}

    def mark(self, raw: Mapping[str, Any], record: Record) -> Record:
        """A record with the column, where the stream has it."""
        if self._spec.mode == "field":
            assert self._spec.field is not None  # noqa: S101 - see checks
            found = self._spec.field.first(raw)
            gone = found not in (None, False) if self._spec.equals is None else found == self._spec.equals
            return {**record, DELETED_AT: self._now if gone else None}
        return {**record, DELETED_AT: None} if self._soft else record

    def ids(self, records: list[Record]) -> set[str]:
        """What a page adds to the list of those that are there."""
        return {json_text([record.get(name) for name in self._key]) for record in records} if self._soft else set()

    def vanished(self, context: Mapping[str, Any], present: set[str]) -> list[Record]:
        """The rows of a partition that a former run saw and this one, which read all of it, did not.

        Raises:
            SourceError: so many are gone that it looks like a fault.
        """
        if not self._soft:
            return []
        part = json_text(dict(sorted(context.items())))
        former = self._former.get(part, {"present": [], "gone": []})
        known = set(former["present"])
        gone = sorted(known - present)
        if known and len(gone) > self._fraction * len(known):
            raise SourceError(
                f"{len(gone)} of {len(known)} rows have vanished since the last run, which is more than "
                f"{self._fraction:.0%}. Next: if that is right, set deletion.max_fraction to 1 for one run."
            )
        self._latest[part] = {"present": sorted(present), "gone": gone}
        again = [one for one in former["gone"] if one not in present]
        return [
            {**dict(zip(self._key, msgspec.json.decode(one), strict=True)), DELETED_AT: self._now}
            for one in [*again, *gone]
        ]

    def remember(self) -> None:
        """Keep what this run saw; partitions that it did not read whole stay as they were."""
        if self._soft and self._latest:
            self._memory.write(f"ids.{self._stream.name}", {**self._former, **self._latest})
