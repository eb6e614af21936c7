"""Whatever happens on GitHub while the tap reads and between its runs: what it has sent is what there is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fake_github import FakeGitHub
from harness import Run, sync
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from truth import MARKS, truth

from singer_kit.testing.api import Answer, Fault

pytestmark = pytest.mark.slow

# Keys may stay behind of what was deleted, which no state tells; but nothing that is there may be missing or old.
STREAMS = tuple(name for name in MARKS if name != "events")


def assert_held(fake: FakeGitHub, runs: list[Run], stream: str) -> None:
    held = {}
    for run in runs:
        held |= run.rows(stream)
    found = {key: held[key][MARKS[stream]] if key in held else None for key in truth(fake, stream)}
    assert found == truth(fake, stream), stream


@pytest.mark.parametrize("links", ["cursor", "page"])
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10_000),
    past=st.integers(0, 400),
    during=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 12)), max_size=8),
    broken=st.one_of(st.none(), st.integers(3, 60)),
    graphql=st.booleans(),
)
def test_mutations(links: str, seed: int, past: int, during, broken: int | None, graphql: bool) -> None:
    with FakeGitHub(seed, repositories=2, events=past, issue_links=links) as fake:
        # Small pages would be more thorough, but the tap asks for 100: a busy past makes several.
        streams = STREAMS if graphql else tuple(
            name for name in STREAMS if not name.startswith("discussion") and name != "review_requests")  # fmt: skip
        for number, count in during:
            fake.api.after(number, lambda count=count: fake.mutate(count, every=timedelta(seconds=1)))
        if broken:
            fake.api.fault(Fault(Answer({"message": "I'm a teapot"}, 418)), nth=broken)
        runs = [run_once(fake, streams, None, graphql)]
        for _ in range(2):
            fake.api.forget()
            fake.mutate(15)
            fake.clock.advance(timedelta(hours=2))
            runs.append(run_once(fake, streams, runs[-1].state, graphql))
        for stream in streams:
            assert_held(fake, runs, stream)
        fake.api.forget()
        quiet = sync(fake, *streams, state=runs[-1].state, use_graphql=graphql)
        assert quiet.records() == []


def run_once(fake: FakeGitHub, streams, state, graphql: bool) -> Run:
    try:
        return sync(fake, *streams, state=state, use_graphql=graphql)
    except AssertionError:
        raise
    except Exception:  # noqa: BLE001 - the teapot
        return sync(fake, *streams, state=state, use_graphql=graphql)
