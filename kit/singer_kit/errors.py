"""Errors that a plugin ends with on purpose.

A `PluginError` is written for whoever runs the plugin: its text says what happened, to which stream, record or
setting, and what to do next. `singer_kit.cli` prints that text alone and exits with the class's code; any other
exception is a defect and keeps its traceback.

    PluginError (1)
    ├── ConfigurationError (2)   a setting, a catalog or a state file is wrong; running again will not help
    ├── ConnectionFailedError (3) the other side cannot be reached or refuses us; it may help later
    ├── SourceError (4)          the source answered, but not with what the catalog promises
    └── DataError (5)            a message or a record cannot be loaded as it stands
"""

from __future__ import annotations


class PluginError(Exception):
    """Ends the plugin with one clear message."""

    exit_code = 1


class ConfigurationError(PluginError):
    """A setting, a catalog or a state is wrong."""

    exit_code = 2


class ConnectionFailedError(PluginError):
    """The source or the destination cannot be reached, or refuses us."""

    exit_code = 3


class SourceError(PluginError):
    """The source does not hold what the catalog promises."""

    exit_code = 4


class DataError(PluginError):
    """A message or a record cannot be loaded as it stands."""

    exit_code = 5
