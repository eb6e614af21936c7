"""Where a link of an answer may lead: to the hosts that somebody named, and nowhere else with a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from requests.utils import parse_header_links

from singer_kit.http.errors import ForeignHostError

if TYPE_CHECKING:
    from collections.abc import Collection

    import requests

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: what a credential is good for."""
    parts = urlsplit(url)
    return parts.scheme.lower(), (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme.lower())


def is_trusted(url: str, base_url: str, allowed_hosts: Collection[str] = ()) -> bool:
    """Whether a credential for the base URL may go there: the same origin, or by https to a host that is allowed."""
    scheme, host, _ = origin(url)
    if origin(url) == origin(base_url):
        return True
    return host in allowed_hosts and scheme in {"https", origin(base_url)[0]}


def link(response: requests.Response, rel: str, base_url: str, allowed_hosts: Collection[str] = ()) -> str | None:
    """The target of a `Link` header (RFC 8288), to be followed as it is.

    Raises:
        ForeignHostError: it leads to a host that nobody named.
    """
    for one in parse_header_links(response.headers.get("link", "")):
        if rel in one.get("rel", "").split():
            return trusted(urljoin(response.url, one["url"]), base_url, allowed_hosts)
    return None


def trusted(url: str, base_url: str, allowed_hosts: Collection[str] = ()) -> str:
    """Hand back a URL that an answer holds, if a credential may go there.

    Raises:
        ForeignHostError: it may not.
    """
    if not is_trusted(url, base_url, allowed_hosts):
        scheme, host, _ = origin(url)
        raise ForeignHostError(
            f"The answer leads to {scheme}://{host}, and credentials for {urlsplit(base_url).netloc} do not go there. "
            f"Next: if that host is the API's own, add {host!r} to allowed_hosts."
        )
    return url
