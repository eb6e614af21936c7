"""The plugin as the Singer SDK knows it: `--about`, `--config ENV`, stream maps, flattening, BATCH, log settings.

It runs the same `Engine` as the short way in `__main__`, with the SDK's stream maps in it.
"""

from __future__ import annotations

import copy
from typing import IO, TYPE_CHECKING, Any, ClassVar

from singer_sdk.exceptions import (
    MissingKeyPropertiesError,
    RecordsWithoutSchemaException,
    StreamMapConfigError,
)
from singer_sdk.helpers.capabilities import PluginCapabilities, TargetCapabilities
from singer_sdk.mapper import RemoveRecordTransform, SameRecordTransform
from singer_sdk.singerlib.encoding.base import GenericSingerReader
from singer_sdk.target_base import Target

from singer_kit.cli import CleanErrors
from singer_kit.errors import ConfigurationError
from target_postgres import settings
from target_postgres.batches import load_files
from target_postgres.engine import Engine
from target_postgres.errors import MissingKeyError, RecordBeforeSchemaError
from target_postgres.layout import StreamSchema
from target_postgres.streams import Mapped

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Sequence

    from singer_sdk.helpers.capabilities import CapabilitiesEnum
    from singer_sdk.mapper import StreamMap


class _SdkRecordBeforeSchemaError(RecordBeforeSchemaError, RecordsWithoutSchemaException):
    """The same, as the SDK's tests expect it."""


class _SdkMissingKeyError(MissingKeyError, MissingKeyPropertiesError):
    """The same, as the SDK's tests expect it."""


class EngineReader(GenericSingerReader[bytes]):
    """Where the SDK would read line by line, the engine reads."""

    engine: Engine

    def process_lines(
        self,
        file_input: IO[Any] | None,
        callbacks: dict[str, Callable[[dict[str, Any]], None]],  # noqa: ARG002 - the engine knows the messages itself
    ) -> Counter[str]:
        try:
            self.engine.read(file_input)
        except RecordBeforeSchemaError as error:
            raise _SdkRecordBeforeSchemaError(str(error)) from error
        except MissingKeyError as error:
            raise _SdkMissingKeyError(str(error)) from error
        return self.engine.counts

    @property
    def default_input(self) -> IO[bytes]:
        raise NotImplementedError("The engine opens stdin itself")

    def deserialize_json(self, line: bytes) -> dict[str, Any]:
        return self.engine.reader.message(line)


class TargetPostgres(CleanErrors, Target):
    """Loads Singer streams into Postgres."""

    name = "target-postgres"
    package_name = "ipai-target-postgres"
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(settings.SETTINGS)  # the SDK adds its own
    message_reader_class = EngineReader
    message_reader: EngineReader
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
        self.engine = Engine(dict(self.config), mapper=self._map, load_files=load_files)
        self.message_reader.engine = self.engine

    def process_endofpipe(self) -> None:
        """The clean end of the input."""
        self.engine.finish()

    def _handle_termination(self, signum: int, frame: object) -> None:  # noqa: ARG002
        self.engine.interrupt(signum)

    def _map(self, source: StreamSchema) -> Sequence[Mapped]:
        """The SDK's stream maps and flattening."""
        schema = dict(source.schema)
        try:
            self.mapper.register_raw_stream_schema(source.stream, schema, list(source.keys))
        except StreamMapConfigError as error:
            raise ConfigurationError(f"Setting stream_maps, stream {source.stream!r}: {error}") from error
        return [
            self._mapped(source, stream_map)
            for stream_map in self.mapper.stream_maps[source.stream]
            if not isinstance(stream_map, RemoveRecordTransform)
        ]

    @staticmethod
    def _mapped(source: StreamSchema, stream_map: StreamMap) -> Mapped:
        if isinstance(stream_map, SameRecordTransform) and not stream_map.flattening_enabled:
            return Mapped(source, None)
        keys = tuple(stream_map.transformed_key_properties or ())
        made = StreamSchema(stream_map.stream_alias, stream_map.transformed_schema, keys, source.bookmark)
        return Mapped(made, stream_map.transform)
