"""Figures of the target's benchmark as Markdown and JSON, and the ratios that it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from contestants import APPEND, CASES, MERGE, REDELIVERY, UPSERT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from measuring import Cost

OURS, PSQL = "target-postgres", "psql, 12 columns"
BEST_PEER, DEFAULT_PEER = "meltanolabs, best settings", "meltanolabs, default"
MEMORY_LIMIT_MB = 80
START_LIMIT_MS = 400
FLAT = 1.1
_HEAD = """\
Singer messages of 12 columns on stdin (psql: CSV, converted beforehand and not timed) into a logged table with a
primary key; fsync on, autovacuum off, tables vacuumed between loads. Merge loads an empty table, upsert changes every
row of it, re-delivery sends the same again, append goes into an empty table that has the key. target-postgres writes
11 `_sdc_` columns more; psql's first twin carries the 12 columns only, its second those 11 too. psql appends by
`\\copy` straight, and merges by `\\copy` into a temporary table and INSERT … ON CONFLICT DO UPDATE. CPU seconds are per
million rows, loader + Postgres. Median of the rounds; spread is (fastest - slowest) / median. Loaders with fewer rows
are scaled by the row, their start-up taken off. New rows: row versions that a load wrote anew."""


@dataclass(frozen=True)
class Measurement:
    """One load.

    Args:
        case: what was loaded into what.
        contestant: who loaded.
        scaled: it got fewer rows, its figures are those of a row times a million.
        rows: how many it loaded.
        cost: what that cost.
        differing: columns whose values are not what was sent.
        versions: row versions that the load wrote and that are alive.

    """

    case: str
    contestant: str
    scaled: bool
    rows: int
    cost: Cost
    differing: list[str]
    versions: int


@dataclass(frozen=True)
class Summary:
    """The median of a contestant's rounds in one case."""

    rate: float
    client_cpu: float
    server_cpu: float
    memory: float
    spread: float
    rows: int
    differing: list[str]
    versions: int

    @property
    def cpu(self) -> float:
        return self.client_cpu + self.server_cpu


