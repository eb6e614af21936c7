"""Where the files that travel with the platform are: catalogs, migrations, the dbt project.

In a checkout they are read where they stand, so that an edit counts at once; an installed wheel carries a copy.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]


def resource(name: str) -> Path:
    """The path of `catalogs`, `sql` or `constraints.txt`."""
    standing = _CHECKOUT / name
    return (
        standing
        if (_CHECKOUT / "orchestrator" / "ipai").is_dir() and standing.exists()
        else _PACKAGE / "_resources" / name
    )
