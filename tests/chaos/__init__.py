"""A fleet under fire: workers, schedulers, plugins and the server are killed and frozen at random, for minutes.

    python -m tests.chaos [--seed 1] [--minutes 3] [--instances 30] [--workers 3]

Each instance reads a source that exists as a formula only (`tests.fault.source`) and grows all the time, through a real
tap process into the real `target-postgres`, in the platform's own database. Workers (`fleet`) are processes with homes
and temporary folders of their own. The driver (`campaign`) enqueues runs and does what the seed decides; `checks` says
in the end whether every table equals its source, every run has ended as it should, no run was executed twice, and
nothing is left.
"""
