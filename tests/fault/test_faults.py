"""A few seeds of the campaign, every fault among them; `tox -e fault` runs hundreds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .campaign import conduct
from .plan import make_plan
from .server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Its own, for it is restarted and its disk filled."""
    server = Server()
    yield server
    server.close()


# All faults with bookmarks in the table, and the first ones also as an orchestrator conducts them.
@pytest.mark.parametrize("seed", range(1001, 1016))
def test_destination_equals_source(server: Server, seed: int) -> None:
    plan = make_plan(seed, most=1)
    result = conduct(plan, server)
    assert not result.problems, f"{plan}\n" + "\n".join(result.problems)
