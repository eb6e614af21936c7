"""Prometheus metrics, read from the control plane whenever somebody scrapes.

Counters come from `connectors.run_totals`, which the pruning of old runs leaves alone, so they only ever grow. Labels
have few values: instances, their streams, queues; never runs, jobs or hosts. The label is `ipai_instance` because
`instance` is what Prometheus itself calls the address it scrapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from ipai.errors import DatabaseError, IpaiError
from ipai.heartbeat import FRESH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.core import Metric

    from ipai.control_plane import ControlPlane

_SUMS = {
    "ipai_run_seconds": ("seconds", "Seconds that ended runs took."),
    "ipai_loaded_rows": ("rows", "Rows that runs moved, as the target counted them, else the tap."),
    "ipai_loaded_bytes": ("bytes", "Bytes that runs moved, where a plugin says."),
    "ipai_http_requests": ("http_requests", "HTTP calls of taps, where they say."),
    "ipai_http_retries": ("retries", "HTTP calls that taps made again, where they say."),
}
_LAST = {
    "ipai_last_run_stream_rows": ("rows", "Rows a stream moved in its instance's newest ended run."),
    "ipai_last_run_stream_bytes": ("bytes", "Bytes a stream moved in that run."),
    "ipai_last_run_stream_seconds": ("seconds", "Seconds a stream took in that run."),
    "ipai_last_run_stream_http_requests": ("http_requests", "HTTP calls for a stream in that run."),
    "ipai_last_run_stream_http_retries": ("retries", "HTTP calls made again for a stream in that run."),
}


class PlatformCollector(Collector):
    """One connection and a handful of statements a scrape; without a database only `ipai_control_plane_up 0`."""

    def __init__(self, connect: Callable[[], ControlPlane], version: str) -> None:
        self._connect = connect
        self._version = version

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering must not need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("ipai_build", "The version of ipai.", {"version": self._version})
        up = GaugeMetricFamily("ipai_control_plane_up", "Whether the control plane's database answers.")
        try:
            with self._connect() as control_plane:
                figures = control_plane.figures.read(FRESH_SECONDS)
        except DatabaseError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _runs(figures["totals"])
        yield from _instances(figures["instances"], figures["tiers"])
        yield from _queue(figures["queues"], figures["running"])
        yield from _streams(figures["last_streams"])
        yield from _fleet(figures["fleet"])
        yield from _deliveries(figures["deliveries"])


def exposition(connect: Callable[[], ControlPlane], version: str) -> str:
    """What a scrape would answer, as text."""
    registry = CollectorRegistry()
    registry.register(PlatformCollector(connect, version))
    return generate_latest(registry).decode()


def serve(connect: Callable[[], ControlPlane], version: str, host: str, port: int) -> WSGIServer:
    """Answer scrapes in threads of their own, until the server returned is shut down.

    Raises:
        IpaiError: the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(PlatformCollector(connect, version))
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise IpaiError(
            f"Metrics cannot be served at {host}:{port}: {error.strerror}.", hint="Give another --metrics-port."
        ) from None
    return server


def _runs(totals: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ["ipai_instance", "kind", "status", "error_kind"]
    runs = CounterMetricFamily("ipai_runs", "Runs that have ended.", labels=labels)
    sums = {name: CounterMetricFamily(name, text, labels=["ipai_instance"]) for name, (_, text) in _SUMS.items()}
    by_instance: dict[str, dict[str, float]] = {}
    for row in totals:
        runs.add_metric([row["instance"], row["kind"], row["status"], row["error_kind"]], row["runs"])
        sum_ = by_instance.setdefault(row["instance"], dict.fromkeys((column for column, _ in _SUMS.values()), 0.0))
        for column in sum_:
            sum_[column] += row[column]
    for instance, sum_ in by_instance.items():
        for name, (column, _) in _SUMS.items():
            sums[name].add_metric([instance], sum_[column])
    yield runs
    yield from sums.values()


def _instances(instances: Sequence[Mapping[str, Any]], tiers: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ["ipai_instance", "sla_tier"]
    late = GaugeMetricFamily(
        "ipai_instance_late",
        "Whether it was due longer ago than its tier allows and has not succeeded since.",
        labels=labels,
    )
    success = GaugeMetricFamily(
        "ipai_instance_last_success_timestamp_seconds", "When it last succeeded.", labels=labels
    )
    due = GaugeMetricFamily(
        "ipai_instance_last_due_timestamp_seconds", "When a schedule last made it due.", labels=labels
    )
    for row in instances:
        names = [row["instance"], row["sla_tier"]]
        late.add_metric(names, float(row["late"]))
        for family, moment in ((success, row["succeeded_at"]), (due, row["last_due_at"])):
            if moment is not None:
                family.add_metric(names, moment.timestamp())
    yield from (late, success, due)
    latest = GaugeMetricFamily("ipai_sla_latest_seconds", "How late an instance of a tier may be.", labels=["sla_tier"])
    for row in tiers:
        latest.add_metric([row["sla_tier"]], row["latest_seconds"])
    yield latest


def _queue(queues: Sequence[Mapping[str, Any]], running: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    queued = GaugeMetricFamily(
        "ipai_queued_runs",
        "Runs in the queue: due, later, or held up by the instance or the quota.",
        labels=["queue", "state"],
    )
    oldest = GaugeMetricFamily(
        "ipai_queue_oldest_due_timestamp_seconds",
        "Since when the run that waits longest has been due.",
        labels=["queue"],
    )
    for row in queues:
        queued.add_metric([row["queue"], row["state"]], row["runs"])
        if row["state"] == "due":
            oldest.add_metric([row["queue"]], row["oldest_due_at"].timestamp())
    under_way = GaugeMetricFamily("ipai_running_runs", "Runs under way.", labels=["queue"])
    expired = GaugeMetricFamily(
        "ipai_expired_leases", "Runs whose worker has gone silent; a scheduler ends them.", labels=["queue"]
    )
    for row in running:
        under_way.add_metric([row["queue"]], row["runs"])
        expired.add_metric([row["queue"]], row["expired"])
    yield from (queued, oldest, under_way, expired)


def _streams(rows: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    for name, (column, text) in _LAST.items():
        family = GaugeMetricFamily(name, text, labels=["ipai_instance", "stream"])
        for row in rows:
            if row[column] is not None:
                family.add_metric([row["instance"], row["stream"]], row[column])
        yield family


def _fleet(rows: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    members = GaugeMetricFamily(
        "ipai_fleet_members", "Workers and schedulers: alive, or lost without a word.", labels=["kind", "state"]
    )
    seen = GaugeMetricFamily("ipai_fleet_last_seen_timestamp_seconds", "The newest sign of life.", labels=["kind"])
    newest: dict[str, float] = {}
    for row in rows:
        members.add_metric([row["kind"], row["state"]], row["members"])
        newest[row["kind"]] = max(newest.get(row["kind"], 0.0), row["seen_at"].timestamp())
    for kind, moment in newest.items():
        seen.add_metric([kind], moment)
    yield from (members, seen)


def _deliveries(rows: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("ipai_waiting_deliveries", "Events that a channel has yet to get.", labels=["channel"])
    since = GaugeMetricFamily(
        "ipai_waiting_deliveries_since_timestamp_seconds", "Since when the oldest of them waits.", labels=["channel"]
    )
    for row in rows:
        waiting.add_metric([row["channel"]], row["waiting"])
        since.add_metric([row["channel"]], row["since"].timestamp())
    yield from (waiting, since)
