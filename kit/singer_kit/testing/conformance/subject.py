"""What the checks look at: one tap, its configuration, and the runs that several of them need."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_kit.testing.conformance.catalog import Catalog
from singer_kit.testing.conformance.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from singer_kit.testing.conformance.command import Finished, Interruption, TapCommand

_SHORTEST_SECRET = 4  # a shorter text is found anywhere


class NotApplicable(Exception):  # noqa: N818
    """A check cannot be made of this tap, for the reason in its text."""


class Failure(Exception):  # noqa: N818
    """A run that a check needs did not end well."""


def _nothing() -> None:
    """The source of most tests does not change."""


@dataclass
class Subject:
    """A tap under test. Its source must not change while it is.

    Args:
        command: its command line.
        config: its settings.
        streams: those to select; empty: what discovery selects, or all if that is none.
        state: that every run starts from.
        reset: brings the source back to where it was: called before each check.
        seed: of the points at which runs are killed.
        kills: how many runs are killed.
        lookback_seconds: how far behind its bookmark the tap reads on purpose.

    """

    command: TapCommand
    config: Mapping[str, Any]
    streams: tuple[str, ...] = ()
    state: Mapping[str, Any] | None = None
    reset: Callable[[], object] = _nothing
    seed: int = 0
    kills: int = 5
    lookback_seconds: float = 0
    leaked: set[str] = field(default_factory=set, init=False)  # secrets that any run printed

    # Runs

    def run(
        self,
        *options: str,
        config: Mapping[str, Any] | None = None,
        interruption: Interruption | None = None,
        **files: Mapping[str, Any] | None,
    ) -> Finished:
        """Run the tap with its configuration, or with another."""
        settings = self.config if config is None else config
        finished = self.command.run(*options, interruption=interruption, config=settings, **files)
        self.leaked |= {each for each in self.secrets if each in finished.stderr or each.encode() in finished.stdout}
        return finished

    def sync(
        self,
        *,
        catalog: Catalog | None = None,
        state: Mapping[str, Any] | None = None,
        interruption: Interruption | None = None,
    ) -> Finished:
        """Read the source, from the first state unless another is given."""
        chosen = catalog or self.catalog
        return self.run(
            catalog=chosen.document, state=self.state if state is None else state, interruption=interruption
        )

    def read(self, *, catalog: Catalog | None = None, state: Mapping[str, Any] | None = None) -> Output:
        """Read the source to the end.

        Raises:
            Failure: the run did not end with exit code 0, or printed something that is no message.

        """
        finished = self.sync(catalog=catalog, state=state)
        if finished.exit_code != 0:
            raise Failure(f"a run ended with {described(finished, self.command)}")
        output = Output.read(finished.stdout)
        if output.broken:
            raise Failure(output.broken[0])
        return output

    # What several checks need

    @cached_property
    def discovered(self) -> Finished:
        """A run of `--discover`.

        Raises:
            Failure: it did not end with exit code 0.

        """
        finished = self.run("--discover")
        if finished.exit_code != 0:
            raise Failure(f"--discover ended with {described(finished, self.command)}")
        return finished

    @cached_property
    def catalog(self) -> Catalog:
        """The discovered catalog with its selection made plain.

        Raises:
            Failure: there is none that can be read.

        """
        try:
            document = json.loads(self.discovered.stdout)
            return Catalog(document).selecting(self.streams)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failure(f"--discover printed no catalog: {error}") from None

    @cached_property
    def _clean(self) -> tuple[Output, int]:
        finished = self.sync()
        if finished.exit_code != 0:
            raise Failure(f"a run ended with {described(finished, self.command)}")
        return Output.read(finished.stdout), len(finished.stdout)

    @property
    def clean(self) -> Output:
        """A run from the first state to the end."""
        return self._clean[0]

    @property
    def clean_bytes(self) -> int:
        """How much that run printed."""
        return self._clean[1]

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The JSON Schema of the settings, from `--about`; empty where that cannot be read."""
        finished = self.command.run("--about", "--format", "json")
        try:
            found: dict[str, Any] = json.loads(finished.stdout)["settings"]
        except (ValueError, KeyError, TypeError):
            return {}
        return found

    # Secrets

    @property
    def secret_names(self) -> list[str]:
        """The configured settings that the tap itself calls secret."""
        described = self.settings.get("properties", {})
        return [name for name in self.config if described.get(name, {}).get("secret")]

    @cached_property
    def secrets(self) -> set[str]:
        """Every text in a secret setting. One that another setting shows too cannot be told from that."""
        plain = {text for name, value in self.config.items() if name not in self.secret_names for text in texts(value)}
        found = {text for name in self.secret_names for text in texts(self.config[name])}
        return {text for text in found - plain if len(text) >= _SHORTEST_SECRET}

    def with_canary(self, canary: str) -> dict[str, Any]:
        """The configuration with another text for every secret."""
        changed = copy.deepcopy(dict(self.config))
        for name in self.secret_names:
            changed[name] = _replaced(changed[name], canary)
        return changed


def texts(value: Any) -> Iterator[str]:
    """Every string in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def described(finished: Finished, command: TapCommand) -> str:
    """How a run ended, in words."""
    if finished.exit_code is None:
        return f"a kill after {command.timeout_seconds:.0f} seconds"
    return f"exit code {finished.exit_code}: {finished.last_words}"


def _replaced(value: Any, canary: str) -> Any:
    if isinstance(value, str):
        return canary
    if isinstance(value, dict):
        return {name: _replaced(each, canary) for name, each in value.items()}
    return [_replaced(each, canary) for each in value] if isinstance(value, list) else value
