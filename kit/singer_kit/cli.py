"""The command line of a plugin: a `PluginError` becomes one line on stderr and an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from singer_kit.errors import PluginError

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    import click

_BROKEN_PIPE = 128 + 13  # what a shell reports for a process that SIGPIPE ended


@contextmanager
def clean_exit(logger: logging.Logger) -> Iterator[None]:
    """End the process as its caller expects: a `PluginError` with its text and code, a reader that is gone quietly."""
    try:
        yield
    except PluginError as error:
        logger.critical("%s", error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader is gone and says itself why; a second message would only hide it.
        # stdout is pointed away so that the interpreter's last flush stays quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)


class CleanErrors:
    """Mixin for an SDK `Tap` or `Target`; stands before it in the bases.

    Example:
        class TapShop(CleanErrors, Tap): ...
    """

    @classmethod
    def get_singer_command(cls) -> click.Command:
        command: click.Command = super().get_singer_command()  # type: ignore[misc]
        run, run_main = command.invoke, command.main

        def invoke(ctx: click.Context) -> Any:
            with clean_exit(cls.logger):  # type: ignore[attr-defined]
                return run(ctx)

        # `main` and not `invoke`: --discover and --test do their work while options are being parsed.
        def main(*args: Any, **kwargs: Any) -> Any:
            with clean_exit(cls.logger):  # type: ignore[attr-defined]
                return run_main(*args, **kwargs)

        command.invoke = invoke  # type: ignore[method-assign]
        command.main = main  # type: ignore[method-assign]
        return command
