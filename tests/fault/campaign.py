"""All runs of one seed, and what the destination holds after each."""

from __future__ import annotations

import json
import random
import shutil
import signal
import tempfile
import threading
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from .faults import complaints, disturb
from .pipeline import Run, StuckError
from .plan import SHELL
from .source import STREAMS, Log, comparable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .pipeline import Outcome
    from .plan import Plan, Step
    from .server import Server
    from .source import Row

STATE_TABLE = "control.bookmarks"
Bookmarks = dict[str, int]
_LOOK_SECONDS = 0.1


@dataclass
class Result:
    """What became of a seed.

    Args:
        plan: what the seed decided.
        faults: each with whether it hit the run.
        problems: what should not have been; none if all is well.
        exact: whether rows without keys had to be there exactly once.

    """

    plan: Plan
    faults: list[tuple[str, bool]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    exact: bool = False


def conduct(plan: Plan, server: Server) -> Result:
    """Do all runs of a plan in a fresh database and compare after each of them."""
    url = server.database()
    folder = Path(tempfile.mkdtemp(prefix="ipai-fault-"))
    campaign = _Campaign(plan, server, url, folder)
    try:
        campaign.conduct()
    except Exception as error:  # noqa: BLE001 - a seed that ends the driver is a finding too
        text = str(error) if isinstance(error, StuckError) else traceback.format_exc()
        campaign.problem(text)
    finally:
        for run in campaign.runs:
            run.kill()
        server.drop(url)
        shutil.rmtree(folder, ignore_errors=True)
    return campaign.result


class _Campaign:
    def __init__(self, plan: Plan, server: Server, url: str, folder: Path) -> None:
        self.plan = plan
        self.server = server
        self.url = url
        self.folder = folder
        self.result = Result(plan)
        self.runs: list[Run] = []
        self.token = 0
        self.printed: Bookmarks = {}
        self.logs = [Log(stream, plan.seed, plan.sizes[-1]) for stream in STREAMS]
        # What a STATE does not cover may be there after the end of an input that looked like a good one.
        self.keyed_exact = self.keyless_exact = plan.bookmarks_in_table and plan.states != "never"

    def conduct(self) -> None:
        if self.plan.bookmarks_in_table:
            with psycopg.connect(self.url) as connection:
                connection.execute("create schema control")
                connection.execute(
                    f"create table {STATE_TABLE} (id text primary key, state jsonb, fencing_token bigint)"
                )
        for number, step in enumerate(self.plan.steps):
            self.disturbed(number, step)
            if self.result.problems:
                return
        self.clean()
        self.result.exact = self.keyless_exact

    def disturbed(self, number: int, step: Step) -> None:
        chance = random.Random(f"{self.plan.seed}/{number}")
        size = self.plan.sizes[number]
        run = self.start(size, step)
        with self.watched(step, size):
            run.wait_for_moment()
            hit = run.target.poll() is None
            if step.fault == "overlap":
                outcomes = self.overlap(run, size, freeze=chance.random() < 0.5)
            else:
                hit = disturb(step.fault, run, self.server, self.url, chance)
                outcomes = [run.finish()]
        self.result.faults.append((step.fault, hit))
        for outcome in outcomes:
            self.note(outcome)
        self.judge(f"run {number + 1}, {step.fault}", complaints(step.fault, self.plan, outcomes[0]))
        self.judge(f"after run {number + 1}, {step.fault}", self.differences(size))

    def overlap(self, run: Run, size: int, *, freeze: bool) -> list[Outcome]:
        """Let a second run take over while the first goes on, or wakes up later like one that was given up."""
        if freeze:
            run.target.send_signal(signal.SIGSTOP)
        try:
            newer = self.start(size, None, claim=True)
        except psycopg.errors.LockNotAvailable:  # the first one was frozen in the middle of a commit
            run.target.send_signal(signal.SIGCONT)
            newer = self.start(size, None, claim=True)
        if freeze:
            newer.wait_for_target(5)  # it may have to wait for a transaction of the frozen one
            run.target.send_signal(signal.SIGCONT)
        run.release()
        outcomes = [run.finish(), newer.finish()]
        self.judge("overlap, the newer run", [] if outcomes[1].complete else self.failure(outcomes[1]))
        return outcomes

    @contextmanager
    def watched(self, step: Step, size: int) -> Iterator[None]:
        """Look at the destination again and again while a run goes on: nothing half-done may ever be seen."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                with suppress(psycopg.Error):  # the server may be away
                    if found := self.differences(size):
                        self.judge(f"during {step.fault}", found)
                        return

        thread = threading.Thread(target=watch)
        # What such a run may leave is known only when it has ended.
        if not (self.plan.mode == SHELL and step.fault in {"kill tap", "kill both", "tap exits", "broken line"}):
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.ident:
                thread.join()

    def clean(self) -> None:
        """The run that nothing disturbs: it must come through, and leave the destination equal to the source."""
        outcome = self.start(self.plan.sizes[-1], None).finish()
        self.note(outcome)
        self.judge("clean run", [] if outcome.complete else self.failure(outcome))
        self.judge("at the end", self.differences(self.plan.sizes[-1], finished=True))

    def start(self, size: int, step: Step | None, *, claim: bool = False) -> Run:
        """Start a run where the bookmark says; the claim, if any, is made with the same statement that reads it."""
        config = {"sqlalchemy_url": self.url, **self.plan.settings}
        state = {"bookmarks": self.printed} if self.printed else None
        if self.plan.bookmarks_in_table:
            self.token += 1
            config |= {"state_table": STATE_TABLE, "state_id": "shop", "fencing_token": self.token}
            if self.plan.mode != SHELL:
                config["end_of_input"] = "finished"
            state = self.claim() if claim or self.plan.seed % 2 else self.stored_state()
        bookmarks = state["bookmarks"] if state else {}
        run = Run(
            self.plan, self.folder / f"run{len(self.runs)}", config, size=size, state=state, step=step,
            records=sum(size - bookmarks.get(stream.name, 0) for stream in STREAMS),
        )  # fmt: skip
        self.runs.append(run)
        return run

    def claim(self) -> dict[str, Any] | None:
        with psycopg.connect(self.url) as connection:
            connection.execute("set lock_timeout = '2s'")
            found = connection.execute(
                f"insert into {STATE_TABLE} (id, fencing_token) values ('shop', %s) on conflict (id) do update "
                "set fencing_token = excluded.fencing_token returning state",
                (self.token,),
            ).fetchone()
        assert found is not None
        state: dict[str, Any] | None = found[0]
        return state

    def stored_state(self) -> dict[str, Any] | None:
        with psycopg.connect(self.url) as connection:
            return read_state(connection)

    # What came out

    def note(self, outcome: Outcome) -> None:
        """Remember what a run acknowledged, and what its end allows to be there."""
        if outcome.bookmarks:
            self.printed = outcome.bookmarks[-1]
        if self.plan.mode == SHELL and outcome.tap and outcome.target == 0:
            self.keyed_exact = False
            # It may be a tap that sends none and is through.
            self.keyless_exact = self.keyless_exact and outcome.states_sent > 0

    def differences(self, size: int, *, finished: bool = False) -> list[str]:
        """How the destination contradicts its bookmark, both seen in one snapshot."""
        everything = {stream.name: size for stream in STREAMS}
        with psycopg.connect(self.url) as connection:
            connection.execute("set transaction isolation level repeatable read")
            connection.execute("set lock_timeout = '2s'")
            state = read_state(connection) if self.plan.bookmarks_in_table else {"bookmarks": self.printed}
            bookmarks = (state or {}).get("bookmarks") or {}
            tables = {stream.name: read_table(connection, stream.name, stream.columns) for stream in STREAMS}
        found = []
        if finished and self.plan.states != "never" and bookmarks != everything:
            found.append(f"the bookmark is {bookmarks} instead of {everything}")
        if any(self.printed.get(name, 0) > bookmarks.get(name, 0) for name in everything):
            found.append(f"acknowledged {self.printed}, stored {bookmarks}")
        for log in self.logs:
            bookmark = (everything if finished else bookmarks).get(log.stream.name, 0)
            exact = finished or (self.keyed_exact if log.stream.keys else self.keyless_exact)
            found += log.differences(
                tables[log.stream.name], bookmark, exact=exact, repeated=not (self.keyless_exact or log.stream.keys)
            )
        return found

    def failure(self, outcome: Outcome) -> list[str]:
        tap_error = (self.runs[-1].folder / "tap.err").read_text(errors="replace")
        return [f"tap {outcome.tap}, target {outcome.target}: {outcome.error[-600:]} {tap_error[-300:]}"]

    def judge(self, when: str, found: list[str]) -> None:
        for each in found:
            self.problem(f"{when}: {each}")

    def problem(self, text: str) -> None:
        self.result.problems.append(text)


def read_state(connection: psycopg.Connection[Any]) -> dict[str, Any] | None:
    found = connection.execute(f"select state from {STATE_TABLE} where id = 'shop'").fetchone()
    state: dict[str, Any] | None = found[0] if found else None
    return json.loads(state) if isinstance(state, str) else state


def read_table(connection: psycopg.Connection[Any], name: str, columns: tuple[str, ...]) -> list[Row]:
    """All rows of a table; none if it is not there yet."""
    if connection.execute("select to_regclass(%s)", (f"bronze.{name}",)).fetchone() == (None,):
        return []
    query = sql.SQL("select {} from {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier("bronze", name)
    )
    return [comparable(row) for row in connection.execute(query)]
