"""A Dockerfile replayed without an engine: its RUN lines, word for word, in a copy-on-write view of this machine.

Every stage starts from this machine's own root (Debian, as in the image) under an overlay that takes all writes, with a
Python of the named version laid over /usr/local, where the official images have it. What an engine does beyond that
(layers, cgroups, capabilities, seccomp, networks, the real base image) is not replayed.

Runs as root in a mount namespace of its own; nothing outside the work folder changes.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What reaches the package index, whatever this machine is set up with.
_PASSED_ON = ("PIP_", "UV_", "SSL_", "REQUESTS_")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Words and rests; lines that go on are joined, comments left out."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    for line in filter(str.strip, joined.splitlines()):
        word, _, rest = line.partition(" ")
        yield word, " ".join(rest.split())


@dataclass
class Stage:
    """One stage of the image: a root folder and what it has said about its environment."""

    root: Path
    env: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )
    directory: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)

    def command(self, words: Sequence[str]) -> list[str]:
        """A command line that runs words in the stage as its user."""
        uid, gid = self.user.split(":")
        become = f"setpriv --reuid {uid} --regid {gid} --clear-groups --no-new-privs"
        inside = f"cd {self.directory} && exec {become} {shlex.join(words)}"
        return ["chroot", str(self.root), "/bin/sh", "-c", inside]


def overlay(work: Path, name: str, python: Path) -> Path:
    """The root of this machine, writes going elsewhere, with a Python at /usr/local."""
    base = work / name
    for folder in ("root", "upper", "inner", "local-upper", "local-inner"):
        (base / folder).mkdir(parents=True)
    root = base / "root"

    def mount(*arguments: str | Path) -> None:
        subprocess.run(["mount", *map(str, arguments)], check=True)

    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={base}/upper,workdir={base}/inner", root)
    mount(
        "-t", "overlay", "overlay", "-o", f"lowerdir={python},upperdir={base}/local-upper,workdir={base}/local-inner",
        root / "usr/local",
    )  # fmt: skip
    for folder in ("proc", "dev"):
        mount("--rbind", f"/{folder}", root / folder)
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
    subprocess.run(
        ["chroot", root, "ldconfig"], check=True
    )  # a Python with a shared library finds it where it lies now
    return root


def build(dockerfile: Path, context: Path, work: Path, python: Path) -> Stage:  # noqa: C901 - a case for each word
    """Replay a Dockerfile; return its last stage.

    Args:
        context: the folder that COPY copies from, as `.dockerignore` would leave it.
        work: an empty folder on a disk that can be the upper part of an overlay.
        python: the prefix of the Python to use.
    """
    stages: dict[str, Stage] = {}
    stage = Stage(Path())
    arguments: dict[str, str] = {}
    for word, rest in instructions(dockerfile.read_text(encoding="utf-8")):
        words = shlex.split(rest) if word != "RUN" else []
        if word == "FROM":
            name = words[2] if words[1:2] == ["AS"] else f"stage{len(stages)}"
            stages[name] = stage = Stage(overlay(work, name, python))
        elif word == "ARG":
            key, _, value = words[0].partition("=")
            arguments[key] = value
        elif word == "ENV":
            for pair in words:
                key, _, value = pair.partition("=")
                stage.env[key] = Template(value).safe_substitute(stage.env)
        elif word == "WORKDIR":
            stage.directory = words[0]
            stage.root.joinpath(words[0].lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "USER":
            stage.user = words[0]
        elif word == "ENTRYPOINT":
            stage.entrypoint = [part.strip(' "') for part in rest.strip("[]").split(",")]
        elif word == "COPY":
            _copy(words, stage, stages, context)
        elif word == "RUN":
            _run(rest, stage, arguments)
    return stage


def _copy(words: Sequence[str], stage: Stage, stages: dict[str, Stage], context: Path) -> None:
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    source, target = [word for word in words if not word.startswith("--")]
    origin = stages[options["from"]].root if "from" in options else context
    into = stage.root / stage.directory.lstrip("/") / target.lstrip("/")
    found = origin / source.lstrip("/")
    if found.is_dir():
        shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(found, into)
        into.chmod(int(options.get("chmod", "0644"), 8))


def _run(text: str, stage: Stage, arguments: dict[str, str]) -> None:
    if text.startswith("apt-get update") and shutil.which("gcc"):
        print(f"not replayed, for it is here already: RUN {text}", flush=True)
        return
    print(f"RUN {text}", flush=True)
    env = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    subprocess.run(
        stage.command(["/bin/sh", "-c", text]),
        check=True,
        env={"HOME": "/root", **env, **arguments, **stage.env},
        timeout=900,
    )
