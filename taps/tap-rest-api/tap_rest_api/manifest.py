"""The language of a manifest: every key that a YAML file may hold, with its type, its default and what it means.

This is the only place where a key is defined. The loader, the JSON Schema for editors and the reference in the docs
are all made from these classes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, field

from tap_rest_api.conditions import Condition
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import Template


def doc(text: str) -> Meta:
    """What a key means, in one line of Markdown."""
    return Meta(description=text)


def preset(value: Any) -> Any:
    """A default that is an object of this language."""
    return field(default_factory=lambda: value)


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object of the manifest."""


Templates: TypeAlias = dict[str, Template]


class Setting(Node, frozen=True):
    """Something that the user of the manifest decides. Looked up in the tap's config under `settings`, then at its top,
    then in `env`, then `default`.
    """

    type: Annotated[
        Literal["string", "integer", "number", "boolean", "array", "object", "datetime"], doc("what it has to be")
    ] = "string"
    secret: Annotated[bool, doc("never printed, in no log and no error")] = False
    required: Annotated[bool, doc("the tap does not start without it")] = False
    default: Annotated[Any, doc("where nobody gives one")] = None
    env: Annotated[str | None, doc("environment variable to look in")] = None
    enum: Annotated[list[Any] | None, doc("what it may be")] = None
    description: Annotated[str, doc("for people")] = ""


class Call(Node, frozen=True):
    """One request beside the streams': a login, the start of an export."""

    path: Annotated[Template, doc("below `base_url`, or a whole URL of an allowed host")]
    method: Annotated[str, doc("HTTP method")] = "GET"
    params: Annotated[Templates, doc("query parameters; null leaves one out, a list repeats it")] = {}
    headers: Annotated[Templates, doc("request headers")] = {}
    json: Annotated[Template | None, doc("body, as JSON")] = None
    form: Annotated[Templates | None, doc("body, as a form")] = None


# Who asks


class NoAuth(Node, tag_field="kind", tag="none", frozen=True):
    """Nobody in particular."""


class ApiKey(Node, tag_field="kind", tag="api_key", frozen=True):
    """A key in a header, the query or a cookie."""

    value: Annotated[Template, doc("the key")]
    name: Annotated[str, doc("of the header, parameter or cookie")] = "Authorization"
    place: Annotated[Literal["header", "query", "cookie"], doc("where it goes")] = field(default="header", name="in")


class Bearer(Node, tag_field="kind", tag="bearer", frozen=True):
    """`Authorization: Bearer …`."""

    token: Annotated[Template, doc("the token")]
    scheme: Annotated[str, doc("the word before it")] = "Bearer"


class Basic(Node, tag_field="kind", tag="basic", frozen=True):
    """User name and password."""

    username: Annotated[Template, doc("user name")]
    password: Annotated[Template | None, doc("password; some APIs take a key as user name and none")] = None


class Jwt(Node, tag_field="kind", tag="jwt", frozen=True):
    """A token that is signed here: `Authorization: Bearer …`, or the assertion of `oauth2`."""

    algorithm: Annotated[
        Literal[
            "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
            "ES256", "ES384", "ES512", "EdDSA",
        ],
        doc("how it is signed"),
    ]  # fmt: skip
    key: Annotated[Template, doc("secret, or private key in PEM")]
    claims: Annotated[Templates, doc("its content; `iat` and `exp` are added")] = {}
    headers: Annotated[Templates, doc("its header, such as `kid`")] = {}
    ttl: Annotated[Duration, doc("how long one is used")] = preset(Duration("10m"))


class OAuth2(Node, tag_field="kind", tag="oauth2", frozen=True):
    """An access token from a token endpoint, renewed before it runs out and after a 401, once for all threads."""

    token_url: Annotated[Template, doc("the endpoint")]
    grant: Annotated[
        Literal["client_credentials", "refresh_token", "password", "jwt_bearer"], doc("how a token is asked for")
    ] = "client_credentials"
    client_id: Annotated[Template | None, doc("who asks")] = None
    client_secret: Annotated[Template | None, doc("its secret")] = None
    client_auth: Annotated[Literal["body", "basic"], doc("where the two go")] = "body"
    refresh_token: Annotated[
        Template | None, doc("of the grant `refresh_token`; one that the server rotates is kept in `state_dir`")
    ] = None
    jwt: Annotated[Jwt | None, doc("of the grant `jwt_bearer`: the assertion")] = None
    scopes: Annotated[list[str], doc("what is asked for")] = []
    extra: Annotated[Templates, doc("further members of the form: `audience`, or `username` and `password`")] = {}
    token_path: Annotated[JsonPath, doc("where the answer has the token")] = preset(JsonPath("$.access_token"))
    ttl: Annotated[Duration, doc("how long it lasts where the answer has no `expires_in`")] = preset(Duration("1h"))


