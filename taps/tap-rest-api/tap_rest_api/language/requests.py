"""The language of streams that need more than one kind of request, or show more than rows."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Any, Literal

from tap_rest_api.conditions import Condition
from tap_rest_api.language.base import Call, Node, Templates, doc, preset
from tap_rest_api.language.rows import Records
from tap_rest_api.moments import Duration
from tap_rest_api.paths import JsonPath
from tap_rest_api.templates import Template


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
            "`snapshot`: a version that targets replace the old with; `soft`: rows that vanished get "
            "`_sdc_deleted_at`; "
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
