"""The plugin: messages in, acknowledged STATEs out."""

from __future__ import annotations

import copy
import sys
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass
from gzip import open as open_gzip
from typing import TYPE_CHECKING, Any, ClassVar, cast

from singer_sdk.exceptions import StreamMapConfigError
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchFileFormat, StorageTarget
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.singerlib.json import deserialize_json
from singer_sdk.target_base import Target

from singer_kit.cli import CleanErrors
from singer_kit.errors import ConfigurationError, DataError
from target_postgres import settings
from target_postgres.connection import Connector
from target_postgres.database import Database
from target_postgres.errors import RecordBeforeSchemaError, shorten
from target_postgres.lineage import Origin
from target_postgres.loader import Limits, Loader
from target_postgres.reading import LineReader
from target_postgres.sink import PostgresSink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.mapper import StreamMap

    from target_postgres.naming import TableName

_REPORT_SECONDS = 2.0


@dataclass(frozen=True)
class _Route:
    """From a stream to a sink; without a map records go as they are."""

    sink: PostgresSink
    map: StreamMap | None


class TargetPostgres(CleanErrors, Target):
    """Loads Singer streams into Postgres."""

    name = "target-postgres"
    package_name = "ipai-target-postgres"
    config_jsonschema: ClassVar[dict[str, Any]] = settings.SETTINGS
    default_sink_class = PostgresSink
    message_reader_class = LineReader
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.BATCH,
        PluginCapabilities.STRUCTURED_LOGGING,
        TargetCapabilities.TARGET_SCHEMA,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.options = settings.options(self.config, batch_id=str(uuid.uuid4()))
        self.database = Database(Connector(self.config))
        self._loader = Loader(
            self.database,
            Limits(
                rows=self.config.get("batch_size_rows") or 10_000,
                bytes=self.config.get("batch_size_bytes") or 32 * 1024 * 1024,
                seconds=float(self.config.get("commit_interval_seconds") or 0),
            ),
            _write_line,
            overwrite=self.options.load_method == "overwrite",
        )
        self._reader = cast("LineReader", self.message_reader)
        self._reader.on_start = self._connect
        self._reader.on_failure = self._abort
        self._schemas: dict[str, tuple[Any, Any, Any]] = {}
        self._routes: dict[str, list[_Route]] = {}
        self._tables: dict[TableName, str] = {}
        self._retired: list[PostgresSink] = []
        self._versions: dict[str, int] = {}
        self._numbers = 0
        # Microseconds, then one more for each record: no run brings a million records a second,
        # so the next one starts higher than this one ends.
        self._sequence = time.time_ns() // 1000
        self._reported_at = time.monotonic()

    # What sinks ask for

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def claim(self, table: TableName, stream: str) -> None:
        """Reserve a table for a stream.

        Raises:
            ConfigurationError: another stream of the run goes there.
        """
        other = self._tables.setdefault(table, stream)
        if other != stream:
            raise ConfigurationError(
                f"Streams {other!r} and {stream!r} would share table {table.quoted}. Next: "
                "set table_name to a pattern with {full_stream}, or rename one with stream_maps and "
                "__alias__."
            )

    def origin(self, stream: str) -> Origin:
        return Origin(self.options.source, stream, self.options.batch_id, self.initialized_at)

    def take(
        self, sink: PostgresSink, record: dict[str, Any], message: dict[str, Any], where: str | None = None
    ) -> None:
        """Hand a record to its sink and count it."""
        line = self._reader.line_number
        self._sequence += 1
        size = sink.add(record, message, where or f"line {line}", line, self._sequence)
        self._loader.added(sink, size)

    # Messages

    def _process_record_message(self, message_dict: dict[str, Any]) -> None:
        stream = message_dict.get("stream")
        record = message_dict.get("record")
        if not isinstance(stream, str) or not isinstance(record, dict):
            raise DataError(f"Line {self._reader.line_number} is a RECORD without a stream's name or without a record.")
        self._process_record(stream, record, message_dict, len(self._reader.line))
        self._tick()

    def _process_record(
        self,
        stream: str,
        record: dict[str, Any],
        message: dict[str, Any],
        size: int,
        where: str | None = None,
    ) -> None:
        routes = self._routes.get(stream)
        if routes is None:
            raise RecordBeforeSchemaError(
                f"Line {self._reader.line_number}: a RECORD of stream {stream!r} came before its SCHEMA. "
                "Next: this is a defect of the tap."
            )
        for route in routes:
            if route.map is None:
                self.take(route.sink, record, message, where)
            elif (mapped := route.map.transform(copy.copy(record))) is not None:
                self.take(route.sink, mapped, message, where)
            else:
                continue
            route.sink.count(size)

    def _process_schema_message(self, message_dict: dict[str, Any]) -> None:
        stream, schema = message_dict.get("stream"), message_dict.get("schema")
        keys = message_dict.get("key_properties")
        bookmark = message_dict.get("bookmark_properties")
        line = self._reader.line_number
        if not isinstance(stream, str) or not isinstance(schema, dict):
            raise DataError(f"Line {line} is a SCHEMA without a stream's name or without a schema.")
        if not isinstance(schema.get("properties"), dict):
            raise DataError(f"Line {line}: the SCHEMA of stream {stream!r} has no properties.")
        if not isinstance(keys, list | None) or not all(isinstance(key, str) for key in keys or ()):
            raise DataError(f"Line {line}: key_properties of stream {stream!r} are no list of names.")
        if self._schemas.get(stream) == (schema, keys, bookmark):
            return
        remembered = (copy.deepcopy(schema), keys, bookmark)
        try:
            self.mapper.register_raw_stream_schema(stream, schema, keys)
        except StreamMapConfigError as error:
            raise ConfigurationError(f"Setting stream_maps, stream {stream!r}: {error}") from error
        self._loader.checkpoint()
        if stream in self._routes:
            self._loader.settle()
        self._routes[stream] = [
            _Route(
                self._shaped_sink(stream_map, bookmark),
                None
                if isinstance(stream_map, SameRecordTransform) and not stream_map.flattening_enabled
                else stream_map,
            )
            for stream_map in self.mapper.stream_maps[stream]
            if not isinstance(stream_map, RemoveRecordTransform)
        ]
        self._schemas[stream] = remembered

    def _shaped_sink(self, stream_map: StreamMap, bookmark: Any) -> PostgresSink:
        alias = stream_map.stream_alias
        old = self._sinks_active.get(alias)
        sink = cast(
            "PostgresSink",
            self.get_sink(
                alias,
                schema=stream_map.transformed_schema,
                key_properties=stream_map.transformed_key_properties,
            ),
        )
        sink.bookmark = tuple(bookmark) if isinstance(bookmark, list) else ()
        if sink is not old:
            if isinstance(old, PostgresSink):
                old.report()
                self._retired.append(old)
            self._loader.shaped()
        return sink

    def _process_state_message(self, message_dict: dict[str, Any]) -> None:
        if "value" not in message_dict:
            raise DataError(f"Line {self._reader.line_number} is a STATE without a value.")
        self._latest_state = message_dict["value"]
        self._loader.state(self._reader.state_text())
        self._tick()

    def _process_activate_version_message(self, message_dict: dict[str, Any]) -> None:
        stream, version = message_dict.get("stream"), message_dict.get("version")
        if not isinstance(stream, str) or not isinstance(version, int):
            raise DataError(
                f"Line {self._reader.line_number} is an ACTIVATE_VERSION without a stream's name or an integer version."
            )
        if not self.config.get("activate_version", True):
            self.logger.warning("Stream '%s': ACTIVATE_VERSION is ignored, for activate_version is false", stream)
            return
        # Only the clean end proves that the version is complete: nothing is removed before.
        self._versions[stream] = version

    def _process_batch_message(self, message_dict: dict[str, Any]) -> None:
        stream, manifest = message_dict.get("stream"), message_dict.get("manifest")
        line = self._reader.line_number
        if not isinstance(stream, str) or not isinstance(manifest, list):
            raise DataError(f"Line {line} is a BATCH without a stream's name or a manifest.")
        try:
            encoding = BaseBatchFileEncoding.from_dict(message_dict.get("encoding") or {})
        except TypeError:
            raise DataError(f"Line {line}: the BATCH of stream {stream!r} has no encoding that can be read.") from None
        if encoding.format != BatchFileFormat.JSONL or encoding.compression not in {None, "gzip", "none"}:
            raise DataError(
                f"Line {line}: BATCH files of stream {stream!r} are {encoding.format} with "
                f"{encoding.compression}; "
                "jsonl, plain or gzip, is supported. Next: change the tap's batch_config."
            )
        for url in manifest:
            self._load_file(stream, url, compressed=encoding.compression == "gzip")
        self._tick()

    def _load_file(self, stream: str, url: Any, *, compressed: bool) -> None:
        at = f"line {self._reader.line_number}, BATCH file {shorten(url)}"
        for number, raw in enumerate(_batch_lines(stream, url, at, compressed=compressed), 1):
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
            self._process_record(stream, record, {}, len(raw), where)
            self._reader.check_interrupted()

    # Beginning and end

    def _connect(self) -> None:
        _ = self.database.connection

    def process_endofpipe(self) -> None:
        """The clean end of the input: everything is committed, deletes included, and the last STATE acknowledged."""
        try:
            sinks = [*self._retired, *cast("Sequence[PostgresSink]", self._sinks_active.values())]
            self._loader.finish(self._conclude, sinks)
        except BaseException:
            self._abort()
            raise
        for sink in sinks:
            sink.report()
        self.database.close()

    def _conclude(self, sinks: Sequence[PostgresSink]) -> None:
        replaced: set[TableName] = set()
        for sink in sinks:
            if sink.overwrite:
                sink.move(replace=sink.table_name not in replaced)
                replaced.add(sink.table_name)
        for stream, version in self._versions.items():
            if stream not in self._routes:
                self.logger.warning("Stream '%s': ACTIVATE_VERSION without a SCHEMA is ignored", stream)
            for route in self._routes.get(stream, ()):
                if not route.sink.overwrite:
                    route.sink.activate(version)

    def _abort(self) -> None:
        """Commit what the last STATE covers; what failed here stays hidden behind what ended the run."""
        try:
            self._loader.abort()
        except Exception as error:  # noqa: BLE001
            self.logger.warning("Rows that the last STATE covers could not be committed: %s", error)
        finally:
            for sink in cast("Sequence[PostgresSink]", self._sinks_active.values()):
                sink.report()
            self.database.close()

    def _handle_termination(self, signum: int, frame: object) -> None:  # noqa: ARG002
        self._reader.interrupt(signum)

    def _tick(self) -> None:
        now = time.monotonic()
        self._loader.tick(now)
        if now - self._reported_at >= _REPORT_SECONDS:
            self._reported_at = now
            for sink in cast("Sequence[PostgresSink]", self._sinks_active.values()):
                sink.report()


def _batch_lines(stream: str, url: Any, at: str, *, compressed: bool) -> Iterator[bytes]:
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


def _write_line(state: bytes) -> None:
    """Past the text layer, whose encoding is the locale's; a stdout that was replaced may have no other."""
    if (buffer := getattr(sys.stdout, "buffer", None)) is not None:
        buffer.write(state + b"\n")
    else:
        sys.stdout.write(state.decode() + "\n")
    sys.stdout.flush()
