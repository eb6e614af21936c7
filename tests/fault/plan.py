"""What a seed decides."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

# How the runs are conducted.
PLAIN, SHELL, ORCHESTRATED = MODES = (
    "plain",  # bookmarks are the target's lines on stdout
    "shell",  # bookmarks are in state_table; the end of input proves nothing
    "orchestrated",  # the same, and the end of input says that the tap has finished: else the target gets SIGTERM
)

FAULTS = (
    "kill target",
    "kill tap",
    "kill both",
    "terminate target",
    "restart Postgres",
    "cut connection",
    "hold lock",
    "fill disk",
    "broken line",
    "tap exits",
    "overlap",
)
BY_THE_TAP = {"broken line", "tap exits"}


@dataclass(frozen=True)
class Step:
    """One run that is disturbed.

    Args:
        fault: what happens.
        moment: share of the run's records after which it happens; None for a moment on the clock.
        seconds: time after that moment, or from the start.
        hold: the tap sends nothing more until it has happened.

    """

    fault: str
    moment: float | None
    seconds: float
    hold: bool


@dataclass(frozen=True)
class Plan:
    """Everything about a seed's runs.

    Args:
        seed: of the plan and of the source.
        mode: one of `MODES`.
        steps: the runs that are disturbed, before the clean one.
        sizes: records of each stream at each run; the source grows.
        states: often, end, both ends, never: when the tap sends STATE.
        every: records between two STATEs that come often.
        chunk: records of one stream before the next one's; None for one stream after the other.
        pause: seconds that the tap rests after each chunk of 100 records.
        pipe: bytes that fit between tap and target: few, and the tap is never far ahead.
        settings: of the target.

    """

    seed: int
    mode: str
    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    states: str
    every: int
    chunk: int | None
    pause: float
    pipe: int
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def bookmarks_in_table(self) -> bool:
        return self.mode != PLAIN

    def __str__(self) -> str:
        steps = ", ".join(
            f"{step.fault} {'at' if step.moment is None else f'{step.moment:.0%} +'} {step.seconds:.2f} s"
            f"{' held' if step.hold else ''}"
            for step in self.steps
        )
        return (
            f"seed {self.seed}, {self.mode}: {steps}; records {self.sizes}, STATE {self.states}/{self.every}, "
            f"chunk {self.chunk}, pause {self.pause}, pipe {self.pipe}, {self.settings}"
        )


def make_plan(seed: int, modes: tuple[str, ...] = MODES, *, most: int = 3) -> Plan:
    """The plan of a seed: consecutive seeds take turns in faults, and every round of them in modes.

    Args:
        seed: any number.
        modes: of which the runs may be.
        most: disturbed runs before the clean one.

    """
    chance = random.Random(seed)
    mode = modes[seed // len(FAULTS) % len(modes)]
    states = chance.choice(["often"] * 5 + ["end", "both ends", "never"])
    first = FAULTS[seed % len(FAULTS)]
    faults = [first, *chance.choices(FAULTS, k=chance.choice([0, 1, 1, 2]))][:most]
    if mode == PLAIN or states == "never":
        # Two that run at once need a bookmark in the table to tell them apart.
        faults = [fault if fault != "overlap" else "kill target" for fault in faults]
    size = chance.choice([20, 150, 500, 1500])
    sizes = [size]
    for _ in faults:
        sizes.append(sizes[-1] + chance.choice([0, 7, size // 3, size]))
    return Plan(
        seed=seed,
        mode=mode,
        steps=tuple(_step(fault, chance) for fault in faults),
        sizes=tuple(sizes),
        states=states,
        # So that large sources do not come to thousands of commits.
        every=max(chance.choice([1, 7, 50, 400]), size // 20),
        chunk=chance.choice([None, None, 5, 60]),
        pause=chance.choice([0, 0, 0.002, 0.02]),
        pipe=chance.choice([4096, 4096, 4096, 65536]),
        settings={
            "batch_size_rows": max(chance.choice([1, 20, 300, 10_000]), size // 50),
            "commit_interval_seconds": chance.choice([0, 0.1, 5]),
            "default_target_schema": "bronze",
        },
    )


def _step(fault: str, chance: random.Random) -> Step:
    hold = chance.random() < 0.4
    if chance.random() < 0.25 and fault not in BY_THE_TAP:
        return Step(fault, None, chance.uniform(0, 2), hold=False)
    return Step(fault, chance.random(), chance.choice([0, 0, chance.uniform(0, 0.3)]), hold)
