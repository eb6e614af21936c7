"""What a schema lets the scanner be sure of, and which schemas it leaves to the validator."""

from __future__ import annotations

import pytest

from target_postgres.lineage import DELETED_AT, SDK_NAMES
from target_postgres.plans import ANYTHING, TYPES, Value, compile_plan


def compiled(definition, kind="jsonb", sql="jsonb", **changes):
    """The plan of a stream with one property."""
    schema = {"type": "object", "properties": {"v": definition}, **changes.pop("schema", {})}
    options = {"keys": (), "validate": True, "lineage": False, "sequence": False, "bookmark": (), "ignored": ()}
    return compile_plan(schema, [("v", kind, sql)], **{**options, "constants": (), **changes})


def types(*names):
    return Value(types=frozenset(names))


KNOWN = {
    "anything": ({}, None),
    "true": (True, None),
    "one type": ({"type": "string"}, types("string")),
    "several": ({"type": ["null", "boolean"]}, types("null", "boolean")),
    "an integer is a number": ({"type": "number"}, types("number", "integer")),
    "limits": ({"type": "integer", "minimum": 0, "maximum": 9.0}, Value(frozenset({"integer"}), minimum=0, maximum=9)),
    "length": ({"type": "string", "maxLength": 4}, Value(frozenset({"string"}), max_length=4)),
    "annotations": ({"type": "string", "format": "date", "title": "x", "x-sql-datatype": "text"}, types("string")),
    "items": ({"type": "array", "items": {"type": "null"}}, Value(frozenset({"array"}), items=types("null"))),
    "items of any kind": ({"type": "array", "items": {}}, types("array")),
    "object": (
        {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": False},
        Value(frozenset({"object"}), properties={"a": types("null")}, required=frozenset("a"), closed=True),
    ),
    "anyOf": ({"anyOf": [{"type": "string"}, {"type": ["null", "string"]}]}, types("null", "string")),
    "oneOf": ({"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, types("null", "string")),
    "anyOf with the type beside it": (
        {"type": ["null", "string"], "anyOf": [{"type": "string"}, {}]},
        types("null", "string"),
    ),
    "each variant with rules of its own": (
        {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "string", "maxLength": 5}, {"type": "boolean"}]},
        Value(frozenset({"integer", "string", "boolean"}), minimum=3, max_length=5),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known(name):
    definition, wanted = KNOWN[name]
    assert compiled(definition).columns[0].value == wanted


UNSURE = {
    "pattern": {"type": "string", "pattern": "a"},
    "enum": {"enum": [1]},
    "const": {"const": 1},
    "reference": {"$ref": "#/definitions/a"},
    "multiple": {"type": "number", "multipleOf": 0.01},
    "exclusive limit": {"type": "integer", "exclusiveMinimum": 0},
    "limit that is a fraction": {"type": "number", "minimum": 0.5},
    "limit that is none": {"type": "number", "minimum": True},
    "limit of true, which Python takes for 1": {"type": ["boolean", "integer"], "minimum": 5},
    "content encoding": {"type": "string", "contentEncoding": "base64"},
    "a list of items": {"type": "array", "items": [{}]},
    "a schema of other properties": {"type": "object", "additionalProperties": {"type": "string"}},
    "unknown type": {"type": "text"},
    "no type": {"type": []},
    "false": False,
    "overlapping oneOf": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    "overlapping variants with rules": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": ["string", "null"]}]},
    "rules beside anyOf": {"maxLength": 3, "anyOf": [{"type": "string"}]},
    "anyOf and oneOf": {"anyOf": [{"type": "string"}], "oneOf": [{"type": "string"}]},
    "no variants": {"anyOf": []},
    "required property that may not be there": {"type": "object", "required": ["a"], "additionalProperties": False},
    "more required than a word has bits": {"type": "object", "required": [f"c{n}" for n in range(65)]},
    "broken properties": {"type": "object", "properties": []},
    "broken required": {"type": "object", "required": "a"},
}


@pytest.mark.parametrize("name", UNSURE)
def test_unsure(name):
    assert compiled(UNSURE[name]) is None
    assert compiled({"type": "array", "items": UNSURE[name]}) is None
    assert compiled(UNSURE[name], validate=False).columns[0].value is None


def test_deeper_than_python_recurses():
    definition = {}
    for _ in range(100_000):
        definition = {"items": definition}
    assert compiled(definition) is None


@pytest.mark.parametrize("kind", ["base64", "base16"])
def test_kinds_that_are_not_written(kind):
    assert compiled({"type": "string"}, kind, "bytea") is None


SQL_TYPES = {
    "integer": ["smallint", "integer", "bigint", "numeric", "real", "double precision"],
    "number": ["numeric", "real", "double precision"],
    "text": ["text", "character varying"],
    "boolean": ["boolean"],
    "date": ["date"],
    "timestamp": ["timestamp with time zone"],
    "time": ["time without time zone"],
    "uuid": ["uuid"],
    "jsonb": ["json", "jsonb"],
}
OTHERS = ["numeric(10,2)", "character varying(5)", "character(1)", "timestamp without time zone", "interval", "inet"]
OTHERS += ["time with time zone", "time(3) without time zone", "timestamp(0) with time zone", "bytea", "text[]", "oid"]


@pytest.mark.parametrize("kind", [*SQL_TYPES, "other", "timetz", "base64"])
def test_columns_that_are_written(kind):
    written = SQL_TYPES.get(kind, [])
    for sql in {name for names in SQL_TYPES.values() for name in names} | {*OTHERS}:
        assert (compiled({}, kind, sql) is not None) == (sql in written), sql


def test_integers_stay_integers_in_wider_columns():
    whole = types("integer", "null")
    assert compiled({}, "integer", "numeric").columns[0].value == whole
    assert compiled({"type": ["number", "string"]}, "integer", "numeric").columns[0].value == types("integer")
    assert compiled({}, "number", "numeric").columns[0].value is None


def test_the_mark_of_deletion_is_no_column_beside_the_lineage():
    schema = {"properties": {DELETED_AT: {}}}
    columns = [(DELETED_AT, "text", "text")]
    options = {"keys": (), "validate": True, "sequence": False, "bookmark": (), "ignored": (), "constants": ()}
    assert compile_plan(schema, columns, lineage=True, **options) is None
    assert compile_plan(schema, columns, lineage=False, **options) is not None


def test_bookmarks():
    assert compiled({}, bookmark=["v"], lineage=True).cursor == "v"
    assert compiled({}, bookmark=["v"]).cursor is None
    assert compiled({}, bookmark=["v", "w"], lineage=True) is None
    assert compiled({}, bookmark=["v", "w"]).cursor is None


def test_sequence_is_a_column_of_its_own_only_without_lineage():
    assert compiled({}, sequence=True).sequence
    assert not compiled({}, sequence=True, lineage=True).sequence


def test_what_is_not_loaded_is_still_checked():
    schema = {"properties": {"v": {}, "w": {"type": "string"}}}
    assert compiled({}, schema=schema).others == {"w": types("string")}
    assert compiled({}, schema=schema, validate=False).others == {}


def test_ignored_properties():
    assert compiled({}, ignored=["x", "v"]).ignored == {"x", *SDK_NAMES}
    assert compiled({}, ignored=["x"], schema={"additionalProperties": False}).ignored == frozenset()


def test_a_required_property_that_no_record_could_have():
    assert compiled({}, schema={"required": ["w"]}) is None
    assert compiled({}, schema={"required": ["w"]}, ignored=["w"]).required == {"w"}


def test_names_that_are_no_unicode():
    assert compiled({}, ignored=["\ud800"]) is None


def test_a_record_that_may_be_no_object():
    assert compiled({}, schema={"type": "array"}) is None
    assert compiled({}, schema={"type": ["null", "object"]}) is not None
    assert ANYTHING.types == TYPES
