"""How long a scrape takes with many instances and a long history: `python tests/bench metrics`."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import server

from ipai.control_plane.migrations import migrations
from ipai.service import Platform

_INSTANCES = """
insert into connectors.connector_definitions (name, role, spec, origin)
values ('s', 'source', '{{}}', '/'), ('d', 'destination', '{{}}', '/');
insert into connectors.connector_instances (name, source, destination, spec)
select 'i' || n, 's', 'd',
    jsonb_build_object('sla_tier', (array['critical', 'standard', 'best_effort'])[n % 3 + 1])
from generate_series(1, {instances}) n;
insert into connectors.connector_schedules (instance, cron, last_due_at, next_at)
select name, '0 * * * *', now() - interval '30 minutes', now() + interval '30 minutes'
from connectors.connector_instances;
"""
_HISTORY = """
insert into connectors.connector_runs (instance, status, started_at, finished_at, error_kind)
select 'i' || n % {instances} + 1, case when n % 20 = 0 then 'failed' else 'succeeded' end,
    now() - interval '90 days' * n / {runs}, now() - interval '90 days' * n / {runs} + interval '1 minute',
    case when n % 20 = 0 then 'transient' end
from generate_series(1, {runs}) n;
insert into connectors.connector_run_streams (run_id, stream, rows, bytes, seconds)
select id, 'stream_' || s, 1000, 100000, 1.5 from connectors.connector_runs, generate_series(1, {streams}) s;
insert into connectors.connector_runs (instance, status, started_at, due_at)
select 'i' || n, 'queued', null, now() - interval '1 minute' from generate_series(1, {instances} / 2) n;
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests/bench metrics", description=__doc__)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=100_000, help="in the history")
    parser.add_argument("--streams", type=int, default=5, help="a run")
    parser.add_argument("--scrapes", type=int, default=10)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ipai-bench-")))
        folder.chmod(0o755)
        platform = Platform(folder / "home", server.start(stack, folder))
        platform.init()
        # The sums over the history are the migration's own.
        (ours,) = [each for each in migrations() if each.name == "observability"]
        sums = ours.path.read_text(encoding="utf-8")
        start = sums.index("insert into connectors.run_totals\n")
        with psycopg.connect(platform.url, autocommit=True) as connection:
            connection.execute(_INSTANCES.format(**vars(given)).encode())
            connection.execute(_HISTORY.format(**vars(given)).encode())
            connection.execute(sums[start : sums.index(";", start)].encode())
            connection.execute("analyze")
        seconds, cpu = [], []
        for _ in range(given.scrapes):
            began, began_cpu = time.perf_counter(), time.process_time()
            text = platform.watch.metrics()
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
        with platform.connect() as control_plane:
            began = time.perf_counter()
            control_plane.figures.read(45)
            of_database = time.perf_counter() - began
    samples = sum(not line.startswith("#") for line in text.splitlines())
    print(f"{given.instances:,} instances, {given.runs:,} runs, {given.streams} streams each: {samples:,} samples")
    print(f"a scrape: median {statistics.median(seconds):.3f} s, slowest {max(seconds):.3f} s of {given.scrapes}")
    print(f"the process's own CPU time a scrape: median {statistics.median(cpu):.3f} s")
    print(f"of which in the database and on the way: {of_database:.3f} s")


if __name__ == "__main__":
    main()
