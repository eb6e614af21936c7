"""The command `demo`: the whole platform in one go, on this machine, with nothing to set up."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipai.cli.output import json_option, plain, print_json, print_table
from ipai.cli.progress import RunProgress
from ipai.demo.scenario import INSTANCE, Answer, Demo, TableChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ipai.runs import RunResult
    from ipai.service import Platform


@click.command()
@click.option("--clean", is_flag=True, help="Remove everything an earlier demo made.")
@json_option
@click.pass_obj
def demo(platform: Platform, clean: bool, as_json: bool) -> None:
    """Show the whole platform on this machine: source, Bronze, Silver, Gold, and a second sync.

    Starts an embedded Postgres of its own, makes an Odoo-shaped source with two years' worth of entries, syncs it,
    builds Gold, then changes the source and shows that only the changes move. Safe to repeat; --clean removes it all.
    """
    scene = Demo(platform.home / "demo")
    if clean:
        removed = scene.remove()
        if as_json:
            print_json({"removed": removed, "home": scene.home})
        else:
            click.echo(f"Removed the demo in {scene.home}." if removed else f"There is no demo in {scene.home}.")
        return
    _Act(scene, quiet=as_json).play()


@dataclass
class _Act:
    """Plays the demo and tells what it does; quiet, it prints one JSON document in the end."""

    demo: Demo
    quiet: bool
    _started: float = field(default_factory=time.monotonic)
    _told: dict[str, Any] = field(default_factory=dict)

    def play(self) -> None:
        with self._step("Starting an embedded Postgres"):
            self.demo.reset()
        with self._step("Making an Odoo-shaped source database"):
            rows = self.demo.seed()
        self._say("  " + ", ".join(f"{table} {count:,}" for table, count in list(rows.items())[:6]) + " rows …")
        with self._step(f"Applying the connector: ipai apply {self.demo.spec}"):
            self.demo.platform.apply(self.demo.platform.plan(self.demo.spec))
        first = self._sync(f"First sync: ipai run {INSTANCE}")
        self._print_streams(first)
        self._transform()
        for answer in self.demo.gold():
            self._print_answer(answer)
        before = self.demo.totals()

        with self._step("Changing the source: new rows, payments on old ones, back-dated entries"):
            changes = self.demo.change()
        second = self._sync(f"Second sync: ipai run {INSTANCE}")
        self._print_moved(changes, second)
        self._transform()
        self._print_difference(before, self.demo.totals())
        self._tell("source_rows", rows)
        self._tell("first_run", first)
        self._tell("changes", changes)
        self._tell("second_run", second)
        self._tell("gold", {answer.title: [list(row) for row in answer.rows] for answer in self.demo.gold()})
        self._finish()

    def _sync(self, title: str) -> RunResult:
        with self._step(title), RunProgress(verbose=False, quiet=self.quiet, phases=False) as progress:
            return self.demo.platform.run(INSTANCE, observer=progress)

    def _transform(self) -> None:
        with self._step("Building and testing Silver and Gold: ipai transform"):
            results = self.demo.platform.transform()
        tests = [each for each in results if each.kind == "test"]
        self._say(f"  {len(results) - len(tests)} models built, {len(tests)} tests passed")

    def _print_streams(self, result: RunResult) -> None:
        if not self.quiet:
            print_table(
                ["  stream", ">rows", ">bytes", ">seconds"],
                [(f"  {each.stream}", each.rows, each.bytes, each.seconds) for each in result.streams],
            )

    def _print_answer(self, answer: Answer) -> None:
        if self.quiet:
            return
        click.echo(f"\n{answer.title}")
        headings = [
            f">{heading}" if answer.rows and isinstance(answer.rows[0][index], (int, Decimal)) else heading
            for index, heading in enumerate(answer.headings)
        ]
        print_table(headings, [[_amount(cell) for cell in row] for row in answer.rows])

    def _print_moved(self, changes: Sequence[TableChange], result: RunResult) -> None:
        if self.quiet:
            return
        moved = {each.stream: each.rows for each in result.streams}
        changed = {each.table: each for each in changes}
        rows = []
        for stream in sorted({*moved, *changed}):
            change = changed.get(stream, TableChange(stream, 0, 0))
            if moved.get(stream) or change.inserted or change.updated:
                rows.append((f"  {stream}", change.inserted, change.updated, moved.get(stream, 0)))
        print_table(["  stream", ">inserted", ">updated", ">rows moved"], rows)
        click.echo(
            "  (stock_quant has no trustworthy write_date, since Odoo deletes its rows all the time: read whole)"
        )

    def _print_difference(self, before: Answer, after: Answer) -> None:
        if self.quiet:
            return
        click.echo("\nGold followed")
        print_table(
            ["  figure", ">before", ">after", ">difference"],
            [
                (f"  {name}", _amount(old), _amount(new), _amount(new - old))
                for name, old, new in zip(before.headings, before.rows[0], after.rows[0], strict=True)
            ],
        )

    def _finish(self) -> None:
        if self.quiet:
            print_json(self._told)
            return
        click.echo(
            f"\nDone in {time.monotonic() - self._started:.0f} s. It is still there to look at:\n"
            f'  export PATH="{Path(sys.executable).parent}:$PATH"\n'
            f"  export IPAI_HOME={self.demo.home}\n"
            "  ipai list                              the instance and its newest run\n"
            f"  ipai status {INSTANCE}                  what each stream moved\n"
            f"  ipai state get {INSTANCE}               the bookmarks it resumes from\n"
            f"  ipai run {INSTANCE} --full-refresh      everything once more\n"
            '  psql "$(ipai local url)"               schemas bronze, silver, gold, connectors\n'
            f"  {self.demo.spec}   the spec: copy it for an Odoo of your own\n"
            "Remove it all: unset IPAI_HOME; ipai demo --clean"
        )

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._say(f"\n▸ {title}")
        started = time.monotonic()
        yield
        self._say(f"  {time.monotonic() - started:.1f} s")

    def _say(self, text: str) -> None:
        if not self.quiet:
            click.echo(text)

    def _tell(self, name: str, value: Any) -> None:
        self._told[name] = plain(value)


def _amount(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    return f"{value:,}" if value.as_tuple().exponent == 0 else f"{value:,.2f}"  # counts come as decimals too


COMMANDS = (demo,)
