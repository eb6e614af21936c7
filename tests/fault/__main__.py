"""Many seeds: `python -m tests.fault --runs 200`, or one again: `python -m tests.fault --seed 17`.

`python -m tests.fault fleet --seed 1 --minutes 3` does it to a whole fleet, see `tests.chaos`.
"""

from __future__ import annotations

import argparse
import contextlib
import queue
import signal
import sys
import threading
import time
from collections import Counter

from tests.chaos.__main__ import main as fleet

from .campaign import Result, conduct
from .plan import FAULTS, MODES, make_plan
from .server import Server


def main() -> None:
    if sys.argv[1:2] == ["fleet"]:
        del sys.argv[1]
        fleet()
        return
    parser = argparse.ArgumentParser(prog="python -m tests.fault", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this one, and say what it does")
    parser.add_argument("--mode", choices=MODES, action="append", help="conduct runs only so; may come more than once")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.seed is not None:
        arguments.first, arguments.runs, arguments.workers = arguments.seed, 1, 1
    modes = tuple(arguments.mode or MODES)
    seeds = range(arguments.first, arguments.first + arguments.runs)
    begun = time.monotonic()
    results = Crew(modes, arguments.workers, verbose=arguments.seed is not None).work(seeds)
    report(results, seeds, time.monotonic() - begun)
    sys.exit(len(results) < len(seeds) or any(result.problems for result in results))


class Crew:
    """Workers that share the seeds, each with a server of its own, for it is restarted and its disk filled."""

    def __init__(self, modes: tuple[str, ...], workers: int, *, verbose: bool) -> None:
        self.modes = modes
        self.workers = workers
        self.verbose = verbose
        self.seeds: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.results: list[Result] = []

    def work(self, seeds: range) -> list[Result]:
        for seed in seeds:
            self.seeds.put(seed)
        threads = [threading.Thread(target=self._worker) for _ in range(min(self.workers, len(seeds)))]
        previous = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM)}
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number, handler in previous.items():
            signal.signal(number, handler)
        return self.results

    def _stop(self, _number: int, _frame: object) -> None:
        """Finish the seeds at hand, so that no server and no mounted disk stays behind."""
        with contextlib.suppress(queue.Empty):
            while True:
                self.seeds.get_nowait()

    def _worker(self) -> None:
        server = Server()
        try:
            while True:
                plan = make_plan(self.seeds.get_nowait(), self.modes)
                if self.verbose:
                    print(plan)
                result = conduct(plan, server)
                self.results.append(result)
                if result.problems:
                    print(f"FAILED {plan}", *(f"    {each}" for each in result.problems), sep="\n", flush=True)
                elif len(self.results) % 20 == 0:
                    print(f"{len(self.results)} seeds done", flush=True)
        except queue.Empty:
            return
        finally:
            server.close()


def report(results: list[Result], seeds: range, seconds: float) -> None:
    hits = Counter(fault for result in results for fault, hit in result.faults if hit)
    misses = Counter(fault for result in results for fault, hit in result.faults if not hit)
    failed = sorted(result.plan.seed for result in results if result.problems)
    modes = Counter(result.plan.mode for result in results)
    print(f"\n{len(results)} seeds, {seeds.start} to {seeds.stop - 1}, in {seconds:.0f} s")
    print("conducted: " + ", ".join(f"{mode} {modes[mode]}" for mode in MODES))
    print(f"rows without keys had to be there exactly once in {sum(result.exact for result in results)} of them")
    for fault in FAULTS:
        print(f"  {fault:18} {hits[fault]:4} hit   {misses[fault]:4} came too early or too late")
    print(f"failed: {', '.join(map(str, failed)) or 'none'}")


if __name__ == "__main__":
    main()
