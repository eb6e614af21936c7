from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipai.control_plane import StreamCost
from ipai.partition import partition
from ipai.singer_catalog import selected_streams


def catalog(*names: str, parents: dict[str, str] | None = None, deselected: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "streams": [
            {
                "tap_stream_id": f"id-{name}",
                "stream": name,
                "schema": {"properties": {"id": {}}},
                "metadata": [
                    {
                        "breadcrumb": [],
                        "metadata": {
                            "selected": name not in deselected,
                            **({"parent-tap-stream-id": f"id-{parents[name]}"} if name in (parents or {}) else {}),
                        },
                    }
                ],
            }
            for name in names
        ]
    }


def costs(**seconds: float) -> dict[str, StreamCost]:
    return {name: StreamCost(name, value, None) for name, value in seconds.items()}


def streams(parts: list[dict[str, Any]]) -> list[list[str]]:
    return [sorted(selected_streams(part)) for part in parts]


def test_the_longest_stream_has_a_pipeline_to_itself() -> None:
    parts = partition(catalog("a", "b", "c", "d"), 2, costs(a=100, b=10, c=10, d=10))
    assert streams(parts) == [["a"], ["b", "c", "d"]]


def test_a_stream_that_never_ran_counts_as_the_average() -> None:
    parts = partition(catalog("a", "b", "new"), 2, costs(a=10, b=2))
    assert streams(parts) == [["a"], ["b", "new"]]


def test_children_stay_with_their_parents_even_if_those_are_not_selected() -> None:
    family = catalog(
        "repos", "commits", "issues", "x", "y", parents={"commits": "repos", "issues": "repos"}, deselected=("repos",)
    )
    assert streams(partition(family, 3, {})) == [["commits", "issues"], ["x"], ["y"]]


def test_what_is_to_stay_together_does() -> None:
    parts = partition(catalog("a", "b", "c"), 3, {}, together=[["a", "c"], ["c", "gone"]])
    assert streams(parts) == [["a", "c"], ["b"]]


@pytest.mark.parametrize("parts", [1, 5])
def test_one_family_is_one_pipeline(parts: int) -> None:
    whole = catalog("a")
    assert partition(whole, parts, {}) == [whole]


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 1000))
def test_every_stream_is_in_exactly_one_pipeline(parts: int, number: int, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"s{index}" for index in range(number)]
    parents = {name: chance.choice(names) for name in names if chance.random() < 0.3}
    known = costs(**{name: chance.expovariate(0.1) for name in names if chance.random() < 0.7})
    split = streams(partition(catalog(*names, parents=parents), parts, known))
    assert sorted(name for part in split for name in part) == sorted(names)
    assert all(split)
    for child, parent in parents.items():
        assert any({child, parent} <= set(part) for part in split)
