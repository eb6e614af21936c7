"""Requests and answers against descriptions: OpenAPI, Swagger, Google discovery and GraphQL."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from singer_kit.testing.api import Answer, Collection, FakeApi, Fault, describe, link_cursor
from singer_kit.testing.api.graphql import GraphQL, read_schema

OPENAPI = {
    "openapi": "3.0.3",
    "info": {},
    "paths": {
        "/shops/{shop_id}/items": {
            "parameters": [{"$ref": "#/components/parameters/shop"}],
            "get": {
                "parameters": [
                    {"name": "per_page", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                    {"name": "sort", "in": "query", "required": True, "schema": {"$ref": "#/components/schemas/sort"}},
                    {"name": "since", "in": "query", "schema": {"type": "string", "format": "date-time"}},
                    {"name": "flag", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "ids", "in": "query", "explode": False,
                     "schema": {"type": "array", "items": {"type": "integer"}}},
                    {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                    {"name": "X-Version", "in": "header", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {
                        "schema": {"type": "array", "items": {"$ref": "#/components/schemas/item"}}}}},
                    "404": {"$ref": "#/components/responses/missing"},
                },
            },
            "post": {
                "requestBody": {"required": True, "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/item"}}}},
                "responses": {"2XX": {"description": "fine"}},
            },
        }
    },
    "components": {
        "parameters": {"shop": {"name": "shop_id", "in": "path", "required": True, "schema": {"type": "integer"}}},
        "responses": {
            "missing": {"content": {"application/json": {"schema": {"type": "object", "required": ["code"]}}}}},
        "schemas": {
            "sort": {"type": "string", "enum": ["name", "id"]},
            "item": {
                "type": "object",
                "required": ["id", "owner"],
                "properties": {
                    "id": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
                    "owner": {"nullable": True, "allOf": [{"$ref": "#/components/schemas/owner"}]},
                    "state": {"type": "string", "nullable": True, "enum": ["open"]},
                    "nullable": {"type": "string"},
                    "updated_at": {"type": "string", "format": "date-time"},
                    "part": {"oneOf": [{"$ref": "#/components/schemas/owner"}, {"type": "string"}]},
                    "parent": {"$ref": "#/components/schemas/item"},
                },
            },
            "owner": {"type": "object", "required": ["login"], "properties": {"login": {"type": "string"}}},
        },
    },
}  # fmt: skip
ITEM = {"id": 1, "owner": {"login": "a"}, "state": None, "updated_at": "2024-01-01T00:00:00Z"}


def complaints_about(query: str, document=OPENAPI, path="/shops/1/items", **options: Any) -> list[str]:
    with FakeApi(describe(document), strict=False) as api:
        api.route("GET", "/shops/{shop}/items", lambda _: Answer([ITEM]))
        answer = requests.get(f"{api.url}{path}?{query}", timeout=5, **options)
        assert answer.status_code == (422 if api.complaints else 200)
        return [each.partition(": ")[2] for each in api.complaints]


LEGAL = {"X-Version": "1"}


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("sort=name", ""),
        ("sort=name&per_page=100&since=2024-01-01T00:00:00Z&flag=true&ids=1,2&filter[a]=1", ""),
        ("", "query parameter 'sort' is required"),
        ("sort=bogus", "query parameter 'sort': \"bogus\" is not one of"),
        ("sort=name&page=2", "query parameter 'page' is unknown"),
        ("sort=name&per_page=101", "query parameter 'per_page': 101 is greater than the maximum of 100"),
        ("sort=name&per_page=many", "query parameter 'per_page': \"many\" is not of type"),
        ("sort=name&since=yesterday", 'query parameter \'since\': "yesterday" is not a "date-time"'),
        ("sort=name&flag=1", "query parameter 'flag'"),
        ("sort=name&ids=1,x", "query parameter 'ids': [1]: \"x\" is not of type"),
    ],
)
def test_requests_against_openapi(query, problem) -> None:
    found = complaints_about(query, headers=LEGAL)
    assert len(found) == bool(problem)
    assert "".join(found).startswith(problem)


def test_paths_and_headers_against_openapi() -> None:
    assert complaints_about("sort=id", path="/shops/x/items", headers=LEGAL)[0].startswith("path 'shop_id'")
    assert complaints_about("sort=id") == ["header 'X-Version' is required"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"owner": None}, ""),
        ({"part": "x", "parent": ITEM}, ""),
        ({"unknown": 1}, ""),
        ({"id": 0}, "[0].id"),
        ({"id": "1"}, "[0].id"),
        ({"owner": {}}, "[0].owner"),
        ({"state": "shut"}, "[0].state"),
        ({"updated_at": "2024-01-01"}, "[0].updated_at"),
        ({"updated_at": None}, "[0].updated_at"),
        ({"part": 1}, "[0].part"),
        ({"nullable": 5}, "[0].nullable"),
        ({"parent": {**ITEM, "id": None}}, "[0].parent.id"),
    ],
)
def test_answers_against_openapi(change, problem) -> None:
    with FakeApi(describe(OPENAPI), strict=False) as api:
        api.route("GET", "/shops/{shop}/items", lambda _: Answer([{**ITEM, **change}]))
        assert requests.get(f"{api.url}/shops/1/items?sort=id", headers=LEGAL, timeout=5).status_code == 200
    assert len(api.complaints) == bool(problem)
    assert f"answer 200: {problem}" in "".join(api.complaints) or not problem


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer({"code": 1}, 404), ""),
        (Answer({"message": 1}, 404), 'answer 404: it: "code" is a required property'),
        (Answer({}, 418), ""),
        (Answer({}, 202), "answer 202: status 202 is not described"),
        (Answer(status=304), ""),
        (Answer(body="<html>"), "answer 200: the body of status 200 is no JSON"),
    ],
)
def test_statuses_against_openapi(answer, problem) -> None:
    with FakeApi(describe(OPENAPI), strict=False) as api:
        api.route("GET", "/shops/{shop}/items", lambda _: answer)
        requests.get(f"{api.url}/shops/1/items?sort=id", headers=LEGAL, timeout=5)
    assert [each.partition(": ")[2] for each in api.complaints] == ([problem] if problem else [])


def test_faults_are_not_checked() -> None:
    with FakeApi(describe(OPENAPI)) as api:
        api.route("GET", "/shops/{shop}/items", lambda _: Answer([ITEM]))
        api.fault(Fault(Answer({}, 404)))
        requests.get(f"{api.url}/shops/1/items?sort=id", headers=LEGAL, timeout=5)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (json.dumps(ITEM), ""),
        ("", "a body is required"),
        ("{", "the body is no JSON"),
        ('{"id": 1}', 'body: it: "owner" is a required property'),
    ],
)
def test_bodies_against_openapi(body, problem) -> None:
    with FakeApi(describe(OPENAPI), strict=False) as api:
        api.route("POST", "/shops/{shop}/items", lambda _: Answer({}, 201))
        headers = {"Content-Type": "application/json"}
        requests.post(f"{api.url}/shops/1/items", data=body, headers=headers, timeout=5)
    assert [each.partition(": ")[2] for each in api.complaints] == ([problem] if problem else [])


def test_routes_that_the_description_calls_otherwise_or_not_at_all() -> None:
    with FakeApi(describe(OPENAPI), strict=False) as api:
        items = Collection(lambda _: [ITEM, {**ITEM, "id": 2}], link_cursor(size=1))
        api.route("GET", "/numbers/{number}", items, like="/shops/{shop}/items", also=["after"])
        api.route("GET", "/free", lambda _: Answer("anything"), described=False)
        api.route("GET", "/unknown", lambda _: Answer("anything"))
        first = requests.get(f"{api.url}/numbers/5?sort=id", headers=LEGAL, timeout=5)
        assert requests.get(first.links["next"]["url"], headers=LEGAL, timeout=5).json() == [{**ITEM, "id": 2}]
        assert requests.get(f"{api.url}/free?x=1", timeout=5).json() == "anything"
        assert requests.get(f"{api.url}/unknown", timeout=5).status_code == 422
    assert api.complaints == ["GET /unknown: the description has no GET /unknown"]


SWAGGER = {
    "swagger": "2.0",
    "paths": {
        "/shops/{shop}/items": {
            "get": {
                "parameters": [
                    {"name": "shop", "in": "path", "required": True, "type": "integer"},
                    {"name": "limit", "in": "query", "type": "integer", "maximum": 10},
                    {"name": "tags", "in": "query", "type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
                    {"name": "ids", "in": "query", "type": "array", "collectionFormat": "multi",
                     "items": {"type": "integer"}},
                ],
                "responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/item"}}}},
            },
            "post": {
                "parameters": [{"name": "body", "in": "body", "schema": {"$ref": "#/definitions/item"}}],
                "responses": {"200": {}},
            },
        },
    },
    "definitions": {"item": {
        "type": "object", "required": ["id"],
        "properties": {"id": {"type": "integer"}, "state": {"type": "string", "x-nullable": True}}}},
}  # fmt: skip


def test_swagger() -> None:
    assert complaints_about("limit=10&tags=a,b&ids=1&ids=2", SWAGGER) == []
    assert "'limit': 11 is greater" in complaints_about("limit=11", SWAGGER)[0]
    assert "'tags': [1]: \"c\"" in complaints_about("tags=a,c", SWAGGER)[0]
    assert "'ids': [1]: \"x\"" in complaints_about("ids=1&ids=x", SWAGGER)[0]
    with FakeApi(describe(SWAGGER), strict=False) as api:
        api.route("GET", "/shops/{id}/items", lambda _: Answer([{"id": "1"}]))
        api.route("POST", "/shops/{id}/items", lambda _: Answer({}))
        requests.get(f"{api.url}/shops/1/items", timeout=5)
        requests.post(f"{api.url}/shops/1/items", json={}, timeout=5)
    assert [each.partition(": ")[2] for each in api.complaints] == [
        'answer 200: [0].id: "1" is not of type "integer"',
        'body: it: "id" is a required property',
    ]


DISCOVERY = {
    "discoveryVersion": "v1",
    "servicePath": "api/v1/",
    "parameters": {"alt": {"type": "string", "enum": ["json"], "location": "query"}},
    "resources": {"shops": {"methods": {"run": {
        "httpMethod": "POST", "path": "{+shop}:run", "flatPath": "shops/{shopsId}:run",
        "parameters": {"max": {"type": "integer", "format": "int32", "location": "query", "required": True,
                               "minimum": "1", "maximum": "50"},
                       "shop": {"type": "string", "location": "path", "required": True}},
        "request": {"$ref": "Run"}, "response": {"$ref": "Report"}}}}},
    "schemas": {
        "Run": {"type": "object", "properties": {"kind": {"type": "string", "enum": ["A", "B"]}}},
        "Report": {"type": "object", "properties": {
            "count": {"type": "string", "format": "int64"},
            "rows": {"type": "array", "items": {"$ref": "Run"}},
            "extra": {"type": "object", "additionalProperties": {"type": "any"}}}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "body", "answer", "problem"),
    [
        ("max=1&alt=json", {"kind": "A"}, {"count": "-12", "rows": [{}], "extra": {"x": 1}}, ""),
        ("", {}, {}, "query parameter 'max' is required"),
        ("max=51", {}, {}, "query parameter 'max': 51 is greater than the maximum of 50"),
        ("max=1&alt=xml", {}, {}, "query parameter 'alt': \"xml\" is not one of"),
        ("max=1&page=1", {}, {}, "query parameter 'page' is unknown"),
        ("max=1", {"kind": "C"}, {}, 'body: kind: "C" is not one of'),
        ("max=1", {"sort": 1}, {}, "body: it: Additional properties are not allowed ('sort' was unexpected)"),
        ("max=1", {}, {"count": 12}, 'answer 200: count: 12 is not of type "string"'),
        ("max=1", {}, {"count": "many"}, 'answer 200: count: "many" does not match'),
        ("max=1", {}, {"rows": [{"x": 1}]}, "answer 200: rows[0]: Additional properties are not allowed"),
    ],
)
def test_google_discovery(query, body, answer, problem) -> None:
    with FakeApi(describe(DISCOVERY), strict=False) as api:
        api.route("POST", "/api/v1/shops/{id}:run", lambda _: Answer(answer))
        requests.post(f"{api.url}/api/v1/shops/12:run?{query}", json=body, timeout=5)
    assert len(api.complaints) == bool(problem)
    assert problem in "".join(api.complaints)


def test_a_document_of_an_unknown_kind() -> None:
    with pytest.raises(ValueError, match="neither 'openapi'"):
        describe({"paths": {}})


# GraphQL

SDL = """
interface Actor { login: String! }
type User implements Actor { login: String! name: String }
type Bot implements Actor { login: String! }
type Review { state: String! author: Actor }
type Query { review(number: Int!): Review rate: Int! }
"""


@pytest.fixture
def graphql(tmp_path):
    path = tmp_path / "schema.graphql"
    path.write_text(SDL)
    authors = {1: {"__typename": "User", "login": "a", "name": "A"}, 2: None, 3: {"__typename": "Bot", "login": "b"}}
    complaints: list[str] = []

    def root(request):
        return {
            "rate": len(request.credential),
            "review": lambda _, number: {"state": "OPEN", "author": authors[number]},
        }

    handler = GraphQL(read_schema(path), root, complaints.append)

    def ask(query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        return requests.post(f"{api.url}/graphql", json=body, headers={"Authorization": "bearer abc"}, timeout=5).json()

    ask.complaints = complaints
    with FakeApi() as api:
        api.route("POST", "/graphql", handler, described=False)
        yield ask


def test_graphql_is_executed(graphql) -> None:
    query = """query($n: Int!) { rate one: review(number: $n) { author { login ... on User { name } } }
        two: review(number: 2) { state author { login } } bot: review(number: 3) { author { __typename } } }"""
    assert graphql(query, n=1) == {
        "data": {
            "rate": 3,
            "one": {"author": {"login": "a", "name": "A"}},
            "two": {"state": "OPEN", "author": None},
            "bot": {"author": {"__typename": "Bot"}},
        }
    }
    assert graphql.complaints == []


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("{ review(number: 1) { status } }", "Cannot query field 'status' on type 'Review'"),
        ("{ review { state } }", "of type 'Int!' is required"),
        ("{ review(number: 1) { ", "Syntax Error"),
    ],
)
def test_graphql_that_is_illegal(graphql, query, problem) -> None:
    answer = graphql(query)
    assert problem in answer["errors"][0]["message"]
    assert problem in graphql.complaints[0]


def test_graphql_with_partial_data(graphql) -> None:
    answer = graphql("{ rate review(number: 4) { state } }")
    assert answer["data"] == {"rate": 3, "review": None}
    assert answer["errors"][0]["path"] == ["review"]
