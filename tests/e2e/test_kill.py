"""Whatever is killed in the middle of a run, the next run completes and Bronze equals the source."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ipai.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.timeout(400)

ROWS = 100_000
STREAMS = ["account_move", "res_partner", "rel"]
# One large table with a key, which is resumed; a small one; one without key or date, which is read whole each time.
SOURCE = f"""
create table account_move (id integer primary key, name varchar, amount numeric, data jsonb, write_date timestamp);
create table res_partner (id integer primary key, name varchar, write_date timestamp);
create table rel (move_id integer, partner_id integer);
insert into account_move select i, repeat('INV/', 20) || i, i / 7.0, '{{"en_US": "Chair"}}', '2024-01-01'
    from generate_series(1, {ROWS}) i;
insert into res_partner select i, 'Partner ' || i, '2024-01-01' from generate_series(1, 500) i;
insert into rel select i, i % 500 from generate_series(1, 20000) i;
"""
CHANGES = """
update account_move set name = name || '!', write_date = now() at time zone 'UTC' where id % 9 = 0;
update res_partner set name = name || '!', write_date = now() at time zone 'UTC' where id % 7 = 0;
insert into account_move select max(id) + 1, 'new', 1, null, now() at time zone 'UTC' from account_move;
delete from rel where move_id % 11 = 0;
insert into rel values (0, 0);
"""


@dataclass
class Victims:
    """The plugins' processes: each writes its id to a file before it becomes the real one."""

    folder: Path

    def pid(self, command: str) -> int:
        return int((self.folder / f"{command}.pid").read_text())

    def alive(self, command: str) -> bool:
        """Whether the newest process of a command still runs; one that waits to be reaped does not."""
        try:
            return Path(f"/proc/{self.pid(command)}/stat").read_text().rpartition(") ")[2][0] != "Z"
        except FileNotFoundError:
            return False


@pytest.fixture
def victims(tmp_path: Path, plugin_path: str, monkeypatch: pytest.MonkeyPatch) -> Victims:
    folder = tmp_path / "bin"
    folder.mkdir()
    for command in ("tap-odoo", "target-postgres"):
        real = Path(plugin_path.split(os.pathsep, maxsplit=1)[0]) / command
        wrapper = folder / command
        wrapper.write_text(
            f'#!/bin/sh\necho $$ > "{folder}/new.$$" && mv "{folder}/new.$$" "{wrapper}.pid"\nexec "{real}" "$@"\n'
        )
        wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{plugin_path}")
    return Victims(folder)


@pytest.fixture
def prepared(lake: Any) -> Any:
    lake.source.execute(SOURCE)
    # Small batches: the run is to come to its end in many steps, and to be met in the middle of them.
    lake.declare(STREAMS, destination={"batch_size_rows": 1000})
    return lake


@pytest.fixture
def loaded_beyond(prepared: Any) -> Callable[[int], bool]:
    """Whether Bronze holds the committed move of such an id; moves come in the order of their ids."""

    def look(number: int) -> bool:
        if not prepared.bronze.value("select to_regclass('bronze.raw_odoo_account_move')"):
            return False
        return prepared.bronze.value("select coalesce(max(id), 0) from bronze.raw_odoo_account_move") >= number

    return look


@contextmanager
def when(condition: Callable[[], bool], act: Callable[[], None], wait_until: Callable[..., None]) -> Iterator[None]:
    """Do something beside the block, as soon as a condition holds; the block ends after it."""
    failures: list[BaseException] = []

    def watch() -> None:
        try:
            wait_until(condition, "the run had come so far")
            act()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_the_tap_then_the_target(
    prepared: Any, compare: Any, victims: Victims, loaded_beyond: Any, wait_until: Any, seed: int
) -> None:
    points = random.Random(seed)
    beyond = 0
    for command, side in (("tap-odoo", "tap"), ("target-postgres", "target")):
        beyond = points.randrange(beyond + 1, beyond + ROWS * 2 // 5)
        kill = when(
            lambda beyond=beyond: loaded_beyond(beyond),
            lambda command=command: os.kill(victims.pid(command), signal.SIGKILL),
            wait_until,
        )
        with kill, pytest.raises(RunFailedError) as caught:
            prepared.run()
        assert str(caught.value).startswith(f"The {side} was ended by SIGKILL")
        assert not victims.alive("tap-odoo")
        assert not victims.alive("target-postgres")
        came_to = prepared.bronze.value("select max(id) from bronze.raw_odoo_account_move")
        assert beyond <= came_to < ROWS  # it was in the middle
        beyond = came_to
        prepared.source.execute(CHANGES)

    resumed = prepared.platform.state("test_odoo")["bookmarks"]["account_move"]["window"]["last_id"]
    assert 0 < resumed <= beyond
    result = prepared.run()
    assert result.run.status == "succeeded"
    assert compare.differences(*STREAMS) == []
    # The run went on behind the last bookmark: nothing before it was sent again, unless it had changed.
    assert prepared.moved(result)["account_move"] <= prepared.source.value(
        "select count(*) from account_move where id > %s or write_date > '2024-01-01'", resumed
    )
    assert [report.run.status for report in prepared.platform.status("test_odoo", limit=3)] == [
        "succeeded", "failed", "failed"
    ]  # fmt: skip


def start(prepared: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        prepared.ipai_command("run", "test_odoo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def test_kill_the_orchestrator(
    prepared: Any, compare: Any, victims: Victims, loaded_beyond: Any, wait_until: Any
) -> None:
    beyond = random.Random(1).randrange(1, ROWS // 2)
    with start(prepared) as process:
        wait_until(lambda: loaded_beyond(beyond), "the run had come so far")
        process.kill()
    # At once, while what it left behind may still be writing.
    prepared.source.execute(CHANGES)
    prepared.ipai("run", "test_odoo")
    for command in ("tap-odoo", "target-postgres"):
        assert not victims.alive(command)
    assert compare.differences(*STREAMS) == []
    newest, killed = prepared.platform.status("test_odoo", limit=2)
    assert (newest.run.status, killed.run.status) == ("succeeded", "failed")


def test_a_target_that_hangs_does_not_outlive_the_orchestrator(
    prepared: Any, compare: Any, victims: Victims, loaded_beyond: Any, wait_until: Any
) -> None:
    """It holds old rows: were it to wake up after the next run, it would write them over the new ones."""
    with start(prepared) as process:
        wait_until(lambda: loaded_beyond(1), "the run had come so far")
        os.kill(victims.pid("target-postgres"), signal.SIGSTOP)
        process.kill()
    for command in ("tap-odoo", "target-postgres"):
        wait_until(lambda command=command: not victims.alive(command), f"{command} was gone")
    prepared.source.execute(CHANGES)
    prepared.ipai("run", "test_odoo")
    assert compare.differences(*STREAMS) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_the_orchestrator(
    prepared: Any, compare: Any, victims: Victims, loaded_beyond: Any, wait_until: Any, sent: signal.Signals
) -> None:
    with start(prepared) as process:
        wait_until(lambda: loaded_beyond(1), "the run had come so far")
        process.send_signal(sent)
        out, error = process.communicate(timeout=25)  # less than the grace after which a plugin is killed
    assert process.returncode == 128 + sent
    assert "Traceback" not in out + error
    for command in ("tap-odoo", "target-postgres"):
        assert not victims.alive(command)
    (report,) = prepared.platform.status("test_odoo", limit=1)
    assert report.run.status == "cancelled"
    assert not loaded_beyond(ROWS)

    prepared.source.execute(CHANGES)
    prepared.ipai("run", "test_odoo")
    assert compare.differences(*STREAMS) == []
