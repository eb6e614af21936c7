"""What GraphQL is asked, against its own schema."""

from __future__ import annotations

from itertools import groupby

import pytest
from fake_github.cost import LARGEST, measured
from fake_github.shapes import GRAPHQL
from graphql import parse, validate

from singer_kit.testing.api.graphql import read_schema
from tap_github.graphql import Nodes
from tap_github.queries import PARTS, write_query
from tap_github.streams.table import STREAMS

TYPES = {
    on: list(names)
    for on, names in groupby(sorted(PARTS, key=lambda name: PARTS[name].on), lambda name: PARTS[name].on)
}


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_legal(name: str) -> None:
    for size in (None, 1, 100):
        assert validate(read_schema(GRAPHQL), parse(write_query([name], size=size))) == []


@pytest.mark.parametrize("on", TYPES)
def test_parts_of_the_same_type_go_together(on: str) -> None:
    assert validate(read_schema(GRAPHQL), parse(write_query(TYPES[on]))) == []


@pytest.mark.parametrize("name", PARTS)
def test_a_full_batch_costs_less_than_a_request_each(name: str) -> None:
    """By GitHub's way of counting, for 50 nodes at once: the node itself is one of a list of 50."""
    query = write_query([name])
    body = query[query.index("{ nodes") :].replace("nodes(ids: $ids)", "nodes: search(first: 50)")
    points, nodes = measured(f"query {body}", {})
    assert points <= 25, points
    assert nodes < LARGEST


def test_parts_are_those_of_streams() -> None:
    assert {name for name, spec in STREAMS.items() if spec.batched} == {
        name for name in PARTS if not name.startswith("survey")
    }


class Server:
    """Answers of GraphQL in their order; remembers what was asked."""

    def __init__(self, *answers) -> None:
        self.answers, self.asked = list(answers), []

    def query(self, _, variables, **__):
        self.asked.append(variables["ids"])
        answer = self.answers.pop(0)
        return answer(variables["ids"]) if callable(answer) else answer


def fine(ids):
    return {"data": {"nodes": [{"id": each, "databaseId": 1} for each in ids]}}


def test_what_is_too_heavy_is_asked_in_halves() -> None:
    server = Server(
        {"heavy": 502}, {"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "no"}]}, fine, fine, fine, fine
    )
    nodes = Nodes(server, "repositories", ["survey"], 4)
    assert [key for key, _ in nodes.read(list("abcd"))] == list("abcd")
    assert [len(ids) for ids in server.asked] == [4, 2, 1, 1, 1, 1]


def test_what_nobody_may_know_is_not_asked_for_again() -> None:
    denied = [{"type": "FORBIDDEN", "message": "Resource not accessible", "path": ["nodes", each, "deployments"]}
              for each in (0, 1)]  # fmt: skip
    server = Server({"data": {"nodes": [None, None]}, "errors": denied})
    found = dict(Nodes(server, "repositories", ["survey"], 4).read(["a", "b"]))
    assert [error.status for error in found.values()] == [403, 403]
    assert len(server.asked) == 1


def test_a_query_that_timed_out_is_asked_in_halves() -> None:
    late = {"data": None, "errors": [{"message": "Something went wrong while executing your query."}]}
    server = Server(late, fine, fine)
    assert [key for key, _ in Nodes(server, "repositories", ["survey"], 2).read(["a", "b"])] == ["a", "b"]


def test_a_part_that_failed_is_asked_again_alone() -> None:
    partly = {"data": {"nodes": [{"id": "a", "databaseId": 1}, {"id": "b", "databaseId": None}]},
              "errors": [{"message": "Something went wrong", "path": ["nodes", 1, "issues"]}]}  # fmt: skip
    server = Server(partly, fine)
    found = dict(Nodes(server, "repositories", ["survey"], 4).read(["a", "b"]))
    assert found == {"a": {"id": "a", "databaseId": 1}, "b": {"id": "b", "databaseId": 1}}
    assert server.asked == [["a", "b"], ["b"]]


def test_a_node_that_is_gone_is_an_error_of_its_own() -> None:
    gone = {"data": {"nodes": [{"id": "a", "databaseId": 1}, None]},
            "errors": [{"type": "NOT_FOUND", "message": "Could not resolve", "path": ["nodes", 1]}]}  # fmt: skip
    server = Server(gone, {"data": {"nodes": [None]}, "errors": [{**gone["errors"][0], "path": ["nodes", 0]}]})
    found = dict(Nodes(server, "repositories", ["survey"], 4).read(["a", "b"]))
    assert found["a"]["databaseId"] == 1
    assert found["b"].status == 404
