"""Singer target for Postgres: COPY, set-based merges, STATE only after the commit."""
