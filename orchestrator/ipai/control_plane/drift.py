"""Schemas that were accepted, the changes that were found, and what was decided."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from psycopg.types.json import Jsonb

from ipai.control_plane.database import Room
from ipai.control_plane.records import Drift, SeenSchema
from ipai.drift import Change, StreamSchema, as_json
from ipai.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ipai.control_plane.records import Run

SeenBy = Literal["discovery", "target"]
_TOLD = 100  # changes in one event; the rest is counted


@dataclass(frozen=True)
class Finding:
    """A change with what is to be done about it."""

    change: Change
    policy: str
    severity: str
    models: Sequence[Mapping[str, Any]]
    baseline: str  # instance or connector


@dataclass(frozen=True)
class Known:
    """What is known of an instance when a run begins."""

    accepted: Mapping[tuple[str, str], StreamSchema]  # by stream and who saw it
    undecided: bool


class DriftStore(Room):
    """Tables `stream_schemas` and `schema_drift`."""

    statements_of = "drift"

    def known(self, instance: str) -> Known:
        seen = self.schemas(instance)
        return Known(
            {
                (each.stream, each.seen_by): StreamSchema(
                    each.stream, each.schema or {}, tuple(each.key_properties), each.replication_key,
                    frozenset(each.left_out),
                )
                for each in seen
                if each.status == "accepted"
            },
            undecided=any(each.status == "pending" for each in seen),
        )  # fmt: skip

    def schemas(self, instance: str) -> list[SeenSchema]:
        return self._records(SeenSchema, "schemas", instance=instance)

    def record(
        self,
        run: Run,
        seen_by: SeenBy,
        findings: Sequence[Finding],
        *,
        accept: Collection[StreamSchema],
        gone: Collection[str] = (),
        looked_at: Collection[str] | None = None,
    ) -> list[Finding]:
        """Write down what a run has found, and tell of what is new; return what keeps the run from going on.

        Args:
            accept: the schemas that loads go by from now on, unless something keeps the run.
            gone: accepted streams that are not there any more, or not selected.
            looked_at: the only streams that the run looked at; None means all.

        Raises:
            BusyError: a newer run has taken over; nothing was written.
        """
        with self._database.transaction():
            if not self._rows("hold", run_id=run.id, token=run.fencing_token):
                raise BusyError(f"A newer run of {run.instance} has taken over.")
            rows = [self._put(run, seen_by, finding) for finding in findings]
            scope = {"instance": run.instance, "streams": None if looked_at is None else list(looked_at)}
            ids = [row["id"] for row in rows]
            self._do("drift_withdraw", **scope, seen_by=seen_by, met=ids)
            self._do("schemas_delete", **scope, seen_by=seen_by, status="pending")
            # What was rejected keeps the run, but nobody waits for a decision any more.
            keeping = [(finding, row) for finding, row in zip(findings, rows, strict=True) if finding.policy != "apply"]
            if keeping:
                self._wait(run, seen_by, findings, accept, gone)
                if any(finding.policy == "pause" and row["status"] == "pending" for finding, row in keeping):
                    self._do("schedules_rest", instance=run.instance)
            else:
                self._do("drift_apply", ids=ids)
                for schema in accept:
                    self._put_schema(run, seen_by, schema, "accepted")
                if seen_by == "discovery" and accept:  # what the target receives of these is taken anew
                    streams = [schema.stream for schema in accept]
                    self._do(
                        "schemas_delete", instance=run.instance, streams=streams, seen_by="target", status="accepted"
                    )
                if gone:
                    self._do(
                        "schemas_delete", instance=run.instance, streams=list(gone), seen_by=None, status="accepted"
                    )
                self._do("schedules_go_on", instance=run.instance)
            new = [finding for finding, row in zip(findings, rows, strict=True) if row["is_new"]]
            if new:
                self._tell(run, seen_by, new, ends_run=bool(keeping))
        return [finding for finding, _ in keeping]

    def _put(self, run: Run, seen_by: SeenBy, finding: Finding) -> dict[str, Any]:
        change = finding.change
        (row,) = self._rows(
            "drift_put", run_id=run.id, instance=run.instance, stream=change.stream, property=change.property,
            kind=change.kind, before=change.before, after=change.after, severity=finding.severity,
            models=Jsonb(list(finding.models)), baseline=finding.baseline, seen_by=seen_by, policy=finding.policy,
        )  # fmt: skip
        return row

    def _wait(
        self,
        run: Run,
        seen_by: SeenBy,
        findings: Sequence[Finding],
        schemas: Collection[StreamSchema],
        gone: Collection[str],
    ) -> None:
        """Keep the schemas that a decision is about."""
        concerned = {finding.change.stream for finding in findings}
        for schema in schemas:
            if schema.stream in concerned:
                self._put_schema(run, seen_by, schema, "pending")
        for stream in concerned.intersection(gone):
            self._put_schema(run, seen_by, StreamSchema(stream, {}), "pending", gone=True)

    def _put_schema(self, run: Run, seen_by: SeenBy, schema: StreamSchema, status: str, *, gone: bool = False) -> None:
        self._do(
            "schema_put", instance=run.instance, stream=schema.stream, seen_by=seen_by, status=status, run_id=run.id,
            schema=None if gone else as_json(schema.schema), key_properties=list(schema.key_properties),
            replication_key=schema.replication_key, left_out=sorted(schema.left_out),
        )  # fmt: skip

    def _tell(self, run: Run, seen_by: SeenBy, new: Sequence[Finding], *, ends_run: bool) -> None:
        counts: dict[str, int] = defaultdict(int)
        for each in new:
            counts[each.severity] += 1
        changes = [
            {
                "stream": each.change.stream, "property": each.change.property, "kind": each.change.kind,
                "before": each.change.before, "after": each.change.after, "severity": each.severity,
                "policy": each.policy, "models": [model["name"] for model in each.models],
            }
            for each in new[:_TOLD]
        ]  # fmt: skip
        more = len(new) - len(changes)
        payload = {"seen_by": seen_by, "ends_run": ends_run, "severities": counts, "changes": changes, "more": more}
        self._rows("tell", run_id=run.id, payload=Jsonb(payload))

    # What people do

    def all(self, instance: str | None, limit: int) -> list[Drift]:
        """Changes, those that wait for a decision first, then the newest."""
        return self._records(Drift, "drift", instance=instance, limit=limit)

    def accept(self, instance: str, stream: str | None) -> list[Drift]:
        """Let loads go by what was found; the changes that were decided so."""
        return self._decide(instance, stream, "applied", ["pending", "rejected"])

    def reject(self, instance: str, stream: str | None) -> list[Drift]:
        """Hold on to what was accepted before; the changes that were decided so."""
        return self._decide(instance, stream, "rejected", ["pending"])

    def _decide(self, instance: str, stream: str | None, status: str, of: list[str]) -> list[Drift]:
        with self._database.transaction():
            decided = self._records(Drift, "drift_decide", instance=instance, stream=stream, status=status, of=of)
            if decided and status == "applied":
                self._do("schemas_accept", instance=instance, streams=sorted({each.stream for each in decided}))
            if decided:
                self._do("schedules_go_on", instance=instance)
                ids = [each.id for each in decided]
                kind = "schema.accepted" if status == "applied" else "schema.rejected"
                payload = Jsonb({"by": decided[0].decided_by, "drift": ids})
                self._rows("emit", kind=kind, instance=instance, payload=payload)
        return decided

    def forget(self, instance: str) -> int:
        """Forget every schema of an instance, and what waited for a decision; how many there were."""
        with self._database.transaction():
            self._do("drift_withdraw", instance=instance, seen_by=None, streams=None, met=[])
            forgotten = self._do("schemas_forget", instance=instance)
            self._do("schedules_go_on", instance=instance)
        return forgotten
