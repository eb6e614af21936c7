"""What a user tries first, and what a wrong setting says."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.subject import NotApplicable, described

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("commands")

TRACEBACK = "Traceback (most recent call last)"
_OPTIONS = ("--config", "--discover", "--catalog", "--state")


@CHECKS.add("version")
def version(subject: Subject) -> Iterator[str]:
    """`--version` prints one, without a configuration."""
    finished = subject.command.run("--version")
    if finished.exit_code != 0:
        yield f"it ended with {described(finished, subject.command)}"
    elif not re.search(rb"\d+\.\d+", finished.stdout):
        yield f"it printed {finished.stdout.decode(errors='replace').strip()!r}, which holds no version"


@CHECKS.add("help")
def help_text(subject: Subject) -> Iterator[str]:
    """`--help` names the options that an orchestrator needs."""
    finished = subject.command.run("--help")
    if finished.exit_code != 0:
        yield f"it ended with {described(finished, subject.command)}"
        return
    text = finished.stdout.decode(errors="replace")
    if missing := [option for option in _OPTIONS if option not in text]:
        yield f"it does not name {', '.join(missing)}"


@CHECKS.add("about")
def about(subject: Subject) -> Iterator[str]:
    """`--about --format json` describes every setting, without a configuration."""
    finished = subject.command.run("--about", "--format", "json")
    if finished.exit_code != 0:
        yield f"it ended with {described(finished, subject.command)}"
        return
    try:
        properties = json.loads(finished.stdout)["settings"]["properties"]
    except (ValueError, KeyError, TypeError):
        yield "it printed no JSON with settings.properties"
        return
    for name, setting in properties.items():
        if not setting.get("description"):
            yield f"setting {name!r} has no description"
    for name in subject.config:
        if name not in properties:
            yield f"setting {name!r} of the configuration is not described"


@CHECKS.add("wrong setting")
def wrong_setting(subject: Subject) -> Iterator[str]:
    """A setting that is missing or of the wrong type ends discovery with an error that names it, and no traceback."""
    name, config = _spoiled(subject)
    finished = subject.run("--discover", config=config)
    if finished.exit_code == 0:
        yield f"a wrong setting {name!r} went unnoticed"
        return
    if finished.exit_code is None:
        yield f"a wrong setting {name!r} ended with {described(finished, subject.command)}"
    if TRACEBACK in finished.stderr:
        yield f"a wrong setting {name!r} ended in a traceback: {finished.last_words}"
    if not any(name in line for line in finished.stderr.splitlines()):
        yield f"the error does not name {name!r}: {finished.last_words}"


def _spoiled(subject: Subject) -> tuple[str, dict[str, Any]]:
    """A required setting left out, or else one of a type that it cannot have."""
    required = [name for name in subject.settings.get("required", []) if name in subject.config]
    if required:
        return required[0], {name: value for name, value in subject.config.items() if name != required[0]}
    for name, setting in subject.settings.get("properties", {}).items():
        kinds = setting.get("type", [])
        if name in subject.config and "object" not in kinds and kinds:
            return name, {**subject.config, name: {"wrong": True}}
    raise NotApplicable("--about describes no setting of the configuration that could be wrong")