class Use(Node, frozen=True):
    """How a session's token is sent."""

    kind: Annotated[Literal["bearer", "api_key", "cookie"], doc("bearer token, header, or cookie")] = "bearer"
    name: Annotated[str, doc("of the header or cookie")] = "Authorization"


class Session(Node, tag_field="kind", tag="session", frozen=True):
    """A token from a login, which is asked for again when it runs out or is refused."""

    login: Annotated[Call, doc("the request that opens the session")]
    token_path: Annotated[JsonPath, doc("where its answer has the token")]
    use: Annotated[Use, doc("how the token is sent")] = preset(Use())
    ttl: Annotated[Duration | None, doc("how long it lasts; until it is refused if left out")] = None
    logout: Annotated[Call | None, doc("the request that closes it at the end of the run")] = None


class Pool(Node, tag_field="kind", tag="pool", frozen=True):
    """Several credentials, of which each request takes the one with the most quota left."""

    members: Annotated[list[Auth], doc("the credentials")]


class AllOf(Node, tag_field="kind", tag="all", frozen=True):
    """Several credentials on each request."""

    members: Annotated[list[Auth], doc("the credentials")]


Auth: TypeAlias = NoAuth | ApiKey | Bearer | Basic | Jwt | OAuth2 | Session | Pool | AllOf

# Page after page


class Stop(Node, frozen=True):
    """What ends paging; exactly one key each, and any of a list suffices."""

    empty_page: Annotated[bool | None, doc("a page without rows; true unless switched off")] = None
    short_page: Annotated[bool | None, doc("fewer rows than `size`; servers that cap sizes make it wrong")] = None
    total: Annotated[JsonPath | None, doc("where the answer has the number of rows")] = None
    total_pages: Annotated[JsonPath | None, doc("where the answer has the number of pages")] = None
    max_pages: Annotated[int | None, doc("after so many pages, with a warning")] = None
    when: Annotated[Condition | None, doc("this is true of the answer")] = None
    older_than_bookmark: Annotated[
        bool | None, doc("every row of a page of a descending list is older than the bookmark")
    ] = None
    cursor_absent: Annotated[Literal[True] | None, doc("always so; may be written for the reader")] = None
    repeat_cursor: Annotated[
        Literal["error", "stop"] | None, doc("the same cursor twice: an error unless switched to `stop`")
    ] = None

    def __post_init__(self) -> None:
        if sum(getattr(self, name) is not None for name in self.__struct_fields__) != 1:
            raise ValueError("each entry of stop holds exactly one key")


class _Paging(Node, frozen=True):
    size: Annotated[int | None, doc("rows to ask for per page")] = None
    size_param: Annotated[str | None, doc("query parameter that takes the size")] = None
    stop: Annotated[list[Stop], doc("what ends paging, besides what the kind itself says")] = []


class NoPaging(_Paging, tag_field="kind", tag="none", frozen=True):
    """One request; the way to switch off inherited paging."""


class LinkHeader(_Paging, tag_field="kind", tag="link_header", frozen=True):
    """The `Link` header's URL, followed as it is (RFC 8288; GitHub, GitLab)."""

    rel: Annotated[str, doc("which link")] = "next"


class NextUrl(_Paging, tag_field="kind", tag="next_url", kw_only=True, frozen=True):
    """A URL in the body, absolute or relative (OData, HAL, JSON:API, FHIR)."""

    path: Annotated[JsonPath, doc("where the answer has it")]


class CursorFrom(Node, frozen=True):
    """Where the next cursor is; one of the three."""

    body: Annotated[JsonPath | None, doc("in the answer's body")] = None
    header: Annotated[str | None, doc("in a header of the answer")] = None
    record: Annotated[JsonPath | None, doc("in the last record (keyset paging)")] = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.body, self.header, self.record)) != 1:
            raise ValueError("write exactly one of body, header and record")


