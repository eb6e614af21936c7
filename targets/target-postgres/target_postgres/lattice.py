"""What becomes of a column that exists when a stream sends another type: it stays, or it widens, and loses nothing.

    smallint < integer < bigint < numeric        numeric(p,s), real, double precision < numeric
    varchar(n), char(n) < text                   date < timestamp, timestamp with time zone
    time < time with time zone                   timestamp(n), time(n) < the same without (n)
    anything < jsonb, when objects, arrays or several kinds of values are sent; an array column always
    anything else < text

A column that can take the values whole stays as it is: integers in numeric, scalars in text and jsonb, dates in
timestamps, a stream narrower than its column.
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from singer_kit.errors import DataError
from target_postgres.types import BIGINT, INTEGERS, JSONB, NUMERIC, TEXT, make

if TYPE_CHECKING:
    from target_postgres.encoding import Encoder
    from target_postgres.types import ColumnType, Kind

_SIZED = re.compile(r"(.*?)\((\d+)(?:,(-?\d+))?\)(.*)")
_FLOATS = {"real": 2**24, "double precision": 2**53}
_TEXTS = frozenset({"text", "character varying", "citext"})
_STRINGS = frozenset({"character varying", "character"})
_FULL_PRECISION = 6
_REAL_DIGITS, _SMALLEST_REAL = 6, 2.0**-126
_BYTES_AS_BASE64 = "translate(encode({}, 'base64'), E'\\n', '')"
# As JSON writes them: the stream may have sent them like that.
_AS_TEXT = {
    "bytea": _BYTES_AS_BASE64,
    "timestamp without time zone": "to_jsonb({}) #>> '{{}}'",
    "timestamp with time zone": "to_jsonb({}) #>> '{{}}'",
}
_FRACTION = re.compile(r":\d\d[.,](\d+)")
_OWN_KINDS: dict[str, Kind] = {
    **dict.fromkeys(INTEGERS, "integer"),
    **dict.fromkeys((*_FLOATS, "numeric"), "number"),
    **dict.fromkeys((*_TEXTS, "character"), "text"),
    "boolean": "boolean",
    "date": "date",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamp",
    "time without time zone": "time",
    "time with time zone": "timetz",
    "uuid": "uuid",
    "bytea": "base64",
    "json": "jsonb",
    "jsonb": "jsonb",
}


class _Parts(NamedTuple):
    """`numeric(10,2)` is base `numeric`, size 10, scale 2."""

    base: str
    size: int | None
    scale: int


def _parts(sql: str) -> _Parts:
    if sized := _SIZED.fullmatch(sql):
        return _Parts(sized[1] + sized[4], int(sized[2]), int(sized[3] or 0))
    return _Parts(sql, None, 0)


def fitted(wanted: ColumnType, actual: str) -> ColumnType | None:
    """How values of a property are written into a column of the type that the table has; None: not all would fit."""
    if wanted.sql == actual:
        return wanted
    base, size, _ = _parts(actual)
    whole = size is None or (base.startswith("time") and size >= _FULL_PRECISION)
    fits: Kind | None = None
    if base in {"jsonb", "json"}:
        fits = "jsonb"
    elif wanted.kind == "integer":
        fits = "integer" if _holds(wanted.limit, actual) else None
    elif wanted.kind == "number":
        fits = "number" if _takes_numbers(wanted.sql, actual) else None
    elif wanted.kind in {"date", "timestamp"} and base.startswith("timestamp") and whole:
        fits = "timestamp"
    elif wanted.kind == "time" and base.startswith("time ") and whole:
        fits = "time" if base == "time without time zone" else "timetz"
    elif base == "character varying" and size and _parts(wanted.sql).base == base:
        asked = _parts(wanted.sql).size
        return make(actual, "text", guarded=True) if asked and asked <= size else None
    if fits is None and base in _TEXTS and whole and wanted.kind != "jsonb":
        fits = "text"
    guarded = fits == "number" and base == "numeric" and size is not None
    return make(actual, fits, wanted.limit if fits == "integer" else None, guarded=guarded) if fits else None


def _holds(limit: int | None, actual: str) -> bool:
    """Whether integers up to a magnitude (None: of any size) fit a numeric column."""
    base, size, scale = _parts(actual)
    if base == "numeric" and size is None:
        return True
    capacity = 10 ** max(size - scale, 0) - 1 if base == "numeric" and size else {**INTEGERS, **_FLOATS}.get(base)
    return limit is not None and capacity is not None and limit <= capacity


def _takes_numbers(wanted: str, actual: str) -> bool:
    base, size, scale = _parts(actual)
    if base != "numeric":
        return wanted in _FLOATS and base == "double precision"
    asked, asked_size, asked_scale = _parts(wanted)
    if size is None:
        return True
    return (
        asked == "numeric"
        and asked_size is not None
        and asked_scale <= scale
        and (asked_size - asked_scale <= size - scale)
    )


def widened(wanted: ColumnType, actual: str) -> tuple[ColumnType, str]:
    """The least type that holds both the column's old values and the new ones, and the cast to it.

    The cast is a format string with `{}` for the quoted column. It goes from real and double precision to numeric
    through text: the digits that everybody saw stay (the direct cast keeps 6 and 15), and the same float comes back.

    Args:
        wanted: what the stream sends; `fitted` has found that it does not fit.
        actual: the column's type.

    """
    base, _, _ = _parts(actual)
    if wanted.kind in {"integer", "number"} and (base in INTEGERS or base in _FLOATS or base == "numeric"):
        return _wider_number(wanted, base)
    if wanted.kind in {"date", "timestamp", "time", "timetz"} and (wider := _wider_time(wanted, base)):
        return wider
    if wanted.kind == "text" and wanted.guarded and base == "character varying":
        return wanted, f"{{}}::{wanted.sql}"
    if wanted.kind == "jsonb" or base.endswith("[]"):
        return JSONB, f"to_jsonb({_BYTES_AS_BASE64})" if base == "bytea" else "to_jsonb({})"
    return TEXT, _AS_TEXT.get(base, "{}::text")


def _wider_number(wanted: ColumnType, base: str) -> tuple[ColumnType, str]:
    if base in INTEGERS and wanted.kind == "integer" and wanted.limit is not None:
        return make(BIGINT.sql, "integer", wanted.limit), "{}::bigint"
    if base == "real" and wanted.sql == "double precision":
        return wanted, "{}::text::double precision"
    return make(NUMERIC.sql, wanted.kind), "{}::text::numeric" if base in _FLOATS else "{}::numeric"


def _wider_time(wanted: ColumnType, base: str) -> tuple[ColumnType, str] | None:
    """What holds a date, a time or a timestamp of two kinds; None: text alone."""
    if wanted.kind in {"date", "timestamp"} and base.startswith("timestamp"):
        return make(base, "timestamp"), f"{{}}::{base}"
    if wanted.kind == "timestamp" and base == "date":
        return wanted, "{}::timestamp" if "without" in wanted.sql else "{}::timestamp at time zone 'UTC'"
    if wanted.kind == "timetz" and base == "time without time zone":
        return wanted, "({}::text || '+00')::time with time zone"
    if wanted.kind in {"time", "timetz"} and base.startswith("time "):
        return make(base, _OWN_KINDS[base]), f"{{}}::{base}"
    return None


def frozen(actual: str) -> ColumnType:
    """How values are written into a column that must stay as it is: what does not fit is refused."""
    base, _, _ = _parts(actual)
    return make(actual, _OWN_KINDS.get(base, "other"), guarded=True)


# So many characters of a number are within the column for sure.
_SAFE_DIGITS = {"smallint": 4, "integer": 9, "bigint": 18}


def guard(encode: Encoder, column: ColumnType) -> Encoder:
    """Stand before a column whose type would round or cut values: raise DataError with the reason instead."""
    if not column.guarded:
        return encode

    def guarded(value: Any) -> str:
        if reason := misfit(column, value):
            raise DataError(reason)
        return encode(value)

    return guarded


def bounded(encode: Encoder, column: ColumnType) -> Encoder:
    """As `guard`, and for integers beyond their column, which Postgres refuses only when the whole batch is sent."""
    longest = _SAFE_DIGITS.get(column.sql)
    if longest is None:
        return guard(encode, column)

    def within(value: Any) -> str:
        text = encode(value)
        if len(text) > longest and (reason := misfit(column, value)):
            raise DataError(reason)
        return text

    return within


def outgrown(column: ColumnType, value: Any) -> ColumnType | None:
    """The type a column needs for one value that is too large, too long or too precise for it; None: that is not it."""
    if misfit(column, value) is None:
        return None
    base, _, _ = _parts(column.sql)
    if base in INTEGERS:
        return make(NUMERIC.sql, "integer") if misfit(BIGINT, value) else BIGINT
    if base in _FLOATS or base == "numeric":
        return make(NUMERIC.sql, column.kind)
    if base in _STRINGS:
        return TEXT
    return make(base, column.kind) if base.startswith("time") else None


def misfit(column: ColumnType, value: Any) -> str | None:
    """Why a value that is right for a column's kind is too much for its type; None: it is not."""
    base, size, scale = _parts(column.sql)
    if base in INTEGERS or base in _FLOATS or base == "numeric":
        number = _decimal(value)
        if number is None or _fits_number(number, base, size, scale):
            return None
        return f"out of range for {column.sql}" if base in INTEGERS else f"{column.sql} would not hold all its digits"
    if base in _STRINGS and size is not None:
        return f"too long for {column.sql}" if len(str(value)) > size else None
    if base.startswith("time") and size is not None:
        fraction = _FRACTION.search(str(value))
        return f"{column.sql} would round it" if fraction and len(fraction[1].rstrip("0")) > size else None
    if base == "bytea" and column.guarded:
        return "the column is bytea, the stream does not say how its text stands for bytes"
    return f"not a value of {column.sql}" if base not in _OWN_KINDS and isinstance(value, (dict, list)) else None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal, str)):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _fits_number(value: Decimal, base: str, size: int | None, scale: int) -> bool:
    if base in _FLOATS:
        return value.is_nan() or _is_exact(value, base)
    if base == "numeric" and size is None:
        return True
    if not value.is_finite():
        return base == "numeric" and value.is_nan()
    if base in INTEGERS:
        # A fraction is for the encoder to refuse.
        return value.adjusted() < len(str(INTEGERS[base])) and -INTEGERS[base] <= value < INTEGERS[base]
    digits, exponent = _significant(value)
    return not digits or (-exponent <= scale and len(digits) + exponent <= (size or 0) - scale)


def _significant(value: Decimal) -> tuple[str, int]:
    """The digits of a finite number without zeros at the end, and the power of ten of the last; 0 has none."""
    _, digits, exponent = value.as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    kept = written.rstrip("0")
    return kept, int(exponent) + len(written) - len(kept)


def _is_exact(value: Decimal, base: str) -> bool:
    """Whether the column gives the same digits back."""
    if base == "double precision":
        return Decimal(repr(float(value))) == value
    if value.is_infinite():
        return True
    try:
        (single,) = struct.unpack("<f", struct.pack("<f", float(value)))
    except OverflowError:
        return False
    if Decimal(single) == value:
        return True
    # Six digits always come back, but for numbers too small to be there at all.
    return abs(single) >= _SMALLEST_REAL and len(_significant(value)[0]) <= _REAL_DIGITS
