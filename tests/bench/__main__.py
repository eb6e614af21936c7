"""`python tests/bench NAME …`: tap-odoo, tap-github, target-postgres, control-plane or metrics; each has its --help."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

BENCHMARKS = {
    "tap-odoo": "tap_odoo.py",
    "tap-github": "tap_github.py",
    "target-postgres": "target_postgres.py",
    "control-plane": "control_plane.py",
    "metrics": "scrape.py",
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in BENCHMARKS:
        raise SystemExit(f"Name a benchmark: {', '.join(BENCHMARKS)}.")
    sys.path[0] = str(Path(__file__).parent)
    del sys.argv[0]
    runpy.run_path(str(Path(__file__).with_name(BENCHMARKS[sys.argv[0]])), run_name="__main__")
