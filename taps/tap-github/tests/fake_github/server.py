"""The whole fake: a world, its REST and GraphQL APIs, credentials and limits."""

from __future__ import annotations

import base64
import functools
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from fake_github.cost import LARGEST, measured
from fake_github.graph import root
from fake_github.life import Life
from fake_github.listing import problem
from fake_github.organizations import OrganizationRoutes, Tokens
from fake_github.repositories import RepositoryRoutes
from fake_github.shapes import GRAPHQL, rest_document, whole
from fake_github.world import Repository, World
from singer_kit.testing.api import Answer, Burst, Clock, FakeApi, Quota, Request, describe
from singer_kit.testing.api.graphql import GraphQL, read_schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from singer_kit.testing.api import Description

TOKEN = "ghp_fake"
NOW = datetime(2024, 6, 1, 12, tzinfo=timezone.utc)
_HOUR = timedelta(hours=1)


class FakeGitHub:
    """GitHub for tests: seeded, stateful, and as strict as its own descriptions.

    Args:
        seed: the same number gives the same world and the same events.
        organizations: called `acme-0`, …; each with its repositories `repo-0`, …
        repositories: of each organisation.
        events: in a world's past, in all.
        past: how long ago it began; it ends at `NOW`.
        tokens: that are valid.
        points: of the primary limit, per token and hour; GraphQL has as many of its own.
        points_per_minute: of the secondary limit, per token, for REST and for GraphQL each; None: no such limit.
        concurrent: requests at once that the secondary limit lets pass.
        retry_after: whether its refusals tell how long to wait.
        latency: seconds of each answer.
        real_clock: whether the server's clock moves by itself.
        issue_links: see `RepositoryRoutes`.
        base_path: `/api/v3` makes it a GitHub Enterprise Server, GraphQL at `/api/graphql`.
        strict: see `FakeApi`.

    """

    def __init__(
        self,
        seed: int = 0,
        *,
        organizations: int = 1,
        repositories: int = 3,
        events: int = 300,
        past: timedelta = timedelta(days=300),
        tokens: Sequence[str] = (TOKEN,),
        points: int = 5000,
        points_per_minute: int | None = None,
        concurrent: int | None = 100,
        retry_after: bool = True,
        latency: float = 0.0,
        real_clock: bool = False,
        issue_links: Literal["cursor", "page"] = "cursor",
        base_path: str = "",
        strict: bool = True,
    ) -> None:
        self.clock = Clock(NOW - past, real=real_clock)
        self.world = World(seed, self.clock)
        self.life = Life(self.world)
        for number in range(organizations):
            self.world.add_organization(f"acme-{number}")
            for each in range(repositories):
                self.life.push(self.world.add_repository(f"acme-{number}", f"repo-{each}"), 3)
        self.life.happen(events, every=past / (events + 1))
        self.clock.set(NOW)
        self.api = FakeApi(
            _description(), latency=latency, clock=self.clock, base_path=base_path, strict=strict, refusal=_refusal
        )
        self.tokens = Tokens(tokens, self.clock)
        self.core = Quota(points, _HOUR, _exceeded(), applies=_is_core, free=_not_modified, more=_resource("core"))
        self.search = Quota(30, timedelta(minutes=1), _exceeded(), applies=_is_search, more=_resource("search"))
        self.graphql = Quota(points, _HOUR, _graphql_exceeded(), applies=_is_graphql, more=_resource("graphql"),
                             cost=lambda request: _measured(request)[0])  # fmt: skip
        self.secondary = Burst(
            points_per_minute or 10**9, concurrent=concurrent, refusal=_abuse(), retry_after=retry_after, punishes=True,
            key=lambda request: f"{request.credential} {_is_graphql(request)}",
        )  # fmt: skip
        self.api.limits += [self.core, self.search, self.graphql, self.secondary]
        self.api.gates.append(self._authenticate)
        RepositoryRoutes(self.world, issue_links=issue_links).register(self.api)
        OrganizationRoutes(self.world, self.tokens).register(self.api)
        self.api.route("GET", "/rate_limit", lambda _: Answer(whole("rate-limit-overview")))
        self._endpoint = GraphQL(read_schema(GRAPHQL), self._graphql_root, self.api.complaints.append)
        path = base_path.replace("/v3", "/graphql") or "/graphql"
        self.api.route("POST", path, self._graphql, described=False, absolute=bool(base_path))

    @property
    def url(self) -> str:
        return self.api.url

    @property
    def repositories(self) -> list[Repository]:
        return list(self.world.repositories.values())

    def mutate(
        self, count: int = 10, *, every: timedelta = timedelta(seconds=7), repository: Repository | None = None
    ) -> None:
        """Let so many events happen now; safe while requests are under way."""
        with self.api.lock:
            self.life.happen(count, every=every, repository=repository)

    def __enter__(self) -> FakeGitHub:  # noqa: PYI034
        self.api.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.__exit__(kind, error, trace)

    def _authenticate(self, request: Request) -> Answer | None:
        if not request.headers.get("User-Agent"):
            return problem(403, "Request forbidden by administrative rules: it has no User-Agent header.")
        token = request.credential
        if request.path.startswith("/app/") or request.path.endswith("/installation"):
            return self._refuse_signature(token)
        return None if not token or self.tokens.valid(token) else problem(401, "Bad credentials")

    def _refuse_signature(self, token: str) -> Answer | None:
        """An App signs for ten minutes at most, by GitHub's clock."""
        try:
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        except (IndexError, ValueError):
            return problem(401, "A JSON web token could not be decoded")
        now = self.clock.now.timestamp()
        if claims["iat"] > now:
            return problem(401, "'Issued at' claim ('iat') must be an Integer representing the time that it was issued")
        if not now < claims["exp"] <= now + 600:
            return problem(401, "'Expiration time' claim ('exp') is too far in the future, or past")
        return None

    def _graphql(self, request: Request) -> Answer:
        if not request.credential:
            return problem(401, "This endpoint requires you to be authenticated.")
        _, nodes = _measured(request)
        if nodes > LARGEST:
            message = f"This query requests up to {nodes:,} possible nodes; the maximum is {LARGEST:,}."
            return Answer({"errors": [{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": message}]})
        answer = self._endpoint(request)
        for error in answer.json.get("errors", ()):
            error.update(error.pop("extensions", {}))  # GitHub tells the type beside the message
        return answer

    def _graphql_root(self, request: Request) -> dict[str, Any]:
        limit, cost = self.graphql.points, _measured(request)[0]
        return root(self.world, remaining=limit - self.graphql.used(request.credential), limit=limit, cost=cost)


@functools.cache
def _description() -> Description:
    return describe(rest_document())


def _is_graphql(request: Request) -> bool:
    return request.path.endswith("/graphql")


def _measured(request: Request) -> tuple[int, int]:
    return measured(request.json["query"], request.json.get("variables"))


def _is_search(request: Request) -> bool:
    return request.path.startswith("/search/")


def _is_core(request: Request) -> bool:
    return not _is_graphql(request) and not _is_search(request) and request.path != "/rate_limit"


def _not_modified(answer: Answer) -> bool:
    return answer.status == 304


def _resource(name: str) -> dict[str, str]:
    return {"x-ratelimit-resource": name}


def _exceeded() -> Answer:
    return problem(403, "API rate limit exceeded for user ID 1.")


def _abuse() -> Answer:
    return problem(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")


def _graphql_exceeded() -> Answer:
    """GraphQL tells it with status 200."""
    return Answer({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}]})


def _refusal(request: Request, problems: list[str]) -> Answer:  # noqa: ARG001
    return problem(422, "Validation Failed", errors=[{"message": each} for each in problems])
