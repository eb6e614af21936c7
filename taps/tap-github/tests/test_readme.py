"""The README's tables are those of the settings and the streams."""

from __future__ import annotations

import importlib.util
from pathlib import Path

TOOL = Path(__file__).parent.parent / "tools" / "write_tables.py"


def test_tables_are_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("write_tables", TOOL)
    assert spec
    assert spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = tool.README.read_text()
    assert tool.written(text) == text, f"Next: python {TOOL}"
