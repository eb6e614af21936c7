"""From an answer to records: where its rows are, and what makes a record of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_kit.errors import DataError
from tap_rest_api.decoding import literal_columns
from tap_rest_api.paths import JsonPath

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_rest_api.language import Records

Record = dict[str, Any]


class Extraction:
    """The `records` of one stream, compiled.

    Args:
        records: of the manifest.
    """

    def __init__(self, records: Records) -> None:
        self._records = records
        text = records.columns_path
        self._columns_at = JsonPath(text) if text and text.startswith("$") else None
        self._columns = literal_columns(text) if text and not self._columns_at else []

    def records(self, body: Any, scope: Mapping[str, Any]) -> list[Record]:
        """The records of an answer, or of one row of a body that is read row by row.

        Raises:
            DataError: what the path leads to is no row.
        """
        spec = self._records
        if spec.empty_when and spec.empty_when.holds(**{**scope, "response": body}):
            return []
        columns = self._columns or (
            [str(name) for name in self._columns_at.first(body, [])] if self._columns_at else []
        )
        found = spec.path.find(body)
        if spec.single:
            return [self._record(value, columns) for value in found[:1] if value is not None]
        rows = self._rows(found, columns)
        if spec.explode:
            rows = self._exploded(rows)
        return [self._record(row, columns) for row in rows if row is not None]

    def _rows(self, found: list[Any], columns: list[str]) -> Iterable[Any]:
        for value in found:
            if isinstance(value, list) and not (columns and value and not isinstance(value[0], list | dict)):
                yield from value
            elif self._records.key_as is not None and isinstance(value, dict):
                for key, row in value.items():
                    yield {**self._object(row), self._records.key_as: key}
            else:
                yield value

    def _exploded(self, rows: Iterable[Any]) -> Iterator[Any]:
        assert self._records.explode is not None  # noqa: S101
        for row in rows:
            kept = {name: path.first(row) for name, path in self._records.keep.items()}
            for item in self._records.explode.find(row):
                yield (item, kept)

    def _record(self, row: Any, columns: list[str]) -> Record:
        if isinstance(row, tuple):
            return {**self._record(row[0], columns), **row[1]}
        if isinstance(row, list) and columns:
            if len(row) > len(columns):
                raise DataError(f"a row has {len(row)} values for {len(columns)} columns. Next: correct columns_path.")
            return {**dict.fromkeys(columns), **dict(zip(columns, row, strict=False))}
        return self._object(row)

    def _object(self, row: Any) -> Record:
        """A row that is no object is its only value."""
        if isinstance(row, dict):
            return row
        if isinstance(row, list):
            raise DataError(
                f"the path {self._records.path.text!r} leads to a list in a list. "
                "Next: lead it to the rows, or name the columns in columns_path."
            )
        return {"value": row}