class Cursor(_Paging, tag_field="kind", tag="cursor", kw_only=True, frozen=True):
    """A token from the answer, sent with the next request."""

    source: Annotated[CursorFrom, doc("where the answer has it")] = field(name="from")
    param: Annotated[str | None, doc("query parameter that takes it")] = None
    place: Annotated[Literal["query", "body"], doc("where it goes")] = field(default="query", name="in")
    path_in_body: Annotated[JsonPath | None, doc("where in the JSON body")] = None

    def __post_init__(self) -> None:
        if (self.path_in_body if self.place == "body" else self.param) is None:
            raise ValueError("a cursor in the query needs param, one in the body path_in_body")


class _Counted(_Paging, frozen=True):
    param: Annotated[str | None, doc("query parameter that takes the number")] = None
    path_in_body: Annotated[JsonPath | None, doc("or where it goes in the JSON body")] = None
    parallel_pages: Annotated[int, doc("pages to ask for at once; needs `total` or `total_pages` in `stop`")] = 1

    def __post_init__(self) -> None:
        if self.parallel_pages > 1 and not any(stop.total or stop.total_pages for stop in self.stop):
            raise ValueError("parallel_pages needs total or total_pages in stop, to know where the end is")


class PageNumber(_Counted, tag_field="kind", tag="page", frozen=True):
    """Page 1, 2, 3, …"""

    start: Annotated[int, doc("number of the first page")] = 1


class Offset(_Counted, tag_field="kind", tag="offset", frozen=True):
    """So many rows on."""

    start: Annotated[int, doc("offset of the first page")] = 0
    step: Annotated[Literal["size", "returned"], doc("by what was asked for, or by what came")] = "returned"


class Relay(_Paging, tag_field="kind", tag="relay", kw_only=True, frozen=True):
    """GraphQL connections: `pageInfo { hasNextPage endCursor }`."""

    page_info: Annotated[JsonPath, doc("where the answer has it")]
    variable: Annotated[str, doc("variable that takes the cursor")] = "after"
    size_variable: Annotated[str | None, doc("variable that takes the size")] = None


Pagination: TypeAlias = NoPaging | LinkHeader | NextUrl | Cursor | PageNumber | Offset | Relay

# What answers mean

WaitUnit: TypeAlias = Literal["auto", "seconds", "epoch_s", "epoch_ms"]


class Wait(Node, frozen=True):
    """How long to wait."""

    header: Annotated[str | None, doc("as this header says")] = None
    body: Annotated[JsonPath | None, doc("as the body says")] = None
    unit: Annotated[WaitUnit, doc("what a number there counts; `auto` tells by its size, and reads dates")] = "auto"
    min: Annotated[Duration | None, doc("at least so long")] = None
    constant: Annotated[Duration | None, doc("always so long")] = None


ErrorAction: TypeAlias = Literal[
    "retry", "fail", "ignore", "skip_partition", "refresh_auth", "rate_limited", "shrink_page", "split_window"
]


class ErrorRule(Node, frozen=True):
    """What an answer means. The first rule whose keys all match decides, also about a 200."""

    action: Annotated[
        ErrorAction,
        doc(
            "`retry`; `fail`; `ignore`: a page without rows; `skip_partition`: leave it out, not an error; "
            "`refresh_auth`: new token, once; `rate_limited`: nobody asks until the wait is over; "
            "`shrink_page`: half the `size`; `split_window`: half the `window`"
        ),
    ]
    status: Annotated[int | str | list[int | str] | None, doc("one, several, or a class such as `5xx`")] = None
    body_contains: Annotated[str | None, doc("text in the body, in any case")] = None
    body_path: Annotated[JsonPath | None, doc("something in the body; alone: it is there and not null")] = None
    equals: Annotated[Any, doc("what `body_path` is")] = None
    header: Annotated[str | None, doc("`name=value`")] = None
    exception: Annotated[
        Literal["timeout", "connection", "truncated", "decode"] | None,
        doc("no answer, or none that can be read; `retry` is what happens anyway, within `max_retries` of the config"),
    ] = None
    wait: Annotated[Wait | None, doc("how long before the next try")] = None
    max_retries: Annotated[int | None, doc("of `retry` and `shrink_page`: so often, then it fails")] = None
    message: Annotated[str | None, doc("of `fail`: what the error says")] = None

    def __post_init__(self) -> None:
        if self.exception and self.action not in {"retry", "fail"}:
            raise ValueError("a rule for an exception can only retry or fail")
        if not (self.status or self.body_contains or self.body_path or self.header or self.exception):
            raise ValueError("a rule needs something to match: status, body_contains, body_path, header or exception")


