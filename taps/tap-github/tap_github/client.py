"""How GitHub is spoken to: listings by their links, and questions to GraphQL."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from singer_kit.http import Call, decoded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from singer_kit.http import Client

logger = logging.getLogger("tap-github")

PAGE_SIZES = (100, 50, 25, 10)
_HEAVY = frozenset({502, 504})
_ACCEPTED = 202
_PATIENCE = (1.0, 3.0, 9.0, 27.0, 60.0)  # seconds between questions for what GitHub is still working out
_NOT_MODIFIED = 304
_MEDIA = "application/vnd.github+json"


@dataclass(frozen=True)
class Answer:
    """A page of a listing.

    Attributes:
        url: that it was read at, so that it can be asked again.
        next: of the page behind it; None at the end.
        previous: of the page before.
    """

    status: int
    body: Any
    url: str
    etag: str | None = None
    next: str | None = None
    previous: str | None = None

    @property
    def unchanged(self) -> bool:
        return self.status == _NOT_MODIFIED


class GitHub:
    """GitHub's two APIs, with one client for both.

    Args:
        client: of the kit.
        graphql_url: absolute.
        account: whose data is asked for.
    """

    def __init__(self, client: Client, graphql_url: str, account: str = "") -> None:
        self.client = client
        self.graphql_url = graphql_url
        self._account = account

    def of(self, account: str) -> GitHub:
        """The same for what belongs to an account: an App has another token for each."""
        return GitHub(self.client, self.graphql_url, account)

    def get(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        *,
        stream: str,
        tolerate: frozenset[int] = frozenset(),
        etag: str | None = None,
        accept: str = "",
    ) -> Answer:
        """Ask once.

        Args:
            url: absolute, or a path.
            params: of the query.
            stream: that asks.
            tolerate: statuses to hand back.
            etag: of an earlier answer at the same URL; the answer may be "unchanged", which costs nothing.
            accept: media type, if not the usual one.

        Raises:
            PluginError: see `Client.send`.
        """
        call = Call(
            url,
            params=params or {},
            headers={"Accept": accept or _MEDIA},
            stream=stream,
            bucket="search" if urlsplit(url).path.lstrip("/").startswith("search/") else "core",
            account=self._account,
            tolerate=tolerate,
            etag=etag,
        )
        response = self.client.send(call)
        for pause in _PATIENCE:
            if response.status_code != _ACCEPTED:
                break
            self.client.limiter.sleep(pause)
            response = self.client.send(call)
        return Answer(
            response.status_code,
            _body(response),
            response.request.url or url,
            response.headers.get("etag"),
            self.client.next_link(response),
            self.client.next_link(response, "prev"),
        )

    def pages(
        self,
        url: str,
        params: Mapping[str, Any],
        *,
        stream: str,
        tolerate: frozenset[int] = frozenset(),
        etag: str | None = None,
        accept: str = "",
        paged: bool = True,
    ) -> Iterator[Answer]:
        """Read a listing page by page, each where the one before says that the next is.

        A page that is too heavy for the server (502, 504) is asked for in smaller parts.
        """
        following: str | None = url
        size = PAGE_SIZES[0] if paged else 0
        asked: Mapping[str, Any] = {"per_page": size or None, **params}
        while following is not None:
            heavy = _HEAVY if size > PAGE_SIZES[-1] else frozenset()
            answer = self.get(following, asked, stream=stream, tolerate=tolerate | heavy, etag=etag, accept=accept)
            if answer.status in heavy:
                smaller = next(each for each in PAGE_SIZES if each < size)
                logger.warning("Stream '%s': a page of %d rows is too much; going on with %d.", stream, size, smaller)
                following, asked, etag = resized(answer.url, size, smaller), {}, None
                size = smaller
                continue
            yield answer
            following, asked, etag = answer.next, {}, None

    def query(self, text: str, variables: Mapping[str, Any], *, stream: str) -> dict[str, Any]:
        """Ask GraphQL.

        Returns:
            The answer with `data` and `errors`, either of which may be absent; or, with `heavy`, what status says that
            it was too much to ask for.
        """
        response = self.client.send(
            Call(
                self.graphql_url,
                "POST",
                json={"query": text, "variables": dict(variables)},
                stream=stream,
                bucket="graphql",
                account=self._account,
                tolerate=_HEAVY,
            )
        )
        if response.status_code in _HEAVY:
            return {"heavy": response.status_code}
        answer: dict[str, Any] = decoded(response)
        return answer


def resized(url: str, size: int, smaller: int) -> str:
    """The URL of the same rows with fewer of them on a page. A cursor stays good; a page's number is worked out."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if query.get("page", "").isdigit():
        query["page"] = str((int(query["page"]) - 1) * size // smaller + 1)
    query["per_page"] = str(smaller)
    return urlunsplit(parts._replace(query=urlencode(query)))


def _body(response: requests.Response) -> Any:
    return decoded(response) if response.content and response.status_code < 300 else None  # noqa: PLR2004
