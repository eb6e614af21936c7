"""Which repositories are read: patterns, organizations, searches and users, together and each only once."""

from __future__ import annotations

import fnmatch
import logging
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from singer_kit.errors import ConfigurationError
from singer_kit.http import RefusedError
from tap_github import places
from tap_github.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from singer_kit.errors import PluginError
    from tap_github.client import GitHub
    from tap_github.places import Place
    from tap_github.streams.spec import Scope

logger = logging.getLogger("tap-github")

Row = dict[str, Any]
_STREAM = "repositories"
_NAMED = "names"
_ABSENT = frozenset({404, 451})
_NEWEST = {"sort": "updated", "direction": "desc"}
_SEARCHABLE = 1000  # results that one search gives at most
_FIRST = datetime(2007, 10, 1, tzinfo=timezone.utc)  # GitHub's first repositories


class Selection:
    """The repositories that the settings select.

    Their listing is read once a run: by the stream `repositories`, or by whoever needs it before.

    Args:
        github: gives who to ask; its credentials may depend on what is selected.
        config: the settings.
        report: told of a repository that is named but cannot be read.

    Raises:
        ConfigurationError: a pattern cannot be one, or nothing is selected.
    """

    def __init__(
        self, github: Callable[[], GitHub], config: Mapping[str, Any], report: Callable[[str, PluginError], None]
    ) -> None:
        self._ask = github
        self._config = config
        self._report = report
        self._found: dict[int, Place] = {}
        self._done: set[str] = set()
        texts: list[str] = config["repositories"]
        self._excluded = [text[1:].lower() for text in texts if text.startswith("!")]
        self._patterns: dict[str, list[str]] = {}
        self._names: list[str] = []
        for text in texts:
            if text.startswith("!"):
                continue
            owner, slash, name = text.partition("/")
            if not slash or not owner or not name or "/" in name or any(sign in owner for sign in "*?["):
                raise ConfigurationError(
                    f"Setting repositories: {text!r} is no repository. Next: write it like acme/shop, acme/* or "
                    "acme/web-*; to leave one out, !acme/old."
                )
            if any(sign in name for sign in "*?["):
                self._patterns.setdefault(owner, []).append(text.lower())
            else:
                self._names.append(text)
        for organization in config["organizations"]:
            self._patterns.setdefault(organization, []).append(f"{organization.lower()}/*")
        if not (self._names or self._patterns or config["searches"] or config["users"] or config["search_counts"]):
            raise ConfigurationError(
                "Nothing is selected. Next: set repositories, organizations, searches or users, one or several."
            )

    @property
    def owners(self) -> list[str]:
        """Whose repositories are named."""
        names = (name.partition("/")[0] for name in self._names)
        return list(dict.fromkeys([*self._patterns, *names, *self._config["users"]]))

    def places(self, scope: Scope) -> list[Place]:
        """What streams of a scope are read for."""
        config = self._config
        if scope == "repository":
            return self.repositories()
        if scope == "organization":
            return [places.organization(login) for login in dict.fromkeys(config["organizations"])]
        if scope == "user":
            return [places.user(login) for login in dict.fromkeys(config["users"])]
        if scope == "search":
            return [places.search(each["name"], each["query"]) for each in config["search_counts"]]
        return [places.source(name) for name in self.sources]

    @property
    def sources(self) -> list[str]:
        """Where repositories come from, each with a listing of its own."""
        return [
            *(f"{owner}/" for owner in self._patterns),
            *([_NAMED] if self._names else []),
            *(f"search {each['name']}" for each in self._config["searches"]),
            *(f"user {login}" for login in self._config["users"] if login not in self._patterns),
        ]

    def repositories(self) -> list[Place]:
        """All of them, in the order of their listings; reads the sources that nobody has read yet."""
        for source in self.sources:
            if source not in self._done:
                for _ in self.pages(source):
                    pass
        return list(self._found.values())

    def pages(self, source: str) -> Iterator[list[Row]]:
        """A source's repositories, page by page."""
        patterns = self._patterns.get(source.removesuffix("/"))
        for rows in self._listing(source):
            wanted = [row for row in rows if self._is_wanted(row, patterns)]
            for row in wanted:
                self._found.setdefault(row["id"], places.repository(row))
            yield wanted
        self._done.add(source)

    # Sources

    def _listing(self, source: str) -> Iterator[list[Row]]:
        if source == _NAMED:
            return self._named()
        kind, _, name = source.partition(" ")
        if kind == "search":
            return self._searched(name)
        if kind == "user":
            return self._listed(f"users/{name}/repos", {"type": "all", **_NEWEST})
        return self._of_owner(source.removesuffix("/"))

    def _is_wanted(self, row: Row, patterns: list[str] | None) -> bool:
        config, name = self._config, row["full_name"].lower()
        return (
            (patterns is None or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
            and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self._excluded)
            and (config["include_forks"] or not row.get("fork"))
            and (config["include_archived"] or not row.get("archived"))
            and (config["include_disabled"] or not row.get("disabled"))
            and (config["visibility"] == "all" or row.get("private") == (config["visibility"] == "private"))
        )

    def _of_owner(self, owner: str) -> Iterator[list[Row]]:
        """An organization's, or where it is none, a user's."""
        kind = {"type": self._config["visibility"]}
        first = (
            self._ask()
            .of(owner)
            .get(f"orgs/{owner}/repos", {"per_page": 100, **kind, **_NEWEST}, stream=_STREAM, tolerate=frozenset({404}))
        )
        if first.status == 404:  # noqa: PLR2004
            yield from self._listed(f"users/{owner}/repos", {"type": "owner", **_NEWEST})
            return
        yield first.body
        if first.next:
            yield from self._listed(first.next, {})

    def _listed(self, url: str, params: Mapping[str, Any]) -> Iterator[list[Row]]:
        account = "" if "://" in url else url.split("/")[1]
        for answer in self._ask().of(account).pages(url, params, stream=_STREAM):
            yield answer.body

    def _named(self) -> Iterator[list[Row]]:
        for name in self._names:
            owner = name.partition("/")[0]
            answer = self._ask().of(owner).get(f"repos/{name}", stream=_STREAM, tolerate=_ABSENT)
            if answer.status in _ABSENT:
                error = RefusedError(
                    f"Repository {name}: {answer.status}: absent, or the token may not see it. Next: check the name "
                    "and the token's rights, or take it out of the setting repositories.",
                    answer.status,
                )
                self._report(f"Repository {name}", error)
            else:
                yield [answer.body]

    def _searched(self, name: str) -> Iterator[list[Row]]:
        query = next(each["query"] for each in self._config["searches"] if each["name"] == name)
        yield from self._searched_between(query, _FIRST, self._ask().client.now() + timedelta(days=1))

    def _searched_between(self, query: str, start: datetime, end: datetime) -> Iterator[list[Row]]:
        """A search gives its first 1,000 results: one with more is cut in two by the date of creation."""
        whole = start == _FIRST
        text = query if whole else f"{query} created:{written(start)}..{written(end)}"
        answers = self._ask().pages("search/repositories", {"q": text}, stream=_STREAM)
        for number, answer in enumerate(answers):
            if not number and answer.body["total_count"] > _SEARCHABLE and end - start > timedelta(minutes=1):
                middle = (start + (end - start) / 2).replace(microsecond=0)
                # By dates on both sides, or the first half would be the whole again.
                yield from self._searched_between(query, start + timedelta(seconds=1), middle)
                yield from self._searched_between(query, middle + timedelta(seconds=1), end)
                return
            if answer.body.get("incomplete_results"):
                logger.warning("Search %r: GitHub gave up before it had found all.", text)
            yield answer.body["items"]
