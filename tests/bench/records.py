"""The 12-column record of the target's benchmark: as Singer messages, and converted beforehand to CSV for psql."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "orders"
STATE_EVERY = 10_000
_DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
_TEXT = {"type": ["null", "string"]}
PROPERTIES: dict[str, dict[str, Any]] = {
    "id": {"type": "integer"},
    "uuid": {"type": ["null", "string"], "format": "uuid"},
    "customer": _TEXT,
    "status": _TEXT,
    "country": _TEXT,
    "note": _TEXT,
    "created_at": _DATE_TIME,
    "updated_at": _DATE_TIME,
    "amount": {"type": ["null", "number"]},
    "rate": {"type": ["null", "number"]},
    "active": {"type": ["null", "boolean"]},
    "details": {"type": ["null", "object"]},
}
SCHEMA = {
    "type": "SCHEMA",
    "stream": STREAM,
    "key_properties": ["id"],
    "bookmark_properties": ["updated_at"],
    "schema": {"type": "object", "properties": PROPERTIES},
}
# Equal whenever the values are, whatever types a target chose for its columns.
COMPARABLE = {
    "id": "id::bigint::text",
    "uuid": "uuid::uuid::text",
    "active": "active::boolean::text",
    "details": "details::jsonb::text",
    **{name: f"{name}::text" for name in ("customer", "status", "country", "note")},
    **{name: f"trim_scale({name}::text::numeric)::text" for name in ("amount", "rate")},
    **{name: f"extract(epoch from {name}::timestamp)::text" for name in ("created_at", "updated_at")},
}
_STATUSES = ("draft", "confirmed", "in progress", "done", "cancelled")
_COUNTRIES = ("DE", "PH", "BR", "US", "JP", "ZA", "SE")
_START = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)


@dataclass(frozen=True)
class Files:
    """One edition of the rows in every form that a contestant reads."""

    singer: Path
    csv: Path
    csv_with_lineage: Path


def record(number: int, edition: int) -> dict[str, Any]:
    """Row `number`; every column but the key and the creation differs from edition to edition."""
    salt = number * 7 + edition * 13
    digest = hashlib.md5(b"%d" % salt).hexdigest()
    created = _START + dt.timedelta(seconds=number * 37, microseconds=number * 7919 % 1_000_000)
    return {
        "id": number,
        "uuid": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}",
        "customer": f"Customer {salt % 50_000} {'Müller' if salt % 3 else 'García'} & Sons",
        "status": _STATUSES[salt % 5],
        "country": _COUNTRIES[salt % 7],
        "note": f'Line "{digest[:12]}" of an order: chair, oak, {salt % 90} cm;\tsee C:\\orders\\{number}',
        "created_at": created.isoformat(),
        "updated_at": (created + dt.timedelta(days=edition + 1)).isoformat(),
        "amount": salt % 10_000_000 / 100,
        "rate": salt % 997 / 8,
        "active": salt % 2 == 0,
        "details": {
            "lines": salt % 9,
            "tags": [digest[:4], digest[4:8]],
            "ship": {"city": "São Paulo", "zip": salt % 99_999},
        },
    }


def write(folder: Path, rows: int, edition: int) -> Files:
    """Write rows 1 … `rows` of an edition in all forms."""
    files = Files(*(folder / f"{edition}.{kind}" for kind in ("singer", "csv", "lineage.csv")))
    encode = msgspec.json.Encoder().encode
    lineage = _lineage()
    with (
        files.singer.open("wb") as singer,
        files.csv.open("w", newline="") as plain_file,
        files.csv_with_lineage.open("w", newline="") as lineage_file,
    ):
        plain, with_lineage = csv.writer(plain_file), csv.writer(lineage_file)
        singer.write(json.dumps(SCHEMA).encode() + b"\n")
        for number in range(1, rows + 1):
            values = record(number, edition)
            singer.write(_message(encode(values)))
            row = [*values.values()]
            row[-1] = encode(values["details"]).decode()
            plain.writerow(row)
            with_lineage.writerow([*row, *lineage, number])
            if number % STATE_EVERY == 0:
                singer.write(_state(number))
    return files


def write_singer(path: Path, rows: int) -> None:
    """Write only the messages: for measuring memory over more rows than are compared."""
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.write(json.dumps(SCHEMA).encode() + b"\n")
        for number in range(1, rows + 1):
            file.write(_message(encode(record(number, 0))))
            if number % STATE_EVERY == 0:
                file.write(_state(number))


def head(source: Path, path: Path, rows: int, *, keyless: bool = False) -> None:
    """Write the first `rows` rows of a file of messages to another, the SCHEMA without keys if asked."""
    with source.open("rb") as file, path.open("wb") as output:
        schema = json.loads(next(file))
        output.write(
            json.dumps({**schema, "key_properties": [] if keyless else schema["key_properties"]}).encode() + b"\n"
        )
        for line in file:
            if line.startswith(b'{"type":"RECORD"'):
                rows -= 1
            if rows < 0:
                return
            output.write(line)


def _message(values: bytes) -> bytes:
    return b'{"type":"RECORD","stream":"orders","record":' + values + b',"time_extracted":"2024-05-01T12:00:00Z"}\n'


def _state(number: int) -> bytes:
    return b'{"type":"STATE","value":{"bookmarks":{"orders":{"replication_key_value":%d}}}}\n' % number


LINEAGE = {
    "_sdc_extracted_at": "2024-05-01T12:00:00Z",
    "_sdc_received_at": "2024-05-01T12:00:00Z",
    "_sdc_batched_at": "2024-05-01T12:00:00Z",
    "_sdc_deleted_at": "",
    "_sdc_table_version": "",
    "_sdc_sync_started_at": "1714564800000",
    "_sdc_source": "bench",
    "_sdc_stream": STREAM,
    "_sdc_cursor": "2024-05-01T12:00:00.000000Z",
    "_sdc_batch_id": "4f4e3c1e-8f8b-4f8e-9a55-0d7f3f1a7d1a",
    "_sdc_sequence": None,
}


def _lineage() -> list[str]:
    return [value for value in LINEAGE.values() if value is not None]
