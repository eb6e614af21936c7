"""How a table differs from what a scenario expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.values import same, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_kit.testing.acceptance.destination import Place, Stored
    from singer_kit.testing.acceptance.scenario import Table


def differences(expected: tuple[Table, ...], place: Place) -> list[str]:
    """Every way in which the place differs from the tables expected, in words; of each table the first few."""
    there = place.tables()
    unclaimed = {name for name, stored in there.items() if not stored.view}
    found: list[str] = []
    for table in expected:
        names = (table.stream,) if table.view else place.names_of(table.stream)
        candidates = [name for name in names if name in there and (table.view or name in unclaimed)]
        wrong = [(name, _differences(table, there[name])) for name in candidates]
        if not any(not problems for _, problems in wrong) and not table.view:
            wrong += [(name, []) for name in sorted(unclaimed) if table.rows and not _differences(table, there[name])]
        right = next((name for name, problems in wrong if not problems), None)
        if right is not None:
            unclaimed.discard(right)
        elif wrong:
            found += [f"{table.stream}: {problem}" for problem in wrong[0][1][:5]]
        elif table.rows:
            found.append(f"{table.stream}: there is no such table" if not unclaimed else _unlike(table, unclaimed))
    return found


def _unlike(table: Table, unclaimed: set[str]) -> str:
    return (
        f"{table.stream}: there is no such table, and no other holds its rows (there: {', '.join(sorted(unclaimed))})"
    )


def _differences(table: Table, stored: Stored) -> list[str]:
    columns = _columns(table, stored)
    problems = [
        f"column {name!r} is of kind {stored.kinds[columns[name]]}, not {' or '.join(accepted)}"
        for name, accepted in table.kinds.items()
        if name in columns and stored.kinds[columns[name]] not in accepted
    ]
    missing = sorted({name for row in table.rows for name in row if name not in columns and row[name] is not None})
    if missing:
        return [*problems, f"no column holds {', '.join(map(repr, missing))}"]
    left = list(stored.rows)
    for row in table.rows:
        match = next((each for each in left if not _wrong(row, each, columns)), None)
        if match is not None:
            left.remove(match)
            continue
        like = next((each for each in left if _same_key(table, row, each, columns)), None) if table.key else None
        if like is None:
            problems.append(f"no row {_told(row)}")
        else:
            left.remove(like)
            problems.append(f"row {_told({name: row[name] for name in table.key})}: {_wrong(row, like, columns)}")
    if left and not table.others:
        back = {column: name for name, column in columns.items()}
        extra = {back[column]: value for column, value in left[0].items() if column in back}
        problems.append(f"{len(left)} rows too many, such as {_told(extra)}")
    return problems


def _columns(table: Table, stored: Stored) -> dict[str, str]:
    """The column of each property: by its name, else by its values."""
    properties = dict.fromkeys([name for row in table.rows for name in row] + list(table.kinds))
    columns = {name: name for name in properties if name in stored.kinds}
    free = [column for column in stored.kinds if column not in columns and not column.startswith("_sdc_")]
    for name in properties:
        if name in columns:
            continue
        values = [row[name] for row in table.rows if row.get(name) is not None]
        for column in free if values else ():
            if all(any(same(value, row[column]) for row in stored.rows) for value in values):
                columns[name] = column
                free.remove(column)
                break
    return columns


def _wrong(expected: Mapping[str, Any], row: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """The first value of a row that is not as expected; empty if there is none."""
    for name, value in expected.items():
        actual = row[columns[name]] if name in columns else None
        if not same(value, actual):
            return f"{name} is {shown(actual)} instead of {shown(value)}"
    return ""


def _same_key(table: Table, expected: Mapping[str, Any], row: Mapping[str, Any], columns: Mapping[str, str]) -> bool:
    return all(same(expected[name], row[columns[name]]) for name in table.key)


def _told(row: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{name}: {shown(value)}" for name, value in list(row.items())[:6]) + "}"
