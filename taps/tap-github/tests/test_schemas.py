"""The schemas are those that GitHub's own description gives."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from fake_github.shapes import REST

from tap_github.streams.stream import SCHEMAS

TOOL = Path(__file__).parent.parent / "tools" / "write_schemas.py"


def test_schemas_are_as_written_from_the_description() -> None:
    spec = importlib.util.spec_from_file_location("write_schemas", TOOL)
    assert spec
    assert spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    for name, schema in tool.schemas(str(REST)).items():
        assert json.loads((SCHEMAS / f"{name}.json").read_text()) == schema, f"Next: python {TOOL} {REST}"
