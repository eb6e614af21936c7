"""From JSON values to the text that COPY reads.

Postgres parses every value itself, in the column's own type. What is checked here is what it would take and change
without a word: a word such as `now` for a timestamp, a time of day for a date, an offset for a time.
"""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from singer_kit.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_postgres.types import Kind

    Encoder = Callable[[Any], str]

NULL = "\\N"
_MAX_DIGITS = 400

_SPECIAL = re.compile("[\0\\\\\t\n\r\ud800-\udfff]")
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")
_ESCAPES = {0x5C: "\\\\", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
_DATE = r"\d{4,6}-\d\d-\d\d"
_ZONE = r"(?:Z|z|[+-]\d\d(?::?\d\d(?::?\d\d)?)?)"
_TIME = r"\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
# Of Postgres' words only this one is a value; `now` and `today` are taken for something else each day.
_INFINITE = ("infinity", "-infinity")
_IS_DATE = re.compile(rf"({_DATE})(?:[Tt ]00:00(?::00(?:\.0+)?)?(?:Z|z|[+-]00:?00)?)?", re.ASCII)
_IS_TIMESTAMP = re.compile(rf"{_DATE}(?:[Tt ]{_TIME} ?{_ZONE}?)?", re.ASCII)
_IS_TIME = re.compile(rf"({_TIME})(?:Z|z|[+-]00(?::?00)?)?", re.ASCII)
_IS_TIMETZ = re.compile(rf"{_TIME} ?{_ZONE}?", re.ASCII)
_SPECIAL_NUMBERS = {
    "nan": "NaN",
    "infinity": "Infinity",
    "-infinity": "-Infinity",
    "inf": "Infinity",
    "-inf": "-Infinity",
}
# Every spelling of a UUID that Postgres takes.
_IS_UUID = re.compile(r"[0-9a-f]{4}(?:-?[0-9a-f]{4}){7}|\{[0-9a-f]{4}(?:-?[0-9a-f]{4}){7}\}", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
# A NUL inside JSON text; an even number of backslashes before it is an escaped backslash and four digits.
_JSON_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")

_to_json = msgspec.json.Encoder(decimal_format="number").encode


def encoder(kind: Kind, *, sanitize: bool) -> Encoder:
    """The function that writes a value that is not None.

    Args:
        kind: how the column wants it.
        sanitize: replace characters that Postgres cannot store instead of refusing them.

    The function raises DataError with the reason alone; the caller knows stream, line and column.

    """
    if kind in {"text", "other"}:
        return sanitized_text if sanitize else text
    if kind == "jsonb":
        return sanitized_jsonb if sanitize else jsonb
    return _ENCODERS[kind]


def text(value: Any) -> str:
    if type(value) is str:
        return escaped(value) if _SPECIAL.search(value) else value
    return _scalar(value)


def sanitized_text(value: Any) -> str:
    return text(_cleaned(value))


def escaped(value: str) -> str:
    if _FORBIDDEN.search(value):
        raise DataError(
            "the text holds a character that Postgres cannot store (NUL, or half of a surrogate pair); "
            "sanitize_null_text_characters=true replaces them"
        )
    return value.translate(_ESCAPES)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal, float)):
        return str(value)
    return jsonb(value)


def jsonb(value: Any) -> str:
    try:
        written = _to_json(value).decode()
    except UnicodeEncodeError:
        raise DataError(
            "the JSON holds half of a surrogate pair, which Postgres cannot store; "
            "sanitize_null_text_characters=true replaces it"
        ) from None
    if "\\u0000" in written and _JSON_NUL.search(written):
        raise DataError(
            "the JSON holds a NUL character, which Postgres cannot store; "
            "sanitize_null_text_characters=true replaces it"
        )
    return written.replace("\\", "\\\\") if "\\" in written else written


def sanitized_jsonb(value: Any) -> str:
    return jsonb(_cleaned(value))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _FORBIDDEN.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _integer(value: Any) -> str:
    if type(value) is int:
        return str(value)
    if isinstance(value, Decimal) and is_integral(value):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise DataError("not an integer")


def is_integral(value: Decimal) -> bool:
    """Whether it is an integer that can be written out: an exponent of a billion would fill the memory."""
    return value.is_finite() and value.adjusted() < _MAX_DIGITS and value == value.to_integral_value()


def _number(value: Any) -> str:
    if isinstance(value, (int, Decimal, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return value
        if special := _SPECIAL_NUMBERS.get(value.lower()):
            return special
    raise DataError("not a number")


def is_special_number(value: Any) -> bool:
    """Whether a string stands for a number that JSON cannot write."""
    return isinstance(value, str) and value.lower() in _SPECIAL_NUMBERS


def _boolean(value: Any) -> str:
    if value is True:
        return "t"
    if value is False:
        return "f"
    raise DataError("not a boolean")


def _timestamp(value: Any) -> str:
    if isinstance(value, str) and _IS_TIMESTAMP.fullmatch(value):
        return value.replace(",", ".")
    if value in _INFINITE:
        return str(value)
    raise DataError("not a date-time such as 2024-12-31T23:59:59.123456Z")


def _date(value: Any) -> str:
    if isinstance(value, str) and (match := _IS_DATE.fullmatch(value)):
        return match[1]
    if value in _INFINITE:
        return str(value)
    raise DataError("not a date such as 2024-12-31; a time of day would be lost")


def _time(value: Any) -> str:
    if isinstance(value, str) and (match := _IS_TIME.fullmatch(value)):
        return match[1].replace(",", ".")
    raise DataError(
        "not a time of day in UTC such as 23:59:59.123456; an offset would be lost, x-sql-datatype 'timetz' "
        "or 'text' keeps it"
    )


def _timetz(value: Any) -> str:
    if isinstance(value, str) and _IS_TIMETZ.fullmatch(value):
        return value.replace(",", ".")
    raise DataError("not a time of day such as 23:59:59.123456+02:00")


def _uuid(value: Any) -> str:
    """Written in one way only: equal text means equal keys."""
    if isinstance(value, str):
        if not _IS_UUID.fullmatch(value):
            return text(value)
        digits = value.strip("{}").replace("-", "").lower()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    raise DataError("not a UUID")


def _base64(value: Any) -> str:
    try:
        return "\\\\x" + base64.b64decode("".join(value.split()), validate=True).hex()
    except (AttributeError, binascii.Error, ValueError):
        raise DataError("not base64") from None


def _base16(value: Any) -> str:
    try:
        return "\\\\x" + bytes.fromhex(value).hex()
    except (TypeError, ValueError):
        raise DataError("not base16") from None


_ENCODERS: dict[Kind, Encoder] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "date": _date,
    "time": _time,
    "timetz": _timetz,
    "uuid": _uuid,
    "base64": _base64,
    "base16": _base16,
}