class QuotaHeaders(Node, frozen=True):
    """Which headers tell what is left of a limit."""

    remaining: Annotated[str, doc("requests left")] = "x-ratelimit-remaining"
    reset: Annotated[str, doc("when they are filled up again")] = "x-ratelimit-reset"
    reset_unit: Annotated[WaitUnit, doc("what its number counts")] = "auto"
    retry_after: Annotated[Literal["retry-after"], doc("always read; may be written for the reader")] = "retry-after"
    bucket: Annotated[str, doc("name of the quota, where the server has several")] = ""


class Budget(Node, frozen=True):
    """So many requests in any period."""

    limit: Annotated[int, doc("requests")]
    per: Annotated[Duration, doc("period")]
    name: Annotated[str, doc("for the reader")] = ""
    window: Annotated[Literal["sliding"], doc("always so; may be written for the reader")] = "sliding"
    scope: Annotated[Literal["credential", "host"], doc("each credential has its own, or all share one")] = "credential"


class RateLimit(Node, frozen=True):
    """What may be asked when."""

    budgets: Annotated[list[Budget], doc("limits that the server does not tell")] = []
    headers: Annotated[QuotaHeaders | None, doc("how it tells the others")] = None
    reserve: Annotated[int, doc("requests left untouched, for others who use the same credential")] = 0
    max_wait: Annotated[
        Duration | None, doc("longest wait for a limit; `max_wait_seconds` of the config if left out")
    ] = None
    max_concurrency: Annotated[int | None, doc("requests at once; `max_concurrency` of the config may lower it")] = None


# From answers to records


class Csv(Node, frozen=True):
    """How a CSV file is written."""

    delimiter: Annotated[str, doc("between columns")] = ","
    quote: Annotated[str, doc("around values")] = '"'
    header: Annotated[bool, doc("the first line has the columns' names; else `columns_path` says them")] = True
    decimal: Annotated[Literal[".", ","], doc("in numbers")] = "."


class Xml(Node, frozen=True):
    """How XML becomes records: attributes as `@name`, text beside them as `#text`, namespaces left out."""

    record_tag: Annotated[str, doc("each element of this name is a record")]
    force_list: Annotated[list[str], doc("elements that are lists even when there is one")] = []


class Records(Node, frozen=True):
    """Where an answer has its rows."""

    path: Annotated[JsonPath, doc("of the rows, or of a list of them")] = preset(JsonPath("$"))
    format: Annotated[Literal["json", "jsonl", "csv", "xml", "gzip"], doc("of the body")] = "json"
    inner_format: Annotated[Literal["jsonl", "csv", "xml"], doc("of `gzip`: what is inside")] = "jsonl"
    csv: Annotated[Csv, doc("of `csv`")] = preset(Csv())
    xml: Annotated[Xml | None, doc("of `xml`")] = None
    encoding: Annotated[str, doc("of `csv` and `jsonl`")] = "utf-8"
    single: Annotated[bool, doc("the path leads to one record; a list there is a value and not rows")] = False
    empty_when: Annotated[Condition | None, doc("this is true of an answer without rows")] = None
    explode: Annotated[JsonPath | None, doc("a list inside each row: its items become the records")] = None
    keep: Annotated[dict[str, JsonPath], doc("of the outer row, kept on exploded records")] = {}
    key_as: Annotated[str | None, doc("the path leads to an object of rows by key; the key goes into this field")] = (
        None
    )
    columns_path: Annotated[
        str | None, doc("rows are arrays; names of the columns as `[a,b]`, or a JSONPath in the answer")
    ] = None
    index_as: Annotated[str | None, doc("the row's number within its partition, from 0, goes into this field")] = None


