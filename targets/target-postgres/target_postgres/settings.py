# ruff: noqa: E501 - one setting a line reads as a table
"""Settings: the names of meltanolabs-target-postgres, and some of our own.

Plain data, so that a start that needs nothing of the SDK does not pay for its import; the SDK reads the same table as the
plugin's `config_jsonschema`. What the settings say about the connection, `connection.py` reads.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_postgres.evolution import Policy

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SCHEMA_POLICIES = ("evolve", "freeze", "fail")
_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
}


def _setting(
    kind: str,
    description: str,
    *,
    default: Any = None,
    secret: bool = False,
    allowed: Sequence[str] = (),
    least: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One setting as JSON schema; without a value it is unset, so null always is one."""
    schema: dict[str, Any] = {"type": [kind, "null"], "description": description}
    if default is not None:
        schema["default"] = default
    if allowed:
        schema["enum"] = [*allowed, None]
    if least is not None:
        schema["minimum"] = least
    if secret:
        schema |= {"secret": True, "writeOnly": True}
    return schema | more


_SSH_TUNNEL = {
    "enable": _setting("boolean", "Open the tunnel.", default=False),
    "host": _setting("string", "The SSH server (bastion). It must be able to reach the database's host and port."),
    "port": _setting("integer", "Port of the SSH server.", default=22),
    "username": _setting("string", "User name on the SSH server."),
    "private_key": _setting("string", "Private key: a path, or the key's text itself. If unset, the keys of ssh-agent and of ~/.ssh are tried.", secret=True),
    "private_key_password": _setting("string", "Pass phrase of the private key.", secret=True),
    "host_key": _setting("string", "What the SSH server must prove to be: its fingerprint (SHA256:...), or its public key (ssh-ed25519 AAAA...); `any` trusts whoever answers. If unset, known_hosts decides."),
    "known_hosts": _setting("string", "File of the SSH servers to trust, as ssh keeps it.", default="~/.ssh/known_hosts"),
}  # fmt: skip

