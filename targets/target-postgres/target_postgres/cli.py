"""The command `target-postgres`: the short way where it suffices, the SDK's where something of it is asked for.

Importing the SDK takes most of a second, which a platform that starts many short runs pays each time. A command line of
`--config FILE` and `--input FILE` alone, with settings that need no stream maps, goes without.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

_OPTIONS = ("--config", "--input")
# Settings that are the SDK's: what they ask for, it does.
_SDK_SETTINGS = ("stream_maps", "flattening_enabled", "batch_config")
_LOG_FORMAT = "{asctime:23s} | {levelname:8s} | {name:30s} | {message}"

_logger = logging.getLogger("target-postgres")


def main() -> None:
    """Load messages from stdin, or from a file."""
    found = _short_way(sys.argv[1:])
    if found is None:
        from target_postgres.target import TargetPostgres  # noqa: PLC0415 - only here, for its import takes long

        TargetPostgres.cli()
        return
    _run(*found)


def _short_way(arguments: list[str]) -> tuple[dict[str, Any], str | None] | None:
    """The settings and the input file; None where the SDK has to read the command line."""
    if "SINGER_SDK_LOG_CONFIG" in os.environ:
        return None
    options = _parse(arguments)
    if options is None or not options["--config"]:
        return None
    config: dict[str, Any] = {}
    for path in options["--config"]:
        try:
            with Path(path).open("rb") as file:
                config |= json.load(file)
        except (OSError, ValueError, TypeError):
            return None  # whatever is wrong, or means something else, such as ENV
    if any(config.get(name) for name in _SDK_SETTINGS):
        return None
    inputs = options["--input"]
    return config, inputs[-1] if inputs else None


def _parse(arguments: list[str]) -> dict[str, list[str]] | None:
    options: dict[str, list[str]] = {name: [] for name in _OPTIONS}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in options:
            return None
        if not equals:
            value = next(rest, "")
        options[name].append(value)
    return options


def _run(config: dict[str, Any], path: str | None) -> None:
    _set_up_logging()
    from singer_kit.cli import clean_exit  # noqa: PLC0415
    from target_postgres.engine import Engine  # noqa: PLC0415 - what it needs is imported only when it runs

    with clean_exit(_logger):
        engine = Engine(config)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _: engine.interrupt(received))
        source: IO[bytes] | None = None if path is None else _open(path)
        engine.run(source)
        _logger.info(
            "Loaded %d records of %d streams; %d STATEs.",
            engine.counts["RECORD"],
            engine.stream_count,
            engine.counts["STATE"],
        )


def _open(path: str) -> IO[bytes]:
    from singer_kit.errors import ConfigurationError  # noqa: PLC0415

    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ConfigurationError(f"--input {path}: {error.strerror}.") from None


def _set_up_logging() -> None:
    level = os.environ.get("TARGET_POSTGRES_LOGLEVEL") or os.environ.get("LOGLEVEL") or "INFO"
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=_LOG_FORMAT, style="{")
