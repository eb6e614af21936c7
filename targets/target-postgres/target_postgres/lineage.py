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

# In the order in which `sink` writes them after a record's own values.
PER_ROW: tuple[tuple[str, ColumnType], ...] = (
    ("_sdc_extracted_at", TIMESTAMPTZ),
    (DELETED_AT, TIMESTAMPTZ),
    ("_sdc_sequence", BIGINT),
    (TABLE_VERSION, BIGINT),
    ("_sdc_cursor", TEXT),
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
SDK_NAMES = NAMES - {"_sdc_cursor", "_sdc_source", "_sdc_stream", "_sdc_batch_id"}


@dataclass(frozen=True)
class Origin:
    """What is the same for all rows of a stream in a run."""

    source: str
    stream: str
    batch_id: str
    sync_started_at: int

    def constants(self, received_at: datetime) -> dict[str, str]:
        """The SQL expression of each column of `PER_BATCH`.

        Args:
            received_at: when the batch's first record was read.

        """
        return {
            "_sdc_received_at": f"{literal(received_at.isoformat())}::timestamptz",
            "_sdc_batched_at": f"{literal(datetime.now(tz=timezone.utc).isoformat())}::timestamptz",
            SYNC_STARTED_AT: f"{self.sync_started_at}::bigint",
            "_sdc_source": literal(self.source),
            "_sdc_stream": literal(self.stream),
            "_sdc_batch_id": literal(self.batch_id),
        }
