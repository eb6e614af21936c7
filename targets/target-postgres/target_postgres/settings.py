# ruff: noqa: E501 - one setting a line reads as a table
"""Settings: the names of meltanolabs-target-postgres, and a few of our own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import make_conninfo
from singer_sdk import typing as th

from singer_kit.errors import ConfigurationError
from singer_kit.postgres import conninfo_from_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property("sqlalchemy_url", th.StringType, secret=True, description="Connection URL, such as postgresql://user:password@host:5432/database. Takes the place of host, port, user, password, database and all ssl settings."),
    th.Property("host", th.StringType, description="Host name of the server."),
    th.Property("port", th.IntegerType, default=5432, description="Port of the server."),
    th.Property("user", th.StringType, description="User name."),
    th.Property("password", th.StringType, secret=True, description="Password."),
    th.Property("database", th.StringType, description="Database name."),
    th.Property("default_target_schema", th.StringType, default="melty", description="Schema of all tables. If empty, the schema part of streams named schema-table, or public."),
    th.Property("table_name", th.StringType, default="{stream}", description="Name of each table: {stream} is the last part of a stream named database-schema-table, {full_stream} all of it, {source} the setting source_name. Example: raw_{source}_{stream}."),
    th.Property("load_method", th.StringType, allowed_values=["append-only", "upsert", "overwrite"], description="append-only adds rows; upsert replaces rows of the same key; overwrite replaces all rows at the clean end of the input. If unset, upsert for streams with key properties and append-only for others."),
    th.Property("activate_version", th.BooleanType, default=True, description="Follow ACTIVATE_VERSION messages at the clean end of the input. Needs add_record_metadata."),
    th.Property("hard_delete", th.BooleanType, default=False, description="ACTIVATE_VERSION deletes rows of earlier versions instead of setting _sdc_deleted_at."),
    th.Property("add_record_metadata", th.BooleanType, default=True, description="Add the lineage columns (_sdc_...)."),
    th.Property("source_name", th.StringType, default="", description="What the column _sdc_source says, and {source} in table_name."),
    th.Property("batch_id", th.StringType, description="What the column _sdc_batch_id says. If unset, generated for each run."),
    th.Property("interpret_content_encoding", th.BooleanType, default=False, description="Store strings with contentEncoding base64 or base16 as bytea."),
    th.Property("sanitize_null_text_characters", th.BooleanType, default=False, description="Replace characters that Postgres cannot store in text (NUL, halves of surrogate pairs) by U+FFFD instead of refusing the record."),
    th.Property("batch_size_rows", th.IntegerType, default=10_000, description="Rows that wait at most before they are loaded."),
    th.Property("batch_size_bytes", th.IntegerType, default=32 * 1024 * 1024, description="Bytes that wait at most before they are loaded."),
    th.Property("commit_interval_seconds", th.NumberType, default=5, description="Rows that a STATE covers are committed, and the STATE acknowledged, at the first message after this time."),
    th.Property("ssl_enable", th.BooleanType, default=False, description="Use ssl_mode and ssl_certificate_authority. If false, TLS is used when the server offers it."),
    th.Property("ssl_mode", th.StringType, default="verify-full", allowed_values=_SSL_MODES, description="How the connection is protected, see libpq."),
    th.Property("ssl_certificate_authority", th.StringType, default="~/.postgresql/root.crt", description="Certificate authority: a path, or the PEM text itself."),
    th.Property("ssl_client_certificate_enable", th.BooleanType, default=False, description="Present a client certificate."),
    th.Property("ssl_client_certificate", th.StringType, default="~/.postgresql/postgresql.crt", description="Client certificate: a path, or the PEM text itself."),
    th.Property("ssl_client_private_key", th.StringType, secret=True, default="~/.postgresql/postgresql.key", description="Private key: a path, or the PEM text itself."),
    th.Property("ssl_storage_directory", th.StringType, default=".secrets", description="Where certificates that are given as text are written for libpq."),
    th.Property("ssh_tunnel", th.ObjectType(th.Property("enable", th.BooleanType, default=False), additional_properties=True), description="Not supported: enable must be false. Open the tunnel outside, for example with ssh -L."),
    th.Property("use_copy", th.BooleanType, description="Accepted and ignored: COPY is always used."),
    th.Property("dialect+driver", th.StringType, description="Accepted and ignored."),
).to_dict()  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What sinks need to know of the settings."""

    schema: str | None
    table_name: str
    load_method: str | None
    source: str
    batch_id: str
    metadata: bool
    hard_delete: bool
    content_encoding: bool
    sanitize: bool


