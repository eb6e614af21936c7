"""One request, as the reader of a stream wants it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Call:
    """What to ask for.

    Attributes:
        url: absolute, or below the client's base URL.
        params: of the query; None is left out, a list repeats its name.
        json: the body, if it is JSON.
        data: the body, if it is a form (a mapping) or raw.
        stream: who asks, for errors and logs.
        bucket: which of the server's quotas it counts in.
        account: whose data is asked for, where a credential is good for some accounts only.
        weight: how much it takes of a budget.
        tolerate: statuses that are handed back instead of raised.
        etag: what was seen before; the answer may then be a 304, which is handed back.
        reads_json: whether an answer that is no JSON is a broken one, worth another try.
        to_file: a good answer's body goes to a temporary file, `response.raw`, instead of into memory. It is closed by
            who reads it.
        anonymous: sent without a credential and without the client's headers, such as to a URL that is signed itself.
    """

    url: str
    method: str = "GET"
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    data: str | bytes | Mapping[str, Any] | None = None
    stream: str = ""
    bucket: str = ""
    account: str = ""
    weight: int = 1
    tolerate: frozenset[int] = frozenset()
    etag: str | None = None
    reads_json: bool = True
    to_file: bool = False
    anonymous: bool = False
