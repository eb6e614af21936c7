"""The tap: one manifest, and what its streams share."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError, PluginError
from singer_kit.http import Budget, Credential, Judge, QuotaHeaders
from singer_kit.rest import RestStream, RestTap
from tap_rest_api.authorizing import Surroundings, credentials, sessions
from tap_rest_api.checks import check
from tap_rest_api.decoding import is_text
from tap_rest_api.deletions import check_memory
from tap_rest_api.dry_run import first_request
from tap_rest_api.fields import Shaping
from tap_rest_api.incremental import Cursor
from tap_rest_api.inheriting import resolved
from tap_rest_api.language import Fields, Manifest, Stream
from tap_rest_api.loading import Source, parse_manifest, read_source
from tap_rest_api.memory import Memory
from tap_rest_api.partitions import parent_of
from tap_rest_api.reading import Reader
from tap_rest_api.rules import UNITS, judge
from tap_rest_api.sampling import Sampler
from tap_rest_api.schemas import Schemas
from tap_rest_api.settings import SETTINGS
from tap_rest_api.streams import InlineStream, ManifestStream
from tap_rest_api.values import user_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

_CONCURRENCY = 4


class TapRestApi(RestTap):
    """Singer tap for any HTTP API, described in one YAML file."""

    name = "tap-rest-api"
    package_name = "ipai-tap-rest-api"
    config_jsonschema = SETTINGS
    dynamic_catalog = True
    dry_run = False
    _started: datetime | None = None

    # What the manifest says

    @cached_property
    def manifest(self) -> Manifest:
        """The checked manifest.

        Raises:
            ConfigurationError: it cannot be read, or says something that cannot be.
        """
        source, data = read_source(self.config)
        self._source = source
        manifest = parse_manifest(data, source)
        check(manifest, source)
        return manifest

    @property
    def source(self) -> Source:
        """Where the manifest stands."""
        _ = self.manifest
        return self._source

    @cached_property
    def specs(self) -> dict[str, Stream]:
        """The streams by their names, each with all that it inherits."""
        return {stream.name: resolved(self.manifest, stream) for stream in self.manifest.streams}

    @cached_property
    def values(self) -> dict[str, Any]:
        """The user's values of the manifest's settings."""
        found = user_values(self.manifest, self.config, os.environ)
        self.redactor.add(found.secrets)
        return found.values

    @cached_property
    def scope(self) -> dict[str, Any]:
        """What every template may use."""
        now = self.client.now()
        return {"config": self.values, "sync_started_at": now, "now": now}

    def started(self) -> datetime:
        """When the run began, by the server's clock as soon as an answer has told it."""
        if self._started is None and self.client.knows_time:
            self._started = self.client.now()
        return self._started or self.client.now()

    @cached_property
    def memory(self) -> Memory:
        """What is remembered besides the state."""
        return Memory(self.config.get("state_dir"), self.manifest.name)

    # What the kit's client asks for

    @cached_property
    def default_url(self) -> str:  # type: ignore[override]
        try:
            return self.manifest.base_url.text({"config": self.values})
        except ValueError as error:
            raise ConfigurationError(f"base_url: {error}. Next: correct the template.") from None

    @property
    def _base_url(self) -> str:
        url: str = self.config.get("api_url") or self.default_url
        return url

    def allowed_hosts(self) -> Collection[str]:
        return [*super().allowed_hosts(), *self.manifest.allowed_hosts]

    def credentials(self) -> Sequence[Credential]:
        around = Surroundings(self._base_url, {"config": self.values}, self.new_client, self.redactor.add, self.memory)
        return credentials(self.manifest.auth, around)

    @property
    def judge(self) -> Judge:
        return judge(lambda: self.client.now())  # noqa: PLW0108 - the client is made after it

    @property
    def quota_headers(self) -> QuotaHeaders | None:
        told = self.manifest.rate_limit.headers
        if told is None:
            return super().quota_headers
        return QuotaHeaders(told.remaining, told.reset, UNITS[told.reset_unit], told.bucket)

    @property
    def budgets(self) -> Sequence[Budget]:
        return [Budget(each.limit, each.per.seconds, scope=each.scope) for each in self.manifest.rate_limit.budgets]

    @property
    def reserve(self) -> int:
        return self.manifest.rate_limit.reserve

    @property
    def max_wait(self) -> float:
        own = self.manifest.rate_limit.max_wait
        return min(super().max_wait, own.seconds) if own else super().max_wait

    @property
    def workers(self) -> int:
        limits = [self.manifest.rate_limit.max_concurrency, self.config.get("max_concurrency")]
        return min((limit for limit in limits if limit), default=_CONCURRENCY)

    # What streams share

    def cursor(self, spec: Stream) -> Cursor | None:
        """The cursor of a stream that has one."""
        return Cursor(spec.incremental, self.config.get("start_date")) if spec.incremental else None

    def reader(self, spec: Stream, cursor: Cursor | None) -> Reader:
        """What asks for a stream's answers."""
        return Reader(spec, self.client, cursor)

    def shaping(self, spec: Stream, properties: Mapping[str, Any] | None = None) -> Shaping:
        """What happens to a stream's records; with the properties of its schema, their types too."""
        assert spec.fields and spec.records  # noqa: S101, PT018 - see resolved
        shaping = Shaping(
            spec.fields, include_secrets=self.config["include_secrets"], comma=spec.records.csv.decimal == ","
        )
        shaping.conforms_to(properties or {}, text=is_text(spec.records))
        return shaping

    def inline_shaping(self, parent: Stream, properties: Mapping[str, Any]) -> Shaping:
        """What happens to rows inside a stream's records: names as their parent's, and their types."""
        assert parent.fields and parent.records  # noqa: S101, PT018 - see resolved
        shaping = Shaping(Fields(case=parent.fields.case), include_secrets=True)
        shaping.conforms_to(properties, text=is_text(parent.records))
        return shaping

    @cached_property
    def _schemas(self) -> Schemas:
        sampler = Sampler(self.specs, self.reader, self.cursor, self.scope)
        schemas = Schemas(
            self.manifest, self.specs, self.source, self.memory, sampler.records, self.shaping, self._base_url
        )
        for entry in (self.input_catalog or {}).values():
            if entry.schema.properties:
                schemas.known(entry.tap_stream_id, entry.schema.to_dict())
        return schemas

    @property
    def streams(self) -> dict[str, RestStream]:  # type: ignore[override]
        """The streams, parents before their children."""
        if self._streams is None:
            found = super().streams
            self._streams = {name: found[name] for name in _parents_first(self.specs) if name in found}
            self._streams |= found
        return self._streams  # type: ignore[return-value]

    def discover_streams(self) -> list[RestStream]:
        """Every stream of the manifest; those whose types have to be inferred are sampled, unless a catalog has them.

        Raises:
            PluginError: the manifest is wrong, or samples cannot be read.
        """
        found: list[RestStream] = []
        for spec in self.specs.values():
            check_memory(spec, self.memory)
            stream = ManifestStream(self, spec, self._schemas.of(spec))
            found.append(stream)
            for child in spec.children_inline or []:
                inline = InlineStream(self, stream, child, self._schemas.of_child(spec, child))
                stream.child_streams.append(inline)
                found.append(inline)
        return found

    def sync_all(self) -> None:  # type: ignore[misc]
        """Read all streams, or print the first request of each; then close the session."""
        if self._is_dry_run:
            for spec in self.specs.values():
                sys.stdout.write(self.redactor(first_request(self, spec)))
            return
        try:
            super().sync_all()
        finally:
            self._close_sessions()

    def setup_mapper(self) -> None:
        """Get ready for stream maps, which looks at every stream's schema: a dry run asks nobody."""
        if not self._is_dry_run:
            super().setup_mapper()

    @property
    def _is_dry_run(self) -> bool:
        return self.dry_run or bool(self.config.get("dry_run_requests"))

    def _close_sessions(self) -> None:
        for credential in self.client.credentials:
            for session in sessions(credential):
                try:
                    session.close()
                except PluginError as error:
                    self.logger.warning("The session is not closed: %s", error)


def _parents_first(specs: Mapping[str, Stream]) -> Iterator[str]:
    done: set[str] = set()

    def visit(name: str) -> Iterator[str]:
        if name in done:
            return
        done.add(name)
        up = parent_of(specs[name])
        if up is not None and up.parent is not None:
            yield from visit(up.parent)
        yield name

    for name in specs:
        yield from visit(name)
