"""The columns that tell where a row comes from.

The first seven are the SDK's, the rest ours.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timezone

from target_postgres.types import BIGINT, TEXT, TIMESTAMPTZ, ColumnType

TABLE_VERSION = "_sdc_table_version"
DELETED_AT = "_sdc_deleted_at"
SYNC_STARTED_AT = "_sdc_sync_started_at"
EXTRACTED_AT = "_sdc_extracted_at"
SEQUENCE = "_sdc_sequence"
CURSOR = "_sdc_cursor"

# In the order in which `sink` writes them after a record's own values.
PER_ROW: tuple[tuple[str, ColumnType], ...] = (
    (EXTRACTED_AT, TIMESTAMPTZ),
    (DELETED_AT, TIMESTAMPTZ),
    (SEQUENCE, BIGINT),
    (TABLE_VERSION, BIGINT),
    (CURSOR, TEXT),
)
PER_BATCH: tuple[tuple[str, ColumnType], ...] = (
    ("_sdc_received_at", TIMESTAMPTZ),
    ("_sdc_batched_at", TIMESTAMPTZ),
    (SYNC_STARTED_AT, BIGINT),
    ("_sdc_source", TEXT),
    ("_sdc_stream", TEXT),
    ("_sdc_batch_id", TEXT),
)
NAMES = frozenset(name for name, _ in (*PER_ROW, *PER_BATCH))
SDK_NAMES = NAMES - {CURSOR, "_sdc_source", "_sdc_stream", "_sdc_batch_id"}


@dataclass(frozen=True)
class Origin:
    """What is the same for all rows of a stream in a run."""

    source: str
    stream: str
    batch_id: str
    sync_started_at: int

    def values(self, read_at: datetime) -> tuple[datetime | int | str, ...]:
        """The columns of `PER_BATCH`, in their order.

        Args:
            read_at: when the record was read, which is also when it joined its batch.
        """
        return (read_at, read_at, self.sync_started_at, self.source, self.stream, self.batch_id)


def new_batch_id() -> str:
    """A run's name for itself: it sorts by time, and is shorter than a UUID, for every row carries it."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
