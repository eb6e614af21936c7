"""One request and its answer, as values."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from requests.structures import CaseInsensitiveDict


@dataclass(frozen=True)
class Request:
    """What reached the server.

    Attributes:
        number: counted from 1 in the order of arrival.
        path: decoded, below the server's base path, without the query.
        pairs: the query's names and values in their order; a name may come several times.
        now: the server's clock.
        parameters: what the route's template found in the path.
        root: the server's address as the client wrote it, base path included: what links are built upon.

    """

    number: int
    method: str
    path: str
    pairs: tuple[tuple[str, str], ...]
    headers: CaseInsensitiveDict[str]
    body: bytes
    now: datetime
    root: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def query(self) -> dict[str, str]:
        """The query, of a repeated name the last value."""
        return dict(self.pairs)

    @cached_property
    def json(self) -> Any:
        """The body.

        Raises:
            ValueError: it is no JSON.

        """
        return json.loads(self.body)

    @cached_property
    def form(self) -> dict[str, str]:
        """The body as a form's fields."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def credential(self) -> str:
        """What the Authorization header holds behind its scheme, empty without one."""
        return self.headers.get("Authorization", "").rpartition(" ")[2]

    def texts(self) -> Iterator[tuple[str, str]]:
        """Everything the client sent, each with its place: for a search for secrets. Basic credentials are decoded."""
        yield "url", f"{self.path}?{'&'.join(f'{name}={value}' for name, value in self.pairs)}"
        for name, value in self.headers.items():
            yield f"header {name}", value
            if value.startswith("Basic "):
                yield f"header {name}", base64.b64decode(value[6:] + "==").decode(errors="replace")
        yield "body", self.body.decode(errors="replace")


@dataclass(frozen=True)
class Answer:
    """What a handler answers.

    Args:
        json: the body as JSON; None is an empty body.
        status: of HTTP.
        headers: names as the API writes them.
        body: the body as it is, instead of `json`.

    """

    json: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes | None = None

    @cached_property
    def content(self) -> bytes:
        """The body's bytes."""
        if self.body is not None:
            return self.body.encode() if isinstance(self.body, str) else self.body
        return b"" if self.json is None else json.dumps(self.json, separators=(",", ":")).encode()

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """The same with more headers; one that is there already stays."""
        return replace(self, headers={**headers, **self.headers})
