"""Write the tables of README.md from the settings and the streams themselves.

python taps/tap-github/tools/write_tables.py
"""

# ruff: noqa: INP001
from __future__ import annotations

import json
import re
from pathlib import Path

from tap_github.settings import SETTINGS
from tap_github.streams.table import STREAMS

README = Path(__file__).parent.parent / "README.md"
_OF_THE_SDK = ("stream_map", "faker_", "flattening_", "batch_", "emit_")  # which adds them once a tap is made
_WALKS = {
    "repositories": "those of which anything has changed",
    "listing": "whole, if it has changed",
    "newest": "newest first, until what is known",
    "since": "from the bookmark on",
    "commits": "what was added since the last head",
    "windows": "by the time they were made, and again for 30 days",
    "connection": "whole, if it has changed; many repositories in one query",
    "projects": "those that have changed",
    "counts": "by month",
}


def settings() -> str:
    """A row each."""
    lines = ["| setting | default | what |", "|---|---|---|"]
    for name, value in SETTINGS["properties"].items():
        if name.startswith(_OF_THE_SDK):
            continue
        default = "" if value.get("default") is None else f"`{json.dumps(value['default'])}`"
        secret = "secret. " if value.get("secret") else ""
        lines.append(f"| `{name}` | {default} | {secret}{value['description']} |")
    return "\n".join(lines)


def streams() -> str:
    """A row each."""
    lines = ["| stream | key | replication key | read | skipped at |", "|---|---|---|---|---|"]
    for name, spec in STREAMS.items():
        read = f"with `{spec.leader}`, for those that have changed" if spec.leader else _WALKS[spec.walk]
        if spec.walk == "connection" and spec.replication_key:
            read = "newest first, until what is known; many repositories in one query"
        if spec.walk == "listing" and spec.replication_key:
            read = "whole, if it has changed; what is newer is sent"
        graphql = " (GraphQL)" if spec.batched and spec.leader else " (GraphQL only)" if not spec.path else ""
        key = ", ".join(f"`{column}`" for column in spec.key)
        replication = f"`{spec.replication_key}`" if spec.replication_key else ""
        skipped = ", ".join(map(str, sorted(spec.tolerate)))
        off = "" if spec.selected else ", off"
        lines.append(f"| `{name}`{off} | {key} | {replication} | {read}{graphql} | {skipped} |")
    return "\n".join(lines)


def written(text: str) -> str:
    """README.md with its tables as they are to be."""
    for name, table in (("settings", settings()), ("streams", streams())):
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = mark.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
