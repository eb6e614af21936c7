"""Settings that every REST tap has."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

COMMON: tuple[th.Property[Any], ...] = (
    th.Property("start_date", th.DateTimeType, description="Rows older than this are not read at the first run."),
    th.Property("user_agent", th.StringType, description="How the tap names itself; its name and version by default."),
    th.Property(
        "request_timeout_seconds", th.NumberType, default=300, description="Seconds without a byte of an answer."
    ),
    th.Property("max_retries", th.IntegerType, default=8, description="Tries of a request whose failure may pass."),
    th.Property(
        "max_wait_seconds",
        th.NumberType,
        default=3900,
        description="Seconds that a request may wait for a rate limit; the run ends if it would be longer.",
    ),
    th.Property("max_concurrency", th.IntegerType, description="Partitions that are read at the same time."),
    th.Property("max_requests_per_minute", th.IntegerType, description="A limit of your own, for each credential."),
    th.Property(
        "lookback_seconds",
        th.IntegerType,
        description="How far behind its bookmark an incremental stream begins; each has a default of its own.",
    ),
    th.Property(
        "clock_skew_seconds",
        th.IntegerType,
        default=60,
        description="Bookmarks stay this far behind the server's clock at the start of the run.",
    ),
    th.Property(
        "deletion_detection",
        th.StringType,
        default="none",
        allowed_values=["none", "snapshot"],
        description="snapshot: rows of full-table streams that are gone vanish at the end of a complete read.",
    ),
    th.Property(
        "pass_unknown_fields",
        th.BooleanType,
        default=True,
        description="Members of records that the schema does not know are declared and passed on, else dropped.",
    ),
    th.Property(
        "on_partition_error",
        th.StringType,
        default="fail",
        allowed_values=["fail", "skip"],
        description="fail: the run reads on and ends with an error; skip: it ends well. The bookmark stays in both.",
    ),
    th.Property(
        "stream_options",
        th.ObjectType(additional_properties=True),
        description="Settings for single streams: {stream: {setting: value}}.",
    ),
    th.Property("proxy_url", th.StringType, secret=True, description="A proxy; the environment's by default."),
    th.Property("ca_bundle", th.StringType, description="Path of a file with the authorities to trust."),
    th.Property("verify_tls", th.BooleanType, default=True, description="Check the server's certificate."),
    th.Property(
        "allowed_hosts",
        th.ArrayType(th.StringType),
        default=[],
        description="Further hosts that credentials may go to when an answer leads there.",
    ),
    th.Property("api_url", th.StringType, description="Another address of the API."),
)
