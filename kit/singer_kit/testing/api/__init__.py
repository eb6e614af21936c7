"""A stateful fake API server for the tests of REST taps: real sockets, and every request and answer checked.

    with FakeApi(read_description("api.json")) as api:
        api.route("GET", "/repos/{owner}/{repo}/issues", Collection(lambda request: issues, link_pages()))
        api.fault(Fault(Answer(status=502)), nth=2)
        api.after(3, lambda: issues.insert(0, issue))
        run_the_tap(api.url)
        assert api.log.counts() == {"GET /repos/{owner}/{repo}/issues": 5}

`singer_kit.testing.api.graphql` is the endpoint for GraphQL.
"""

from singer_kit.testing.api.clock import Clock
from singer_kit.testing.api.description import Description, describe, read_description
from singer_kit.testing.api.exchange import Answer, Request
from singer_kit.testing.api.faults import Fault
from singer_kit.testing.api.limits import Burst, Quota, QuotaHeaders
from singer_kit.testing.api.log import Exchange, RequestLog
from singer_kit.testing.api.paging import (
    Collection,
    Paging,
    body_cursor,
    body_url,
    keyset,
    link_cursor,
    link_pages,
    offsets,
    page_numbers,
)
from singer_kit.testing.api.server import Complaints, FakeApi

__all__ = [
    "Answer",
    "Burst",
    "Clock",
    "Collection",
    "Complaints",
    "Description",
    "Exchange",
    "FakeApi",
    "Fault",
    "Paging",
    "Quota",
    "QuotaHeaders",
    "Request",
    "RequestLog",
    "body_cursor",
    "body_url",
    "describe",
    "keyset",
    "link_cursor",
    "link_pages",
    "offsets",
    "page_numbers",
    "read_description",
]
