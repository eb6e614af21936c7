"""A source that exists as a formula: every stream is a log, and its record number N follows from seed, stream and N."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = tuple[Any, ...]
_TEXTS = ("plain", "Ünï çødé 🦆", 'quote " and \\ backslash', "tab\tand\nline", "\\N", "", "عربى")
_START = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)
COLUMNS = ("number", "label", "amount", "changed_at", "flag", "payload")
_PROPERTIES = {
    "number": {"type": "integer"},
    "label": {"type": ["null", "string"]},
    "amount": {"type": ["null", "number"]},
    "changed_at": {"type": ["null", "string"], "format": "date-time"},
    "flag": {"type": ["null", "boolean"]},
    "payload": {"type": ["null", "object"]},
}


@dataclass(frozen=True)
class Stream:
    """A log of records.

    Args:
        name: of the stream and its table.
        keys: key properties; without any, every record of the log is a row of its own.

    """

    name: str
    keys: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.keys, *COLUMNS)

    def schema(self) -> dict[str, Any]:
        properties = {**{key: {"type": "integer"} for key in self.keys}, **_PROPERTIES}
        return {
            "type": "SCHEMA",
            "stream": self.name,
            "key_properties": list(self.keys),
            "schema": {"type": "object", "properties": properties},
        }

    def record(self, seed: int, number: int) -> dict[str, Any]:
        """Record `number` (from 0) as the tap sends it; keys come again, with other values."""
        chance = _Dice(f"{seed}/{self.name}/{number}")
        moment = _START + dt.timedelta(microseconds=chance.roll(10**14))
        return {
            **{key: chance.roll(300 if len(self.keys) == 1 else 20) for key in self.keys},
            "number": number,
            "label": (None, *_TEXTS)[chance.roll(len(_TEXTS) + 1)],
            "amount": (chance.roll(2 * 10**9) - 10**9) / 100 if chance.roll(2) else None,
            "changed_at": moment.isoformat() if chance.roll(2) else None,
            "flag": (None, True, False)[chance.roll(3)],
            "payload": {"a": chance.roll(9), "b": [_TEXTS[chance.roll(len(_TEXTS))]]} if chance.roll(2) else None,
        }

    def row(self, seed: int, number: int) -> Row:
        """The same record as the table must hold it, with the payload's items instead of a dict."""
        record = self.record(seed, number)
        if record["amount"] is not None:
            record["amount"] = Decimal(str(record["amount"]))
        if record["changed_at"]:
            record["changed_at"] = dt.datetime.fromisoformat(record["changed_at"])
        return comparable(record[column] for column in self.columns)


STREAMS = (Stream("customers", ("id",)), Stream("order_lines", ("order_id", "line")), Stream("events"))


def comparable(values: Any) -> Row:
    """A row that can be counted: dicts become text."""
    return tuple(repr(sorted(value.items())) if isinstance(value, dict) else value for value in values)


class _Dice:
    """Numbers that follow from a text; starting `random.Random` for each record takes longer than all the rest."""

    def __init__(self, text: str) -> None:
        self._left = int.from_bytes(hashlib.blake2b(text.encode()).digest(), "big")

    def roll(self, sides: int) -> int:
        """A number from 0 to `sides` - 1."""
        self._left, rolled = divmod(self._left, sides)
        return rolled


class Log:
    """What a stream's first records amount to.

    Args:
        stream: whose.
        seed: of the source.
        size: how many records there are by now.

    """

    def __init__(self, stream: Stream, seed: int, size: int) -> None:
        self.stream = stream
        self.rows = [stream.row(seed, number) for number in range(size)]

    def key(self, row: Row) -> Row:
        return row[: len(self.stream.keys)]

    def number(self, row: Row) -> int:
        """Which record of the log a row is."""
        number: int = row[len(self.stream.keys)]
        return number

    def differences(self, found: list[Row], bookmark: int, *, exact: bool, repeated: bool) -> Iterator[str]:
        """How a table contradicts a bookmark, which says how many records of the log it holds for certain.

        Args:
            found: the table's rows.
            bookmark: records that a STATE covers.
            exact: the table holds these records and nothing later.
            repeated: rows without keys may be there more than once.

        """
        counts = Counter(found)
        sent = set(self.rows)
        unknown = [row for row in counts if row not in sent]
        if unknown:
            yield f"{self.stream.name}: {len(unknown)} rows that were never sent, such as {unknown[0]}"
            return
        if not self.stream.keys:
            missing = [row for row in self.rows[:bookmark] if row not in counts]
            extra = [row for row in counts if self.number(row) >= bookmark]
            double = [row for row, count in counts.items() if count > 1]
            if missing:
                yield f"{self.stream.name}: {len(missing)} of {bookmark} rows are missing, such as {missing[0]}"
            if extra and exact:
                yield f"{self.stream.name}: {len(extra)} rows beyond {bookmark}, such as {extra[0]}"
            if double and not repeated:
                yield f"{self.stream.name}: {len(double)} rows more than once, such as {double[0]}"
            return
        table = {self.key(row): self.number(row) for row in found}
        if len(table) != len(found):
            yield f"{self.stream.name}: {len(found) - len(table)} keys more than once"
        covered = {self.key(row): self.number(row) for row in self.rows[:bookmark]}
        lost = [key for key in covered if key not in table]
        older = [key for key in covered if table.get(key, covered[key]) < covered[key]]
        newer = [key for key, number in table.items() if number >= bookmark]
        if lost:
            yield f"{self.stream.name}: {len(lost)} keys are missing, such as {lost[0]}"
        if older:
            example = f"{older[0]}: {table[older[0]]} instead of {covered[older[0]]}"
            yield f"{self.stream.name}: {len(older)} rows are older than the bookmark {bookmark}, such as {example}"
        if newer and exact:
            yield f"{self.stream.name}: {len(newer)} rows beyond {bookmark}, such as {newer[0]}: {table[newer[0]]}"
