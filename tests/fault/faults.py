"""What is done to a run, and what the target must say about it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from .plan import ORCHESTRATED
from .source import STREAMS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from subprocess import Popen

    from .pipeline import Outcome, Run
    from .plan import Plan
    from .server import Server

_SIGTERM, _SIGKILL = 143, -9
_ENDED_EARLY = -15  # SIGTERM before the target could prepare for it
_PATIENCE = 2.0
_LOST_CONNECTION = r"(?i)connect|terminat|server|shut"
# What the target says when it ends on its own, and the exit codes besides 0 that it may end with.
_MESSAGES = {
    "terminate target": r"Ended by SIGTERM",
    "restart Postgres": _LOST_CONNECTION,
    "cut connection": _LOST_CONNECTION,
    "fill disk": r"(?i)disk.*full|no space left",
    "broken line": r"(?i)line \d+.*boom",
    "overlap": r"(?i)token",
}
_CODES = {
    "kill target": {_SIGKILL},
    "kill both": {_SIGKILL},
    "terminate target": {_SIGTERM, _ENDED_EARLY},
    "broken line": {5},
    "kill tap": {5},  # half a line
    "restart Postgres": {3},
    "cut connection": {3},
    "fill disk": {3},
}


def disturb(fault: str, run: Run, server: Server, url: str, chance: random.Random) -> bool:
    """Do a fault to a run; False if it came too early or too late for that."""
    actions: dict[str, Callable[[], bool]] = {
        "kill target": lambda: _kill(run.target),
        "kill tap": lambda: _kill(run.tap),
        "kill both": lambda: all(list(map(_kill, chance.sample([run.target, run.tap], 2)))),
        "terminate target": lambda: _terminate(run.target),
        "restart Postgres": lambda: _restart(run, server, chance),
        "cut connection": lambda: _cut(run, url),
        "hold lock": lambda: _lock(run, url, chance),
        "fill disk": lambda: _fill_disk(run, server, chance),
        # The tap does these.
        "broken line": lambda: True,
        "tap exits": lambda: True,
    }
    return actions[fault]()


def complaints(fault: str, plan: Plan, outcome: Outcome) -> list[str]:
    """What is wrong with the way in which the target ended."""
    codes = {0, *_CODES.get(fault, ())}
    if plan.mode == ORCHESTRATED and outcome.tap:
        codes |= {_SIGTERM, _ENDED_EARLY}
    if fault == "broken line" and outcome.tap == 0:
        codes.remove(0)
    found = []
    if outcome.target not in codes and fault != "overlap":
        found.append(f"exit code {outcome.target} of the target")
    if outcome.target > 0 and not re.search(_MESSAGES.get(fault, ""), outcome.error):
        found.append(f"the target's message does not match {_MESSAGES[fault]!r}")
    if "Traceback" in outcome.error:
        found.append("a traceback")
    return [*found, f"the target said: {outcome.error[-600:]}"] if found else []


def _kill(process: Popen[bytes]) -> bool:
    alive = process.poll() is None
    process.kill()
    return alive


def _terminate(process: Popen[bytes]) -> bool:
    alive = process.poll() is None
    process.terminate()
    return alive


def _restart(run: Run, server: Server, chance: random.Random) -> bool:
    alive = run.target.poll() is None
    with server.busy():
        server.kill()
        run.release()
        time.sleep(chance.choice([0, 0.5]))
        server.start()
        run.wait_for_target(1)
    return alive


def _cut(run: Run, url: str) -> bool:
    query = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
    with psycopg.connect(url, autocommit=True) as connection:
        return _try(run, lambda: bool(connection.execute(f"{query} and pid <> pg_backend_pid()").fetchall()))


def _lock(run: Run, url: str, chance: random.Random) -> bool:
    table = sql.Identifier("bronze", chance.choice(STREAMS).name)
    with psycopg.connect(url) as connection:
        connection.execute("set lock_timeout = '2s'")
        connection.commit()

        def lock() -> bool:
            try:
                connection.execute(sql.SQL("lock table {} in access exclusive mode").format(table))
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.LockNotAvailable):
                connection.rollback()
                return False
            return True

        locked = _try(run, lock)
        run.release()
        run.wait_for_target(chance.uniform(0.2, 2) if locked else 0)
        return locked and run.target.poll() is None


def _try(run: Run, act: Callable[[], bool]) -> bool:
    """Act as soon as that is possible, for the target may still be starting."""
    until = time.monotonic() + _PATIENCE
    while not (done := act()) and run.target.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    return done


def _fill_disk(run: Run, server: Server, chance: random.Random) -> bool:
    if not server.has_small_disk:
        return False
    server.fill_disk(chance.choice([0, 8192, 100_000, 400_000]))
    try:
        run.release()
        run.wait_for_target(8)
    finally:
        server.free_disk()
    return run.target.poll() not in {None, 0}