_PROPERTIES: dict[str, dict[str, Any]] = {
    # Where
    "sqlalchemy_url": _setting("string", "Connection URL, such as postgresql://user:password@host:5432/database, or libpq's form host=... dbname=.... Takes the place of host, port, user, password, database and all ssl settings.", secret=True),
    "host": _setting("string", "Host name of the server."),
    "port": _setting("integer", "Port of the server.", default=5432),
    "user": _setting("string", "User name."),
    "password": _setting("string", "Password.", secret=True),
    "database": _setting("string", "Database name."),
    # What
    "default_target_schema": _setting("string", "Schema of all tables. If empty, the schema part of streams named schema-table, or public.", default="melty"),
    "table_name": _setting("string", "Name of each table: {stream} is the last part of a stream named database-schema-table, {full_stream} all of it, {source} the setting source_name. Example: raw_{source}_{stream}.", default="{stream}"),
    "load_method": _setting("string", "append-only adds rows; upsert replaces rows of the same key; overwrite replaces all rows at the clean end of the input. If unset, upsert for streams with key properties and append-only for others.", allowed=("append-only", "upsert", "overwrite")),
    "activate_version": _setting("boolean", "Follow ACTIVATE_VERSION messages at the clean end of the input. Needs add_record_metadata.", default=True),
    "hard_delete": _setting("boolean", "ACTIVATE_VERSION deletes rows of earlier versions instead of setting _sdc_deleted_at.", default=False),
    "add_record_metadata": _setting("boolean", "Add the lineage columns (_sdc_...).", default=True),
    "source_name": _setting("string", "What the column _sdc_source says, and {source} in table_name.", default=""),
    "batch_id": _setting("string", "What the column _sdc_batch_id says. If unset, generated for each run."),
    "interpret_content_encoding": _setting("boolean", "Store strings with contentEncoding base64 or base16 as bytea.", default=False),
    "sanitize_null_text_characters": _setting("boolean", "Replace characters that Postgres cannot store in text (NUL, halves of surrogate pairs) by U+FFFD instead of refusing the record.", default=False),
    "schema_policy": _setting("string", "What happens when a stream's SCHEMA no longer fits its table. evolve: columns are added and widened; freeze: the table stays, and what it has no place for is left out; fail: the run ends.", default="evolve", allowed=_SCHEMA_POLICIES),
    "schema_policies": _setting("object", 'schema_policy for single streams, by name or pattern: {"sale_*": "freeze"}. A name goes before patterns, an earlier pattern before a later one.', default={}, additionalProperties={"enum": list(_SCHEMA_POLICIES)}),
    "on_bad_record": _setting("string", "What happens to a record that cannot be loaded. fail: the run ends; quarantine: it goes to bad_records_table with the reason.", default="fail", allowed=("fail", "quarantine")),
    "max_bad_records": _setting("integer", "With on_bad_record quarantine, the run fails at the next bad record after so many.", default=1000, least=0),
    "bad_records_table": _setting("string", "Table of bad records, in default_target_schema.", default="_bad_records"),
    "report_schemas": _setting("boolean", "Log each SCHEMA on stderr when it comes, as SCHEMA_RECEIVED and one JSON object, before anything is done about it: by this an orchestrator sees schemas drift.", default=False),
    # When
    "batch_size_rows": _setting("integer", "Rows that wait at most before they are loaded.", default=50_000, least=1),
    "batch_size_bytes": _setting("integer", "Bytes that wait at most before they are loaded.", default=12 * 1024 * 1024, least=1),
    "commit_interval_seconds": _setting("number", "Rows that a STATE covers are committed, and the STATE acknowledged, after this time at the latest.", default=5, least=0),
    "end_of_input": _setting("string", "What the end of the input proves. finished: the tap has succeeded, so that rows after its last STATE are kept; unknown: it may have died.", default="unknown", allowed=("unknown", "finished")),
    "state_table": _setting("string", "Table, as schema.table, in which each STATE is stored in the transaction of the rows it covers. Needs state_id."),
    "state_id": _setting("string", "Whose STATE it is: the key in state_table."),
    "fencing_token": _setting("integer", "A number that grows with every run of a state_id: a run with a smaller one than state_table has seen is refused and writes nothing. Needs state_table."),
    # How the connection is made
    "connection_retry_seconds": _setting("number", "How long to go on trying while the server, or the SSH server, does not answer.", default=60, least=0),
    "connect_timeout": _setting("integer", "Seconds that one attempt to connect may take.", default=15, least=2),
    "application_name": _setting("string", "What pg_stat_activity shows. If unset, what sqlalchemy_url says, or target-postgres."),
    "statement_timeout_seconds": _setting("number", "A statement that takes longer is cancelled. 0: never, whatever the server's and the role's defaults are.", default=0, least=0),
    "lock_timeout_seconds": _setting("number", "A statement that waits longer for a lock is cancelled and tried again. 0: waits on, whatever the server's and the role's defaults are.", default=0, least=0),
    "ssl_enable": _setting("boolean", "Use ssl_mode and ssl_certificate_authority. If false, TLS is used when the server offers it.", default=False),
    "ssl_mode": _setting("string", "How the connection is protected, see libpq.", default="verify-full", allowed=_SSL_MODES),
    "ssl_certificate_authority": _setting("string", "Certificate authority: a path, the PEM text itself, or `system` for those that the machine trusts.", default="~/.postgresql/root.crt"),
    "ssl_client_certificate_enable": _setting("boolean", "Present a client certificate.", default=False),
    "ssl_client_certificate": _setting("string", "Client certificate: a path, or the PEM text itself.", default="~/.postgresql/postgresql.crt"),
    "ssl_client_private_key": _setting("string", "Private key: a path, or the PEM text itself.", default="~/.postgresql/postgresql.key", secret=True),
    "ssl_storage_directory": _setting("string", "Where PEM text is put, in a folder of its own, for the moment of connecting. If unset, the system's folder for temporary files."),
    "ssh_tunnel": _setting("object", "Connect through an SSH server. Needs the extra `ssh`.", properties=_SSH_TUNNEL, additionalProperties=False),
    # Of the peer's, without effect
    "use_copy": _setting("boolean", "Accepted and ignored: COPY is always used."),
    "dialect+driver": _setting("string", "Accepted and ignored."),
}  # fmt: skip

# With a dict of its own: the SDK adds its settings to the one it is given.
SETTINGS: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": dict(_PROPERTIES),
}


