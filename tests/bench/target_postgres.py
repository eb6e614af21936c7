"""Load the same rows with target-postgres, psql and the targets of other makers, side by side.

    tox -e bench -- target-postgres [--rows 5000000] [--rounds 3] [--only ours,psql] [--memory] [--json FILE]

Contestants take turns within a round, so that what else the machine does hits all of them; of several rounds the
median counts. After each load the table's values are compared with what was sent. CPU is that of the loader and of
Postgres together. It is a report, not a test: nothing here fails for being slow.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import records
from contestants import APPEND, CASES, MERGE, REDELIVERY, UPSERT, Contestant, Psql, SingerTarget, everybody
from measuring import FailedError, find_postmaster, run
from psycopg.conninfo import conninfo_to_dict
from report import Measurement, Report
from server import start

STARTS = 7
MEMORY_ROWS = (100_000, 1_000_000, 10_000_000)
TEMPLATE = '"template"."orders"'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="rows for those that are fast enough")
    parser.add_argument("--slow-rows", type=int, default=50_000, help="rows for the peers' best settings")
    parser.add_argument("--slowest-rows", type=int, default=20_000, help="rows for the slowest peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contestants whose name or schema begins with one of these")
    parser.add_argument(
        "--cases", default=",".join(CASES), help="of: " + ", ".join(CASES) + "; upsert and re-delivery need merge"
    )
    parser.add_argument("--memory", action="store_true", help="also load 100k, 1M and 10M rows for the peak memory")
    parser.add_argument("--memory-rows", default=",".join(map(str, MEMORY_ROWS)), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--markdown", type=Path, help="write the tables there too")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of the stack, which stops the server
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ipai-bench-")))
        folder.chmod(0o755)
        url = start(stack, folder)
        bench = Bench(stack, url, folder, arguments)
        try:
            bench.run()
        except (KeyboardInterrupt, SystemExit):
            say("stopped: what follows is of the loads so far")
    report = bench.report
    text = report.markdown()
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text + "\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(report.figures(), indent=1) + "\n")


class Bench:
    """One run of all contestants over all cases."""

    def __init__(self, stack: ExitStack, url: str, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder = folder
        self.arguments = arguments
        self.rows: int = arguments.rows
        self.cases = [case for case in CASES if case in arguments.cases.split(",")]
        self.postmaster = find_postmaster(url)
        self.database = stack.enter_context(psycopg.connect(url, autocommit=True))
        self.database.execute("set time zone 'UTC'")
        place = {name: str(value) for name, value in conninfo_to_dict(url).items()}
        chosen = tuple(arguments.only.split(",")) if arguments.only else ("",)
        contestants = everybody(place, url, slow_rows=arguments.slow_rows, slowest_rows=arguments.slowest_rows)
        self.ours = contestants[0]
        self.contestants = [
            each for each in contestants if each.name.startswith(chosen) or each.schema.startswith(chosen)
        ]
        self.report = Report(self.machine(url), self.rows)
        self._expected: dict[tuple[int, int], tuple[int, int]] = {}

    def run(self) -> None:
        say(f"writing {self.rows:,} rows")
        with ProcessPoolExecutor(2) as pool:
            self.editions = list(pool.map(partial(records.write, self.folder, self.rows), (0, 1)))
        self.schema_only = self.messages(0, 0)
        self.make_references()
        self.start_up()
        for number in range(1, self.arguments.rounds + 1):
            load = os.getloadavg()[0]
            for contestant in self.contestants:
                self.round(number, contestant)
            say(f"round {number} of {self.arguments.rounds} done, load average {load:.1f} before")
            self.report.loads.append(load)
        if self.arguments.memory:
            self.memory()

    # Cases

    def start_up(self) -> None:
        """From the start of the process to its end, with an input that holds nothing."""
        for number in range(STARTS + 1):
            for contestant in self.contestants:
                if isinstance(contestant, SingerTarget):
                    command = contestant.command(MERGE, None, self.folder)
                    cost = run(command.arguments, self.postmaster, environment=command.environment)
                    if number:  # the first one compiles modules and fills caches
                        self.report.starts.setdefault(contestant.name, []).append((cost.seconds, cost.cpu))
            say(f"start-up {number} of {STARTS}")

    def round(self, number: int, contestant: Contestant) -> None:
        self.drop(contestant)
        for case in (MERGE, UPSERT, REDELIVERY) if MERGE in self.cases else ():
            if (
                case in self.cases
                and case in contestant.cases
                and not self.load(number, contestant, case, edition=0 if case == MERGE else 1)
            ):
                return  # the later ones build on it
        if APPEND in contestant.cases and APPEND in self.cases:
            self.drop(contestant)
            self.load(number, contestant, APPEND, edition=0)
        self.drop(contestant)

    def load(self, number: int, contestant: Contestant, case: str, *, edition: int) -> bool:
        """Measure one load; False if it did not come through."""
        rows = min(contestant.rows or self.rows, self.rows)
        prepared = case in {MERGE, APPEND}
        if prepared:
            self.prepare(contestant, case)
        if isinstance(contestant, Psql):
            command = contestant.command(case, self.editions[edition], self.folder)
        else:
            assert isinstance(contestant, SingerTarget)
            keyless = case == APPEND and contestant.append is None
            command = contestant.command(case, self.messages(edition, rows, keyless=keyless), self.folder)
        if not prepared:
            self.database.execute(f"vacuum analyze {contestant.table}")
        self.database.execute("checkpoint")
        first_version = self.value("select pg_current_xact_id()::text::bigint")
        say(f"round {number}: {case}, {contestant.name}, {rows:,} rows")
        try:
            cost = run(command.arguments, self.postmaster, stdin=command.stdin, environment=command.environment)
        except FailedError as error:
            self.report.failures.append(f"{case}, {contestant.name}: {error}")
            say(f"FAILED {error}")
            return False
        differing = []
        if self.checksum(contestant.table) != self.expected(edition, rows):
            differing = self.differing(contestant.table, edition, rows)
        versions = self.value(f"select count(*) from {contestant.table} where xmin::text::bigint > {first_version}")
        self.report.add(
            Measurement(case, contestant.name, contestant.rows is not None, rows, cost, differing, versions)
        )
        return True

    def memory(self) -> None:
        """The peak memory of a merge into an empty table must not grow with the rows."""
        assert isinstance(self.ours, SingerTarget)
        for rows in map(int, self.arguments.memory_rows.split(",")):
            path = self.folder / "memory.singer"
            say(f"memory: {rows:,} rows")
            records.write_singer(path, rows)
            self.drop(self.ours)
            command = self.ours.command(MERGE, path, self.folder)
            cost = run(command.arguments, self.postmaster, stdin=path, timeout=7200)
            found = self.value(f"select count(distinct id) from {self.ours.table} where id between 1 and {rows}")
            self.report.memory.append((rows, cost, found == rows))
            path.unlink()
            self.drop(self.ours)

    # The database

    def prepare(self, contestant: Contestant, case: str) -> None:
        if isinstance(contestant, Psql):
            self.database.execute(contestant.definition(TEMPLATE))
        elif case == APPEND:
            self.make_table(contestant)

    def make_table(self, contestant: Contestant) -> None:
        """Let a target make its table with the key."""
        assert isinstance(contestant, SingerTarget)
        command = contestant.command(MERGE, self.schema_only, self.folder)
        run(command.arguments, self.postmaster, stdin=command.stdin, environment=command.environment)

    def make_references(self) -> None:
        """What was sent, as tables: our target makes an empty one for its types, psql loads its copies."""
        self.drop(self.ours)
        self.make_table(self.ours)
        self.database.execute('create schema "template"')
        self.database.execute(f"create table {TEMPLATE} (like {self.ours.table} including all)")
        self.drop(self.ours)
        columns = ", ".join(records.PROPERTIES)
        for edition, files in enumerate(self.editions):
            self.database.execute(f'create table "template"."edition{edition}" as select {columns} from {TEMPLATE}')
            with (
                files.csv.open("rb") as file,
                self.database.cursor().copy(f'copy "template"."edition{edition}" from stdin csv') as copy,
            ):
                while block := file.read(1 << 20):
                    copy.write(block)

    def expected(self, edition: int, rows: int) -> tuple[int, int]:
        if (edition, rows) not in self._expected:
            self._expected[edition, rows] = self.checksum(f'"template"."edition{edition}"', f"where id <= {rows}")
        return self._expected[edition, rows]

    def checksum(self, table: str, condition: str = "") -> tuple[int, int]:
        """Count of rows, and a sum over a hash of all their values that no order of rows changes."""
        values = ", ".join(f"coalesce({each}, '\\N')" for each in records.COMPARABLE.values())
        found = self.database.execute(
            f"select count(*), coalesce(sum(hashtextextended(concat_ws(E'\\x1f', {values}), 0)::numeric), 0) "
            f"from {table} {condition}"
        ).fetchone()
        assert found is not None
        return int(found[0]), int(found[1])

    def differing(self, table: str, edition: int, rows: int) -> list[str]:
        """Columns whose values are not what was sent, or "rows"."""
        found = [
            name
            for name, text in records.COMPARABLE.items()
            if self.value(
                f"select exists(select id::bigint, {text} from {table} except "
                f'select id, {text} from "template"."edition{edition}" where id <= {rows})'
            )
        ]
        return found or ["rows"]

    def drop(self, contestant: Contestant) -> None:
        self.database.execute(f"drop schema if exists {contestant.schema} cascade")

    def value(self, query: str) -> Any:
        found = self.database.execute(query).fetchone()
        assert found is not None
        return found[0]

    # Files and the machine

    def messages(self, edition: int, rows: int, *, keyless: bool = False) -> Path:
        if rows == self.rows and not keyless:
            return self.editions[edition].singer
        path = self.folder / f"{edition}.{rows}{'.keyless' if keyless else ''}.singer"
        if not path.exists():
            records.head(self.editions[edition].singer, path, rows, keyless=keyless)
        return path

    def machine(self, url: str) -> dict[str, Any]:
        with psycopg.connect(url) as connection:
            server = connection.info.server_version // 10_000
        return {
            "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="minutes"),
            "cores": os.cpu_count(), "python": sys.version.split()[0], "postgres": server,
            "native part": has_native_part(),
        }  # fmt: skip


def has_native_part() -> bool:
    """Whether the installed target-postgres scans natively."""
    program = "from target_postgres import scanner; print(scanner.available())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd="/")
    return done.stdout.strip() == "True"


def say(text: str) -> None:
    print(f"{dt.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)  # noqa: DTZ005 - for who watches


if __name__ == "__main__":
    main()