@dataclass
class Report:
    """What a run measured.

    Args:
        machine: what it ran on.
        rows: of the contestants that are not scaled.

    """

    machine: dict[str, Any]
    rows: int
    measurements: list[Measurement] = field(default_factory=list)
    starts: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    memory: list[tuple[int, Cost, bool]] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, measurement: Measurement) -> None:
        self.measurements.append(measurement)

    def start(self, contestant: str) -> tuple[float, float]:
        """Seconds on the clock and of CPU until a contestant with nothing to load has ended."""
        runs = self.starts.get(contestant) or [(0.0, 0.0)]
        return median(seconds for seconds, _ in runs), median(cpu for _, cpu in runs)

    def summary(self, case: str, contestant: str) -> Summary | None:
        """Rates and CPU seconds per million rows; start-up is taken off where fewer rows were loaded."""
        found = [each for each in self.measurements if (each.case, each.contestant) == (case, contestant)]
        if not found:
            return None
        idle, idle_cpu = self.start(contestant) if found[0].scaled else (0.0, 0.0)
        rates = [each.rows / max(each.cost.seconds - idle, 1e-3) for each in found]
        rows = found[0].rows
        return Summary(
            rate=median(rates),
            client_cpu=median(max(each.cost.client_cpu - idle_cpu, 0) for each in found) / rows * 1e6,
            server_cpu=median(each.cost.server_cpu for each in found) / rows * 1e6,
            memory=max(each.cost.memory for each in found),
            spread=(max(rates) - min(rates)) / median(rates),
            rows=rows,
            differing=sorted({column for each in found for column in each.differing}),
            versions=max(each.versions for each in found),
        )

    @property
    def contestants(self) -> list[str]:
        return list(dict.fromkeys(each.contestant for each in self.measurements))

    # Text

    def markdown(self) -> str:
        return "\n".join(
            [
                *self._head(), "", *self._table(), "", *self._starts(), *self._memory(), "",
                "| ratio | measured | wanted | |", "|---|---|---|---|", *self._ratios(),
                *(["", "Did not come through:", "", *(f"- {each}" for each in self.failures)] if self.failures else []),
            ]
        )  # fmt: skip

    def _head(self) -> Iterator[str]:
        facts = ", ".join(f"{name}: {value}" for name, value in self.machine.items())
        loads = ", ".join(f"{load:.1f}" for load in self.loads)
        yield f"{facts}. Load average at the begin of each round: {loads or '-'}."
        yield ""
        yield _HEAD

    def _table(self) -> Iterator[str]:
        yield (
            "| case | loader | rows | rows/s | CPU s / 1M | loader + Postgres | peak MB | spread | new rows | values |"
        )
        yield "|---|---|--:|--:|--:|--:|--:|--:|--:|---|"
        for case in CASES:
            for contestant in self.contestants:
                if found := self.summary(case, contestant):
                    yield (
                        f"| {case} | {contestant} | {found.rows:,} | {found.rate:,.0f} | {found.cpu:.1f} | "
                        f"{found.client_cpu:.1f} + {found.server_cpu:.1f} | {found.memory:.0f} | {found.spread:.0%} | "
                        f"{found.versions:,} | {differ(found.differing)} |"
                    )

    def _starts(self) -> Iterator[str]:
        if self.starts:
            yield "| start to end with nothing to load | ms | CPU ms |"
            yield "|---|--:|--:|"
            for name in self.starts:
                seconds, cpu = self.start(name)
                yield f"| {name} | {seconds * 1000:.0f} | {cpu * 1000:.0f} |"

    def _memory(self) -> Iterator[str]:
        if self.memory:
            yield ""
            yield "| merge into empty, rows | peak MB | rows/s | all keys there |"
            yield "|--:|--:|--:|---|"
            for rows, cost, whole in self.memory:
                yield f"| {rows:,} | {cost.memory:.0f} | {rows / cost.seconds:,.0f} | {'yes' if whole else '**no**'} |"

    # Ratios

    def _ratios(self) -> Iterator[str]:
        for label, value, wanted, met in self._goals():
            yield f"| {label} | {value} | {wanted} | {'met' if met else '**not met**'} |"

    def _goals(self) -> Iterator[tuple[str, str, str, bool]]:
        for case, wanted in ((MERGE, 1.0), (APPEND, 1.2), (UPSERT, 0.9)):
            ours, twin = self.summary(case, OURS), self.summary(case, PSQL)
            if ours and twin:
                ratio = ours.rate / twin.rate
                yield f"{case}: rows/s, ours to psql's", f"{ratio:.2f}", f"≥ {wanted}", ratio >= wanted
        for peer, factor in ((BEST_PEER, 10), (DEFAULT_PEER, 35)):
            ours, other = self.summary(MERGE, OURS), self.summary(MERGE, peer)
            if ours and other:
                ratio = other.cpu / ours.cpu
                yield f"{MERGE}: CPU, {peer} to ours", f"{ratio:.1f}", f"≥ {factor}", ratio >= factor
        again, upsert = self.summary(REDELIVERY, OURS), self.summary(UPSERT, OURS)
        if again and upsert:
            ratio = again.rate / upsert.rate
            yield f"{REDELIVERY}: rows/s to those of {UPSERT}", f"{ratio:.2f}", "> 1", ratio > 1
            yield f"{REDELIVERY}: new row versions", f"{again.versions:,}", "0", again.versions == 0
        if OURS in self.starts:
            milliseconds = self.start(OURS)[0] * 1000
            yield "start-up, ms", f"{milliseconds:.0f}", f"< {START_LIMIT_MS}", milliseconds < START_LIMIT_MS
        peaks = [cost.memory for _, cost, _ in self.memory] or [
            each.cost.memory for each in self.measurements if each.contestant == OURS
        ]
        if peaks:
            yield "peak memory, MB", f"{max(peaks):.0f}", f"< {MEMORY_LIMIT_MB}", max(peaks) < MEMORY_LIMIT_MB
        if len(self.memory) > 1:
            ratio = max(peaks) / peaks[0]
            yield "peak memory, most to fewest rows", f"{ratio:.2f}", f"≤ {FLAT}", ratio <= FLAT

    def figures(self) -> dict[str, Any]:
        """Everything that was measured, for machines."""
        return {
            "machine": self.machine,
            "load_averages": self.loads,
            "loads": [{**vars(each), "cost": vars(each.cost)} for each in self.measurements],
            "starts": {name: [seconds for seconds, _ in runs] for name, runs in self.starts.items()},
            "memory": [{"rows": rows, **vars(cost), "whole": whole} for rows, cost, whole in self.memory],
            "goals": [
                {"goal": label, "measured": value, "wanted": wanted, "met": met}
                for label, value, wanted, met in self._goals()
            ],
            "failures": self.failures,
        }


def differ(columns: list[str]) -> str:
    return f"**differ: {', '.join(columns)}**" if columns else "equal"