class Fields(Node, frozen=True):
    """What happens to a record's fields, in this order: null_values, add, hash, drop, cast, case."""

    null_values: Annotated[list[Any], doc("values that mean null")] = []
    add: Annotated[Templates, doc("new fields, or others in the place of old ones")] = {}
    hash: Annotated[dict[str, JsonPath], doc("SHA-256 of what the path leads to, for keys")] = {}
    drop: Annotated[list[str], doc("fields to leave out")] = []
    secret: Annotated[list[str], doc("fields that hold secrets: left out unless `include_secrets` of the config")] = []
    cast: Annotated[
        dict[str, str],
        doc("`integer`, `number`, `decimal`, `boolean`, `string`, `datetime`, `datetime:FORMAT`, `date`, `json`"),
    ] = {}
    case: Annotated[Literal["keep", "snake", "lower"], doc("of fields' names")] = "keep"


# Only what is new


class Bound(Node, frozen=True):
    """A request parameter that limits what is asked for."""

    name: Annotated[str, doc("of the parameter")]
    place: Annotated[Literal["query", "header"], doc("where it goes")] = field(default="query", name="in")
    format: Annotated[str, doc("how a moment is written")] = "rfc3339"


class SplitWhen(Node, frozen=True):
    """When a window holds too much."""

    total: Annotated[JsonPath, doc("where the answer has the number of rows")]
    over: Annotated[int, doc("more than so many")]


class Window(Node, frozen=True):
    """Time in slices, each asked for on its own: `${window.start}` to `${window.end}`, the end left out."""

    step: Annotated[Duration, doc("length of a slice")]
    min_step: Annotated[Duration, doc("no shorter when split")] = preset(Duration("1m"))
    split_when: Annotated[SplitWhen | None, doc("halve a slice that holds too much")] = None


class Incremental(Node, frozen=True):
    """How only what is new is read."""

    cursor: Annotated[str, doc("field that says when a row changed, by its name in the output")]
    type: Annotated[Literal["datetime", "date", "integer", "string"], doc("of the cursor")] = "datetime"
    format: Annotated[str | list[str], doc("how records write it; several are tried in turn")] = "rfc3339"
    timezone: Annotated[str | None, doc("of times without an offset; UTC if left out")] = None
    initial: Annotated[Template | None, doc("where the first run begins; `start_date` of the config if left out")] = (
        None
    )
    inclusive: Annotated[bool, doc("the server takes `start` as `>=`; if not, the tap asks for one step less")] = True
    lookback: Annotated[Duration | None, doc("begin so far before the bookmark, for rows that come late")] = None
    delay: Annotated[Duration | None, doc("stay so far behind now, for rows that are not complete")] = None
    start: Annotated[Bound | None, doc("parameter that takes the beginning")] = None
    end: Annotated[Bound | None, doc("parameter that takes the end")] = None
    window: Annotated[Window | None, doc("read in slices of time")] = None
    order: Annotated[
        Literal["asc", "desc", "none"],
        doc("of the server's rows. `asc`: the bookmark moves with each page; otherwise at the partition's end"),
    ] = "none"
    client_filter: Annotated[bool, doc("the server cannot filter: rows before the bookmark are left out here")] = False
    per_partition: Annotated[Literal[True], doc("always so; may be written for the reader")] = True
    missing_cursor: Annotated[Literal["include", "exclude", "fail"], doc("what happens to rows without the cursor")] = (
        "include"
    )
    parallel_windows: Annotated[int, doc("windows to read at once")] = 1


class Partition(Node, frozen=True):
    """Reads the stream once for each value or parent record. Several make a cross product."""

    values: Annotated[Template | None, doc("a list, or a template that is one")] = None
    name: Annotated[str | None, doc("name of `${partition.NAME}`")] = field(default=None, name="as")
    parent: Annotated[str | None, doc("a stream, read once for each of its records")] = None
    fields: Annotated[dict[str, JsonPath], doc("what `${parent.NAME}` is; these identify the partition")] = {}
    where: Annotated[Condition | None, doc("which parent records")] = None
    changed_only: Annotated[bool, doc("only parents that the parent's own bookmark lets through")] = False

    def __post_init__(self) -> None:
        if (self.parent is None) == (self.values is None):
            raise ValueError("write either parent or values")
        if self.parent is None and self.name is None:
            raise ValueError("values need a name: as")
        if self.parent is not None and not self.fields:
            raise ValueError("parent needs fields: what ${parent.NAME} is")


# Types


class OpenApi(Node, frozen=True):
    """Where types are described."""

    document: Annotated[str, doc("OpenAPI 3 or Swagger 2 file, JSON or YAML, relative to the manifest")]
    operation: Annotated[str | None, doc("`operationId`; found by method and path if left out")] = None


