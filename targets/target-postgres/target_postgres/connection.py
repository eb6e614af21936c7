"""From settings to open connections."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from singer_kit.errors import ConfigurationError
from singer_kit.pem import is_pem, with_line_ends
from singer_kit.postgres import connect, conninfo_from_url, is_transient
from target_postgres.settings import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from singer_kit.ssh import Tunnel

__all__ = ["Connector", "is_transient"]

# What is written and quoted counts on the first four, whatever the role's or the database's defaults are. The last
# three would end a session that only waits for a slow tap.
_SESSION = {
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "datestyle": "ISO, MDY",
    "client_min_messages": "error",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}


class Connector:
    """Opens connections as the settings say, and again when one is lost.

    Args:
        config: the plugin's settings, with or without defaults.
        sleep: how to wait between attempts; may raise to give up.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def __init__(self, config: Mapping[str, Any], *, sleep: Callable[[float], object] = time.sleep) -> None:
        self._config = complete(config)
        self._sleep = sleep
        self._place = _place(self._config)
        self._session = {
            **_SESSION,
            "statement_timeout": _milliseconds(self._config["statement_timeout_seconds"]),
            "lock_timeout": _milliseconds(self._config["lock_timeout_seconds"]),
        }
        self._tunnel = _tunnel(self._config)
        with _certificates(self._config):
            pass  # what is missing shows now and not at the first connection

    def open(self) -> Connection[TupleRow]:
        """Open a connection that is ready for work: UTC, UTF-8, the settings' timeouts, autocommit off.

        Raises:
            ConnectionFailedError: the server refuses, or does not answer within `connection_retry_seconds`.
        """
        with _certificates(self._config) as certificates:
            return connect(
                {**self._place, **certificates},
                application_name=self._config.get("application_name")
                or self._place.get("application_name")
                or "target-postgres",
                session=self._session,
                tunnel=self._tunnel,
                retry_seconds=self._config["connection_retry_seconds"] or 0,
                sleep=self._sleep,
            )

    def close(self) -> None:
        """Close the tunnel. `open` would open it again."""
        if self._tunnel is not None:
            self._tunnel.close()


def _milliseconds(seconds: float | None) -> str:
    return str(round((seconds or 0) * 1000))


def _place(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters for libpq, without certificates."""
    timeout = {"connect_timeout": config["connect_timeout"] or 15}
    if url := config.get("sqlalchemy_url"):
        return {**timeout, **conninfo_to_dict(conninfo_from_url(url))}
    missing = [name for name in ("host", "user", "database") if not config.get(name)]
    if missing:
        raise ConfigurationError(
            f"Setting {missing[0]} is missing. Next: set host, port, user, password and database, or sqlalchemy_url."
        )
    parameters = {
        **timeout,
        "host": config["host"],
        "port": config["port"] or 5432,
        "user": config["user"],
        "dbname": config["database"],
    }
    if config.get("password") is not None:
        parameters["password"] = config["password"]
    if config["ssl_enable"]:
        parameters["sslmode"] = config["ssl_mode"] or "verify-full"
    return parameters


def _tunnel(config: Mapping[str, Any]) -> Tunnel | None:
    given = {name: value for name, value in (config.get("ssh_tunnel") or {}).items() if value not in {None, ""}}
    if not given.pop("enable", False):
        return None
    if missing := [name for name in ("host", "username") if name not in given]:
        raise ConfigurationError(f"Setting ssh_tunnel.{missing[0]} is missing. Next: set it, or enable to false.")
    from singer_kit.ssh import Bastion, Tunnel  # noqa: PLC0415 - needs the extra ssh

    return Tunnel(Bastion(**given, connect_timeout=config["connect_timeout"] or 15))


@contextmanager
def _certificates(config: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Parameters for certificates as files, which is all that libpq takes. Given as text, they exist only meanwhile."""
    wanted = {}
    if not config.get("sqlalchemy_url"):
        if config["ssl_enable"] and config["ssl_mode"] in {None, "verify-ca", "verify-full"}:
            wanted["sslrootcert"] = "ssl_certificate_authority"
        if config["ssl_client_certificate_enable"]:
            wanted |= {"sslcert": "ssl_client_certificate", "sslkey": "ssl_client_private_key"}
    texts = {parameter: config[name] for parameter, name in wanted.items() if is_pem(config[name])}
    paths = {parameter: _path(config, name) for parameter, name in wanted.items() if parameter not in texts}
    if not texts:
        yield paths
        return
    if parent := config.get("ssl_storage_directory"):
        Path(parent).mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="target-postgres-", dir=parent) as folder:
        for parameter, text in texts.items():
            file = Path(folder, f"{parameter}.pem")
            file.touch(mode=0o600)
            file.write_text(with_line_ends(text))
            paths[parameter] = str(file)
        yield paths


def _path(config: Mapping[str, Any], name: str) -> str:
    if name == "ssl_certificate_authority" and config[name] == "system":
        return "system"  # libpq's own word
    path = Path(config[name] or "").expanduser()
    if not path.is_file():
        raise ConfigurationError(f"Setting {name}: there is no file {str(path)!r}, and it is no PEM text.")
    return str(path)
