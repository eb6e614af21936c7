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
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from target_postgres.engine import Engine

_OPTIONS = ("--config", "--input")
# Settings that are the SDK's: what they ask for, it does.
_SDK_SETTINGS = ("stream_maps", "flattening_enabled", "batch_config")
_LOG_FORMAT = "{asctime:23s} | {levelname:8s} | {name:30s} | {message}"

_logger = logging.getLogger("target-postgres")


def main() -> None:
    """Load messages from stdin, or from a file."""
    # Until somebody handles it in order, Ctrl-C ends the process on the spot: imports cut in two tell nobody anything.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
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
    config = _read(options["--config"])
    if config is None or any(config.get(name) for name in _SDK_SETTINGS):
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


def _read(paths: list[str]) -> dict[str, Any] | None:
    """The settings of several files, later ones first; None where the SDK has to read them, or to say what is wrong."""
    config: dict[str, Any] = {}
    for path in paths:
        if path == "ENV":
            return None
        try:
            with Path(path).open("rb") as file:
                given = json.load(file)
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(given, dict):
            return None
        config |= given
    return config


def _run(config: dict[str, Any], path: str | None) -> None:
    _set_up_logging()
    from singer_kit.cli import clean_exit  # noqa: PLC0415
    from target_postgres.engine import Engine  # noqa: PLC0415 - what it needs is imported only when it runs

    with clean_exit(_logger):
        engine = Engine(config, load_files=_load_files)
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


def _load_files(engine: Engine, message: dict[str, Any]) -> None:
    """Take a BATCH in: its files are read by the SDK, which is imported with the first of them."""
    from target_postgres.batches import load_files  # noqa: PLC0415

    load_files(engine, message)


def _open(path: str) -> IO[bytes]:
    from singer_kit.errors import ConfigurationError  # noqa: PLC0415

    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ConfigurationError(f"--input {path}: {error.strerror}.") from None


def _set_up_logging() -> None:
    asked = os.environ.get("TARGET_POSTGRES_LOGLEVEL") or os.environ.get("LOGLEVEL") or "INFO"
    level = logging.getLevelName(asked.upper())
    known = isinstance(level, int)
    logging.basicConfig(stream=sys.stderr, level=level if known else "INFO", format=_LOG_FORMAT, style="{")
    if not known:
        _logger.warning("Log level %r is not known; INFO is used", asked)
