"""The tap: its settings, its streams, and what they share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from singer_kit.http import Budget, Call, QuotaHeaders
from singer_kit.rest import RestTap
from tap_github.client import GitHub
from tap_github.credentials import app_key, installations, issuer, tokens
from tap_github.errors import QueryError
from tap_github.judge import judge
from tap_github.rows import Urls
from tap_github.selection import Selection
from tap_github.settings import SETTINGS
from tap_github.streams.stream import GitHubStream
from tap_github.streams.table import STREAMS
from tap_github.survey import Survey, Together, batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from singer_sdk import Stream

    from singer_kit.errors import PluginError
    from singer_kit.http import Credential
    from tap_github.places import Place


_MOST_WORKERS = 20


class TapGitHub(RestTap):
    """Singer tap for GitHub: REST and GraphQL, tokens and Apps, github.com and Enterprise Server."""

    name = "tap-github"
    package_name = "ipai-tap-github"
    config_jsonschema = SETTINGS
    default_url = "https://api.github.com"
    concurrency = 4  # with one credential
    dynamic_catalog = True  # its streams depend on a setting, so discovery looks at all of them
    judge = staticmethod(judge)

    def discover_streams(self) -> list[GitHubStream]:
        """All streams of the table; without GraphQL, those that REST has."""
        graphql = self.config["use_graphql"]
        streams = {name: GitHubStream(self, spec) for name, spec in STREAMS.items() if graphql or spec.path}
        for stream in streams.values():
            if stream.spec.leader:
                stream.hang_on(streams[stream.spec.leader])
        return list(streams.values())

    def load_streams(self) -> list[Stream]:  # type: ignore[misc]  # final only by name
        """Repositories first: their listing tells the others which there are, and is read once."""
        return sorted(super().load_streams(), key=lambda stream: stream.name != "repositories")

    # How GitHub is asked

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": self.config["api_version"]}

    @property
    def quota_headers(self) -> QuotaHeaders:
        return QuotaHeaders(unit="epoch_s", bucket="x-ratelimit-resource")

    @property
    def budgets(self) -> Sequence[Budget]:
        per_second = self.config["requests_per_second"]
        rest = [Budget(max(1, int(per_second)), 1, lambda call: call.bucket != "graphql")] if per_second else []
        return [
            *rest,
            Budget(2000, 60, lambda call: call.bucket == "graphql"),
            Budget(30, 60, lambda call: call.bucket == "search"),
        ]

    @property
    def reserve(self) -> Mapping[str, int]:
        """Of searches there are 30 a minute only: nobody needs some of those left."""
        return dict.fromkeys(("core", "graphql"), self.config["rate_limit_reserve"])

    def credentials(self) -> Sequence[Credential]:
        found: list[Credential] = list(tokens(self.config))
        if issuer(self.config) and (key := app_key(self.config)):
            app = self.new_client(self.api_url, credentials=[key], judge=judge, headers=self.headers)
            key.clock = app.now
            found += installations(self.config, self.selection.owners, app, self._now, self.redactor.add)
        if not found:
            self.logger.warning(
                "No credential is set: GitHub answers 60 anonymous requests an hour. Next: set auth_token."
            )
        return found

    def _now(self) -> datetime:
        return self.client.now()

    @property
    def api_url(self) -> str:
        return str(self.config.get("api_url") or self.default_url).rstrip("/")

    @property
    def graphql_url(self) -> str:
        """GraphQL's address: an Enterprise Server's is not below that of REST."""
        if chosen := self.config.get("graphql_url"):
            return str(chosen)
        parts = urlsplit(self.api_url)
        path = f"{parts.path.removesuffix('/v3')}/graphql"
        return urlunsplit(parts._replace(path=path))

    @property
    def workers(self) -> int:
        """GitHub allows 100 requests at once, and counts seconds of its CPU."""
        chosen = self.config.get("max_concurrency") or self.concurrency * len(self.client.credentials)
        return min(_MOST_WORKERS, max(1, int(chosen)))

    # What streams share

    @cached_property
    def horizon(self) -> datetime:
        """From here on rows may change while they are read; by GitHub's clock, which a free question tells."""
        self.client.send(Call("rate_limit", tolerate=frozenset({404})))  # 404: an Enterprise Server without limits
        return super().horizon

    @cached_property
    def github(self) -> GitHub:
        return GitHub(self.client, self.graphql_url)

    @cached_property
    def urls(self) -> Urls:
        return Urls(self.api_url)

    @cached_property
    def selection(self) -> Selection:
        return Selection(lambda: self.github, self.config, self.report)

    def repositories(self) -> list[Place]:
        return self.selection.repositories()

    def survey(self, place: Place) -> Survey | None:
        """What is known of a repository beforehand; None where nobody may ask."""
        if not self.config["use_graphql"]:
            return None
        found: Survey | QueryError = self._surveys.get(place)
        return None if isinstance(found, QueryError) else found  # REST tells what is wrong with it

    @cached_property
    def _surveys(self) -> Together:
        needed = {
            name
            for stream in self.streams.values()
            if isinstance(stream, GitHubStream) and (stream.selected or stream.has_selected_descendents)
            for name in (*stream.spec.counted, stream.spec.moved)
            if name
        }
        names = ["survey", *(f"survey_{name}" for name in sorted(needed))]
        ask = batches(self.github, "repositories", names, self.config["graphql_page_size"])
        return Together(ask, self.repositories(), make=Survey.of, keep=True)

    def report(self, where: str, error: PluginError) -> None:
        """A part could not be read, whatever stream wants it."""
        if self.config["on_partition_error"] == "skip":
            self.logger.error("%s is skipped (on_partition_error=skip): %s", where, error)
        else:
            self.logger.error("%s failed; all others go on: %s", where, error)
            self.failures.append((where, error))
