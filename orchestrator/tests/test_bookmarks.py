from __future__ import annotations

from typing import Any

import pytest

from ipai import bookmarks
from ipai.errors import SpecError

STORED = {"bookmarks": {"a": 1, "b": 2}, "note": "x"}


@pytest.mark.parametrize(
    ("stored", "printed", "only", "expected"),
    [
        # All streams: what is printed counts, what is not mentioned stays.
        (STORED, {"bookmarks": {"a": 9}}, None, {"bookmarks": {"a": 9, "b": 2}}),
        # Some streams: the others stay whatever the tap says about them.
        (STORED, {"bookmarks": {"a": 9, "b": 0}, "note": "y"}, ["a"], {"bookmarks": {"a": 9, "b": 2}, "note": "x"}),
        (STORED, {"bookmarks": {"c": 3}}, ["c"], {"bookmarks": {"a": 1, "b": 2, "c": 3}, "note": "x"}),
        # Taps that put streams at the top.
        ({"a": 1, "b": 2}, {"a": 5, "b": 6}, ["a"], {"a": 5, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 5}, None, {"a": 5, "b": 2}),
        ({}, {"bookmarks": {"a": 1}}, ["a"], {"bookmarks": {"a": 1}}),
        ({}, {}, None, {}),
        # What a tap drops at its end, such as the stream it was busy with, is not kept.
        ({"bookmarks": {"a": 1}, "currently_syncing": "a"}, {"bookmarks": {"a": 2}}, None, {"bookmarks": {"a": 2}}),
    ],
)
def test_merge(
    stored: dict[str, Any], printed: dict[str, Any], only: list[str] | None, expected: dict[str, Any]
) -> None:
    assert bookmarks.merge(stored, printed, only) == expected


def test_without() -> None:
    assert bookmarks.without(STORED, ["a"]) == {"bookmarks": {"b": 2}, "note": "x"}
    assert bookmarks.without({"a": 1, "b": 2}, ["a"]) == {"b": 2}
    assert bookmarks.without(STORED, None) == {}


@pytest.mark.parametrize(
    "document",
    [
        {"bookmarks": {"a": 1}},
        {"singer_state": {"bookmarks": {"a": 1}}},
        {"completed": {"singer_state": {"bookmarks": {"a": 1}}}, "partial": {}},
        {"type": "STATE", "value": {"bookmarks": {"a": 1}}},
    ],
)
def test_every_form_is_read(document: dict[str, Any]) -> None:
    assert bookmarks.from_document(document) == {"bookmarks": {"a": 1}}


def test_meltanos_form_goes_round() -> None:
    assert bookmarks.from_document(bookmarks.to_meltano(STORED)) == STORED


def test_a_stream_may_bear_any_name() -> None:
    document = {"value": {"id": 3}, "orders": {"id": 5}}
    assert bookmarks.from_document(document) == document


@pytest.mark.parametrize("document", [[1], "x", None, {"bookmarks": []}, {"singer_state": None}, {"type": "RECORD"}])
def test_something_else_is_refused(document: Any) -> None:
    with pytest.raises(SpecError):
        bookmarks.from_document(document)
