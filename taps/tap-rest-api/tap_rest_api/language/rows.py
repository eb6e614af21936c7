"""The language of `records`, `fields` and `schema`: from answers to records and their types."""

# ruff: noqa: TC001, RUF012 - msgspec reads the annotations while the program runs, and copies defaults
from __future__ import annotations

from typing import Annotated, Any, Literal

from tap_rest_api.conditions import Condition
from tap_rest_api.language.base import Node, Templates, doc, preset
from tap_rest_api.paths import JsonPath


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
