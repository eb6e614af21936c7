"""What the native scanner writes is what Postgres stores of the plain path's text; what it would not be is declined."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from singer_kit.errors import DataError
from target_postgres.scanner import Scanner

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
from plain_path import PlainPath, difference, types_of
from random_records import Writer, mutated, random_stream
from scanning import INT8, SQL, ZONED, Destination, build, plan_of, record, row, scan, scanner_of

UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("native"))


@pytest.fixture
def make(library):
    return partial(scanner_of, library)


@pytest.fixture(scope="session")
def destination(postgres_server):
    opened = Destination(postgres_server)
    yield opened
    opened.close()


TAKEN = [
    (INT8, "0", "0"),
    (INT8, "-12", "-12"),
    (INT8, "9223372036854775807", "9223372036854775807"),
    (INT8, "-9223372036854775808", "-9223372036854775808"),
    (("integer", "integer"), "-2147483648", "-2147483648"),
    (("integer", "integer"), "2147483647", "2147483647"),
    (("integer", "smallint"), "-32768", "-32768"),
    (("integer", "smallint"), "32767", "32767"),
    (("integer", "numeric"), "9" * 30, "9" * 30),
    (("integer", "double precision"), "9007199254740992", "9.007199254740992e+15"),
    ("number", "1.50", "1.50"),
    ("number", "-0.0", "0.0"),
    ("number", "0", "0"),
    ("number", "1e-07", "0.0000001"),
    ("number", "1.5E+3", "1500"),
    ("number", "1.2345e2", "123.45"),
    ("number", "12345.6789e-2", "123.456789"),
    ("number", "0.000e5", "0"),
    ("number", "0.00012300", "0.00012300"),
    ("number", "10000", "10000"),
    ("number", "99999999.00010000", "99999999.00010000"),
    ("number", "1" * 40, "1" * 40),
    ("number", "1e999", "1" + "0" * 999),
    ("number", "-1e-999", "-0." + "0" * 998 + "1"),
    ("number", '"12.340"', "12.340"),
    ("number", '"-7"', "-7"),
    ("number", '"007."', "7"),
    (("number", "double precision"), "-0.0", "-0"),
    (("number", "double precision"), "72.46538007815418", "72.46538007815418"),
    (("number", "double precision"), "1.7976931348623157e308", "1.7976931348623157e+308"),
    (("number", "double precision"), "5e-324", "5e-324"),
    (("number", "double precision"), "9007199254740993", "9.007199254740992e+15"),
    (("number", "double precision"), '"-12.50"', "-12.5"),
    (("number", "double precision"), "0e999", "0"),
    (("number", "real"), "3.4028235e38", "3.4028235e+38"),
    (("number", "real"), "1e-45", "1e-45"),
    # Rounded to a double first, this would be half way between two floats, and end at the other one.
    (("number", "real"), "1.00000017881393432617187499", "1.0000001"),
    ("text", '""', ""),
    ("text", '"O\'Neil"', "O'Neil"),
    ("text", '"é 日本語 😀"', "é 日本語 😀"),
    ("text", r'"\u00e9\ud83d\ude00\u4e00\u0041"', "é😀一A"),
    ("text", r'"a\tb\nc\rd\\e\/f\"g"', 'a\tb\nc\rd\\e/f"g'),
    ("text", r'"\u0009\u000a\u000d\u005c\b\f\u001f"', "\t\n\r\\\b\f\x1f"),
    ("text", r'"\\N"', r"\N"),
    ("text", r'"\\u0000"', r"\u0000"),
    ("text", "42", "42"),
    ("text", "72.46538007815418", "72.46538007815418"),
    ("text", "0.000001", "0.000001"),
    ("text", "true", "true"),
    (("text", "character varying"), r'"a\n"', "a\n"),
    ("boolean", "true", "true"),
    ("boolean", "false", "false"),
    ("date", '"2024-02-29"', "2024-02-29"),
    ("date", '"2024-02-29T00:00:00"', "2024-02-29"),
    ("date", '"2024-02-29T00:00:00.000000Z"', "2024-02-29"),
    ("date", '"0001-01-01"', "0001-01-01"),
    ("date", '"1900-02-28"', "1900-02-28"),
    ("date", '"2000-02-29"', "2000-02-29"),
    ("date", '"9999-12-31"', "9999-12-31"),
    ("timestamp", '"2024-02-29"', "2024-02-29 00:00:00+00"),
    ("timestamp", '"2024-02-29T23:59:59"', "2024-02-29 23:59:59+00"),
    ("timestamp", '"2024-02-29 23:59:59.123456Z"', "2024-02-29 23:59:59.123456+00"),
    ("timestamp", '"2024-02-29 23:59:59.120000000Z"', "2024-02-29 23:59:59.12+00"),
    ("timestamp", '"1969-12-31T23:59:59.999999+00:00"', "1969-12-31 23:59:59.999999+00"),
    ("timestamp", '"2024-02-29T23:59:59+05:30"', "2024-02-29 18:29:59+00"),
    ("timestamp", '"2024-02-29T23:59:59.5-0800"', "2024-03-01 07:59:59.5+00"),
    ("timestamp", '"9999-12-31T23:59:59-15:59"', "10000-01-01 15:58:59+00"),
    ("timestamp", '"0001-01-01T00:00:00+01"', "0001-12-31 23:00:00+00 BC"),
    ("time", '"23:59:59"', "23:59:59"),
    ("time", '"23:59:59.123456"', "23:59:59.123456"),
    ("time", '"00:00:00.1"', "00:00:00.1"),
    ("uuid", f'"{UUID}"', UUID),
    ("uuid", f'"{UUID.upper()}"', UUID),
    ("jsonb", '{"a": [1, 2.50, null, {"b": "x"}], "": {}}', '{"": {}, "a": [1, 2.50, null, {"b": "x"}]}'),
    ("jsonb", r'{"a\"": "\u00e9\n\\"}', r'{"a\"": "é\n\\"}'),
    ("jsonb", '"text"', '"text"'),
    ("jsonb", "1.50", "1.50"),
    ("jsonb", "false", "false"),
    ("jsonb", "[[], {}]", "[[], {}]"),
    (
        "jsonb",
        '{ "b" : 1 , "é":2,"a":[ { "d" :[ ] , "c":"}" } , 3 ] , "b" : { } }',
        '{"a": [{"c": "}", "d": []}, 3], "b": {}, "é": 2}',
    ),
    ("jsonb", json.dumps({f"k{40 - i}": i for i in range(40)}), json.dumps({f"k{i}": 40 - i for i in range(1, 41)})),
    (("jsonb", "json"), r'{"b":1, "a": "\u00e9"}', r'{"b":1, "a": "\u00e9"}'),
    *((kind, "null", None) for kind in SQL),
]


@pytest.mark.parametrize(("kind", "value", "stored"), TAKEN)
def test_taken(make, destination, kind, value, stored):
    sql = SQL[kind] if isinstance(kind, str) else kind[1]
    scanned = scan(make(("v", kind, {})), record(f'{{"v": {value}}}'))
    assert scanned.rows == 1
    assert destination.from_binary([sql], [scanned.chunks[0].data]) == [(stored,)]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('{"lines": 1, "id": {"b": 1, "a": 2}, "x": []}', '{"x":[],"id":{"a":2,"b":1},"lines":1}'),
        ('[ {"b": "]", "a": 1} , "}" ]', '[{"a":1,"b":"]"},"}"]'),
        ('{"b": 1, "a": 2, "b": 3}', '{"a":2,"b":1,"b":3}'),
    ],
)
def test_members_of_jsonb_come_in_the_order_in_which_postgres_keeps_them(make, value, written):
    scanned = scan(make(("v", "jsonb", {})), record(f'{{"v": {value}}}'))
    assert scanned.chunks[0].data.endswith(b"\1" + written.encode())


DECLINED = [
    *(
        ("jsonb", value)
        for value in ("-0", "01", "+1", ".5", "1.", "1e", "1e1000", "9" * 300, "NaN", "Infinity", "-Infinity")
    ),
    *(
        ("jsonb", value)
        for value in ("nul", "nulls", "True", "", "[1,]", "[,]", "[1 2]", "{,}", '{"a"}', '{"a":}', "{1:2}", "'a'")
    ),
    *(
        ("jsonb", value)
        for value in ("[" * 64 + "]" * 64, "[" * 100_000, '{"a":' * 100_000, "[\t]", '{"a": 1,}', "[1", '{"a": 1')
    ),
    *(
        ("jsonb", f'["{text}"]')
        for text in (r"\u0000", r"\ud800", r"\udc00", r"\ud800\u0041", r"\x", r"\u00g0", "\x01", "\t", "a")
    ),
    *(
        (("integer", sql), value)
        for sql in ("bigint", "numeric", "double precision")
        for value in ("1.0", "1e2", '"1"', "true", "[]")
    ),
    *((INT8, value) for value in ("9223372036854775808", "-9223372036854775809", "9" * 19, "1" * 20, "1" * 30)),
    *((("integer", "integer"), value) for value in ("2147483648", "-2147483649", "4294967297")),
    *((("integer", "smallint"), value) for value in ("32768", "-32769", "65537")),
    *((("number", "double precision"), value) for value in ("1.8e308", "-1e309", "2e-324", '"1e5"', "{}", "true")),
    *((("number", "real"), value) for value in ("3.5e38", "-1e40", "1e-46", "0.1e-320")),
    *(("number", value) for value in ('"NaN"', '"1e5"', '"+1"', '""', '"-"', r'"\u0031"', "true", "{}")),
    *(("text", value) for value in ("1e5", "0.0000001", "[]", "{}", r'"\u0000"', r'"\ude00\ud83d"')),
    *(("boolean", value) for value in ("1", '"true"', "0")),
    *(
        ("date", value)
        for value in ('"2024-02-29T01:00:00"', '"20240229"', '"now"', '"infinity"', '"2024-2-29"', '""', "20240229")
    ),
    *(
        (kind, f'"{value}"')
        for kind in ("date", "timestamp")
        for value in (
            *("2024-02-30", "2023-02-29", "1900-02-29", "2024-04-31", "2024-13-01", "2024-00-01", "2024-01-00"),
            *("2024-01-32", "0000-01-01", "12024-01-01", "2024/01-01", "2024-01/01", "2O24-01-01"),
        )
    ),
    *(
        ("timestamp", f'"{value}"')
        for value in ("2024-02-29T", "2024-02-29T23:59", "2024-02-29t23:59:59z", "now", "", "infinity")
    ),
    *(
        ("timestamp", f'"2024-02-29T23:59:59{value}"')
        for value in (".", ",5", "+1", "+05:3", "Zx", " Z", "+05:30:00", ".5.5", "z")
    ),
    *(
        ("timestamp", f'"2024-02-29T{value}"')
        for value in (
            "24:00:00",
            "23:60:00",
            "23:59:60",
            "23:59:59.1234567",
            "23:59:59+16:00",
            "23:59:59-05:60",
            "2a:00:00",
        )
    ),
    *(
        ("time", f'"{value}"')
        for value in ("23:59", "23:59:59Z", "23:59:59+00", "23:59:59.", "noon", "", "24:00:00", "23:60:00")
    ),
    *(("time", f'"23:59:{value}"') for value in ("60", "59.0000001", "59.123456x")),
    *(
        ("uuid", value)
        for value in (f'"{{{UUID}}}"', '"a0eebc999c0b4ef8bb6d6bb9bd380a11"', f'"{UUID[:-1]}g"', "1", '""')
    ),
]


@pytest.mark.parametrize(("kind", "value"), DECLINED)
def test_declined(make, kind, value):
    if value == '["a"]':
        value = '["a\udcff"]'  # a byte that is not UTF-8
    line = record(f'{{"v": {value}}}').encode(errors="surrogateescape")
    found = make(("v", kind, {}))
    assert row(found, line) is None
    assert scan(found, line).stop == 0


# The plain path is right


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False), wildness=st.sampled_from([0, 0.02, 0.1]))
def test_rows_are_those_of_the_plain_path(library, random, wildness):
    stream = random_stream(random)
    assume(stream is not None)
    found, writer = Scanner(library), Writer(random, wildness=wildness)
    found.set("s", stream.plan)
    for number in range(10):
        line = writer.line(stream)
        if random.random() < 0.3:
            line = mutated(random, line).replace(b"\n", b"") + b"\n"
        scanned = scan(found, line, sequence=number)
        for chunk in scanned.chunks:
            assert difference(stream.plan, chunk.data, stream.plain.row(line, number)) is None


def digits(least, most):
    return st.text("0123456789", min_size=least, max_size=most)


@st.composite
def numbers(draw):
    """A number as JSON may spell it."""
    whole = draw(st.one_of(st.just("0"), digits(1, 60).map(lambda text: text.lstrip("0") or "0")))
    fraction = draw(st.one_of(st.just(""), digits(1, 60).map(".".__add__)))
    exponent = draw(
        st.one_of(st.just(""), st.integers(-330, 330).map("e{:+}".format), st.integers(0, 999).map("E{}".format))
    )
    sign = draw(st.sampled_from(["", "-"])) if whole != "0" or fraction or exponent else ""
    return sign + whole + fraction + exponent


@st.composite
def times(draw):
    text = draw(st.times()).strftime("%H:%M:%S")
    return text + draw(st.one_of(st.just(""), digits(1, 6).map(".".__add__), digits(1, 6).map(".{}000".format)))


@st.composite
def zones(draw):
    sign, hours, minutes = draw(st.sampled_from("+-")), draw(st.integers(0, 15)), draw(st.integers(0, 59))
    form = draw(st.sampled_from(["", "Z", "{}{:02}", "{}{:02}{:02}", "{}{:02}:{:02}"]))
    return form.format(sign, hours, minutes)


DATES = st.dates().map(str)
TIMESTAMPS = st.one_of(DATES, st.builds("{}{}{}{}".format, DATES, st.sampled_from("T "), times(), zones()))
# What JSON's own writer escapes, what it does not have to, and pairs of surrogates.
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
STRINGS = st.builds(
    lambda text, ascii_only: json.dumps(text, ensure_ascii=ascii_only).replace("/", "\\/"),
    st.text(CHARACTERS),
    st.booleans(),
)
NESTED = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(CHARACTERS)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(CHARACTERS), inner, max_size=4)),
    max_leaves=20,
)
DOCUMENTS = st.builds(lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), NESTED, st.booleans())


def quoted(text):
    return f'"{text}"'


def within(bits):
    return st.one_of(
        st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
        st.sampled_from([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]),
    ).map(str)


# By kind and SQL type: JSON values all of which are taken, or, for floats, most.
VALUES = {
    ("integer", "smallint"): within(16),
    ("integer", "integer"): within(32),
    ("integer", "bigint"): within(64),
    ("integer", "numeric"): st.integers(-(10**200), 10**200).map(str),
    ("integer", "double precision"): st.integers(-(10**200), 10**200).map(str),
    ("number", "numeric"): numbers(),
    ("number", "double precision"): numbers(),
    ("number", "real"): numbers(),
    ("text", "text"): STRINGS,
    ("text", "character varying"): STRINGS,
    ("boolean", "boolean"): st.sampled_from(["true", "false"]),
    ("date", "date"): DATES.map(quoted),
    ("timestamp", ZONED): TIMESTAMPS.map(quoted),
    ("time", "time without time zone"): times().map(quoted),
    ("uuid", "uuid"): st.uuids().map(str).map(quoted),
    ("jsonb", "jsonb"): DOCUMENTS,
}


@pytest.mark.parametrize(("kind", "sql"), VALUES)
def test_postgres_stores_the_same_from_both(library, destination, kind, sql):
    plan = plan_of(("v", (kind, sql), {}), validate=False)
    found, plain = Scanner(library), PlainPath({}, plan, validate=False)
    found.set("s", plan)

    @settings(max_examples=60, deadline=None)
    @given(st.lists(VALUES[kind, sql], min_size=1, max_size=40))
    def check(values):
        native, text = [], []
        for value in values:
            line = record(f'{{"v": {value}}}').encode()
            if chunks := scan(found, line).chunks:
                native.append(chunks[0].data)
                text.append(plain.row(line, 1))
            else:
                assert sql in {"real", "double precision"}, value
                with pytest.raises(psycopg.DataError):
                    destination.from_text([sql], [plain.row(line, 1)])
        assert destination.from_binary([sql], native) == destination.from_text([sql], text)

    check()


@pytest.mark.parametrize("seed", range(20))
def test_postgres_stores_the_same_streams_from_both(library, destination, seed):
    stream, native, plain = _taken(library, Random(seed))
    types = types_of(stream.plan)
    constants = [ZONED, "bigint", "text", "text"] if stream.plan.constants else []
    stored = destination.from_binary(types + constants, native)
    assert [fields[: len(types)] for fields in stored] == destination.from_text(types, plain)
    assert all(fields[len(types) :] in {(), ("2024-01-01 00:00:00+00", "-7", "bätch", None)} for fields in stored)


def _taken(library, random):
    """A random stream with a few of its rows, as the scanner and as the plain path have them."""
    while True:
        stream = random_stream(random)
        # Text of a json column is the tap's in one and Python's in the other.
        if stream is None or not stream.plan.columns or "json" in types_of(stream.plan):
            continue
        found, writer = Scanner(library), Writer(random, wildness=0.02)
        found.set("s", stream.plan)
        native, plain = [], []
        for line in [writer.line(stream) for _ in range(20)]:
            for chunk in scan(found, line, sequence=1).chunks:
                native.append(chunk.data)
                plain.append(stream.plain.row(line, 1))
        if len(native) >= 5:
            return stream, native, plain


def test_the_plain_path_refuses_what_it_must():
    schema = {"properties": {"v": {"type": "integer"}}}
    plain = PlainPath(schema, plan_of(("v", INT8, {}), keys=["v"]), validate=True)
    assert plain.row(record('{"v": 1}').encode(), 1) == ["1"]
    for text in ('{"v": "x"}', "{}", '{"v": 1.5}'):
        with pytest.raises(DataError):
            plain.row(record(text).encode(), 1)
