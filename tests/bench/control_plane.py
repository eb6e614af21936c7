"""What the control plane costs: runs a second on several workers, how soon a run starts, a tick of many schedules, and
`ipai run` beside the bare pipe and `meltano run`.

    tox -e bench -- control-plane [--runs 1000] [--schedules 10000] [--workers 1,2,4] [--json FILE]

No-op runs have a tap that ends at once and a target that only reads, both shell scripts: what is measured is everything
around them. It is a report, not a test: nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import server
from contestants import install

from ipai.control_plane import ControlPlane
from ipai.scheduler import enqueue_due
from ipai.service import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
ROUNDS = 7
_SPECS = """\
{"kind": "connector", "name": "noop", "role": "source", "title": "Nothing", "source_type": "file",
 "plugin": {"command": "tap-noop", "discover": false}}
---
{"kind": "connector", "name": "sink", "role": "destination", "title": "Nowhere", "source_type": "file",
 "plugin": {"command": "target-noop"}}
---
{"kind": "connector", "name": "formula", "role": "source", "title": "A formula", "source_type": "file",
 "plugin": {"command": "tap-formula"}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--workers", default="1,2,4", help="how many worker processes, one case each")
    parser.add_argument("--concurrency", type=int, default=4, help="of each worker")
    parser.add_argument("--rows", type=int, default=2000, help="of each of three streams, for the overhead of a run")
    parser.add_argument("--without-meltano", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ipai-bench-")))
        folder.chmod(0o755)
        bench = Bench(server.start(stack, folder), folder)
        figures: dict[str, Any] = {
            "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="minutes"),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
        parts = {
            "start": bench.start_latency,
            "tick": lambda: bench.tick(arguments.schedules),
            **{
                f"runs, {count} workers": partial(bench.throughput, arguments.runs, int(count), arguments.concurrency)
                for count in arguments.workers.split(",")
            },
            "overhead": lambda: bench.overhead(arguments.rows, meltano=not arguments.without_meltano),
        }
        for name, measure in parts.items():
            figures[name] = measure()
            print(name, figures[name], file=sys.stderr, flush=True)
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


class Bench:
    """A platform on a server of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.platform = Platform(folder / "home", url)
        self.platform.init()
        self.connection = psycopg.connect(url, autocommit=True)
        plugins = folder / "bin"
        plugins.mkdir()
        formula = f'PYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m tests.chaos.tap "$@"'
        for name, command in (("tap-noop", ":"), ("target-noop", "cat >/dev/null"), ("tap-formula", formula)):
            path = plugins / name
            path.write_text(f"#!/bin/sh\n{command}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        self.environment = {
            **os.environ, "PATH": f"{plugins}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "IPAI_DATABASE_URL": url, "IPAI_HOME": str(folder / "home"),
        }  # fmt: skip

    def start_latency(self, times: int = 100) -> dict[str, float]:
        """Milliseconds from enqueuing a run to its start on an idle worker, by the database's clock."""
        self.declare(1)
        with self.workers(1, 1):
            for _ in range(times):
                self.platform.wait(self.platform.enqueue("i0_noop").id)
        rows = self.connection.execute(
            "select 1000 * extract(epoch from started_at - enqueued_at)::float as ms "
            "from connectors.connector_runs order by ms"
        ).fetchall()
        found = [value for (value,) in rows]
        return {"runs": times, "median_ms": statistics.median(found), "p95_ms": found[int(len(found) * 0.95)]}

    def tick(self, schedules: int) -> dict[str, float]:
        """Seconds of one tick in which all schedules are due, and of one in which none is."""
        self.declare(schedules, schedule="0 12 * * *")
        noon = dt.datetime(2030, 1, 1, 12, tzinfo=dt.timezone.utc)
        with ControlPlane(self.url) as control_plane:
            enqueue_due(control_plane, noon - dt.timedelta(minutes=1))
            started = time.perf_counter()
            due = enqueue_due(control_plane, noon)
            all_due = time.perf_counter() - started
            started = time.perf_counter()
            assert enqueue_due(control_plane, noon) == 0
            none_due = time.perf_counter() - started
            started = time.perf_counter()
            deferred = control_plane.runs.defer_due()
            jobs = time.perf_counter() - started
        assert (due, deferred) == (schedules, 0)  # due in 2030
        return {"schedules": schedules, "all_due_s": all_due, "none_due_s": none_due, "look_for_due_runs_s": jobs}

    def throughput(self, runs: int, workers: int, concurrency: int) -> dict[str, float]:
        """No-op runs a second, each of an instance of its own; CPU seconds of workers and plugins."""
        self.declare(runs)
        self.connection.execute("select connectors.enqueue_run(name) from connectors.connector_instances")
        before = os.times()
        with self.workers(workers, concurrency):
            while self.connection.execute(
                "select 1 from connectors.connector_runs where finished_at is null limit 1"
            ).fetchone():
                time.sleep(0.05)
        after = os.times()
        ((seconds, good),) = self.connection.execute(
            "select extract(epoch from max(finished_at) - min(started_at))::float, "
            "count(*) filter (where status = 'succeeded') from connectors.connector_runs"
        ).fetchall()
        assert good == runs
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return {
            "workers": workers, "concurrency": concurrency, "runs": runs, "seconds": seconds,
            "runs_per_second": runs / seconds, "client_cpu_ms_per_run": 1000 * cpu / runs,
        }  # fmt: skip

    def overhead(self, rows: int, *, meltano: bool) -> dict[str, Any]:
        """Median seconds of one small sync: the bare pipe, `ipai run`, `meltano run`; each into an empty schema."""
        files = self.folder / "overhead"
        files.mkdir()
        (files / "size").write_text(str(rows))
        tap = {"seed": 1, "size_file": str(files / "size"), "journal": str(files / "journal"), "run": "0", "pause": 0}
        target = {"sqlalchemy_url": self.url, "default_target_schema": "overhead", "end_of_input": "finished"}
        for name, value in (("tap.json", tap), ("target.json", target)):
            (files / name).write_text(json.dumps(value))
        self.declare(0)
        self._apply(
            {"kind": "instance", "name": "over_formula", "source": {"connector": "formula", "config": tap},
             "destination": {"connector": "pgsink", "config": {"default_target_schema": "overhead"}}},
            {"kind": "connector", "name": "pgsink", "role": "destination", "title": "Postgres",
             "source_type": "database", "plugin": {"command": "target-postgres"},
             "config": {**target, "sqlalchemy_url": "${ipai:database_url}"}},
        )  # fmt: skip
        discover = subprocess.run(
            ["tap-formula", "--config", files / "tap.json", "--discover"],
            env=self.environment, capture_output=True, check=True,
        ).stdout  # fmt: skip
        catalog = json.loads(discover)
        for entry in catalog["streams"]:
            entry["metadata"][0]["metadata"]["selected"] = True
        (files / "catalog.json").write_text(json.dumps(catalog))
        contestants = {
            "bare pipe": (
                f"tap-formula --config {files}/tap.json --catalog {files}/catalog.json | "
                f"target-postgres --config {files}/target.json"
            ),
            "ipai run": "ipai run over_formula --json",
        }
        if meltano:
            contestants["meltano run"] = self.meltano_project(files, tap, target)
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(ROUNDS + 1):
            for name, command in contestants.items():
                self.connection.execute("drop schema if exists overhead cascade")
                self.connection.execute("delete from connectors.connector_state")
                started = time.perf_counter()
                done = subprocess.run(
                    ["bash", "-o", "pipefail", "-c", command], env=self.environment, check=False, text=True,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )  # fmt: skip
                assert not done.returncode, f"{name} failed: {done.stderr[-2000:]}"
                if number:  # the first one fills caches
                    times[name].append(time.perf_counter() - started)
                ((count,),) = self.connection.execute("select count(*) from overhead.events").fetchall()
                assert count == rows, f"{name}: {count}"
        medians = {name: statistics.median(found) for name, found in times.items()}
        return {
            "rows": 3 * rows, "rounds": ROUNDS, "median_s": medians,
            "over_the_pipe_s": {name: medians[name] - medians["bare pipe"] for name in medians if name != "bare pipe"},
        }  # fmt: skip

    def meltano_project(self, files: Path, tap: dict[str, Any], target: dict[str, Any]) -> str:
        """Make a project with the same two plugins; return the command that runs it."""
        binary = install("meltano", "4.4.0") / "meltano"
        project = files / "meltano"
        quiet = {"MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false", "MELTANO_CLI_LOG_LEVEL": "error"}
        subprocess.run(
            [binary, "init", "--no-usage-stats", str(project)], env={**self.environment, **quiet}, check=True,
            capture_output=True,
        )  # fmt: skip

        def plugin(name: str, settings: dict[str, Any], **more: Any) -> dict[str, Any]:
            executable = shutil.which(name, path=self.environment["PATH"])
            names = [{"name": setting} for setting in settings]
            return {
                "name": name,
                "namespace": name,
                "executable": executable,
                "config": settings,
                "settings": names,
                **more,
            }

        plugins = {
            "extractors": [plugin("tap-formula", tap, capabilities=["catalog", "discover", "state"])],
            "loaders": [plugin("target-postgres", target)],
        }
        document = {
            "send_anonymous_usage_stats": False, "default_environment": "bench", "environments": [{"name": "bench"}],
            "plugins": plugins,
        }  # fmt: skip
        (project / "meltano.yml").write_text(json.dumps(document))
        # --full-refresh: like the others it starts from nothing.
        return f"cd {project} && {binary} run --full-refresh tap-formula target-postgres"

    # The scene

    def declare(self, instances: int, schedule: str | None = None) -> None:
        """Forget everything, and declare so many instances of the no-op connectors."""
        self.connection.execute("truncate connectors.connector_runs, connectors.connector_instances cascade")
        self.connection.execute("truncate connectors.connector_state, connectors.events cascade")
        self._apply()
        spec = {"kind": "instance", "source": {"connector": "noop"}, "destination": {"connector": "sink"}}
        self.connection.execute(
            "insert into connectors.connector_instances (name, source, destination, spec) "
            "select 'i' || n || '_noop', 'noop', 'sink', jsonb_set(%s::jsonb, '{name}', to_jsonb('i' || n || '_noop')) "
            "from generate_series(0, %s - 1) n",
            [json.dumps(spec), instances],
        )
        if schedule:
            self.connection.execute(
                "insert into connectors.connector_schedules (instance, cron) "
                "select name, %s from connectors.connector_instances",
                [schedule],
            )
        self.connection.execute("analyze")

    def _apply(self, *more: dict[str, Any]) -> None:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        for number, text in enumerate([*_SPECS.split("---\n"), *map(json.dumps, more)]):
            (folder / f"{number}.yaml").write_text(text)
        self.platform.apply(self.platform.plan(folder))

    @contextmanager
    def workers(self, number: int, concurrency: int) -> Iterator[None]:
        """Workers as processes of their own; ready once the block is entered."""
        command = [sys.executable, "-m", "ipai", "worker", "--concurrency", str(concurrency)]
        started = [
            subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for _ in range(number)
        ]
        try:
            while self.connection.execute(
                "select count(*) < %s from pg_stat_activity where query like 'LISTEN%%'", [number]
            ).fetchone() == (True,):
                time.sleep(0.05)
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(60)


if __name__ == "__main__":
    main()
