"""The queue: procrastinate, behind the two functions that the rest needs.

A job is nothing but the number of a run. Enqueuing is a function of the schema (`connectors.enqueue_run`), since SQL
callers do it too; so what is left is setting up procrastinate's tables and working through its jobs. All times are the
business of our own rows: a run gets a job only once it is due, for in procrastinate a job that waits for a retry would
hold up whatever was enqueued after it with the same lock.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from procrastinate import App

SCHEMA = "connectors_queue"
TASK = "ipai.run"
_RECONNECT_SECONDS = 1.0
_POLL_SECONDS = 5.0  # a new job is told by NOTIFY; this is for what was not heard

_logger = logging.getLogger(__name__)


# Nobody but the schema's owner touches the queue; others go through the functions in schema connectors.
_OTHERS = """
select 'public' union all select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role')
"""
_CLOSE = """
revoke all on schema {schema} from {role}; revoke all on all tables in schema {schema} from {role};
revoke all on all sequences in schema {schema} from {role}; revoke all on all routines in schema {schema} from {role}
"""


def set_up(connection: psycopg.Connection[Any]) -> list[str]:
    """Bring procrastinate's tables up to the installed version, by its own scripts; return those applied."""
    state = f"IPAI Data Connectors: the tables of procrastinate {version('procrastinate')}"
    noted = "select obj_description(to_regnamespace(%s), 'pg_namespace')"
    if connection.execute(noted, [SCHEMA]).fetchone() == (state,):
        return []
    from procrastinate.schema import SchemaManager  # noqa: PLC0415 - slow to import, and seldom needed

    scripts = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtextextended('ipai.queue.set_up', 0))")
        connection.execute(f"create schema if not exists {SCHEMA}")
        connection.execute(f"set local search_path to {SCHEMA}")
        connection.execute("create table if not exists applied_scripts (name text primary key)")
        done = {name for (name,) in connection.execute("select name from applied_scripts")}
        fresh = not connection.execute("select to_regclass('procrastinate_jobs')").fetchone()[0]  # type: ignore[index]
        if fresh:
            connection.execute(SchemaManager.get_schema().encode())
        missing = [script for script in scripts if script.name not in done]
        for script in missing:
            if not fresh:
                connection.execute(script.read_bytes())
            connection.execute("insert into applied_scripts values (%s)", [script.name])
        for role in connection.execute(_OTHERS).fetchall():
            connection.execute(sql.SQL(_CLOSE).format(schema=sql.Identifier(SCHEMA), role=sql.SQL(role[0])))
        connection.execute("call connectors.secure()")  # what workers may do here
        connection.execute(sql.SQL("comment on schema {} is {}").format(sql.Identifier(SCHEMA), sql.Literal(state)))
    return [] if fresh else [script.name for script in missing]


async def work(
    url: str,
    run: Callable[[int], None],
    *,
    queues: Sequence[str] | None,
    concurrency: int,
    stop: asyncio.Event,
) -> None:
    """Hand runs to `run`, each in a thread of its own, until `stop` is set and those under way have ended.

    Args:
        run: gets a run's number; must not raise, since all that can go wrong with a run is in its own row.
        queues: the names of the only queues to serve; None means all.
    """
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()
    ending = asyncio.create_task(stop.wait())
    options: dict[str, Any] = {
        "queues": queues, "concurrency": concurrency, "delete_jobs": "always", "install_signal_handlers": False,
        "fetch_job_polling_interval": _POLL_SECONDS,
    }  # fmt: skip
    with ThreadPoolExecutor(concurrency, thread_name_prefix="run") as threads:
        while not stop.is_set():
            app = _app(url, lambda run_id: loop.run_in_executor(threads, run, run_id))
            try:
                async with app.open_async():
                    working = asyncio.create_task(app.run_worker_async(**options))
                    await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
                    working.cancel()  # takes no new jobs and waits for those under way
                    with suppress(asyncio.CancelledError):
                        await working
            except (ConnectorException, psycopg.Error, OSError) as error:
                _logger.warning("The queue's database is away, trying again: %s", error)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(ending), _RECONNECT_SECONDS)


def _app(url: str, run: Callable[[int], asyncio.Future[None]]) -> App:
    import procrastinate  # noqa: PLC0415 - as above

    async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
        # Not by connection options, which poolers in front of Supabase drop.
        await connection.execute(f"set search_path to {SCHEMA}")
        await connection.commit()

    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=url,
            configure=configure,
            kwargs={"application_name": "ipai queue"},
            min_size=1,
            max_size=4,
        )
    )

    @app.task(name=TASK)
    async def execute(run_id: int) -> None:
        await run(run_id)

    return app
