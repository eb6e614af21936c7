"""Retention: once a day, over all schedulers, what is old is deleted; of Bronze, what its instances say.

logs, metrics, deliveries, events, runs    as `connectors.retention_periods` says
jobs                                       those that the queue left behind
rows of Bronze                             as `retention` in an instance's spec says
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipai.archives import ArchiveError, ArchiveFile
from ipai.control_plane.retention import Old
from ipai.errors import BusyError, DatabaseError, IpaiError
from ipai.references import Resolver, mentions, platform_values

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from ipai.control_plane import ControlPlane
    from ipai.control_plane.retention import BronzeTable
    from ipai.specs import Instance, RetentionRule

TASK = "retention"
DELETED_AT = "_sdc_deleted_at"
_SUBJECTS = ("logs", "metrics", "deliveries", "events", "runs")
_LOOK_SECONDS = 60.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retained:
    """One thing that is kept for a time, and how many rows are older.

    Args:
        subject: `logs` …, or an instance.
        table: of Bronze; None for the platform's own records.
        archive: the folder that old rows go to; None if they are just deleted.
        rows: that are old or, after they were seen to, were deleted.
        files: that were written.
        problem: why nothing can be done.
    """

    subject: str
    keeps: str
    stream: str | None = None
    table: str | None = None
    archive: str | None = None
    rows: int = 0
    files: tuple[str, ...] = ()
    problem: str | None = None


def plan(control_plane: ControlPlane) -> list[Retained]:
    """What is old by now; nothing is changed."""
    now = datetime.now(timezone.utc)
    store = control_plane.retention
    planned = [replace(each, rows=store.count(each.subject, now - keep)) for each, keep in _own(control_plane)]
    for each, bronze in _bronze(control_plane, now):
        planned.append(each if bronze is None else replace(each, rows=store.count_old(bronze.table, bronze.old)))
    return planned


def retain(control_plane: ControlPlane, stop: threading.Event | None = None) -> list[Retained]:
    """Delete what is old, archived first where that is declared; what was done.

    Args:
        stop: ends it after the batch under way.

    Raises:
        BusyError: somebody else does it at this moment.
    """
    with control_plane.retention.task(TASK):
        return _retain(control_plane, stop)


def _retain(control_plane: ControlPlane, stop: threading.Event | None) -> list[Retained]:
    done = []
    for each in _seen_to(control_plane, datetime.now(timezone.utc), stop):
        done.append(each)
        if stop is not None and stop.is_set():
            return done  # another scheduler goes on
    control_plane.retention.done(TASK, [_shown(each) for each in done if each.rows or each.problem])
    return done


def _seen_to(control_plane: ControlPlane, now: datetime, stop: threading.Event | None) -> Iterator[Retained]:
    for each, keep in _own(control_plane):
        rows = 0
        for deleted in control_plane.retention.delete(each.subject, now - keep):
            rows += deleted
            if stop is not None and stop.is_set():
                break
        yield replace(each, rows=rows)
    for each, bronze in _bronze(control_plane, now):
        yield each if bronze is None else _clear(control_plane, each, bronze, now, stop)


@dataclass(frozen=True)
class _Bronze:
    table: BronzeTable
    old: Old


def _own(control_plane: ControlPlane) -> Iterator[tuple[Retained, timedelta]]:
    periods = control_plane.retention.periods()
    for subject in _SUBJECTS:
        if subject in periods:
            yield Retained(subject, f"{periods[subject].days} days"), periods[subject]
    yield Retained("jobs", "until they end"), timedelta()


def _bronze(control_plane: ControlPlane, now: datetime) -> Iterator[tuple[Retained, _Bronze | None]]:
    for instance in control_plane.specs.instances().values():
        if not instance.retention:
            continue
        try:
            place = _place(control_plane, instance)
        except IpaiError as error:
            place = str(error)
        if isinstance(place, str):
            yield Retained(instance.name, _declared(instance.retention), problem=place), None
            continue
        for table in control_plane.retention.tables(*place):
            rule = next((rule for rule in instance.retention if fnmatchcase(table.stream, rule.pattern)), None)
            if rule is not None:
                yield _judged(instance, table, rule, place[1], now)


def _place(control_plane: ControlPlane, instance: Instance) -> tuple[str, str] | str:
    """The schema of an instance's tables and what `_sdc_source` says in them; or why they are out of reach."""
    destination = control_plane.specs.connectors()[instance.destination.connector]
    settings = {**destination.config, **instance.destination.config}
    if not mentions(settings, "${ipai:database_url}"):
        return "Its destination is not the platform's own database."
    values = platform_values(control_plane.url, instance=instance.name, source=instance.source.connector)
    resolver = Resolver(values)
    schema, source = (
        resolver.resolve(settings.get(name, ""), where=f"{instance.name}.destination.{name}")
        for name in ("default_target_schema", "source_name")
    )
    if not schema or not source:
        return "Its destination sets no default_target_schema or source_name, by which its rows are found."
    return str(schema), str(source)


