"""Read journal items with tap-odoo and with meltanolabs-tap-postgres, side by side.

    tox -e bench -- tap-odoo [--rows 500000] [--database postgresql://...] [--peer-rows 100000]

Without --database a Postgres of its own is started. CPU is what the tap and Postgres spend together: Postgres builds
tap-odoo's JSON, so leaving it out would flatter. The server must run on this machine, its CPU is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg
from measuring import Cost, FailedError, find_postmaster, run
from psycopg.conninfo import conninfo_to_dict

TABLE = "account_move_line"
COLUMNS = """
    id integer primary key, move_id integer not null, move_name varchar, date date, journal_id integer,
    account_id integer, partner_id integer, name varchar, debit numeric, balance numeric, reconciled boolean,
    analytic_distribution jsonb, create_date timestamp, write_date timestamp
"""
ROWS = """
    select i, i / 4, 'INV/2024/' || lpad((i / 4)::text, 6, '0'), date '2020-01-01' + mod(i, 1500),
           mod(i, 7), mod(i, 300), mod(i, 5000), 'Line "' || i || '" of an order: chair, oak, 42 cm', amount, amount,
           mod(i, 2) = 0, case when mod(i, 5) = 0 then '{"12": 100.0}'::jsonb end, stamp, stamp
    from generate_series(1, %s) i,
         lateral (select timestamp '2020-01-01' + i * interval '37.123457 s' as stamp,
                         round(mod(i, 100000) / 100.0, 2) as amount) s
"""
PEER = ["uv", "tool", "run", "--from", "meltanolabs-tap-postgres", "tap-postgres"]


@dataclass(frozen=True)
class Result:
    """What one reading cost."""

    name: str
    rows: int
    cost: Cost

    @property
    def cpu_per_million(self) -> float:
        return self.cost.cpu / self.rows * 1e6

    def __str__(self) -> str:
        million = 1e6 / self.rows
        return (
            f"{self.name:34} {self.rows / self.cost.seconds:9,.0f} rows/s   CPU s per million rows: "
            f"tap {self.cost.client_cpu * million:6.1f} + Postgres {self.cost.server_cpu * million:5.1f} = "
            f"{self.cpu_per_million:6.1f}   {self.cost.memory:5.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="rows that tap-odoo reads")
    parser.add_argument("--peer-rows", type=int, default=100_000, help="rows that the peer reads; 0 leaves it out")
    parser.add_argument("--database", help="URL of a server whose user may create databases")
    parser.add_argument("--repeat", type=int, default=3, help="readings, of which the best counts")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ipai-bench-")))
        folder.chmod(0o755)
        server = arguments.database or start_server(stack, folder)
        odoo = bench_odoo(create(stack, server, "bench_tap_odoo", arguments.rows), folder, arguments)
        if arguments.peer_rows:
            peer = bench_peer(create(stack, server, "bench_tap_peer", arguments.peer_rows), folder, arguments)
            print(f"tap-odoo needs 1/{peer.cpu_per_million / odoo.cpu_per_million:.1f} of the peer's CPU a row.")


def start_server(stack: ExitStack, folder: Path) -> str:
    from ipai.local import LocalPostgres

    server = LocalPostgres(folder / "postgres", settings={"fsync": "off"})
    server.start()
    stack.callback(server.stop)
    return server.url("postgres")


def create(stack: ExitStack, server: str, name: str, rows: int) -> dict[str, Any]:
    """Make a database with one table of so many rows and say how to connect to it."""

    def drop() -> None:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"drop database if exists {name} with (force)")

    drop()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    stack.callback(drop)
    place = {**conninfo_to_dict(server), "dbname": name}
    with psycopg.connect(**place, autocommit=True) as connection:
        connection.execute(f"create table {TABLE} ({COLUMNS})")
        connection.execute(f"insert into {TABLE} {ROWS}", (rows,))
        connection.execute(f"vacuum analyze {TABLE}")
        connection.execute("checkpoint")
    return place


def bench_odoo(place: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> Result:
    config = {f"db_{name}": place[key] for name, key in PLACES.items() if key in place}
    command = [shutil.which("tap-odoo") or str(Path(sys.executable).with_name("tap-odoo"))]
    write(folder / "odoo.json", {**config, "db_port": int(place["port"]), "streams": [TABLE]})
    command += ["--config", str(folder / "odoo.json")]
    results = {}
    for method in ("INCREMENTAL", "FULL_TABLE"):
        catalog = select(discover(command), method)
        write(folder / "odoo.catalog.json", catalog)
        reading = [*command, "--catalog", str(folder / "odoo.catalog.json")]
        results[method] = best(f"tap-odoo, {method}", reading, place, arguments.rows, arguments.repeat)
        print(results[method], flush=True)
    return results["FULL_TABLE"]


def bench_peer(place: dict[str, Any], folder: Path, arguments: argparse.Namespace) -> Result:
    config = {name: place[key] for name, key in PLACES.items() if key in place}
    config["database"] = config.pop("name")
    write(folder / "peer.json", {**config, "port": int(place["port"]), "password": place.get("password", "x")})
    command = [*PEER, "--config", str(folder / "peer.json")]
    write(folder / "peer.catalog.json", select(discover(command), "FULL_TABLE"))
    reading = [*command, "--catalog", str(folder / "peer.catalog.json")]
    result = best("meltanolabs-tap-postgres, FULL_TABLE", reading, place, arguments.peer_rows, arguments.repeat)
    print(result, flush=True)
    return result


PLACES = {"host": "host", "port": "port", "name": "dbname", "user": "user", "password": "password"}


def discover(command: list[str]) -> dict[str, Any]:
    return json.loads(subprocess.run([*command, "--discover"], check=True, capture_output=True).stdout)


def select(catalog: dict[str, Any], method: str) -> dict[str, Any]:
    streams = [stream for stream in catalog["streams"] if stream["tap_stream_id"].endswith(TABLE)]
    for stream in streams:
        stream["replication_method"] = method
        for entry in stream["metadata"]:
            if not entry["breadcrumb"]:
                entry["metadata"]["selected"] = True
    return {"streams": streams}


def best(name: str, command: list[str], place: dict[str, Any], rows: int, repeat: int) -> Result:
    return min((measure(name, command, place, rows) for _ in range(repeat)), key=lambda result: result.cpu_per_million)


def measure(name: str, command: list[str], place: dict[str, Any], rows: int) -> Result:
    seen = 0

    def count(output: IO[bytes]) -> None:
        nonlocal seen
        while block := output.read(1 << 20):
            seen += block.count(b"\n")

    try:
        cost = run(command, find_postmaster(place), consume=count)
    except FailedError as error:
        raise SystemExit(f"{name}: {error}") from None
    if seen < rows:
        raise SystemExit(f"{name}: only {seen} lines")
    return Result(name, rows, cost)


def write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value))


if __name__ == "__main__":
    main()
