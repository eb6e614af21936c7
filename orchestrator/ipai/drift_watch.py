"""Looking for schema drift while an instance runs, and acting on it before rows are loaded.

What the tap discovers is compared before any pipeline starts. What the target receives is known from a line that it
writes on stderr when a SCHEMA comes, before it does anything else (`SCHEMA_RECEIVED: {…}`, see docs/drift.md): that is
all there is for a tap without discovery, and for others it shows where a tap's SCHEMA departs from its own catalog.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from ipai.control_plane.drift import Finding
from ipai.dbt_models import Project
from ipai.drift import DEFAULTS, Change, compare, severity, storable, stream_schemas
from ipai.errors import SchemaDriftError, SpecError
from ipai.resources import resource
from ipai.singer_catalog import parse_catalog, selected_streams

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ipai.control_plane.drift import Known, SeenBy
    from ipai.drift import StreamSchema
    from ipai.recorder import Recorder
    from ipai.singer_catalog import Catalog
    from ipai.specs import Connector, Instance

_NAMED = 5  # changes in an error or a log; `ipai drift` shows all


@dataclass
class DriftWatch:
    """Of one run.

    Args:
        refusal: set when the target has received a SCHEMA that the run must not load.
    """

    recorder: Recorder
    instance: Instance
    source: Connector
    refusal: SchemaDriftError | None = None
    # Streams whose catalog entry is another than last time: that their SCHEMA is another, too, is no news.
    _anew: set[str] = field(default_factory=set)
    _received: dict[str, StreamSchema] = field(default_factory=dict)

    @cached_property
    def _known(self) -> Known:
        return self.recorder.control_plane.drift.known(self.instance.name)

    @cached_property
    def _shipped(self) -> Mapping[str, StreamSchema]:
        """The catalog that comes with the connector."""
        for folder in (self.source.origin, resource("catalogs") / self.source.name):
            try:
                catalog = parse_catalog((folder / "catalog.json").read_text("utf-8"))
            except (OSError, SpecError):
                continue
            return {each.stream: each for each in stream_schemas(catalog)}
        return {}

    @cached_property
    def _project(self) -> Project:
        return Project(resource("sql"))

    def discovered(self, catalog: Catalog) -> None:
        """Compare the streams that are selected in a catalog.

        Raises:
            SchemaDriftError: the run must not go on.
        """
        run = self.recorder.run
        there = {each.stream: each for each in stream_schemas(catalog)}
        now = [there[name] for name in map(storable, selected_streams(catalog))]
        last = {stream: schema for (stream, seen_by), schema in self._known.accepted.items() if seen_by == "discovery"}
        whole = run.streams is None and run.kind == "sync"
        findings: list[Finding] = []
        for schema in now:
            if before := last.get(schema.stream):
                findings += self._found(compare(before, schema), "instance")
                continue
            if last and self._is_taken_in(schema.stream):
                size = f"{len(schema.schema.get('properties') or ())} properties"
                findings += self._found([Change(schema.stream, None, "stream_added", None, size)], "instance")
            if shipped := self._shipped.get(schema.stream):
                findings += self._found(compare(shipped, schema), "connector")
        gone = set(last) - {schema.stream for schema in now} if whole else set()
        findings += self._found(
            [Change(stream, None, "stream_removed", None, None) for stream in sorted(gone - there.keys())], "instance"
        )
        new = [schema for schema in now if last.get(schema.stream) != schema]
        self._anew = {schema.stream for schema in new}
        self._act("discovery", findings, new, gone, None if whole else [schema.stream for schema in now])

    def received(self, schema: StreamSchema) -> None:
        """Compare a SCHEMA that the target has received; sets `refusal` where it must not be loaded."""
        before, baseline = self._received.get(schema.stream), "instance"
        if before is None and schema.stream not in self._anew:
            before = self._known.accepted.get((schema.stream, "target"))
            if before is None and not self.source.plugin.discover:
                before, baseline = self._shipped.get(schema.stream), "connector"
        if before == schema and not self._known.undecided:
            return
        findings = self._found(compare(before, schema), baseline) if before is not None else []
        try:
            self._act("target", findings, [schema], (), [schema.stream])
        except SchemaDriftError as error:
            self.refusal = self.refusal or error
        self._received[schema.stream] = schema

    def _is_taken_in(self, stream: str) -> bool:
        """Whether a stream is there by a glob or by the tap's own choice, and not because somebody has named it."""
        named = {rule.pattern for rule in self.instance.streams}
        return stream not in named and stream not in (self.recorder.run.streams or ())

    def _found(self, changes: Sequence[Change], baseline: str) -> list[Finding]:
        return [self._finding(change, baseline) for change in changes]

    def _finding(self, change: Change, baseline: str) -> Finding:
        # Before the first load there is nothing to harm: what differs from the shipped catalog is only told.
        default = DEFAULTS[change.kind] if baseline == "instance" else "apply"
        table = f"raw_{self.source.name}_{change.stream.rpartition('-')[2]}"
        readers = self._project.readers(table, change.column())
        read = any(each.reads for each in readers)
        return Finding(
            change, self.instance.drift.get(change.kind, default), severity(change.kind, read=read),
            [dataclasses.asdict(each) for each in readers], baseline,
        )  # fmt: skip

    def _act(
        self, seen_by: SeenBy, findings: Sequence[Finding], new: Collection[StreamSchema], gone: Collection[str],
        looked_at: Collection[str] | None,
    ) -> None:  # fmt: skip
        if not (findings or new or gone or self._known.undecided):
            return
        for finding in findings[:_NAMED]:
            self.recorder.log("ipai", f"Schema drift: {finding.change}{_concerned(finding)}")
        if len(findings) > _NAMED:
            more = len(findings) - _NAMED
            self.recorder.log("ipai", f"Schema drift: {more} more, see ipai drift {self.instance.name}")
        keeping = self.recorder.control_plane.drift.record(
            self.recorder.run, seen_by, findings, accept=new, gone=gone, looked_at=looked_at
        )
        if keeping:
            raise self._error(seen_by, keeping)

    def _error(self, seen_by: SeenBy, keeping: Sequence[Finding]) -> SchemaDriftError:
        name = self.instance.name
        named = "; ".join(f"{each.change}{_concerned(each)}" for each in keeping[:_NAMED])
        more = f"; and {len(keeping) - _NAMED} more" if len(keeping) > _NAMED else ""
        loaded = "Nothing was loaded." if seen_by == "discovery" else "What had not been committed was not loaded."
        return SchemaDriftError(
            f"The schema of {name} has changed: {named}{more}. {loaded}",
            hint=f"ipai drift {name} shows all. Then ipai drift accept {name}, or reject and mend the source.",
        )


def _concerned(finding: Finding) -> str:
    names = [model["name"] for model in finding.models if model["reads"]]
    return f", read by {', '.join(names)}" if names else ""