def _judged(
    instance: Instance, table: BronzeTable, rule: RetentionRule, source: str, now: datetime
) -> tuple[Retained, _Bronze | None]:
    named = Retained(instance.name, _declared((rule,)), table.stream, f"{table.schema}.{table.name}", rule.archive)
    # Whole days, in UTC: so a date is old when all of it is.
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    before = []
    if rule.keep_days is not None:
        before.append((rule.by, today - timedelta(days=rule.keep_days)))
    if rule.deleted_days is not None:
        before.append((DELETED_AT, today - timedelta(days=rule.deleted_days)))
    missing = [column for column, _ in before if column not in table.moments]
    if missing:
        return replace(named, problem=f"It has no column {missing[0]} that is a date or a time."), None
    return named, _Bronze(table, Old(source, before))


def _declared(rules: tuple[RetentionRule, ...]) -> str:
    parts = []
    for rule in rules:
        parts += [f"{rule.keep_days} days by {rule.by}"] if rule.keep_days is not None else []
        parts += [f"deleted ones {rule.deleted_days} days"] if rule.deleted_days is not None else []
    return ", ".join(parts)


def _clear(
    control_plane: ControlPlane, planned: Retained, bronze: _Bronze, now: datetime, stop: threading.Event | None
) -> Retained:
    """Delete old rows of one table, part by part; each part is archived and deleted in one transaction."""
    rows, files = 0, []
    try:
        for number, pages in enumerate(control_plane.retention.batches(bronze.table)):
            if stop is not None and stop.is_set():
                break
            if planned.archive is None:
                with control_plane.transaction():
                    rows += control_plane.retention.delete_old(bronze.table, bronze.old, pages, None)
                continue
            file = ArchiveFile(Path(planned.archive), planned.subject, bronze.table.stream, now, number)
            moved = _move(control_plane, planned, bronze, pages, file)
            if moved:
                rows += moved
                files.append(str(file.path))
    except (IpaiError, OSError) as error:
        _logger.warning("retention of %s: %s", planned.table, error)
        return replace(planned, rows=rows, files=tuple(files), problem=str(error))
    return replace(planned, rows=rows, files=tuple(files))


def _move(
    control_plane: ControlPlane, planned: Retained, bronze: _Bronze, pages: tuple[int, int], file: ArchiveFile
) -> int:
    with control_plane.transaction():
        try:
            rows = control_plane.retention.delete_old(bronze.table, bronze.old, pages, file.write)
            if rows:
                archived = file.finish(rows)
                control_plane.retention.note_archive(
                    bronze.table, instance=planned.subject, path=str(archived.path), rows=archived.rows,
                    size=archived.size, sha256=archived.sha256,
                )  # fmt: skip
        except OSError as error:
            file.discard()
            raise ArchiveError(f"The archive cannot be written, so nothing was deleted: {error}") from None
        except BaseException:
            file.discard()
            raise
    # From here on the file stays, even if the answer to COMMIT was lost: better a row in both places than in none.
    return rows


def _shown(each: Retained) -> dict[str, Any]:
    shown = {
        "subject": each.subject,
        "stream": each.stream,
        "table": each.table,
        "rows": each.rows,
        "problem": each.problem,
    }
    return {key: value for key, value in shown.items() if value is not None}


def run_daily(connect: Callable[[], ControlPlane], stop: threading.Event) -> None:
    """See to retention once a day until `stop` is set. Of any number of schedulers one does it."""
    while not stop.is_set():
        try:
            with connect() as control_plane:
                retain_if_due(control_plane, stop)
        except DatabaseError as error:
            _logger.warning("The database is away, retention waits: %s", error)
        except Exception:
            _logger.exception("Retention failed")
        stop.wait(_LOOK_SECONDS)


def retain_if_due(control_plane: ControlPlane, stop: threading.Event | None = None) -> list[Retained] | None:
    """The day's retention, if nobody has seen to it yet or does so at this moment; None otherwise."""
    store = control_plane.retention
    if not store.is_due(TASK):
        return None
    try:
        with store.task(TASK):
            if not store.is_due(TASK):  # somebody was faster
                return None
            done = _retain(control_plane, stop)
    except BusyError:
        return None
    _logger.info("retention: %s rows deleted", sum(each.rows for each in done))
    return done
