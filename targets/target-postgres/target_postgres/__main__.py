"""`python -m target_postgres` is the command `target-postgres`."""

from __future__ import annotations

from target_postgres.cli import main

if __name__ == "__main__":
    main()
