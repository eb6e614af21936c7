"""BATCH messages: records in files, read through the SDK's storage."""

from __future__ import annotations

from contextlib import nullcontext
from gzip import open as open_gzip
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchFileFormat, StorageTarget
from singer_sdk.singerlib.json import deserialize_json

from singer_kit.errors import DataError
from target_postgres.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_postgres.engine import Engine


def load_files(engine: Engine, message: dict[str, Any]) -> None:
    """Bring in the records of a BATCH's files.

    Raises:
        DataError: the message, a file or a record is not as it should be.
    """
    stream, manifest = message.get("stream"), message.get("manifest")
    line = f"Line {engine.reader.line_number}"
    if not isinstance(stream, str) or not isinstance(manifest, list):
        raise DataError(f"{line} is a BATCH without a stream's name or a manifest.")
    try:
        encoding = BaseBatchFileEncoding.from_dict(message.get("encoding") or {})
    except TypeError:
        raise DataError(f"{line}: the BATCH of stream {stream!r} has no encoding that can be read.") from None
    if encoding.format != BatchFileFormat.JSONL or encoding.compression not in {None, "gzip", "none"}:
        raise DataError(
            f"{line}: BATCH files of stream {stream!r} are {encoding.format} with {encoding.compression}; "
            "jsonl, plain or gzip, is supported. Next: change the tap's batch_config."
        )
    for url in manifest:
        _load_file(engine, stream, url, compressed=encoding.compression == "gzip")


def _load_file(engine: Engine, stream: str, url: Any, *, compressed: bool) -> None:
    at = f"line {engine.reader.line_number}, BATCH file {shorten(url)}"
    for number, raw in enumerate(_lines(stream, url, at, compressed=compressed), 1):
        if raw.isspace():
            continue
        where = f"{at} line {number}"
        try:
            record = deserialize_json(raw)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise DataError(
                f"Stream {stream!r}, {where}: not a JSON object: {shorten(raw[:200].decode(errors='replace'))}."
            )
        engine.take_record(stream, record, {}, raw, where)
        engine.reader.check_interrupted()


def _lines(stream: str, url: Any, at: str, *, compressed: bool) -> Iterator[bytes]:
    try:
        head, tail = StorageTarget.split_url(url)
        with (
            StorageTarget.from_url(head).open(tail, mode="rb") as file,
            open_gzip(file) if compressed else nullcontext(file) as opened,
        ):
            yield from opened
    except Exception as error:  # each kind of storage has its own
        raise DataError(
            f"Stream {stream!r}, {at} cannot be read: {error}. "
            "Next: see that the target reaches the place that the tap's batch_config names."
        ) from error
