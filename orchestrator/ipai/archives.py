"""Files that rows go to before they leave Bronze: JSON lines, compressed, read again before the rows are deleted."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from ipai.errors import IpaiError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class Archived:
    """A file that is safely on the disk. `size` in bytes, compressed; `sha256` of the lines, uncompressed."""

    path: Path
    rows: int
    size: int
    sha256: str


class ArchiveError(IpaiError):
    """An archive cannot be written, so nothing was deleted."""

    code = "archive"


class ArchiveFile:
    """One file, which exists under its name only once it is complete.

    Args:
        folder: of all archives; `<instance>/<stream>/` is made below it.
        moment: of the task, part 1, 2, 3 … of which this is.
    """

    def __init__(self, folder: Path, instance: str, stream: str, moment: datetime, part: int) -> None:
        # A name may hold anything; a file's name may not.
        self.path = folder / instance / quote(stream, safe="") / f"{moment:%Y%m%dT%H%M%S%fZ}-{part:06}.jsonl.gz"
        self._unfinished = self.path.with_suffix(".gz.part")
        self._file: gzip.GzipFile | None = None
        self._digest = hashlib.sha256()
        self._rows = 0

    def write(self, line: str) -> None:
        """Add a row, a JSON object without line breaks."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            raw = os.fdopen(os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            self._file = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0)
            self._raw = raw
        data = line.encode() + b"\n"
        self._file.write(data)
        self._digest.update(data)
        self._rows += 1

    def finish(self, rows: int) -> Archived:
        """Bring it to the disk, read it again, and give it its name.

        Args:
            rows: how many it must hold.

        Raises:
            ArchiveError: it does not hold what was written.
        """
        assert self._file is not None  # noqa: S101 - there is nothing to finish without a row
        self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()
        written = (rows, self._digest.hexdigest())
        if self._rows != rows or _read(self._unfinished) != written:
            raise ArchiveError(
                f"{self.path} does not hold the {rows} rows that were written to it; nothing was deleted.",
                hint="Look at the disk, then ipai retain again.",
            )
        self._unfinished.replace(self.path)
        _sync(self.path.parent)
        return Archived(self.path, rows, self.path.stat().st_size, written[1])

    def discard(self) -> None:
        """Remove what there is of it: the rows stay where they are."""
        if self._file is not None:
            self._raw.close()
            self._unfinished.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[int, str] | None:
    """How many lines a file holds and their SHA-256; None if it cannot be read to its end."""
    digest, count = hashlib.sha256(), 0
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                digest.update(line)
                count += 1
    except (EOFError, OSError, zlib.error):
        return None
    return count, digest.hexdigest()


def _sync(folder: Path) -> None:
    """Make sure that a new name in a folder outlives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
