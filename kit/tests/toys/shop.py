"""tap-shop: a small REST tap on the kit, for its tests. Shops have orders by pages, and orders have lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator

from singer_kit.http import Call, Token, decoded
from singer_kit.rest import COMMON, Page, Partition, RestStream, RestTap, SkippedError, format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIME = {"type": ["string", "null"], "format": "date-time"}
_NUMBER = {"type": ["number", "null"]}


class _Pages(BasePageNumberPaginator):
    def has_more(self, response) -> bool:
        return response.json()["more"]


class Orders(RestStream):
    """By the SDK's own hooks."""

    name = "orders"
    path = "/shops/{shop}/orders"
    primary_keys = ("id",)
    replication_key = "updated_at"
    records_jsonpath = "$.items[*]"
    tolerated = frozenset({404})
    schema = {  # noqa: RUF012
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "shop": {"type": ["integer", "null"]},
            "updated_at": _TIME,
            "amount": _NUMBER,
            "buyer": {"type": ["object", "null"], "properties": {"name": {"type": ["string", "null"]}, "age": _NUMBER}},
        },
    }

    def partitions_to_read(self) -> list[Partition]:
        shops = self.config["shops"]
        if self.config["asks_for_shops"]:
            shops = decoded(self.rest_tap.client.send(Call("/shops", stream=self.name)))
        return [Partition({"shop": number}) for number in shops]

    def get_url_params(self, context, next_page_token) -> dict[str, Any]:
        start = self.starts_at(Partition(context))
        return {"page": next_page_token or 1, "since": format_instant(start) if start else None}

    def get_new_paginator(self) -> _Pages:
        return _Pages(1)


class Sales(RestStream):
    """By a `read` of its own, along with a child: the lines of each sale that is new."""

    name = "sales"
    primary_keys = ("id",)
    replication_key = "updated_at"
    schema = {"type": "object", "properties": {"id": {"type": "integer"}, "updated_at": _TIME}}  # noqa: RUF012

    def partitions_to_read(self) -> list[Partition]:
        return [Partition({"shop": number}) for number in self.config["shops"]]

    def read(self, partition: Partition) -> Iterator[Page]:
        shop = partition.context["shop"]
        call = Call(f"/shops/{shop}/sales", stream=self.name, tolerate=frozenset({404}))
        response = self.rest_tap.client.send(call)
        if response.status_code == 404:
            raise SkippedError("404")
        rows = decoded(response)
        (lines,) = self.child_streams
        yield Page(rows)
        for row in rows:
            found = decoded(self.rest_tap.client.send(Call(f"/sales/{row['id']}/lines", stream=lines.name)))
            yield Page(found, stream=lines)
        bookmark = self.bookmark(self.newest(rows, None))
        yield Page([], bookmark, lines)
        yield Page([], bookmark)


class Lines(RestStream):
    """Read along with sales."""

    name = "lines"
    parent_stream_type = Sales
    primary_keys = ("sale", "line")
    schema = {  # noqa: RUF012
        "type": "object",
        "properties": {"sale": {"type": "integer"}, "line": {"type": "integer"}},
    }


class Kinds(RestStream):
    """Read whole each time."""

    name = "kinds"
    path = "/shops/{shop}/kinds"
    primary_keys = ("id",)
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}  # noqa: RUF012

    def partitions_to_read(self) -> list[Partition]:
        return [Partition({"shop": number}) for number in self.config["shops"]]


class TapShop(RestTap):
    """A tap for tests."""

    name = "tap-shop"
    default_url = "http://127.0.0.1:9"
    config_jsonschema = th.PropertiesList(
        th.Property("token", th.StringType, secret=True, required=True),
        th.Property("shops", th.ArrayType(th.IntegerType), default=[1, 2, 3]),
        th.Property("asks_for_shops", th.BooleanType, default=False),
        *COMMON,
    ).to_dict()

    def credentials(self) -> list[Token]:
        return [Token("token", self.config["token"])]

    def discover_streams(self) -> list[RestStream]:
        return [Orders(self), Sales(self), Lines(self), Kinds(self)]


if __name__ == "__main__":
    TapShop.cli()
