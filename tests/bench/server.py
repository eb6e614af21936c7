"""A Postgres of the benchmark's own: durable as any; only autovacuum is off, which would hit one at random."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import ExitStack

_SETTINGS = {"autovacuum": "off", "max_wal_size": "8GB", "shared_buffers": "512MB"}


def start(stack: ExitStack, folder: Path) -> str:
    """Start a server: Debian's newest, else the embedded one. The stack stops it.

    Args:
        stack: stops the server when it is left.
        folder: empty; other accounts may enter it.

    Returns:
        The URL of the superuser's database.

    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return _start_installed(stack, folder / "postgres", found[-1].parent)
    from ipai.local import LocalPostgres

    server = LocalPostgres(folder / "postgres", settings=_SETTINGS)
    server.start()
    stack.callback(server.stop)
    return server.url("postgres")


def _start_installed(stack: ExitStack, home: Path, binaries: Path) -> str:
    home.mkdir()
    if os.geteuid() == 0:  # Postgres refuses to run as root
        shutil.chown(home, "postgres", "postgres")

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [binaries / program, "-D", home / "data", *arguments],
            check=True, cwd=home, stdout=subprocess.DEVNULL, env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
            **({"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}),
        )  # fmt: skip

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {**_SETTINGS, "listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home}
    call("initdb", "-U", "bench", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8")
    (home / "data" / "postgresql.auto.conf").write_text(
        "".join(f"{key} = '{value}'\n" for key, value in settings.items())
    )
    call("pg_ctl", "start", "-w", "-l", str(home / "log"))
    stack.callback(call, "pg_ctl", "stop", "-w", "-m", "fast")
    return f"postgresql://bench:x@127.0.0.1:{port}/postgres"
