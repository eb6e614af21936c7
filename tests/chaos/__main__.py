"""`python -m tests.chaos --seed 1 --minutes 3`: exit code 1 and a line for each thing that should not be."""

from __future__ import annotations

import argparse
import sys
import time

from tests.chaos.campaign import Campaign


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides every fault and its moment")
    parser.add_argument("--minutes", type=float, default=3, help="how long faults go on")
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--workers", type=int, default=3)
    arguments = parser.parse_args()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    campaign = Campaign(
        arguments.seed, minutes=arguments.minutes, instances=arguments.instances, workers=arguments.workers, say=say
    )
    problems = campaign.conduct()
    for problem in problems:
        say(f"PROBLEM {problem}")
    say(f"seed {arguments.seed}: {len(problems)} problems")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
