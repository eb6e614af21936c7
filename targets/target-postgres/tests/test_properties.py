"""Any record of any types comes back equal."""

from __future__ import annotations

import base64
import datetime as dt
import json
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
_NUMBER = st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20), max_value=10**20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)
_TIMESTAMP = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.timezone.utc))  # noqa: DTZ001
# Name: the property's schema, its values, and how the JSON message writes them.
_COLUMNS = {
    "integer": ({"type": ["integer", "null"]}, st.integers(-(2**63), 2**63 - 1), None),
    "number": ({"type": ["number", "null"]}, _NUMBER, None),
    "text": ({"type": ["string", "null"]}, _TEXT, None),
    "boolean": ({"type": ["boolean", "null"]}, st.booleans(), None),
    "timestamp": ({"type": ["string", "null"], "format": "date-time"}, _TIMESTAMP, dt.datetime.isoformat),
    "date": ({"type": ["string", "null"], "format": "date"}, st.dates(), dt.date.isoformat),
    "time": ({"type": ["string", "null"], "format": "time"}, st.times(), dt.time.isoformat),
    "bytes": (
        {"type": ["string", "null"], "contentEncoding": "base64"},
        st.binary(max_size=20),
        lambda value: base64.b64encode(value).decode(),
    ),
    "json": ({"type": ["object", "null"]}, st.dictionaries(_TEXT, _JSON, max_size=4), None),
}
_RECORDS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, values, _) in _COLUMNS.items()}),
    min_size=1,
    max_size=8,
)


def _written(value):
    """JSON text in which decimals keep their digits."""
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=_RECORDS)
def test_round_trip(warehouse, records):
    warehouse.do("drop schema if exists bronze cascade")
    properties = {"id": {"type": "integer"}, **{name: schema for name, (schema, _, _) in _COLUMNS.items()}}
    lines = [{"type": "SCHEMA", "stream": "t", "key_properties": ["id"], "schema": {"properties": properties}}]
    for number, record in enumerate(records):
        members = [f'"id":{number}']
        for name, value in record.items():
            write = _COLUMNS[name][2]
            members.append(f'"{name}":{_written(value if value is None or write is None else write(value))}')
        lines.append(f'{{"type":"RECORD","stream":"t","record":{{{",".join(members)}}}}}\n')
    warehouse.load(lines, interpret_content_encoding=True)
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    found = warehouse.rows(f"select {names} from bronze.t order by id")
    assert found == [tuple(record[name] for name in _COLUMNS) for record in records]
