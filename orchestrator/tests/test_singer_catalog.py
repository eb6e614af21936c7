from __future__ import annotations

from typing import Any

import pytest

from ipai.errors import SpecError
from ipai.singer_catalog import catalog_problems, parse_catalog, select, selected_bookmarks, selected_streams
from ipai.specs import StreamRule


def catalog(**selected: bool | None) -> dict[str, Any]:
    def entry(name: str, chosen: bool | None) -> dict[str, Any]:
        root = {} if chosen is None else {"selected": chosen}
        properties = {"id": {"type": "integer"}, "note": {"type": "string"}}
        return {
            "tap_stream_id": name, "stream": name, "schema": {"properties": properties},
            "metadata": [{"breadcrumb": [], "metadata": root}],
        }  # fmt: skip

    return {"streams": [entry(name, chosen) for name, chosen in selected.items()]}


@pytest.mark.parametrize(
    ("rules", "only", "expected"),
    [
        ([], None, ["a1"]),
        (["a*"], None, ["a1", "a2"]),
        (["*"], None, ["a1", "a2", "b"]),
        ([], ["b"], ["b"]),
        (["a*"], ["b", "a1"], ["a1", "b"]),
    ],
)
def test_selection(rules: list[str], only: list[str] | None, expected: list[str]) -> None:
    given = catalog(a1=True, a2=False, b=False)
    assert selected_streams(select(given, [StreamRule(rule) for rule in rules], only)) == expected
    assert selected_streams(given) == ["a1"]  # untouched


def test_a_tap_that_selects_nothing_means_everything() -> None:
    assert selected_streams(select(catalog(a=None, b=None), [])) == ["a", "b"]


def test_a_rule_changes_its_streams_entries() -> None:
    rule = StreamRule("a", "FULL_TABLE", "note", ("id", "note"), frozenset({"note"}))
    entry, other = select(catalog(a=True, b=True), [rule, StreamRule("b")])["streams"]
    root = entry["metadata"][0]["metadata"]
    assert (entry["replication_method"], entry["replication_key"], entry["key_properties"]) == (
        "FULL_TABLE",
        "note",
        ["id", "note"],
    )
    assert root["forced-replication-method"] == "FULL_TABLE"
    assert {"breadcrumb": ["properties", "note"], "metadata": {"selected": False}} in entry["metadata"]
    assert "replication_method" not in other


@pytest.mark.parametrize("rule", [StreamRule("c"), StreamRule("a", exclude=frozenset({"nope"}))])
def test_what_is_not_there_is_refused(rule: StreamRule) -> None:
    with pytest.raises(SpecError):
        select(catalog(a=True), [rule])


@pytest.mark.parametrize("text", ["hello", "[]", '{"no": 1}', "", '{"streams": [1]}', '{"streams": [{}]}'])
def test_what_is_no_catalog_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="no Singer catalog"):
        parse_catalog(text)


@pytest.mark.parametrize("pattern", ["orders", "public-orders", "public-*"])
def test_a_stream_of_two_names_answers_to_both(pattern: str) -> None:
    """Older taps say stream `orders` in the catalog, and the tap_stream_id in messages and bookmarks."""
    found = parse_catalog('{"streams": [{"stream": "orders", "tap_stream_id": "public-orders", "schema": {}}]}')
    for chosen in (select(found, [StreamRule(pattern)]), select(found, [], [pattern])):
        assert selected_streams(chosen) == ["orders"]
        assert selected_bookmarks(chosen) == {"orders", "public-orders"}


def test_null_is_nothing() -> None:
    parsed = parse_catalog('{"streams": [{"stream": "a", "metadata": null, "schema": null}]}')
    assert selected_streams(select(parsed, [])) == ["a"]


def test_a_catalog_that_cannot_be_used_says_why() -> None:
    bad = catalog(a=True)
    bad["streams"] += [{**bad["streams"][0], "replication_key": "gone"}, {"tap_stream_id": "b", "schema": {}}, {}]
    assert list(catalog_problems(bad)) == [
        "a: is there twice",
        "a: 'gone' is a key but no property",
        "b: its schema has no properties",
        "a stream has no tap_stream_id",
    ]


def test_a_glob_may_exclude_what_only_some_of_its_streams_have() -> None:
    given = catalog(a1=True, a2=True)
    del given["streams"][1]["schema"]["properties"]["note"]
    first, second = select(given, [StreamRule("a*", exclude=frozenset({"note"}))])["streams"]
    assert {"breadcrumb": ["properties", "note"], "metadata": {"selected": False}} in first["metadata"]
    assert len(second["metadata"]) == 1
