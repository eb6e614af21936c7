"""A tap of an HTTP source on the Singer SDK, so that what the SDK says about its calls is what is counted."""

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator


class Pages(BasePageNumberPaginator):
    def has_more(self, response):
        return bool(response.json()["more"])


class Orders(RESTStream):
    name = "orders"
    path = "/orders"
    primary_keys = ("id",)
    records_jsonpath = "$.rows[*]"
    schema = th.PropertiesList(th.Property("id", th.IntegerType)).to_dict()

    @property
    def url_base(self):
        return self.config["url"]

    def get_new_paginator(self):
        return Pages(1)

    def get_url_params(self, context, next_page_token):  # noqa: ARG002
        return {"page": next_page_token}

    def backoff_wait_generator(self):
        while True:
            yield 0.01

    def backoff_jitter(self, value):
        return value


class TapHttp(Tap):
    name = "tap-http"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()

    def discover_streams(self):
        return [Orders(self)]


if __name__ == "__main__":
    TapHttp.cli()
