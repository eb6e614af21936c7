"""What differs between two schemas of a stream, and what only is written differently."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipai.drift import Change, StreamSchema, as_json, compare, policies, severity, stream_schemas
from ipai.shapes import shape

if TYPE_CHECKING:
    import random


def stream(schema: Any, **more: Any) -> StreamSchema:
    return StreamSchema("orders", {"properties": schema}, **more)


def kinds(before: Any, after: Any) -> list[tuple[str | None, str]]:
    return [(each.property, each.kind) for each in compare(stream({"a": before}), stream({"a": after}))]


INTEGER, NUMBER, STRING = {"type": "integer"}, {"type": "number"}, {"type": "string"}
DATE, DATE_TIME = {"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}
OBJECT = {"type": "object", "properties": {"b": INTEGER}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INTEGER, NUMBER),
        (INTEGER, STRING),
        (NUMBER, STRING),
        (DATE, DATE_TIME),
        (DATE_TIME, STRING),
        ({"type": "boolean"}, STRING),
        (INTEGER, {"type": ["integer", "null"]}),
        ({"type": "null"}, {"type": ["null", "object"]}),
        (INTEGER, {"type": ["integer", "string"]}),
        (STRING, {"type": ["string", "object"]}),
        (OBJECT, {}),
        (STRING | {"maxLength": 5}, STRING | {"maxLength": 6}),
        (STRING | {"maxLength": 5}, STRING),
        (INTEGER | {"minimum": -32768, "maximum": 32767}, INTEGER | {"minimum": -(2**31), "maximum": 2**31 - 1}),
        (STRING | {"enum": ["x", "y"]}, STRING | {"enum": ["y", "x", "z"]}),
        (STRING | {"enum": ["x", "y"]}, STRING),
        ({"const": "x"}, {"enum": ["x", "y"]}),
        ({"type": "string", "contentEncoding": "base64"}, STRING),
    ],
)
def test_widening_and_its_mirror_image(before: Any, after: Any) -> None:
    assert kinds(before, after) == [("a", "widened")]
    assert kinds(after, before) == [("a", "narrowed")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INTEGER, OBJECT),
        (INTEGER, {"type": "boolean"}),
        (DATE, {"type": "string", "format": "time"}),
        (NUMBER, DATE),
        ({"type": ["integer", "null"]}, STRING),  # wider and narrower at once
        (STRING | {"enum": ["x"]}, STRING | {"enum": ["y"]}),
        (INTEGER | {"maximum": 9}, INTEGER | {"minimum": 0}),
    ],
)
def test_a_changed_type(before: Any, after: Any) -> None:
    assert kinds(before, after) == kinds(after, before) == [("a", "type_changed")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"type": "string"}, {"type": ["string"]}),
        ({"type": ["null", "string"]}, {"type": ["string", "null"]}),
        ({"type": ["null", "string"], "maxLength": 5}, {"anyOf": [{"type": "null"}, STRING | {"maxLength": 5}]}),
        (
            {"type": ["null", "integer", "string"], "maxLength": 5},
            {"oneOf": [INTEGER, STRING | {"maxLength": 5}, {"type": "null"}]},
        ),
        (DATE_TIME, DATE_TIME | {"description": "x", "title": "X", "default": None, "pattern": "x", "minLength": 1}),
        ({"enum": ["x", None]}, {"type": ["string", "null"], "enum": [None, "x"]}),
        (NUMBER, {"type": "string", "format": "singer.decimal"}),
        (STRING, {"type": "string", "format": "email"}),
        (
            {"allOf": [{"type": "object"}, {"properties": {"b": INTEGER}}]},
            OBJECT | {"additionalProperties": True, "required": ["b"]},
        ),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": ["integer", "number"]}, NUMBER),
        ({}, {"$ref": "#/definitions/a"}),
    ],
)  # fmt: skip
def test_another_way_of_writing_is_no_drift(one: Any, other: Any) -> None:
    assert kinds(one, other) == kinds(other, one) == []


def test_properties_of_objects_and_items_of_arrays_have_paths() -> None:
    before = {
        "who": {"type": "object", "properties": {"city": STRING, "zip": INTEGER, "old": STRING}},
        "tags": {"type": "array", "items": INTEGER},
    }
    after = {
        "who": {"type": "object", "properties": {"city": INTEGER, "zip": INTEGER, "new": OBJECT}},
        "tags": {"type": "array", "items": STRING},
    }
    found = compare(stream(before), stream(after))
    assert [(each.property, each.kind, each.column()) for each in found] == [
        ("tags[]", "widened", "tags"),
        ("who.city", "narrowed", "who"),
        ("who.new", "added", "who"),
        ("who.old", "removed", "who"),
    ]
    assert kinds({"type": "array", "items": OBJECT}, {"type": "array", "items": {"type": "object"}}) == [
        ("a[].b", "removed")
    ]


def test_what_is_in_words() -> None:
    before = stream(
        {"id": INTEGER, "note": {"type": ["null", "string"], "maxLength": 5}, "n": INTEGER}, key_properties=("id",)
    )
    after = stream(
        {"id": INTEGER, "n": NUMBER, "x": {"enum": ["b", "a"]}}, key_properties=("id", "x"), replication_key="n"
    )
    assert [str(each) for each in compare(before, after)] == [
        "orders.n widened (integer → number)",
        "orders.note removed (string(5) or null)",
        'orders.x added (string in "a", "b")',
        "orders key changed (id → id, x)",
        "orders replication key changed (none → n)",
    ]  # fmt: skip


def test_the_order_of_keys_is_no_drift() -> None:
    assert compare(stream({}, key_properties=("a", "b")), stream({}, key_properties=("b", "a"))) == []


def test_what_is_not_selected_is_nobodys_business() -> None:
    before, after = stream({"a": INTEGER, "b": INTEGER}), stream({"a": STRING, "c": INTEGER})
    names = frozenset("abc")
    assert (
        compare(
            dataclasses.replace(before, left_out=frozenset("ab")), dataclasses.replace(after, left_out=frozenset("ac"))
        )
        == []
    )
    for name in names:
        rest = compare(before, dataclasses.replace(after, left_out=frozenset(name)))
        assert {each.property for each in rest} == names - {name}


def test_selection_is_read_as_taps_write_it() -> None:
    def item(name: str, **metadata: Any) -> dict[str, Any]:
        return {"breadcrumb": ["properties", name], "metadata": metadata}

    entry = {
        "tap_stream_id": "orders", "stream": "orders", "schema": {"properties": dict.fromkeys("abcdefg", INTEGER)},
        "metadata": [
            {"breadcrumb": [], "metadata": {"selected": True, "table-key-properties": ["a"], "replication-key": "b"}},
            item("a", inclusion="automatic", selected=False), item("b", selected=True), item("c", selected=False),
            item("d", inclusion="unsupported", selected=True), item("e", **{"selected-by-default": False}),
            item("f", **{"selected": None, "selected-by-default": True}),
        ],
    }  # fmt: skip
    found, _ = stream_schemas({"streams": [entry, {"stream": "other", "metadata": []}]})
    assert (found.key_properties, found.replication_key, found.left_out) == (("a",), "b", frozenset("cde"))


def test_what_postgres_cannot_store_is_not_stored() -> None:
    found = compare(stream({}), StreamSchema.of("or\0ders", {"properties": {"a\0\ud800": INTEGER}}, ["\0"], "\ud800"))
    assert [(each.stream, each.property, each.after) for each in found] == [
        ("or\ufffdders", "a\ufffd?", "integer"), ("or\ufffdders", None, "\ufffd"), ("or\ufffdders", None, "?"),
    ]  # fmt: skip
    assert as_json({"maximum": float("inf"), "minimum": float("nan")}) == '{"maximum":null,"minimum":null}'


def test_no_schema_is_too_deep_or_too_strange() -> None:
    deep: Any = INTEGER
    for _ in range(200):
        deep = {"type": "object", "properties": {"a": deep}}
    assert kinds(deep, deep) == kinds(deep, copy.deepcopy(deep)) == []
    for strange in (
        True, False, None, 5, "x", [], {"type": 5}, {"type": [5]}, {"type": []}, {"anyOf": 5}, {"enum": 5},
        {"properties": 5}, {"type": "object", "properties": []}, {"type": "decimal"}, {"maxLength": "5"},
    ):  # fmt: skip
        assert kinds(strange, strange) == []
        compare(stream({"a": strange}), stream({"a": STRING}))
        compare(StreamSchema("a", {"properties": strange}), stream({"a": STRING}))


def test_policies_of_a_spec() -> None:
    assert policies(None) == {}
    assert policies({"removed": "fail"}) == {"removed": "fail"}
    everything = policies("pause")
    assert set(everything.values()) == {"pause"}
    assert {"added", "stream_removed", "key_changed"} < everything.keys()


def test_a_lost_column_is_worse_where_a_model_reads_it() -> None:
    assert (severity("removed", read=False), severity("removed", read=True)) == ("warning", "breaking")
    assert (severity("added", read=True), severity("key_changed", read=False)) == ("info", "breaking")


# Properties of any schemas

_NAMES = st.sampled_from(["id", "note", "tags", "who", "when"])
_TYPES = st.sampled_from(["integer", "number", "string", "boolean", "null"])
_SCALARS = st.fixed_dictionaries(
    {"type": st.lists(_TYPES, min_size=1, max_size=3, unique=True)},
    optional={
        "format": st.sampled_from(["date", "date-time", "time", "uuid", "singer.decimal", "email"]),
        "maxLength": st.integers(0, 9), "minimum": st.integers(-9, 9), "maximum": st.integers(-9, 9),
        "enum": st.lists(st.sampled_from(["x", "y", 1, None]), min_size=1, max_size=3, unique=True),
        "contentEncoding": st.just("base64"),
    },
)  # fmt: skip


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda p: {"type": ["object", "null"], "properties": p}, st.dictionaries(_NAMES, inner, max_size=3)),
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.builds(lambda v: {"anyOf": v}, st.lists(inner, min_size=1, max_size=3)),
    )


SCHEMAS = st.recursive(st.one_of(_SCALARS, st.just({})), _compound, max_leaves=8)
STREAMS = st.builds(
    lambda properties, keys, mark: stream(properties, key_properties=tuple(keys), replication_key=mark),
    st.dictionaries(_NAMES, SCHEMAS, max_size=4), st.lists(_NAMES, unique=True, max_size=2), st.none() | _NAMES,
)  # fmt: skip
_MIRROR: Any = {
    "added": "removed", "removed": "added", "widened": "narrowed", "narrowed": "widened",
    "type_changed": "type_changed", "key_changed": "key_changed", "replication_key_changed": "replication_key_changed",
}  # fmt: skip


def rewritten(schema: Any, chance: random.Random) -> Any:
    """The same in other words: order, notes, type lists as anyOf."""
    if isinstance(schema, list):
        return [rewritten(each, chance) for each in schema]
    if not isinstance(schema, dict):
        return schema
    items = [
        (key, chance.sample(v, len(v)) if key in ("type", "enum") and isinstance(v, list) else v)
        for key, v in schema.items()
    ]
    chance.shuffle(items)
    made: dict[str, Any] = {}
    for key, value in items:
        if key == "properties":
            names = list(value)
            chance.shuffle(names)
            made[key] = {name: rewritten(value[name], chance) for name in names}
        else:
            made[key] = rewritten(value, chance) if key in ("items", "anyOf") else value
    if isinstance(made.get("type"), list) and chance.random() < 0.5:
        rest = {key: value for key, value in made.items() if key != "type"}
        made = {chance.choice(["anyOf", "oneOf"]): [{"type": name, **rest} for name in made["type"]]}
    if chance.random() < 0.5:
        made["description"] = "x"
    return made


@given(STREAMS)
def test_nothing_differs_from_itself(one: StreamSchema) -> None:
    # Not the very same object, or nothing would be compared at all.
    other = StreamSchema(one.stream, {**one.schema, "description": "x"}, one.key_properties, one.replication_key)
    assert compare(one, other) == compare(other, one) == []


@given(STREAMS, st.randoms(use_true_random=False))
def test_other_words_are_no_drift(one: StreamSchema, chance: random.Random) -> None:
    properties = rewritten({"properties": one.schema["properties"]}, chance)["properties"]
    keys = chance.sample(one.key_properties, len(one.key_properties))
    assert compare(one, stream(properties, key_properties=tuple(keys), replication_key=one.replication_key)) == []


@given(STREAMS, STREAMS)
def test_there_and_back_are_mirror_images(one: StreamSchema, other: StreamSchema) -> None:
    back = [Change(c.stream, c.property, _MIRROR[c.kind], c.after, c.before) for c in compare(other, one)]
    assert compare(one, other) == back


@given(SCHEMAS, SCHEMAS)
def test_a_union_is_wider_than_its_parts(one: Any, other: Any) -> None:
    both = shape({"anyOf": [one, other]})
    assert both.holds(shape(one))
    assert both.holds(shape(other))


@given(STREAMS, STREAMS)
def test_what_differs_is_told(one: StreamSchema, other: StreamSchema) -> None:
    """Each property that only one side has, and nothing that neither has."""
    found = {each.property for each in compare(one, other)}
    mine, theirs = set(one.schema["properties"]), set(other.schema["properties"])
    assert mine ^ theirs <= found
    assert {path.partition(".")[0].partition("[")[0] for path in found if path} <= mine | theirs
