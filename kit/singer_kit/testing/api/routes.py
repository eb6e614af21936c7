"""Path templates, and which handler a request belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from singer_kit.testing.api.exchange import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

Handler = Callable[[Request], Answer]

_PARAMETER = re.compile(r"\{([\w-]+)(:path)?\}")


def compiled(template: str) -> re.Pattern[str]:
    """A template as a pattern: `{name}` holds one segment of the path, `{name:path}` one or more."""
    pattern, end = "", 0
    for found in _PARAMETER.finditer(template):
        pattern += re.escape(template[end : found.start()])
        pattern += "(.+)" if found[2] else "([^/]+)"
        end = found.end()
    return re.compile(pattern + re.escape(template[end:]))


def nameless(template: str) -> str:
    """A template without the names of its parameters, which two authors choose differently."""
    return _PARAMETER.sub("{}", template)


def parameter_names(template: str) -> list[str]:
    """The parameters of a template in their order."""
    return [found[1] for found in _PARAMETER.finditer(template)]


@dataclass(frozen=True)
class Route:
    """A handler and the requests that are its own.

    Args:
        method: of HTTP.
        template: such as `/repos/{owner}/{repo}/issues`.
        handler: called with one request at a time, whatever the route.
        described_as: the template under which the API's description has it, if it is another; None: it has none, and
            nothing is checked.
        also: query parameters that it takes though the description does not know them.

    """

    method: str
    template: str
    handler: Handler
    described_as: str | None
    also: frozenset[str] = frozenset()


class Routes:
    """Finds the route of a path; one with fewer parameters goes first: `/issues/comments` before `/issues/{number}`."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._routes: list[tuple[re.Pattern[str], Route]] = []
        for route in routes:
            self.add(route)

    def add(self, route: Route) -> None:
        """Add a route; the same template again replaces the former."""
        same = (route.method, nameless(route.template))
        self._routes = [each for each in self._routes if (each[1].method, nameless(each[1].template)) != same]
        self._routes.append((compiled(route.template), route))
        self._routes.sort(key=lambda each: (":path" in each[1].template, each[1].template.count("{")))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route and what the path gives for its parameters."""
        for pattern, route in self._routes:
            if route.method == method and (found := pattern.fullmatch(path)):
                return route, dict(zip(parameter_names(route.template), found.groups(), strict=True))
        return None

    def methods(self, path: str) -> list[str]:
        """The methods that a path has."""
        return sorted({route.method for pattern, route in self._routes if pattern.fullmatch(path)})
