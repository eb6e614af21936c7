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


@pytest.mark.parametrize("seed", range(1000, 1015))
def test_destination_equals_source(server: Server, seed: int) -> None:
    plan = make_plan(seed, ("plain",), most=1)
    result = conduct(plan, server)
    assert not result.problems, f"{plan}\n" + "\n".join(result.problems)
