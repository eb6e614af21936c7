"""Lines of input, as data: messages are dicts, lines that no tap should write are text or bytes."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.values import Raw, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class BatchMessage:
    """A BATCH message and the JSON-lines files it names, which are written when the scenario runs."""

    stream: str
    files: tuple[tuple[Mapping[str, Any] | str, ...], ...]  # rows; a str is a line as it stands
    compression: str | None = None
    missing: bool = False  # names a file that does not exist
    cut: int = 0  # how many bytes are missing at the end of each file

    def written(self, folder: Path) -> dict[str, Any]:
        """Write the files; return the message that names them."""
        paths = [folder / f"{self.stream}-{number}.jsonl" for number in range(len(self.files))]
        for path, rows in zip(paths, self.files, strict=True):
            data = "".join(f"{row if isinstance(row, str) else to_json(row)}\n" for row in rows).encode()
            data = gzip.compress(data) if self.compression else data
            if not self.missing:
                path.write_bytes(data[: len(data) - self.cut])
        encoding = {"format": "jsonl", "compression": self.compression or "none"}
        manifest = [path.as_uri() for path in paths]
        return {"type": "BATCH", "stream": self.stream, "encoding": encoding, "manifest": manifest}


Line = dict[str, Any] | str | bytes | BatchMessage


def encoded(line: Line, folder: Path) -> bytes:
    """The bytes of a line. Messages and text get a line feed, bytes are sent as they are.

    Args:
        line: see `Line`.
        folder: where files of BATCH messages go.

    """
    if isinstance(line, bytes):
        return line
    if isinstance(line, BatchMessage):
        line = line.written(folder)
    return (line if isinstance(line, str) else to_json(line)).encode() + b"\n"


def schema(stream: str, properties: Mapping[str, Any], keys: Sequence[str] = ("id",), **more: Any) -> dict[str, Any]:
    """A SCHEMA message.

    Args:
        stream: its name.
        properties: JSON schema by property.
        keys: `key_properties`.
        more: further members of the JSON schema, such as `required`.

    """
    shape = {"type": "object", "properties": dict(properties), **more}
    return {"type": "SCHEMA", "stream": stream, "schema": shape, "key_properties": list(keys)}


def record(stream: str, values: Mapping[str, Any] | Raw, **more: Any) -> dict[str, Any]:
    """A RECORD message; `more` are members of the message, such as `version` and `time_extracted`."""
    return {"type": "RECORD", "stream": stream, "record": values if isinstance(values, Raw) else dict(values), **more}


def state(value: Any) -> dict[str, Any]:
    """A STATE message."""
    return {"type": "STATE", "value": value}


def activate(stream: str, version: int) -> dict[str, Any]:
    """An ACTIVATE_VERSION message."""
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def nullable(*types: str, **more: Any) -> dict[str, Any]:
    """The JSON schema of a property that may be null, as most taps write it."""
    return {"type": [*types, "null"], **more}


INTEGER = nullable("integer")
NUMBER = nullable("number")
TEXT = nullable("string")
BOOLEAN = nullable("boolean")
DATE = nullable("string", format="date")
DATE_TIME = nullable("string", format="date-time")
TIME = nullable("string", format="time")
UUID = nullable("string", format="uuid")
OBJECT = nullable("object")
ARRAY = nullable("array")
