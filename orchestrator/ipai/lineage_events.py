"""Events in the classes of OpenLineage's own client; importing this imports it."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid5

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
    tags_run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from openlineage.client.facet_v2 import DatasetFacet, JobFacet, RunFacet

    from ipai.control_plane import Run as IpaiRun
    from ipai.control_plane import StreamMetrics
    from ipai.lineage import Outcome, StreamJob

PRODUCER = f"urn:ipai:orchestrator:{version('ipai')}"


def started(run: IpaiRun, platform: UUID, jobs: Sequence[StreamJob], at: datetime) -> Iterator[RunEvent]:  # noqa: ARG001
    """A run begins."""
    yield _event(RunState.START, at, _run_id(platform, run.id), run.instance, _run_facets(run, platform))


def syncing(run: IpaiRun, platform: UUID, jobs: Sequence[StreamJob], at: datetime) -> Iterator[RunEvent]:
    """Its streams are about to move."""
    for job in jobs:
        yield _stream_event(RunState.START, at, run, platform, job)


def ended(
    run: IpaiRun,
    platform: UUID,
    jobs: Sequence[StreamJob],
    at: datetime,
    whole: Outcome,
    outcomes: Mapping[str, Outcome],
    moved: Mapping[str, StreamMetrics],
) -> Iterator[RunEvent]:
    """Its streams, and then the run, have ended."""
    for job in jobs:
        outcome = outcomes[job.stream]
        yield _stream_event(RunState(outcome.state), at, run, platform, job, moved.get(job.stream), outcome.message)
    facets = {**_run_facets(run, platform), **_error_facet(whole.message)}
    yield _event(RunState(whole.state), at, _run_id(platform, run.id), run.instance, facets)


def _stream_event(
    state: RunState,
    at: datetime,
    run: IpaiRun,
    platform: UUID,
    job: StreamJob,
    moved: StreamMetrics | None = None,
    message: str | None = None,
) -> RunEvent:
    run_id = _run_id(platform, run.id)
    root = parent_run.Root(
        run=parent_run.RootRun(runId=str(_run_id(platform, run.first_run_id or run.id))),
        job=parent_run.RootJob(namespace=_namespace(), name=run.instance),
    )
    facets: dict[str, RunFacet] = {"parent": _parent(run_id, run.instance, root), **_error_facet(message)}
    # A facet belongs to one data set, so each gets its own.
    source = InputDataset(namespace=job.source.namespace, name=job.source.name, facets=_schema(job))
    table = OutputDataset(namespace=job.table.namespace, name=job.table.name, facets=_schema(job))
    if moved is not None:
        table.outputFacets = {
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=moved.rows, size=moved.bytes, producer=PRODUCER
            )
        }
    event = _event(state, at, uuid5(run_id, job.stream), job.job, facets)
    event.inputs, event.outputs = [source], [table]
    return event


def _event(state: RunState, at: datetime, run_id: UUID, job: str, facets: Mapping[str, RunFacet]) -> RunEvent:
    kind: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="IPAI", jobType="SYNC", producer=PRODUCER
        )
    }
    return RunEvent(
        eventType=state, eventTime=at.isoformat(), producer=PRODUCER,
        run=Run(runId=str(run_id), facets=dict(facets)), job=Job(namespace=_namespace(), name=job, facets=kind),
    )  # fmt: skip


def _run_facets(run: IpaiRun, platform: UUID) -> dict[str, RunFacet]:
    tags = {"run": run.id, "kind": run.kind, "trigger": run.trigger, "attempt": run.attempt, "sla_tier": run.sla_tier}
    facets: dict[str, RunFacet] = {
        "tags": tags_run.TagsRunFacet(
            tags=[
                tags_run.TagsRunFacetFields(key=f"ipai.{key}", value=str(value), source="IPAI")
                for key, value in tags.items()
            ],
            producer=PRODUCER,
        )
    }
    if run.trigger == "schedule":
        facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(
            nominalStartTime=run.due_at.isoformat(), producer=PRODUCER
        )
    if run.first_run_id is not None:
        facets["parent"] = _parent(_run_id(platform, run.first_run_id), run.instance)
    return facets


def _parent(run_id: UUID, job: str, root: parent_run.Root | None = None) -> RunFacet:
    return parent_run.ParentRunFacet(
        run=parent_run.Run(runId=str(run_id)),
        job=parent_run.Job(namespace=_namespace(), name=job),
        root=root,
        producer=PRODUCER,
    )


def _error_facet(message: str | None) -> dict[str, RunFacet]:
    if message is None:
        return {}
    return {
        "errorMessage": error_message_run.ErrorMessageRunFacet(
            message=message, programmingLanguage="python", producer=PRODUCER
        )
    }


def _schema(job: StreamJob) -> dict[str, DatasetFacet]:
    fields = [schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in job.columns]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields, producer=PRODUCER)} if fields else {}


def _run_id(platform: UUID, run: int) -> UUID:
    """The same wherever it is asked for, so that a retry can name the run that failed first."""
    return uuid5(platform, f"run {run}")


def _namespace() -> str:
    return os.environ.get("OPENLINEAGE_NAMESPACE") or "ipai"
