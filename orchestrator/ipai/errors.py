"""Every error a user of the platform can meet.

The text says what happened; `hint` says what to do next. The class decides the exit code of the command line and the
`code` in machine output, so that a script or an agent can act on the kind without reading the text. The `kind` decides
whether a run that failed so is tried again:

    config, data      never: it would fail the same way until somebody changes something
    transient         with growing delays, as often as the instance's SLA tier allows
    quota             when the source's quota refills, as it says itself

    IpaiError (1)
    ├── SpecError (3)          a YAML spec, a catalog or a state file is wrong
    ├── NotFoundError (4)      no such connector, instance or run
    ├── RunFailedError (5)     a tap or a target failed
    ├── DatabaseError (6)      the control plane cannot be reached or is not set up
    ├── PluginError (7)        a plugin cannot be installed or started
    │   └── PluginMissingError   … and trying again does not help
    ├── BusyError (8)          another run of this instance is under way
    ├── TransformError (9)     dbt failed
    └── SecretError (10)       a secret cannot be kept or opened
"""

from __future__ import annotations


class IpaiError(Exception):
    """Any other error."""

    exit_code = 1
    code = "error"
    kind = "transient"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SpecError(IpaiError):
    """A YAML spec, a catalog or a state file is wrong."""

    exit_code = 3
    code = "invalid_spec"
    kind = "config"


class NotFoundError(IpaiError):
    """No such connector, instance or run."""

    exit_code = 4
    code = "not_found"
    kind = "config"


class RunFailedError(IpaiError):
    """A tap or a target failed."""

    exit_code = 5
    code = "run_failed"


class DatabaseError(IpaiError):
    """The control plane cannot be reached or is not set up."""

    exit_code = 6
    code = "database"


class PluginError(IpaiError):
    """A plugin cannot be installed or started."""

    exit_code = 7
    code = "plugin"


class PluginMissingError(PluginError):
    """A plugin is not where its connector says."""

    kind = "config"


class BusyError(IpaiError):
    """Another run of this instance is under way."""

    exit_code = 8
    code = "busy"


class TransformError(IpaiError):
    """dbt failed."""

    exit_code = 9
    code = "transform_failed"


class SecretError(IpaiError):
    """A secret cannot be kept or opened."""

    exit_code = 10
    code = "secret"
    kind = "config"
