"""What there is: users, organisations and repositories, their rows as the API shows them."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from fake_github.history import Commit, History
from fake_github.shapes import ROOT, Row, make

if TYPE_CHECKING:
    from singer_kit.testing.api import Clock

_BIG = 2**31  # ids begin above it


def stamp(moment: datetime) -> str:
    """As GitHub writes a moment: to the second, UTC."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_stamp(text: str) -> datetime:
    """A moment or a day as a parameter has it, UTC if it does not say."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@dataclass
class Team:
    row: Row
    members: dict[str, str] = field(default_factory=dict)  # role by login
    repositories: list[int] = field(default_factory=list)


@dataclass
class Organization:
    row: Row
    members: dict[str, str] = field(default_factory=dict)  # role by login
    outside: list[str] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)
    projects: list[Row] = field(default_factory=list)  # with their `items`


@dataclass
class Repository:
    """`row` is GitHub's full repository. Tables are by id or number.

    `refuses` holds, by the last part of a path such as `issues`, the status and message that is answered instead.
    """

    row: Row
    history: History = field(default_factory=History)
    issues: dict[int, Row] = field(default_factory=dict)  # by number; pull requests too
    comments: dict[int, Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    pulls: dict[int, Row] = field(default_factory=dict)  # by number
    pull_commits: dict[int, list[str]] = field(default_factory=dict)  # by number
    reviews: dict[int, list[Row]] = field(default_factory=dict)  # by pull request's number
    review_comments: dict[int, Row] = field(default_factory=dict)
    commit_comments: list[Row] = field(default_factory=list)
    labels: list[Row] = field(default_factory=list)
    milestones: list[Row] = field(default_factory=list)
    releases: list[Row] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    workflows: list[Row] = field(default_factory=list)
    runs: dict[int, Row] = field(default_factory=dict)
    jobs: dict[int, list[Row]] = field(default_factory=dict)  # by run; every attempt
    deployments: list[Row] = field(default_factory=list)
    statuses: dict[int, list[Row]] = field(default_factory=dict)  # by deployment
    stars: list[tuple[Row, datetime]] = field(default_factory=list)
    subscribers: list[Row] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # how many a commit has changed, if not 1; by SHA
    languages: dict[str, int] = field(default_factory=dict)
    members: list[Row] = field(default_factory=list)  # of the organisation: who may be assigned
    discussions: list[Row] = field(default_factory=list)  # with their `comments`, and those with their `replies`
    review_requests: dict[int, list[Row]] = field(default_factory=dict)  # by pull request's number
    activity: list[Row] = field(default_factory=list)
    public_events: list[Row] = field(default_factory=list)
    refuses: dict[str, tuple[int, str]] = field(default_factory=dict)  # by the last part of a path

    @property
    def id(self) -> int:
        return int(self.row["id"])

    @property
    def full_name(self) -> str:
        return str(self.row["full_name"])

    @property
    def url(self) -> str:
        return f"{ROOT}/repos/{self.full_name}"

    @property
    def default_branch(self) -> str:
        return str(self.row["default_branch"])


class World:
    """Everything, made by a seed. It has no history before `Life` gives it one.

    Args:
        seed: the same seed and calls give the same rows.
        clock: the server's; new rows bear its time.

    """

    def __init__(self, seed: int, clock: Clock) -> None:
        self.random = random.Random(seed)
        self.clock = clock
        self._ids = itertools.count(_BIG + seed * 1000)
        self._small_ids = itertools.count(1000)
        self.users: dict[str, Row] = {}
        self.organizations: dict[str, Organization] = {}
        self.repositories: dict[int, Repository] = {}
        self.renamed: dict[str, int] = {}  # former full names

    @property
    def now(self) -> str:
        return stamp(self.clock.now)

    def new_id(self) -> int:
        """Of issues, comments, runs and so on, whose ids have long been beyond 32 bits."""
        return next(self._ids)

    def new_small_id(self) -> int:
        """Of accounts, teams and repositories."""
        return next(self._small_ids)

    def new_sha(self) -> str:
        return f"{self.random.getrandbits(160):040x}"

    def find(self, full_name: str) -> Repository | None:
        """By its name of today, in any case."""
        wanted = full_name.lower()
        return next((each for each in self.repositories.values() if each.full_name.lower() == wanted), None)

    # Making

    def add_user(self, login: str) -> Row:
        urls = {
            name: value.replace("octocat", login)
            for name, value in make("simple-user-items").items()
            if isinstance(value, str) and name.endswith("url") and name != "avatar_url"
        }
        user = make("simple-user-items", login=login, id=self.new_small_id(), node_id=f"U_{login}", **urls)
        self.users[login] = user
        return user

    def add_organization(self, login: str, *, members: int = 5, teams: int = 2) -> Organization:
        row = make(
            "organization-full", login=login, id=self.new_small_id(), node_id=f"O_{login}", url=f"{ROOT}/orgs/{login}"
        )
        organization = self.organizations[login] = Organization(row)
        for number in range(members):
            name = f"{login}-dev{number}"
            self.add_user(name)
            organization.members[name] = "admin" if number == 0 else "member"
        self.add_user(f"{login}-guest")
        organization.outside.append(f"{login}-guest")
        for number in range(teams):
            self._add_team(organization, f"team-{number}")
        return organization

    def _add_team(self, organization: Organization, slug: str) -> None:
        login, identity = organization.row["login"], self.new_small_id()
        row = make("team-items", id=identity, name=slug.title(), slug=slug, node_id=f"T_{login}_{slug}",
                   url=f"{ROOT}/teams/{identity}", html_url=f"https://github.com/orgs/{login}/teams/{slug}",
                   organization_id=organization.row["id"])  # fmt: skip
        chosen = self.random.sample(sorted(organization.members), 3)
        roles = {name: "maintainer" if number == 0 else "member" for number, name in enumerate(chosen)}
        organization.teams.append(Team(row, roles))

    def add_repository(self, owner: str, name: str, **values: Any) -> Repository:
        """A repository without a commit, owned by an organisation."""
        organization = self.organizations[owner]
        full_name = f"{owner}/{name}"
        account = {**make("simple-user-items"), "login": owner, "id": organization.row["id"], "type": "Organization"}
        row = make("full-repository-default-response", full_name, id=self.new_small_id(), node_id=f"R_{owner}_{name}",
                   name=name, full_name=full_name, owner=account, organization=account, default_branch="main",
                   created_at=self.now, updated_at=self.now, pushed_at=self.now, language=None, fork=False,
                   archived=False, disabled=False, private=False, stargazers_count=0, open_issues_count=0,
                   has_issues=True, topics=["data"], custom_properties={"environment": "production", "teams": ["a"]},
                   **values)  # fmt: skip
        for inner in ("parent", "source", "template_repository"):
            row.pop(inner, None)
        repository = self.repositories[row["id"]] = Repository(
            row,
            languages={"Python": 4321, "C": 21},
            members=[self.users[name] for name in organization.members],
        )
        for label in ("bug", "feature", "question"):
            repository.labels.append(make("label-items", full_name, id=self.new_id(), name=label,
                                          node_id=f"L_{label}", url=f"{repository.url}/labels/{label}"))  # fmt: skip
        for team in organization.teams[:1]:
            team.repositories.append(repository.id)
        return repository

    def touch(self, repository: Repository, *, pushed: bool = False) -> None:
        """A repository's own `updated_at` moves with some events, `pushed_at` with others."""
        repository.row["pushed_at" if pushed else "updated_at"] = self.now

    def someone(self, repository: Repository) -> Row:
        """A member of the organisation."""
        members = self.organizations[repository.row["owner"]["login"]].members
        return self.users[self.random.choice(sorted(members))]

    def commit(
        self, repository: Repository, parents: tuple[str, ...], *, late: timedelta = timedelta(0), message: str = ""
    ) -> Commit:
        """A new commit that no branch has yet; `late`: made long before it is pushed."""
        moment = (self.clock.now - late).replace(microsecond=0)
        author = self.someone(repository) if self.random.random() > 0.1 else None
        sha = self.new_sha()
        return repository.history.add(
            Commit(sha, parents, author, moment - timedelta(minutes=5), moment, message or f"Change {sha[:7]}")
        )
