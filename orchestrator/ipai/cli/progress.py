"""Watching a run: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ipai.cli.output import console, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from ipai.control_plane import StreamMetrics

_PLAIN_SECONDS = 10.0
_STREAMS_SHOWN = 15


class RunProgress:
    """An observer that prints to stderr, so that stdout stays the command's result.

    Args:
        verbose: pass on everything the plugins say; otherwise only their warnings.
        quiet: print nothing at all.
        phases: name each step on a line of its own where there is no terminal.
    """

    def __init__(self, *, verbose: bool, quiet: bool, phases: bool = True) -> None:
        self._console = console(stderr=True)
        self._verbose = verbose
        self._quiet = quiet
        self._phases = phases
        self._phase = ""
        self._streams: Sequence[StreamMetrics] = ()
        self._started = time.monotonic()
        self._printed = self._started
        self._live = (
            Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._render)
            if self._console.is_terminal and not quiet
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def phase(self, text: str) -> None:
        self._phase = text
        if self._phases and not self._live and not self._quiet:
            click.echo(f"{text} …", err=True)

    def said(self, side: str, text: str) -> None:
        if self._quiet or not (self._verbose or "WARNING" in text):
            return
        self._console.print(Text(f"{side}: ", style="dim") + Text(text))

    def progress(self, streams: Sequence[StreamMetrics]) -> None:
        self._streams = streams
        if self._live or self._quiet or time.monotonic() - self._printed < _PLAIN_SECONDS:
            return
        self._printed = time.monotonic()
        rows = sum(stream.rows or 0 for stream in streams)
        click.echo(f"  {rows:,} rows in {len(streams)} streams, {self._printed - self._started:.0f} s", err=True)

    def _render(self) -> Group:
        elapsed = max(time.monotonic() - self._started, 0.001)
        rows = sum(stream.rows or 0 for stream in self._streams)
        head = Spinner("dots", Text(f" {self._phase} · {rows:,} rows · {rows / elapsed:,.0f} rows/s · {elapsed:.0f} s"))
        table = Table(box=None, pad_edge=False, show_header=False)
        for stream in sorted(self._streams, key=lambda each: each.rows or 0, reverse=True)[:_STREAMS_SHOWN]:
            table.add_row(f"  {stream.stream}", show(stream.rows))
        return Group(head, table)
