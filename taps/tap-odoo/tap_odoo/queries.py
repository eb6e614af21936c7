"""The SELECT of a stream: one JSON object a row, built by Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from tap_odoo.bookmarks import format_instant

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from tap_odoo.bookmarks import Window
    from tap_odoo.sources import Field, Source

CREATED_BY = "create_date"


def select_rows(
    source: Source,
    fields: Sequence[Field],
    *,
    condition: sql.Composable | None = None,
    ordered: bool = False,
    limit: int | None = None,
) -> sql.Composed:
    """Select a stream's rows as JSON.

    Args:
        source: the stream.
        fields: the properties to read.
        condition: which rows, besides the source's own condition.
        ordered: by the source's sequence.
        limit: at most so many rows.
    """
    columns = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(item.expression(), sql.Identifier(item.name)) for item in fields
    )
    query = sql.SQL("select {} from {} t").format(columns, sql.Identifier(source.schema, source.table))
    query += _where(source, condition)
    if ordered and source.sequence:
        query += sql.SQL(" order by {}").format(sql.Identifier("t", source.sequence))
    if limit is not None:
        query += sql.SQL(" limit {}").format(limit)
    # `row_to_json(x)` would take a column called x for the row.
    alias = "r"
    while any(item.name == alias for item in fields):
        alias += "r"
    return sql.SQL("select row_to_json({row}) from ({query}) {row}").format(row=sql.Identifier(alias), query=query)


def select_newest(source: Source, key: str, start: datetime | None, now: datetime) -> sql.Composed:
    """Select the latest date up to `now` of a stream's rows from `start` on, as a timestamp with time zone."""
    dates = _dates(source, key)
    date = sql.SQL("coalesce({})").format(sql.SQL(", ").join(dates))
    condition = sql.SQL("isfinite({date}) and {date} <= {now}").format(date=date, now=_instant(source, key, now))
    if start is not None:
        condition += sql.SQL(" and {} >= {}").format(date, _instant(source, key, start))
    query = sql.SQL("select max({})::timestamptz from {} t").format(date, sql.Identifier(source.schema, source.table))
    return query + _where(source, condition)


def in_window(source: Source, key: str, window: Window) -> sql.Composed:
    """Rows dated within the window, and behind the last one sent if it was interrupted.

    A row without a replication key is dated by its creation.
    """
    start = None if window.start is None else _instant(source, key, window.start)
    condition = _dated(source, key, start, _instant(source, key, window.end))
    if window.last_id is not None and source.sequence:
        last = sql.SQL("{} > {}").format(sql.Identifier("t", source.sequence), window.last_id)
        return sql.SQL("({} and {})").format(condition, last)
    return condition


def undatable(source: Source, key: str, now: datetime) -> sql.Composed:
    """Rows that no window can hold: without any date, or dated in the future. They are sent by every run."""
    dates = _dates(source, key)
    condition = sql.SQL("({0} > {1}").format(dates[0], _instant(source, key, now))
    for date in dates[1:]:
        condition += sql.SQL(" or {} is null and {} > {}").format(dates[0], date, _instant(source, key, now))
    nulls = sql.SQL(" and ").join(sql.SQL("{} is null").format(date) for date in dates)
    return condition + sql.SQL(" or {})").format(nulls)


def either(*conditions: sql.Composable) -> sql.Composed:
    """Join conditions by OR."""
    return sql.SQL("({})").format(sql.SQL(" or ").join(conditions))


def _dated(source: Source, key: str, start: sql.Composable | None, end: sql.Composable) -> sql.Composed:
    # The plain column and not coalesce(): the planner knows its distribution, and an index on it can be used.
    def within(column: sql.Identifier) -> sql.Composed:
        if start is None:
            return sql.SQL("{} < {}").format(column, end)
        return sql.SQL("{0} >= {1} and {0} < {2}").format(column, start, end)

    first, *others = _dates(source, key)
    condition = sql.SQL("({}").format(within(first))
    for other in others:
        condition += sql.SQL(" or {} is null and {}").format(first, within(other))
    return condition + sql.SQL(")")


def _dates(source: Source, key: str) -> list[sql.Identifier]:
    """The columns that date a row, the first that is not null."""
    dates = [sql.Identifier("t", key)]
    if key != CREATED_BY and source.timestamps.get(CREATED_BY) == source.timestamps[key]:
        dates.append(sql.Identifier("t", CREATED_BY))
    return dates


def _instant(source: Source, key: str, instant: datetime) -> sql.Composed:
    """An instant as a literal of the column's type; the session's time zone is UTC."""
    return sql.SQL("{}::{}").format(
        sql.Literal(format_instant(instant)),
        sql.SQL("timestamptz" if source.timestamps[key] == "timestamptz" else "timestamp"),
    )


def _where(source: Source, condition: sql.Composable | None) -> sql.Composed:
    conditions: list[sql.Composable] = []
    if source.condition is not None:
        conditions.append(source.condition.expression())
    if condition is not None:
        conditions.append(sql.SQL("({})").format(condition))
    if not conditions:
        return sql.SQL("").format()
    return sql.SQL(" where {}").format(sql.SQL(" and ").join(conditions))
