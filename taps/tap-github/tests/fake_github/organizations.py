"""What GitHub's REST API answers about organisations, users, searches and Apps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from fake_github.listing import by_time, conditional, problem, within
from fake_github.repositories import SEARCH_CAP
from fake_github.shapes import Row, make, whole
from fake_github.world import Organization, Team, World, stamp
from singer_kit.testing.api import Answer, Clock, FakeApi, Request, link_pages

if TYPE_CHECKING:
    from datetime import datetime

Handler = Callable[[Organization, Request], Answer]

_QUALIFIER = re.compile(r'(-?\w+):("[^"]*"|\S+)')


class Tokens:
    """Credentials that the API knows.

    Args:
        tokens: that never expire.
        clock: the server's.

    """

    def __init__(self, tokens: Iterable[str], clock: Clock) -> None:
        self._clock = clock
        self._expiry: dict[str, datetime | None] = dict.fromkeys(tokens)
        self._made = 0

    def add(self) -> tuple[str, str]:
        """A new installation token and when it ends: in an hour."""
        self._made += 1
        token, end = f"ghs_installation{self._made}", self._clock.now + timedelta(hours=1)
        self._expiry[token] = end
        return token, stamp(end)

    def valid(self, token: str) -> bool:
        end = self._expiry.get(token)
        return token in self._expiry and (end is None or self._clock.now < end)

    def revoke(self, token: str) -> None:
        self._expiry.pop(token, None)


class OrganizationRoutes:
    """Handlers of everything that is not below a repository."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._tokens = tokens

    def register(self, api: FakeApi) -> None:
        organization: dict[str, Handler] = {
            "": lambda found, _: Answer(found.row),
            "/members": self._members,
            "/memberships/{username}": self._membership,
            "/outside_collaborators": lambda found, request: self._users(request, found.outside),
            "/repos": self._repositories,
            "/teams": lambda found, request: _page(request, [team.row for team in found.teams]),
            "/teams/{team_slug}/members": self._team_members,
            "/teams/{team_slug}/memberships/{username}": self._team_membership,
            "/teams/{team_slug}/repos": self._team_repositories,
            "/installation": lambda found, _: Answer(_installation(found)),
        }
        for path, handler in organization.items():
            api.route("GET", f"/orgs/{{org}}{path}", conditional(self._of_organization(handler)))
        api.route("GET", "/search/repositories", self._search_repositories)
        api.route("GET", "/search/issues", self._search_issues)
        api.route("GET", "/users/{username}", conditional(self._user))
        api.route("GET", "/users/{username}/repos", conditional(self._user_repositories))
        api.route("GET", "/users/{username}/starred", conditional(self._starred), described=False)
        api.route("GET", "/installation/repositories", self._installation_repositories)
        api.route("GET", "/app/installations", lambda request: _page(
            request, [_installation(each) for each in self._world.organizations.values()]))  # fmt: skip
        api.route("POST", "/app/installations/{installation_id}/access_tokens", self._access_token)
        api.route("GET", "/meta", lambda _: Answer({"verifiable_password_authentication": False}))

    def _of_organization(self, handler: Handler) -> Callable[[Request], Answer]:
        def handle(request: Request) -> Answer:
            found = self._world.organizations.get(request.parameters["org"])
            return problem(404, "Not Found") if found is None else handler(found, request)

        return handle

    def _users(self, request: Request, logins: Iterable[str]) -> Answer:
        return _page(request, [self._world.users[login] for login in sorted(logins)])

    def _members(self, organization: Organization, request: Request) -> Answer:
        role = request.query.get("role", "all")
        return self._users(request, [name for name, each in organization.members.items() if role in {"all", each}])

    def _membership(self, organization: Organization, request: Request) -> Answer:
        name = request.parameters["username"]
        if name not in organization.members:
            return problem(404, "Not Found")
        example = "org-membership-response-if-user-has-an-active-admin-membership-with-organization"
        return Answer({**whole(example), "role": organization.members[name], "user": self._world.users[name]})

    def _repositories(self, organization: Organization, request: Request) -> Answer:
        login, query = organization.row["login"], request.query
        rows = [each.row for each in self._world.repositories.values() if each.row["owner"]["login"] == login]
        kind = query.get("type", "all")
        rows = [row for row in rows if kind in {"all", "sources", "member"} or row["private"] == (kind == "private")]
        sort = query.get("sort", "created")
        if sort == "full_name":
            rows.sort(key=lambda row: str(row["full_name"]), reverse=query.get("direction", "asc") == "desc")
        else:
            key = by_time({"created": "created_at", "updated": "updated_at", "pushed": "pushed_at"}[sort])
            rows.sort(key=key, reverse=query.get("direction", "desc") == "desc")
        return _page(request, [_minimal(row) for row in rows])

    def _team(self, organization: Organization, request: Request) -> Team | None:
        slug = request.parameters["team_slug"]
        return next((team for team in organization.teams if team.row["slug"] == slug), None)

    def _team_members(self, organization: Organization, request: Request) -> Answer:
        team, role = self._team(organization, request), request.query.get("role", "all")
        if team is None:
            return problem(404, "Not Found")
        return self._users(request, [name for name, each in team.members.items() if role in {"all", each}])

    def _team_membership(self, organization: Organization, request: Request) -> Answer:
        team, name = self._team(organization, request), request.parameters["username"]
        if team is None or name not in team.members:
            return problem(404, "Not Found")
        return Answer({**whole("team-membership-response-if-user-is-a-team-maintainer"), "role": team.members[name]})

    def _team_repositories(self, organization: Organization, request: Request) -> Answer:
        team = self._team(organization, request)
        if team is None:
            return problem(404, "Not Found")
        return _page(request, [_minimal(self._world.repositories[each].row) for each in team.repositories])

    def _user(self, request: Request) -> Answer:
        user = self._world.users.get(request.parameters["username"])
        if user is None:
            return problem(404, "Not Found")
        return Answer({**whole("public-user-default-response"), **user})

    def _user_repositories(self, request: Request) -> Answer:
        """Users own none here; what an organisation owns is not theirs."""
        return _page(request, []) if request.parameters["username"] in self._world.users else problem(404, "Not Found")

    def _starred(self, request: Request) -> Answer:
        login = request.parameters["username"]
        rows: list[Row] = [
            {"starred_at": stamp(moment), "repo": each.row}
            for each in self._world.repositories.values()
            for user, moment in each.stars
            if user["login"] == login
        ]
        rows.sort(key=lambda row: str(row["starred_at"]), reverse=True)
        return _page(
            request, rows if "star+json" in request.headers.get("Accept", "") else [row["repo"] for row in rows]
        )

    # Search

    def _search_repositories(self, request: Request) -> Answer:
        wanted, words = _query(request.query["q"])
        created = within(wanted["created"]) if "created" in wanted else None
        owner = wanted.get("org") or wanted.get("user")
        rows = [
            {**make("repo-search-result-item-paginated"), **row, "score": 1.0}
            for row in (each.row for each in self._world.repositories.values())
            if owner in {None, row["owner"]["login"]}
            and all(word in row["full_name"] for word in words)
            and (created is None or created(row["created_at"]))
        ]
        return _searched(request, rows)

    def _search_issues(self, request: Request) -> Answer:
        wanted, words = _query(request.query["q"])
        created = within(wanted["created"]) if "created" in wanted else None
        rows = [
            {**make("issue-search-result-item-paginated"), **row, "body": row["body"] or "", "score": 1.0}
            for each in self._world.repositories.values()
            if wanted.get("repo") in {None, each.full_name} and wanted.get("org") in {None, each.row["owner"]["login"]}
            for row in each.issues.values()
            if wanted.get("is", wanted.get("type")) in {None, "pr" if "pull_request" in row else "issue", row["state"]}
            and wanted.get("state") in {None, row["state"]}
            and all(word in row["title"] for word in words)
            and (created is None or created(row["created_at"]))
        ]
        return _searched(request, rows)

    # Apps

    def _installation_repositories(self, request: Request) -> Answer:
        rows = [each.row for each in self._world.repositories.values()]
        return link_pages(items="repositories", total="total_count").answer(request, rows)

    def _access_token(self, request: Request) -> Answer:  # noqa: ARG002
        token, end = self._tokens.add()
        return Answer({"token": token, "expires_at": end, "permissions": {"metadata": "read"},
                       "repository_selection": "all"}, 201)  # fmt: skip


def _page(request: Request, rows: Sequence[Row]) -> Answer:
    return link_pages().answer(request, rows)


def _installation(found: Organization) -> Row:
    return {**whole("installation"), "id": found.row["id"], "account": {
        **make("simple-user-items"), "login": found.row["login"], "id": found.row["id"]}}  # fmt: skip


def _minimal(row: Row) -> Row:
    return {**make("minimal-repository-items", row["full_name"]), **row}


def _query(text: str) -> tuple[dict[str, str], list[str]]:
    """A search's qualifiers and its other words."""
    found = {name: value.strip('"') for name, value in _QUALIFIER.findall(text)}
    return found, _QUALIFIER.sub("", text).split()


def _searched(request: Request, rows: Sequence[Row]) -> Answer:
    """No more than 1,000 can be had, whatever the total says."""
    size, page = int(request.query.get("per_page", 30)), int(request.query.get("page", 1))
    if (page - 1) * size >= SEARCH_CAP:
        return problem(422, "Only the first 1000 search results are available")
    paging = link_pages(items="items", total="total_count")
    answer = paging.answer(request, rows[:SEARCH_CAP], around={"incomplete_results": False, "search_type": "lexical"})
    return Answer({**answer.json, "total_count": len(rows)}, headers=answer.headers)
