"""How streams are read: one module a way, each a function from a `Reading` to pages.

listing       from the first page to the last, unless nothing has changed
newest        from the newest on, until what is known
since         from the bookmark on, oldest first
commits       what was added to a branch since its last head
windows       workflow runs, by the time that they were made
connection    by GraphQL, for many repositories at once
projects      an organization's projects, by GraphQL
repositories  the repositories themselves
counts        hits of searches
children      what hangs on a row; used by all of them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_github.walks import commits, connection, counts, listing, newest, projects, repositories, since, windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from singer_kit.rest import Page
    from tap_github.walks.reading import Reading

WALKS: dict[str, Callable[[Reading], Iterator[Page]]] = {
    "listing": listing.read,
    "newest": newest.read,
    "since": since.read,
    "commits": commits.read,
    "windows": windows.read,
    "connection": connection.read,
    "projects": projects.read,
    "repositories": repositories.read,
    "counts": counts.read,
}
