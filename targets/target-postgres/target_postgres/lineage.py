"""The columns that tell where a row comes from.

The first seven are the SDK's, the rest ours. What is the same for a whole batch is not sent with every row: it
enters as a constant when the batch moves from its temporary table into the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from target_postgres.naming import literal
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

    def values(self, received_at: datetime) -> dict[str, str]:
        """The text of each column of `PER_BATCH`, in its order; the batch is put together now.

        Args:
            received_at: when the batch's first record was read.

        """
        return {
            "_sdc_received_at": received_at.isoformat(),
            "_sdc_batched_at": datetime.now(tz=timezone.utc).isoformat(),
            SYNC_STARTED_AT: str(self.sync_started_at),
            "_sdc_source": self.source,
            "_sdc_stream": self.stream,
            "_sdc_batch_id": self.batch_id,
        }

    def constants(self, received_at: datetime) -> dict[str, str]:
        """The same as SQL expressions."""
        types = dict(PER_BATCH)
        return {name: f"{literal(value)}::{types[name].sql}" for name, value in self.values(received_at).items()}
