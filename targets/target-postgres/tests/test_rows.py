"""Rows on their way: which line each came from, also after a batch was cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_postgres.rows import Batch, Block, Part, Rows


def batch(*sizes):
    """Parts of some rows each; row n holds n and came from line 10 n."""
    rows, number = Rows(), 0
    for size in sizes:
        numbers = range(number, number + size)
        data = b"".join(b"%d\n" % n for n in numbers)
        block = Block(b"".join(b"raw %d\n" % n for n in numbers), number * 10)
        lines = [number * 10 + index for index in range(size)]
        rows.extend(Part(data, lines, block))
        number += size
    return rows.take()


def test_single_rows_and_parts_keep_their_order():
    rows = Rows()
    rows.add(b"a\n", 1)
    rows.add(b"b\n", 2)
    rows.extend(Part(b"c\nd\n", [3, 5]))
    rows.add(b"e\n", 9, Block(b"raw e", 9))
    later = Rows()
    later.add(b"f\n", 11)
    rows.absorb(later)
    assert (rows.count, rows.size, later.count, later.size) == (6, 12, 0, 0)
    taken = rows.take()
    assert b"".join(taken.data()) == b"a\nb\nc\nd\ne\nf\n"
    assert [taken.line(row) for row in range(6)] == [1, 2, 3, 5, 9, 11]
    assert [taken.raw(row) for row in range(6)] == [None, None, None, None, b"raw e", None]
    assert (rows.count, rows.size, rows.take().rows) == (0, 0, 0)


def test_a_row_that_is_not_there():
    with pytest.raises(IndexError):
        batch(2).line(2)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_cutting_keeps_rows_lines_and_raw_records(sizes, data):
    whole = batch(*sizes)
    at = sorted(data.draw(st.lists(st.integers(0, whole.rows), max_size=3)))
    pieces = list(whole.split(*at))
    assert all(piece.rows for piece in pieces)
    assert b"".join(b"".join(piece.data()) for piece in pieces) == b"".join(whole.data())
    assert sum(piece.size for piece in pieces) == whole.size
    where = [(piece.line(row), piece.raw(row)) for piece in pieces for row in range(piece.rows)]
    assert where == [(whole.line(row), whole.raw(row)) for row in range(whole.rows)]


def test_a_batch_of_one():
    one = Batch.of(b"a\n", 7)
    assert (one.rows, one.size, one.line(0), one.raw(0), list(one.data())) == (1, 2, 7, None, [b"a\n"])
