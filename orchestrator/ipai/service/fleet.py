"""Those who serve the queue (workers, schedulers), and what bounds them (schedules, quotas)."""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ipai import interrupts
from ipai.control_plane import ControlPlane
from ipai.errors import DatabaseError, NotFoundError
from ipai.redaction import EVERYTHING
from ipai.scheduler import run_scheduler
from ipai.worker import Worker, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipai.control_plane import QuotaGroup, Schedule
    from ipai.service.platform import Platform


_PASSWORD_BYTES = 24


@dataclass(frozen=True)
class WorkerLogin:
    """A database login for workers, and the URL with its password; nothing else keeps that."""

    login: str
    url: str = field(repr=False)
    is_new: bool


@dataclass(frozen=True)
class Fleet:
    """What keeps runs going without anybody at the keyboard."""

    _platform: Platform

    def work(self, *, concurrency: int, queues: Sequence[str] | None, lease_seconds: float, schedule: bool) -> None:
        """Be a worker, and a scheduler beside it if asked, until a signal ends it."""
        self._set_up(schedules=schedule)
        asyncio.run(self._work(concurrency, queues, lease_seconds, schedule=schedule))

    async def _work(
        self, concurrency: int, queues: Sequence[str] | None, lease_seconds: float, *, schedule: bool
    ) -> None:
        stop = asyncio.Event()
        stop_on_signals(asyncio.get_running_loop(), stop)
        worker = Worker(
            self._platform.connect, self._platform.environments, self._platform.url, concurrency, queues, lease_seconds,
            keys=self._platform.secret_keys,
        )  # fmt: skip
        work = [worker.work(stop)]
        if schedule:
            ended = threading.Event()

            async def end_with_worker() -> None:
                await stop.wait()
                ended.set()

            async def tick() -> None:
                try:
                    await asyncio.to_thread(run_scheduler, self._platform.connect, ended, self._platform.secret_keys)
                finally:
                    stop.set()  # one without the other would look as if all were well

            work += [tick(), end_with_worker()]
        await asyncio.gather(*work)

    def schedule(self) -> None:
        """Be a scheduler until a signal ends it."""
        self._set_up(schedules=True)
        stop = threading.Event()
        with suppress(KeyboardInterrupt), interrupts.asking(stop.set):  # being told to end is how it ends
            run_scheduler(self._platform.connect, stop, self._platform.secret_keys)

    def worker_login(self, name: str, loads: Sequence[str] = ()) -> WorkerLogin:
        """Make a database login that may only work, or give one a new password.

        Args:
            loads: schemas of this database that its targets load into; they are made, or handed over.

        Raises:
            DatabaseError: the platform's own login may not make roles, or the name is another role's.
        """
        password = secrets.token_hex(_PASSWORD_BYTES)
        with self._platform.control_plane() as control_plane:
            is_new, owner = control_plane.fleet.make_login(name, password, loads)
        url = self._platform.url
        given = conninfo_to_dict(url).get("user")
        # A pooler wants more than the name, such as postgres.PROJECT, and of this login the same.
        user = name + str(given or owner).removeprefix(owner)
        if "://" in url:
            parts = urlsplit(url)
            url = parts._replace(netloc=f"{quote(user)}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()
        else:
            url = make_conninfo(url, user=user, password=password)
        EVERYTHING.learn(url)
        return WorkerLogin(name, url, is_new)

    def schedules(self, name: str | None = None) -> list[Schedule]:
        with self._platform.control_plane() as control_plane:
            if name is not None:
                control_plane.specs.instance(name)
            return control_plane.schedules.all(name)

    def pause(self, name: str | None, schedule: str | None = None, *, paused: bool) -> int:
        """Pause or resume schedules: one, all of an instance, or all there are; how many changed."""
        with self._platform.control_plane() as control_plane:
            if name is not None:
                control_plane.specs.instance(name)
            return control_plane.schedules.pause(name, schedule, paused=paused)

    def quotas(self) -> list[QuotaGroup]:
        with self._platform.control_plane() as control_plane:
            return control_plane.specs.quotas()

    def set_quota(self, group: str, max_running: int | None) -> None:
        """Limit how many runs of a group are under way at once; None lifts the limit."""
        with self._platform.control_plane() as control_plane:
            if max_running is not None:
                control_plane.specs.set_quota(group, max_running)
            elif not control_plane.specs.remove_quota(group):
                raise NotFoundError(
                    f"No quota group {group!r} has a limit.", hint="ipai quota list shows those that have."
                )

    def _set_up(self, *, schedules: bool) -> None:
        """See that the queue is there: the Supabase CLI knows only our own migrations."""
        with ControlPlane(self._platform.url) as control_plane:
            if schedules:
                control_plane.require_owner()
            owned = control_plane.is_owned()
            if self._platform.database_url is None or not control_plane.pending_migrations():
                if owned:
                    control_plane.migrate()
                if owned or control_plane.fleet.has_queue():
                    return
        raise DatabaseError(
            "The control plane in this database is older than this version of ipai.", hint="Run ipai init."
        )
