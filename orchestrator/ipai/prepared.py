"""An instance made ready to run: its plugins installed, its settings resolved into files only we can read."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ipai.backfills import backfill_settings
from ipai.control_plane import STATE_TABLE
from ipai.errors import PluginError, SpecError
from ipai.failures import failure
from ipai.pipeline import Command, Exit, Side
from ipai.processes import end_guard, guard_folder, guarded
from ipai.references import Resolver, mentions, platform_values
from ipai.secrets import SecretKeys, SecretReader
from ipai.singer_catalog import Catalog, parse_catalog
from ipai.stopping import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ipai.control_plane import ControlPlane, Run
    from ipai.plugins import PluginEnvironments
    from ipai.specs import Connector, Instance
    from ipai.stopping import Stop

_TAIL_LINES = 20
_LOOK_SECONDS = 0.2  # how often a call looks whether it is to stop
_FOLDER_PREFIX = "ipai-run-"
_SETTLED_SECONDS = 5.0
_OURS = ("IPAI_", "OPENLINEAGE_")  # variables that no plugin gets


@dataclass(frozen=True)
class PreparedInstance:
    """An instance made ready: executables, settings in files only we can read, secrets known to the redactor.

    Args:
        keeps_state: whether the target itself stores each STATE, in the transaction of the rows it covers.
    """

    instance: Instance
    source: Connector
    folder: Path
    tap: Path
    target: Path
    resolver: Resolver
    keeps_state: bool
    _target_settings: Mapping[str, Any]
    _state_settings: Mapping[str, Any]

    def tap_command(self, *arguments: str | Path) -> Command:
        return self._command(self.tap, "--config", self.folder / "tap.json", *arguments)

    def target_command(self, part: str | None = None, token: int = 0) -> Command:
        """The target's command; given the part of the STATE that it is to keep, with the settings for that."""
        settings, name = self._target_settings, "target.json"
        if part is not None and self.keeps_state:
            resolver = self.resolver.knowing(state_table=STATE_TABLE, state_id=part, fencing_token=token)
            extra = resolver.resolve(
                self._state_settings, where=f"{self.instance.name}.destination.state_in_destination"
            )
            settings, name = {**settings, **extra}, f"target.{part.rpartition('#')[2]}.json"
        command = self._command(self.target, "--config", self.write(name, settings))
        # Not every target flushes; a STATE that waits in its buffer is a bookmark lost when it dies.
        return Command(command.argv, {**command.env, "PYTHONUNBUFFERED": "1"})

    def target_settings(self, *names: str) -> dict[str, Any]:
        """Some of the target's settings, None for those it does not have. They may hold secrets."""
        return {name: self._target_settings.get(name) for name in names}

    def write(self, name: str, value: Any) -> Path:
        """Write a JSON file that only we can read."""
        path = self.folder / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(value, file)
        return path

    def discover(self, stop: Stop | None = None) -> Catalog:
        """Ask the tap what there is.

        Raises:
            RunFailedError: with the tap's own reason.
            StoppedError: it was asked to stop meanwhile.
        """
        done = _call("tap", self.tap_command("--discover"), stop)
        if done.code != 0:
            raise failure(done, self.resolver, doing="discovering the source's streams")
        try:
            return parse_catalog(done.stdout)
        except SpecError:
            said = " ".join(self.resolver.redact(done.stdout).split())[:100]
            raise PluginError(
                f"The tap's --discover printed no Singer catalog but {said!r}.", hint="Is this a Singer tap?"
            ) from None

    def accept_nothing(self) -> None:
        """Give the target an empty input: it must accept its settings.

        Raises:
            RunFailedError: with the target's own reason.
        """
        done = _call("target", self.target_command())
        if done.code != 0:
            raise failure(done, self.resolver, doing="checking its settings")

    def _command(self, executable: Path, *arguments: str | Path) -> Command:
        # A plugin gets its secrets in its settings, not in its environment, and none of the platform's or of the other
        # side's; nor may our own Python reach into its environment.
        hidden = {*self.resolver.used_variables, "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        env = {name: value for name, value in os.environ.items() if name not in hidden and not name.startswith(_OURS)}
        argv = [str(executable), *map(str, arguments)]
        return Command(argv, {**env, "NO_COLOR": "1"})


@dataclass(frozen=True)
class _Call(Exit):
    """A plugin that was called for its stdout."""

    stdout: str = ""


def _call(side: Side, command: Command, stop: Stop | None = None) -> _Call:
    try:
        process = subprocess.Popen(
            list(command.argv), env=dict(command.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise PluginError(f"A plugin cannot be started: {error}") from None
    with guarded(process), process:
        while True:
            try:
                stdout, stderr = process.communicate(timeout=_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                if stop is not None and stop.reason is not None:
                    raise StoppedError(stop.reason) from None
    tail = stderr.decode("utf-8", "replace").replace("\0", "").splitlines()[-_TAIL_LINES:]
    return _Call(side, process.returncode, tuple(tail), stdout.decode("utf-8", "replace"))


@contextmanager
def prepare(
    control_plane: ControlPlane,
    environments: PluginEnvironments,
    instance: Instance,
    *,
    run: Run | None = None,
    keys: SecretKeys | None = None,
    why: str = "check",
    reinstall: bool = False,
) -> Iterator[PreparedInstance]:
    """Make an instance ready to run; its files are gone afterwards.

    Args:
        keys: open its secrets; those in the environment if left out.
        why: what the record of secrets says they are read for.

    Raises:
        SpecError: a reference in its settings leads nowhere.
        SecretError: a secret cannot be opened.
        PluginError: a plugin cannot be installed.
    """
    connectors = control_plane.specs.connectors()
    source, destination = connectors[instance.source.connector], connectors[instance.destination.connector]
    resolver = Resolver(
        platform_values(
            control_plane.url, instance=instance.name, source=source.name, run_id="" if run is None else str(run.id)
        ),
        SecretReader(control_plane.secrets, keys or SecretKeys(), instance.name, run, why),
    )
    # No plugin sees what is meant for another: not what its own settings name, nor what any other's do.
    resolver.used_variables.update(control_plane.specs.variables())
    given = {
        "tap": {**source.config, **instance.source.config},
        "target": {**destination.config, **instance.destination.config},
    }
    if run is not None and run.kind == "backfill":
        given["tap"] |= backfill_settings(source, run)
    tap_settings, target_settings = (
        resolver.resolve(given[side], where=f"{instance.name}.{connector.role}", secret_keys=connector.secrets)
        for side, connector in (("tap", source), ("target", destination))
    )
    with ThreadPoolExecutor(2) as pool:
        tap, target = pool.map(
            lambda connector: environments.executable(connector.plugin, reinstall=reinstall),
            (source, destination),
        )
    with _private_folder() as folder:
        # Only the platform's own database holds both the rows and the table of bookmarks.
        keeps_state = bool(destination.state_settings) and mentions(given["target"], "${ipai:database_url}")
        ready = PreparedInstance(
            instance, source, folder, tap, target, resolver, keeps_state, target_settings, destination.state_settings
        )
        ready.write("tap.json", tap_settings)
        yield ready


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder only we can enter, gone afterwards, also if we are killed; what a lost machine left is removed first."""
    for left_behind in Path(tempfile.gettempdir()).glob(f"{_FOLDER_PREFIX}*"):
        # Whoever lives holds the lock in its folder, after a first moment; another user's cannot be opened.
        with suppress(OSError, Timeout):
            found = left_behind.lstat()
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()  # no link, and nobody else's
            if ours and time.time() - found.st_mtime > _SETTLED_SECONDS:
                with FileLock(left_behind / "lock", blocking=False):
                    shutil.rmtree(left_behind, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX) as folder, FileLock(Path(folder) / "lock"):
        guard = guard_folder(Path(folder))
        try:
            yield Path(folder)
        finally:
            end_guard(guard)
