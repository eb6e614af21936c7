"""Faults at random moments of real runs, and whether the destination equals the source afterwards.

    python -m tests.fault [--runs 200] [--first 0] [--seed 17]

A seed decides everything that can be decided: source, tap, settings, faults and their moments (`plan`). A fake tap
(`tap`) reads a source that exists as a formula only (`source`); the real `target-postgres` loads it; the driver
(`campaign`) does the faults (`faults`) to both and to a Postgres of its own (`server`), and compares by value.
"""
