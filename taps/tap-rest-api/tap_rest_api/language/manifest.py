"""The language as a whole: a manifest and its streams."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Literal

from tap_rest_api.conditions import Condition
from tap_rest_api.language.answers import ErrorRule, RateLimit
from tap_rest_api.language.auth import Auth, NoAuth
from tap_rest_api.language.base import Node, Setting, Templates, doc, preset
from tap_rest_api.language.pages import NoPaging, Pagination
from tap_rest_api.language.requests import Conditional, Deletion, Detail, GraphQl, InlineChild, Job
from tap_rest_api.language.rows import Fields, Records, Schema
from tap_rest_api.language.times import Incremental, Partition
from tap_rest_api.templates import Template


class StreamPart(Node, frozen=True):
    """What a template shares. A stream's own value takes the place of it, and of the one at the top, whole; only
    `headers`, `params`, `errors` and `fields` add up.
    """

    description: Annotated[str, doc("for people")] = ""
    extends: Annotated[str | None, doc("a template")] = None
    path: Annotated[Template | None, doc("below `base_url`, or a whole URL of an allowed host")] = None
    method: Annotated[Literal["GET", "POST", "PUT", "PATCH", "QUERY"] | None, doc("`GET`; `POST` with `graphql`")] = (
        None
    )
    params: Annotated[Templates, doc("query parameters; null leaves one out, a list repeats it")] = {}
    headers: Annotated[Templates, doc("request headers")] = {}
    json: Annotated[Template | None, doc("body, as JSON")] = None
    form: Annotated[Templates | None, doc("body, as a form")] = None
    graphql: Annotated[GraphQl | None, doc("body, as a GraphQL query")] = None
    primary_key: Annotated[list[str] | None, doc("fields that identify a row, by their names in the output")] = None
    pagination: Annotated[Pagination | None, doc("page after page")] = None
    records: Annotated[Records | None, doc("where an answer has its rows")] = None
    filter: Annotated[Condition | None, doc("which records to keep, before `fields`")] = None
    fields: Annotated[Fields | None, doc("what happens to a record's fields")] = None
    incremental: Annotated[Incremental | None, doc("read only what is new")] = None
    partitions: Annotated[list[Partition] | None, doc("read once for each value or parent record")] = None
    schema: Annotated[Schema | None, doc("where types come from")] = None
    errors: Annotated[list[ErrorRule], doc("what answers mean; before those of template and top")] = []
    detail: Annotated[Detail | None, doc("a second request for each record")] = None
    children_inline: Annotated[list[InlineChild] | None, doc("lists inside records, as streams")] = None
    job: Annotated[Job | None, doc("an export that the server prepares")] = None
    conditional: Annotated[Conditional | None, doc("requests that may be answered with 304")] = None
    deletion: Annotated[Deletion | None, doc("how rows that are gone show")] = None


class Stream(StreamPart, kw_only=True, frozen=True):
    """One table of the output."""

    name: Annotated[str, doc("of the stream")]


class Manifest(Node, frozen=True):
    """One API."""

    version: Annotated[Literal[1], doc("of this language")]
    base_url: Annotated[Template, doc("what paths are below; credentials go to this host and no other")]
    streams: Annotated[list[Stream], doc("the tables of the output")]
    name: Annotated[str, doc("for people, and of files in `state_dir`")] = "rest-api"
    description: Annotated[str, doc("for people")] = ""
    settings: Annotated[dict[str, Setting], doc("what the user decides: `${config.NAME}`")] = {}
    allowed_hosts: Annotated[list[str], doc("further hosts that credentials, links and redirects may go to")] = []
    auth: Annotated[Auth, doc("who asks")] = preset(NoAuth())
    headers: Annotated[Templates, doc("of every stream's requests")] = {}
    params: Annotated[Templates, doc("of every stream's requests")] = {}
    pagination: Annotated[Pagination, doc("of streams without their own")] = preset(NoPaging())
    errors: Annotated[list[ErrorRule], doc("of every stream; before what statuses mean by themselves")] = []
    rate_limit: Annotated[RateLimit, doc("what may be asked when")] = preset(RateLimit())
    schema: Annotated[Schema, doc("of streams without their own")] = preset(Schema())
    fields: Annotated[Fields, doc("of every stream")] = preset(Fields())
    templates: Annotated[dict[str, StreamPart], doc("what several streams share")] = {}