def options(config: Mapping[str, Any], *, batch_id: str) -> Options:
    """Read the settings that shape tables.

    Args:
        config: the plugin's settings, with defaults.
        batch_id: for when the setting is unset.

    Raises:
        ConfigurationError: settings contradict each other or ask for what does not exist here.

    """
    metadata = bool(config.get("add_record_metadata", True))
    if not metadata and config.get("activate_version", True):
        raise ConfigurationError(
            "activate_version needs the columns that add_record_metadata=false leaves out. "
            "Next: set activate_version to false too, or add_record_metadata to true."
        )
    if (config.get("ssh_tunnel") or {}).get("enable"):
        raise ConfigurationError(
            "ssh_tunnel is not supported. Next: open the tunnel outside (ssh -L 5433:database:5432 bastion) "
            "and set host and port to its local end."
        )
    for name in ("batch_size_rows", "batch_size_bytes"):
        if (value := config.get(name)) is not None and value < 1:
            raise ConfigurationError(f"Setting {name} must be at least 1.")
    return Options(
        schema=config.get("default_target_schema"),
        table_name=config.get("table_name") or "{stream}",
        load_method=config.get("load_method"),
        source=config.get("source_name") or "",
        batch_id=config.get("batch_id") or batch_id,
        metadata=metadata,
        hard_delete=bool(config.get("hard_delete")),
        content_encoding=bool(config.get("interpret_content_encoding")),
        sanitize=bool(config.get("sanitize_null_text_characters")),
    )


def conninfo(config: Mapping[str, Any]) -> str:
    """The libpq connection string.

    Raises:
        ConfigurationError: a part is missing.

    """
    if url := config.get("sqlalchemy_url"):
        return conninfo_from_url(url)
    missing = [name for name in ("host", "user", "database") if not config.get(name)]
    if missing:
        raise ConfigurationError(
            f"Setting {missing[0]} is missing. Next: set host, port, user, password and database, or sqlalchemy_url."
        )
    parameters: dict[str, Any] = {
        "host": config["host"],
        "port": config.get("port") or 5432,
        "user": config["user"],
        "password": config.get("password"),
        "dbname": config["database"],
    }
    if config.get("ssl_enable"):
        parameters["sslmode"] = config.get("ssl_mode") or "verify-full"
        if parameters["sslmode"] in {"verify-ca", "verify-full"}:
            parameters["sslrootcert"] = _certificate(config, "ssl_certificate_authority")
    if config.get("ssl_client_certificate_enable"):
        parameters["sslcert"] = _certificate(config, "ssl_client_certificate")
        parameters["sslkey"] = _certificate(config, "ssl_client_private_key")
    return make_conninfo(**parameters)


def _certificate(config: Mapping[str, Any], name: str) -> str:
    """A path for libpq, which takes no certificates as text."""
    value = config.get(name) or ""
    if "-----BEGIN" not in value:
        path = Path(value).expanduser()
        if not path.is_file():
            raise ConfigurationError(f"Setting {name}: there is no file {str(path)!r}, and it is no PEM text.")
        return str(path)
    folder = Path(config.get("ssl_storage_directory") or ".secrets")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.pem"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value)
    return str(path)