class Schema(Node, frozen=True):
    """Where a stream's types come from. Without it they are inferred."""

    mode: Annotated[Literal["infer", "inline", "openapi"], doc("seen in samples, written here, or from a document")] = (
        "infer"
    )
    inline: Annotated[dict[str, Any] | None, doc("a JSON Schema")] = None
    openapi: Annotated[OpenApi | None, doc("the document")] = None
    sample_records: Annotated[int, doc("records to look at")] = 200
    overrides: Annotated[dict[str, Any], doc("JSON Schema of single fields, where inference is wrong")] = {}
    numbers_as_decimal: Annotated[bool, doc("numbers with a point as decimal text, exact in any target")] = False

    def __post_init__(self) -> None:
        if self.mode != "infer" and getattr(self, self.mode) is None:
            raise ValueError(f"mode {self.mode} needs the key {self.mode}")


# More than one request


class Detail(Node, frozen=True):
    """A second request for each record, merged into it."""

    path: Annotated[Template, doc("with `${record.NAME}`")]
    params: Annotated[Templates, doc("query parameters")] = {}
    records: Annotated[Records, doc("where the answer has the record")] = preset(Records(single=True))
    merge: Annotated[Literal["deep", "shallow", "replace"], doc("how the two become one")] = "deep"
    where: Annotated[Condition | None, doc("which records")] = None


class InlineChild(Node, frozen=True):
    """A list inside a record, as a stream of its own."""

    name: Annotated[str, doc("of the stream")]
    path: Annotated[JsonPath, doc("of the list")]
    primary_key: Annotated[list[str], doc("key of its rows")] = []
    keep: Annotated[dict[str, JsonPath], doc("of the outer record, kept on each row")] = {}


class Poll(Node, frozen=True):
    """Waits for a job."""

    call: Annotated[Call, doc("asks how it stands; has `${job.id}`")]
    done_when: Annotated[Condition, doc("of the answer")]
    failed_when: Annotated[Condition | None, doc("of the answer")] = None
    interval: Annotated[Duration, doc("between two polls")] = preset(Duration("10s"))
    timeout: Annotated[Duration, doc("then the job counts as failed")] = preset(Duration("1h"))


class Download(Node, frozen=True):
    """Gets what a job made; one of the two."""

    urls_path: Annotated[JsonPath | None, doc("URLs in the last poll's answer")] = None
    call: Annotated[Call | None, doc("or a request with `${job.id}`")] = None
    auth: Annotated[bool, doc("false: signed URLs, on any host, asked for without credentials")] = True

    def __post_init__(self) -> None:
        if (self.urls_path is None) == (self.call is None):
            raise ValueError("write either urls_path or call")


class Job(Node, frozen=True):
    """An export that the server prepares. Its id is kept in the state, so that an interrupted run goes on waiting."""

    create: Annotated[Call, doc("starts it")]
    id_path: Annotated[JsonPath, doc("where the answer has its id")]
    poll: Annotated[Poll, doc("waits for it")]
    download: Annotated[Download, doc("gets the result")]
    max_parallel: Annotated[int, doc("jobs at once")] = 1


class GraphQl(Node, frozen=True):
    """The body of a GraphQL request; `errors` in an answer fail unless a rule says otherwise."""

    query: Annotated[str, doc("the query")]
    variables: Annotated[Templates, doc("its variables")] = {}


class Conditional(Node, frozen=True):
    """Requests that may be answered with "not modified"."""

    etag: Annotated[bool, doc("send the last `ETag`; a 304 means no rows and costs little or no quota")] = True


class Deletion(Node, frozen=True):
    """How rows that are gone show."""

    mode: Annotated[
        Literal["none", "snapshot", "soft", "field"],
        doc(
            "`snapshot`: a version that targets replace the old with; `soft`: rows that vanished get `_sdc_deleted_at`; "
            "`field`: a field says so"
        ),
    ] = "none"
    field: Annotated[JsonPath | None, doc("of `field`: which one")] = None
    equals: Annotated[Any, doc("of `field`: what it is in deleted rows; any value but null and false if left out")] = (
        None
    )
    max_fraction: Annotated[
        float | None, doc("of `soft`: more than this share vanished is an error; `max_delete_fraction` if left out")
    ] = None


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
