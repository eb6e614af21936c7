"""A tap of a REST API: its client, how it ends, and what it does about parts that failed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk import Tap

from singer_kit.cli import CleanErrors
from singer_kit.errors import ConfigurationError, PluginError, SourceError
from singer_kit.http import Budget, Client, Limiter, QuotaHeaders, Retry
from singer_kit.instants import parse_instant
from singer_kit.redaction import PROCESS
from singer_kit.stopping import StopsAtState
from singer_kit.writer import LineWriter

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from singer_kit.http import Credential, Judge

_MOST_NAMED = 10


class RestTap(CleanErrors, StopsAtState, Tap):
    """Base of taps whose streams are `RestStream`s. Its settings hold those of `settings.COMMON`.

    Attributes:
        default_url: of the API.
        concurrency: partitions that are read at once, if the setting does not say.
        failures: partitions that could not be read, and why.
        skipped: how many partitions of each stream were skipped.
    """

    message_writer_class = LineWriter
    default_url = ""
    concurrency = 4

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.failures: list[tuple[str, PluginError]] = []
        self.skipped: Counter[str] = Counter()
        self.redactor = PROCESS
        self.redactor.install()
        super().__init__(*args, **kwargs)
        self.redactor.add(_secrets(self.config, self.config_jsonschema))

    # What a tap says

    def credentials(self) -> Sequence[Credential]:
        """Who asks; several are taken in turn, by what is left of their quotas."""
        return ()

    @property
    def judge(self) -> Judge | None:
        """What the API means by its answers, where statuses alone do not tell."""
        return None

    @property
    def headers(self) -> Mapping[str, str]:
        """Of each request."""
        return {}

    @property
    def quota_headers(self) -> QuotaHeaders | None:
        """How the API tells what is left."""
        return QuotaHeaders()

    @property
    def budgets(self) -> Sequence[Budget]:
        """Limits that the API does not tell."""
        return ()

    @property
    def reserve(self) -> int | Mapping[str, int]:
        """Requests of each quota, or of some by their buckets, that are left to others."""
        return 0

    @property
    def max_wait(self) -> float:
        """Seconds that a request may be held up by limits."""
        seconds: float = self.config.get("max_wait_seconds", 3900)
        return seconds

    # What streams need

    @cached_property
    def client(self) -> Client:
        config = self.config
        credentials = self.credentials()
        for credential in credentials:
            self.redactor.add(credential.secrets)
        per_minute = config.get("max_requests_per_minute")
        budgets = [*self.budgets, *([Budget(per_minute, 60)] if per_minute else [])]
        return self.new_client(
            config.get("api_url") or self.default_url,
            credentials=credentials,
            judge=self.judge,
            limiter=Limiter(budgets, headers=self.quota_headers, reserve=self.reserve, max_wait=self.max_wait),
            allowed_hosts=self.allowed_hosts(),
            headers=self.headers,
        )

    def new_client(self, url: str, **settings: Any) -> Client:
        """A client with the settings that concern the network; also for a token's endpoint, beside the API's own."""
        config = self.config
        return Client(
            url,
            user_agent=config.get("user_agent") or f"{self.name}/{self.plugin_version}",
            retry=Retry(config.get("max_retries", 8)),
            timeout=config.get("request_timeout_seconds", 300),
            verify=config.get("ca_bundle") or bool(config.get("verify_tls", True)),
            proxy=config.get("proxy_url"),
            **settings,
        )

    def allowed_hosts(self) -> Collection[str]:
        """Further hosts that credentials may go to."""
        hosts: Sequence[str] = self.config.get("allowed_hosts") or ()
        return hosts

    @cached_property
    def start_date(self) -> datetime | None:
        """From when on rows are read at the first run.

        Raises:
            ConfigurationError: the setting is no date.
        """
        text = self.config.get("start_date")
        try:
            return parse_instant(text) if text else None
        except ValueError as error:
            raise ConfigurationError(
                f"Setting start_date is {text!r}: {error}. Next: write it like 2024-01-31T00:00:00Z."
            ) from None

    @cached_property
    def horizon(self) -> datetime:
        """The instant by the server's clock that no bookmark of this run goes beyond: rows may come in late."""
        return self.client.now() - timedelta(seconds=self.config.get("clock_skew_seconds", 60))

    @property
    def workers(self) -> int:
        """Partitions that are read at once."""
        return max(1, self.config.get("max_concurrency") or self.concurrency)

    def sync_all(self) -> None:  # type: ignore[misc]  # final only by name: there is no hook behind the last stream
        """Read all streams, then say which partitions could not be.

        Raises:
            PluginError: some could not; all others are complete, and so are their bookmarks.
        """
        # What is wrong ends the run before it asks for anything.
        _ = self.start_date
        self._check_stream_options()
        super().sync_all()
        for stream, count in self.skipped.items():
            self.logger.warning("Stream '%s': %d partitions were skipped; see above.", stream, count)
        if self.failures:
            first = self.failures[0][1]
            names = [where for where, _ in self.failures]
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            kind = type(first) if type(first) in {type(error) for _, error in self.failures} else SourceError
            raise _like(kind)(
                f"{len(names)} of the partitions could not be read: {'; '.join(names[:_MOST_NAMED])}{more}. "
                f"First error: {first} All others are complete. Next: mend the cause and run again with the last "
                "state, or set on_partition_error=skip."
            )

    def _check_stream_options(self) -> None:
        for name in self.config.get("stream_options") or {}:
            if name not in self.streams:
                close = get_close_matches(name, self.streams, 1)
                raise ConfigurationError(
                    f"Setting stream_options names {name!r}, which is no stream"
                    f"{f'; did you mean {close[0]!r}?' if close else '.'} Next: see --discover for the streams' names."
                )


def _like(kind: type[PluginError]) -> type[PluginError]:
    """The kind's family, which decides the exit code; special ones may want more arguments."""
    return next(base for base in kind.__mro__ if base.__module__ == PluginError.__module__)


def _secrets(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """The values of the settings that are marked secret."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name, value in config.items():
        if properties.get(name, {}).get("secret"):
            yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
