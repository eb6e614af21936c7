"""From a plugin's spec to an executable in an environment of its own.

uv makes and keeps the environments (`uv tool install`); this only says where, one folder per thing to install, so that
two versions of a plugin live side by side. An environment that is there is used as it is, without asking uv again:
folders are installed editable, so an edit in a checkout counts at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from uv import find_uv_bin

from ipai.errors import PluginError, PluginMissingError

if TYPE_CHECKING:
    from ipai.specs import PluginSpec

_INSTALL_SECONDS = 900


@dataclass(frozen=True)
class PluginEnvironments:
    """The folder that holds every plugin's environment."""

    home: Path

    def executable(self, plugin: PluginSpec, *, reinstall: bool = False) -> Path:
        """The plugin's executable, installed first when it is not there yet.

        Raises:
            PluginError: it is not on PATH, or uv cannot install it, with uv's own reason.
        """
        if not plugin.install:
            return _on_path(plugin.command)
        environment = self.home / f"{plugin.command}-{_fingerprint(plugin)}"
        executable = environment / "bin" / (plugin.command + (".exe" if os.name == "nt" else ""))
        if executable.exists() and not reinstall:
            return executable
        environment.mkdir(parents=True, exist_ok=True)
        with FileLock(environment / "lock"):
            if reinstall or not executable.exists():
                _install(plugin, environment, reinstall=reinstall)
        if not executable.exists():
            offered = sorted(path.name for path in (environment / "bin").glob("*"))
            raise PluginMissingError(
                f"{plugin.install[0]} is installed, but has no command {plugin.command!r}.",
                hint=f"It offers: {', '.join(offered) or 'none'}. Set plugin.command in its connector.yaml.",
            )
        return executable


def _on_path(command: str) -> Path:
    # The environment ipai itself is installed in counts as well: it need not be activated.
    found = shutil.which(command) or shutil.which(command, path=str(Path(sys.executable).parent))
    if found is None:
        raise PluginMissingError(
            f"The command {command!r} is not on PATH.",
            hint="Install the plugin, or add plugin.install to its connector.yaml so that ipai installs it.",
        )
    return Path(found)


def _fingerprint(plugin: PluginSpec) -> str:
    """Names what would be installed; a change of it makes a new environment."""
    digest = hashlib.sha256(f"{plugin.install}{plugin.python or sys.version_info[:2]}".encode())
    for path in [
        plugin.constraints,
        *(Path(item) / "pyproject.toml" for item in plugin.install if _is_folder(item)),
    ]:
        if path is not None and path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _is_folder(item: str) -> bool:
    return Path(item).is_absolute()


def _install(plugin: PluginSpec, environment: Path, *, reinstall: bool) -> None:
    first, *others = plugin.install
    for item in plugin.install:
        if _is_folder(item) and not (Path(item) / "pyproject.toml").is_file():
            raise PluginMissingError(
                f"There is no plugin in {item}: it has no pyproject.toml.",
                hint="Check plugin.install in its connector.yaml.",
            )
    command = [
        find_uv_bin(),
        "tool",
        "install",
        "--quiet",
        "--force",
        "--python",
        plugin.python or sys.executable,
    ]
    command += ["--editable", first] if _is_folder(first) else [first]
    for item in others:
        command += ["--with-editable" if _is_folder(item) else "--with", item]
    if plugin.constraints:
        command += ["--constraints", str(plugin.constraints)]
    if reinstall:
        command += ["--reinstall", "--refresh"]
    variables = {
        # What builds a plugin is code of others: none of the platform's keys and passwords for it.
        **{name: value for name, value in os.environ.items() if not name.startswith("IPAI_")},
        "UV_TOOL_DIR": str(environment),
        "UV_TOOL_BIN_DIR": str(environment / "bin"),
        "NO_COLOR": "1",
    }
    variables.pop("VIRTUAL_ENV", None)
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise PluginError(f"Installing {plugin.command} took longer than {_INSTALL_SECONDS} s.") from None
    if done.returncode:
        reason = " ".join(line.strip() for line in done.stderr.splitlines() if "not on your PATH" not in line)
        raise PluginError(
            f"{plugin.command} cannot be installed from {', '.join(plugin.install)}: {reason}",
            hint="Check plugin.install in its connector.yaml and that the package index can be reached.",
        )
