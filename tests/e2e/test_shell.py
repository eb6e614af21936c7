"""The two plugins alone, joined by a shell's pipe, with the state kept in a file between runs."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# As the README has it; `tee` keeps what the tap sends, to be counted.
PIPE = """
set -o pipefail
tap-odoo --config c.json --catalog k.json {state} | tee sent.jsonl | target-postgres --config t.json > state.jsonl
"""


@dataclass
class Shell:
    """A folder with the plugins' settings, and bash in it."""

    folder: Path
    environment: dict[str, str]

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    def sync(self) -> dict[str, list[int]]:
        """Run the pipe from where the last one ended; return the ids of the rows that the tap sent, by stream."""
        first = not (self.folder / "state.jsonl").exists()
        if not first:
            self.run("tail -1 state.jsonl > state.json")
        self.run(PIPE.format(state="" if first else "--state state.json"))
        sent: dict[str, list[int]] = {}
        for line in (self.folder / "sent.jsonl").read_text().splitlines():
            message = json.loads(line)
            if message["type"] == "RECORD":
                sent.setdefault(message["stream"], []).append(message["record"]["id"])
        return {stream: sorted(ids) for stream, ids in sent.items()}


@pytest.fixture
def shell(lake: Any, tmp_path: Path, write_json: Callable[..., Any], plugin_path: str) -> Shell:
    write_json("c.json", lake.source.tap_config(streams=["account_move", "res_partner"]))
    parts = lake.bronze.parts
    target = {"host": parts["host"], "port": int(parts["port"]), "user": parts["user"], "password": parts["password"]}
    names = {"default_target_schema": "bronze", "source_name": "odoo", "table_name": "raw_{source}_{stream}"}
    write_json("t.json", {**target, "database": parts["dbname"], **names, "interpret_content_encoding": True})
    return Shell(tmp_path, {**os.environ, "PATH": plugin_path})


def test_the_second_run_sends_only_changes(lake: Any, compare: Any, shell: Shell) -> None:
    lake.source.execute("""
        create table res_partner (id integer primary key, name varchar, create_date timestamp, write_date timestamp);
        create table account_move (id integer primary key, name varchar, amount_total numeric, date date,
            create_date timestamp, write_date timestamp);
        insert into res_partner select i, 'Partner ' || i, '2024-01-01', '2024-01-01' from generate_series(1, 500) i;
        insert into account_move select i, 'INV/' || i, i / 7.0, '2024-01-01', '2024-01-01',
            timestamp '2024-01-01' + i * interval '1 s' from generate_series(1, 3000) i;
    """)
    shell.run("tap-odoo --config c.json --discover > k.json")
    everything = {"account_move": [*range(1, 3001)], "res_partner": [*range(1, 501)]}
    assert shell.sync() == everything
    assert compare.differences("account_move", "res_partner") == []

    lake.source.execute("""
        update account_move set amount_total = -1, write_date = now() at time zone 'UTC' where id = 7;
        update account_move set date = '2020-01-31', write_date = now() at time zone 'UTC' where id = 2000;
        insert into account_move values (3001, 'INV/new', 1.5, '2019-12-31', now() at time zone 'UTC',
            now() at time zone 'UTC');
    """)
    assert shell.sync() == {"account_move": [7, 2000, 3001]}
    assert compare.differences("account_move", "res_partner") == []
    assert compare.rows == {"account_move": 3001, "res_partner": 500}

    assert shell.sync() == {}
    assert shell.sync() == {}  # an unchanged run hands the state on
    assert compare.differences("account_move", "res_partner") == []


def test_a_transaction_that_commits_late_is_sent_although_its_date_is_older(
    lake: Any, compare: Any, shell: Shell, create_connection: Callable[[str], Any]
) -> None:
    lake.source.execute("create table res_partner (id integer primary key, name varchar, write_date timestamp)")
    stamp = "insert into res_partner values (%s, 'x', now() at time zone 'UTC')"
    late = create_connection(lake.source.url)
    late.execute(stamp, [1])
    lake.source.execute(stamp, 2)
    shell.run("tap-odoo --config c.json --discover > k.json")
    assert shell.sync() == {}  # both wait for the transaction that is still open
    late.commit()
    assert shell.sync() == {"res_partner": [1, 2]}
    assert shell.sync() == {}
    assert compare.differences("res_partner") == []