@dataclass(frozen=True)
class Options:
    """What the settings say about tables, records and STATEs."""

    schema: str | None
    table_name: str
    load_method: str | None
    source: str
    batch_id: str
    metadata: bool
    hard_delete: bool
    content_encoding: bool
    sanitize: bool
    state_table: str | None = None
    state_id: str | None = None
    fencing_token: int | None = None
    input_end_is_success: bool = False
    quarantine: bool = False
    max_bad_records: int = 1000
    bad_records_table: str = "_bad_records"
    schema_policy: Policy = "evolve"
    schema_policies: Mapping[str, Policy] = field(default_factory=dict)

    def policy(self, stream: str) -> Policy:
        """What to do when this stream's SCHEMA no longer fits its table: `evolve`, `freeze` or `fail`."""
        if stream in self.schema_policies:
            return self.schema_policies[stream]
        matching = (policy for glob, policy in self.schema_policies.items() if fnmatchcase(stream, glob))
        return next(matching, self.schema_policy)


def defaults() -> dict[str, Any]:
    """The settings that have a value when nobody sets them; a new dict each time."""
    return {name: copy.deepcopy(schema["default"]) for name, schema in _PROPERTIES.items() if "default" in schema}


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with their defaults, every value checked. What the table does not know stays as it is.

    Raises:
        ConfigurationError: a value is not of its setting's kind. Secrets are not repeated.
    """
    _check(config, {"properties": _PROPERTIES}, "")
    return defaults() | dict(config)


def _check(config: Mapping[str, Any], schema: Mapping[str, Any], parent: str) -> None:
    known: Mapping[str, Any] = schema.get("properties", {})
    for key, value in config.items():
        name = f"{parent}{key}"
        setting = known.get(key, schema.get("additionalProperties"))
        if setting is False:
            raise ConfigurationError(f"There is no setting {name}. Next: known are {', '.join(known)}.")
        if not isinstance(setting, dict) or value is None:
            continue
        shown = "the one given" if setting.get("secret") else repr(value)
        kind = setting.get("type", ["string"])[0]
        if not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
            raise ConfigurationError(f"Setting {name} must be of type {kind}, not {shown}.")
        if value not in (allowed := setting.get("enum", [value])):
            choices = ", ".join(str(choice) for choice in allowed if choice is not None)
            raise ConfigurationError(f"Setting {name} must be one of {choices}, not {shown}.")
        if isinstance(value, (int, float)) and value < (least := setting.get("minimum", value)):
            raise ConfigurationError(f"Setting {name} must be at least {least}, not {shown}.")
        if isinstance(value, dict):
            _check(value, setting, f"{name}.")


def options(config: Mapping[str, Any], *, batch_id: str) -> Options:
    """Read the settings that shape tables.

    Args:
        config: the plugin's settings, with or without defaults.
        batch_id: for when the setting is unset.

    Raises:
        ConfigurationError: settings contradict each other or ask for what does not exist here.
    """
    complete_config = complete(config)
    # Null is unset, but for the schema: a name that is empty is a choice there.
    given = defaults() | {name: value for name, value in complete_config.items() if value is not None}
    if not given["add_record_metadata"] and given["activate_version"]:
        raise ConfigurationError(
            "activate_version needs the columns that add_record_metadata=false leaves out. "
            "Next: set activate_version to false too, or add_record_metadata to true."
        )
    for name, needed in (("state_table", "state_id"), ("state_id", "state_table"), ("fencing_token", "state_table")):
        if given.get(name) is not None and not given.get(needed):
            raise ConfigurationError(f"Setting {name} has no effect without {needed}. Next: set both, or neither.")
    return Options(
        schema=complete_config["default_target_schema"],
        table_name=given["table_name"] or "{stream}",
        load_method=given.get("load_method"),
        source=given["source_name"],
        batch_id=given.get("batch_id") or batch_id,
        metadata=given["add_record_metadata"],
        hard_delete=given["hard_delete"],
        content_encoding=given["interpret_content_encoding"],
        sanitize=given["sanitize_null_text_characters"],
        state_table=given.get("state_table"),
        state_id=given.get("state_id"),
        fencing_token=given.get("fencing_token"),
        input_end_is_success=given["end_of_input"] == "finished",
        quarantine=given["on_bad_record"] == "quarantine",
        max_bad_records=given["max_bad_records"],
        bad_records_table=given["bad_records_table"] or "_bad_records",
        schema_policy=given["schema_policy"],
        schema_policies=given["schema_policies"],
    )
