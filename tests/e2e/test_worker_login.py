"""Workers with logins of their own, and the real target in the platform's own database."""

from __future__ import annotations

import json
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = """
create table account_move (
    id integer primary key, name varchar, partner_id integer,
    write_date timestamp not null default (now() at time zone 'UTC')
);
insert into account_move values (1, 'INV/1', 7), (2, 'INV/2', 8);
"""


@pytest.fixture
def worker(lake: Any, plugin_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Start a worker with a new login; returns its process."""
    monkeypatch.setenv("PATH", plugin_path)
    started: list[subprocess.Popen[bytes]] = []
    logins: list[str] = []

    def start() -> subprocess.Popen[bytes]:
        name = f"worker_{uuid.uuid4().hex[:12]}"
        made = json.loads(lake.ipai("worker-login", name, "--loads", "bronze", "--json").stdout)
        logins.append(name)
        command = lake.ipai_command("worker")
        command[command.index("--database") + 1] = made["url"]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(60)
    for name in logins:
        lake.bronze.execute(f"drop role {name}")


def test_one_loads_what_another_has_made(lake: Any, worker: Callable[[], Any]) -> None:
    lake.source.execute(SOURCE)
    lake.declare(["account_move"])
    lake.run()  # the owner's own run makes the table, which is handed over with the login
    bookmark = lake.platform.state("test_odoo")["bookmarks"]["account_move"]

    first = worker()
    lake.source.execute(
        "update account_move set name = 'INV/2a', write_date = write_date + interval '1 hour' where id = 2"
    )
    ended = lake.platform.wait(lake.platform.enqueue("test_odoo").id, timeout=120)
    assert (ended.status, ended.error) == ("succeeded", None)
    assert lake.platform.state("test_odoo")["bookmarks"]["account_move"] != bookmark
    assert lake.differences("account_move") == []
    first.terminate()
    assert first.wait(60) == 0

    worker()
    lake.source.execute("alter table account_move alter partner_id type numeric, add note jsonb")
    lake.source.execute(
        "update account_move set partner_id = 7.5, note = '{\"a\": 1}', write_date = write_date + interval '1 day'"
    )
    ended = lake.platform.wait(lake.platform.enqueue("test_odoo").id, timeout=120)
    assert (ended.status, ended.error) == ("succeeded", None)
    assert lake.differences("account_move") == []
    assert lake.bronze.rows("select distinct tableowner from pg_tables where schemaname = 'bronze'") == [
        ("connectors_worker",)
    ]
    # STATE is the target's, in the rows' transaction: the parts are there, and folded.
    ids = lake.bronze.rows("select id, instance from connectors.connector_state order by id")
    assert ids == [("test_odoo", None), ("test_odoo#0", "test_odoo")]
