"""The language of a manifest: every key that a YAML file may hold, with its type, its default and what it means.

This is the only place where a key is defined. The loader, the JSON Schema for editors and the reference in the docs
are all made from these classes.
"""

from tap_rest_api.language.answers import Budget, ErrorAction, ErrorRule, QuotaHeaders, RateLimit, Wait, WaitUnit
from tap_rest_api.language.auth import AllOf, ApiKey, Auth, Basic, Bearer, Jwt, NoAuth, OAuth2, Pool, Session, Use
from tap_rest_api.language.base import Call, Setting
from tap_rest_api.language.manifest import Manifest, Stream, StreamPart
from tap_rest_api.language.pages import (
    Cursor,
    CursorFrom,
    LinkHeader,
    NextUrl,
    NoPaging,
    Offset,
    PageNumber,
    Pagination,
    Relay,
    Stop,
)
from tap_rest_api.language.requests import Conditional, Deletion, Detail, Download, GraphQl, InlineChild, Job, Poll
from tap_rest_api.language.rows import Csv, Fields, OpenApi, Records, Schema, Xml
from tap_rest_api.language.times import Bound, Incremental, Partition, SplitWhen, Window

__all__ = [
    "AllOf",
    "ApiKey",
    "Auth",
    "Basic",
    "Bearer",
    "Bound",
    "Budget",
    "Call",
    "Conditional",
    "Csv",
    "Cursor",
    "CursorFrom",
    "Deletion",
    "Detail",
    "Download",
    "ErrorAction",
    "ErrorRule",
    "Fields",
    "GraphQl",
    "Incremental",
    "InlineChild",
    "Job",
    "Jwt",
    "LinkHeader",
    "Manifest",
    "NextUrl",
    "NoAuth",
    "NoPaging",
    "OAuth2",
    "Offset",
    "OpenApi",
    "PageNumber",
    "Pagination",
    "Partition",
    "Poll",
    "Pool",
    "QuotaHeaders",
    "RateLimit",
    "Records",
    "Relay",
    "Schema",
    "Session",
    "Setting",
    "SplitWhen",
    "Stop",
    "Stream",
    "StreamPart",
    "Use",
    "Wait",
    "WaitUnit",
    "Window",
    "Xml",
]
