"""Compiles the native scanner into the wheel where there is a C compiler; without it the target is only slower.

The library knows nothing of Python, so the wheel fits every Python 3 of its platform. It lies beside the package, not
in it: there an editable install finds it too, and the source tree, which may be read-only, stays as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "_target_postgres_scan" + (".pyd" if sys.platform == "win32" else ".so")
_FLAGS = ("-std=c11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")


class NativeScannerHook(BuildHookInterface[Any]):
    """Runs for wheels only: a source distribution holds the C files as they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="target-postgres-"))
        library = self._folder / _NAME
        if not any(_compiled(compiler, Path(self.root, "native", "scan.c"), library) for compiler in _compilers()):
            self.app.display_warning("No C compiler that works: target-postgres is built without its fast path.")
            return
        build_data["force_include_editable" if version == "editable" else "force_include"][str(library)] = _NAME
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform_tag()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        shutil.rmtree(self._folder, ignore_errors=True)


def _compilers() -> Iterator[list[str]]:
    named = (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc", "gcc", "clang")
    for command in dict.fromkeys(filter(None, named)):
        if (parts := shlex.split(command)) and shutil.which(parts[0]):
            yield parts


def _compiled(compiler: list[str], source: Path, library: Path) -> bool:
    try:
        subprocess.run([*compiler, *_FLAGS, "-o", library, source], check=True, capture_output=True, timeout=300)
        ctypes.CDLL(str(library))  # of this machine's kind, or of no use
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _platform_tag() -> str:
    # A Mac's Python may be for two kinds of machines at once; what was compiled is for this one.
    name = sysconfig.get_platform().replace("universal2", platform.machine())
    return name.replace("-", "_").replace(".", "_")
