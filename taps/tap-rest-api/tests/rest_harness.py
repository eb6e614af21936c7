"""Runs the tap and reads back what it says."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from singer_kit.errors import PluginError
from tap_rest_api.tap import TapRestApi

SPECS = Path(__file__).parents[4] / "shared" / "specs"


def needs(path: Path) -> Path:
    """A file of the shared specs; skips the test where it is not there."""
    if not path.exists():
        pytest.skip(f"{path.name} of the shared specs is not here")
    return path


@dataclass
class Output:
    """What a run wrote."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    error: PluginError | None = None
    exit_code: int = 0
    stderr: str = ""

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [each["record"] for each in self.messages if each["type"] == "RECORD" and each["stream"] == stream]

    def column(self, stream: str, name: str) -> list[Any]:
        return [record.get(name) for record in self.records(stream)]

    def schema(self, stream: str) -> dict[str, Any]:
        """The properties of the last SCHEMA."""
        return [each for each in self.messages if each["type"] == "SCHEMA" and each["stream"] == stream][-1]["schema"][
            "properties"
        ]

    @property
    def state(self) -> dict[str, Any]:
        states = [each["value"] for each in self.messages if each["type"] == "STATE"]
        return states[-1] if states else {}

    def bookmark(self, stream: str) -> Any:
        return self.state.get("bookmarks", {}).get(stream, {}).get("replication_key_value")

    def partitions(self, stream: str) -> dict[str, Any]:
        """Bookmarks by the first value of each context."""
        return {
            str(next(iter(each["context"].values()))): each.get("replication_key_value")
            for each in self.state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
        }


def parse(text: str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line]


def manifest(api: Any, *streams: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A manifest with these streams."""
    return {"version": 1, "base_url": getattr(api, "url", api), "streams": list(streams), **more}


def run(manifest: dict[str, Any], state: dict[str, Any] | None = None, *, catalog: Any = None, **config: Any) -> Output:
    """One run in this process."""
    buffer = io.BytesIO()
    written = io.TextIOWrapper(buffer, encoding="utf-8", write_through=True)
    former, sys.stdout = sys.stdout, written
    output = Output()
    try:
        tap = TapRestApi(
            config={"manifest": manifest, "max_retries": 3, **config},
            state=state,
            catalog=catalog,
            validate_config=True,
        )
        tap.sync_all()
    except PluginError as error:
        output.error, output.exit_code = error, error.exit_code
    finally:
        written.flush()
        sys.stdout = former
    output.messages = parse(buffer.getvalue().decode())
    written.detach()
    return output


def command(*arguments: str, **environment: str) -> Output:
    """One run of the real command."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", "from tap_rest_api.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **environment},
    )
    try:
        messages = parse(done.stdout)
    except ValueError:
        messages = []
    return Output(
        messages, None, done.returncode, done.stderr if messages or done.returncode else done.stderr + done.stdout
    )
