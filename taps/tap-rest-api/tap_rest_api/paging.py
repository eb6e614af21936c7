"""Page after page: where a request says which page it wants, and how an answer says whether there is another."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from singer_kit.errors import SourceError
from tap_rest_api.language import Cursor, LinkHeader, NextUrl, NoPaging, Offset, PageNumber, Pagination, Relay, Stop
from tap_rest_api.templates import as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

    from singer_kit.http import Client
    from tap_rest_api.extraction import Record
    from tap_rest_api.requesting import Draft

_logger = logging.getLogger("tap_rest_api")
_REPEATS = 2


class EndlessPagingError(SourceError):
    """The server sends the same page again and again."""


class Pager:
    """Where paging is within one sequence of requests. One thread uses it.

    Args:
        spec: of the manifest.
        client: for links, which it lets lead to trusted hosts only.
        scope: for conditions.
    """

    def __init__(self, spec: Pagination, client: Client, scope: Mapping[str, Any]) -> None:
        self.spec = spec
        self._client = client
        self._scope = scope
        self._size = spec.size
        self.restart()

    def restart(self) -> None:
        """Begin again with the first page; a size that was shrunk stays so."""
        self._pages = self._rows = self._before = self._pages_before = 0
        self._seen: Counter[Any] = Counter()
        self._next: Any = self.spec.start if isinstance(self.spec, PageNumber | Offset) else None

    @property
    def positional(self) -> bool:
        """Whether a row that moves while pages are read can slip through between two of them."""
        return isinstance(self.spec, PageNumber | Offset | LinkHeader | NextUrl)

    def write(self, draft: Draft) -> None:
        """Ask for the page that is next."""
        spec = self.spec
        if isinstance(spec, LinkHeader | NextUrl) and self._next is not None:
            draft.url, draft.params = self._next, {}
            return
        if self._size and spec.size_param:
            draft.params[spec.size_param] = self._size
        if isinstance(spec, Relay):
            if self._size and spec.size_variable:
                draft.json["variables"][spec.size_variable] = self._size
            if self._next is not None:
                draft.json["variables"][spec.variable] = self._next
        elif self._next is not None and isinstance(spec, Cursor | PageNumber | Offset):
            if spec.path_in_body is not None and (not isinstance(spec, Cursor) or spec.place == "body"):
                spec.path_in_body.put(draft.json, self._next)
            elif spec.param is not None:
                draft.params[spec.param] = self._next

    def advance(
        self, response: requests.Response, body: Any, count: int, last: Record | None, *, old: bool = False
    ) -> bool:
        """Take note of an answer.

        Args:
            response: the answer.
            body: its JSON; null where it is read row by row.
            count: its rows, before any is left out.
            last: the last one.
            old: all of them are older than the bookmark.

        Returns:
            Whether there is another page.

        Raises:
            EndlessPagingError: the server repeats itself.
            ForeignHostError: the next page is on a host that nobody named.
        """
        self._pages += 1
        self._rows += count
        following = self._following(response, body, count, last)
        if following is None or self._stops(body, count, old=old):
            return False
        self._next = following
        mark = following
        if isinstance(self.spec, PageNumber | Offset) and body is not None:
            mark = hash(response.content)
        self._seen[mark] += 1
        if self._seen[mark] > _REPEATS:
            if any(stop.repeat_cursor == "stop" for stop in self.spec.stop):
                return False
            raise EndlessPagingError(
                f"the server sent {'the same page' if mark is not following else f'the next page {following!r}'} "
                f"{self._seen[mark]} times. Next: correct pagination; is it the right parameter?"
            )
        return True

    def shrink(self) -> bool:
        """Ask for smaller pages from here on; False if they are as small as can be."""
        size = self._size
        if size is None or size <= 1 or isinstance(self.spec, NoPaging):
            return False
        if isinstance(self.spec, PageNumber):
            # A divisor, so that the pages that have been read end where a smaller one does.
            self._size = max(each for each in range(1, size // 2 + 1) if size % each == 0)
            self._next = self.spec.start + (self._next - self.spec.start) * (size // self._size)
        else:
            self._size = size // 2
            if isinstance(self.spec, LinkHeader | NextUrl):
                self.restart()  # what a link says counts in pages of the old size
        _logger.warning("Pages of %d rows are too large for the server; asking for %d.", size, self._size)
        return True

    def others(self, body: Any, count: int) -> list[Pager]:
        """After the first page: a pager for each other one, as far as the answer tells how many there are."""
        total = next((stop.total.first(body) for stop in self.spec.stop if stop.total), None)
        pages = next((stop.total_pages.first(body) for stop in self.spec.stop if stop.total_pages), None)
        # Servers cap sizes: what came counts, not what was asked for.
        if pages is None:
            pages = -(-int(as_text(total or 0)) // count) if count else 0
        step = 1 if isinstance(self.spec, PageNumber) else count
        return [self._at(number, step, count) for number in range(1, int(as_text(pages)))]

    def _at(self, number: int, step: int, count: int) -> Pager:
        pager = Pager(self.spec, self._client, self._scope)
        assert isinstance(self.spec, PageNumber | Offset)  # noqa: S101 - only they have parallel_pages
        pager._size, pager._next = self._size, self.spec.start + number * step
        pager._pages_before, pager._before = number, number * count
        return pager

    def _following(  # noqa: PLR0911 - one for each kind
        self, response: requests.Response, body: Any, count: int, last: Record | None
    ) -> Any:
        """What the next request has to say, or None."""
        match self.spec:
            case LinkHeader(rel=rel):
                return self._client.next_link(response, rel)
            case NextUrl(path=path):
                url = path.first(body)
                return self._client.trusted(str(url), response) if url else None
            case Cursor(source=source):
                if source.header is not None:
                    return response.headers.get(source.header) or None
                if source.record is not None:
                    return source.record.first(last)
                assert source.body is not None  # noqa: S101 - see CursorFrom
                found = source.body.first(body)
                return None if found in (None, "", False) else found
            case Relay(page_info=path):
                info = path.first(body)
                return info.get("endCursor") if isinstance(info, dict) and info.get("hasNextPage") else None
            case PageNumber():
                return self._next + 1
            case Offset(step=step):
                return self._next + (count if step == "returned" else self._size or count)
        return None

    def _stops(self, body: Any, count: int, *, old: bool) -> bool:
        spec = self.spec
        # Where the server itself tells that there is more, an empty page in between is not the end.
        told = isinstance(spec, LinkHeader | NextUrl | Relay) or (isinstance(spec, Cursor) and not spec.source.record)
        empty = next((stop.empty_page for stop in spec.stop if stop.empty_page is not None), not told)
        if empty and not count:
            return True
        return any(self._met(stop, body, count, old=old) for stop in spec.stop)

    def _met(self, stop: Stop, body: Any, count: int, *, old: bool) -> bool:
        if stop.short_page and self._size and count < self._size:
            return True
        if stop.total and (total := stop.total.first(body)) is not None:
            return self._before + self._rows >= int(as_text(total))
        if stop.total_pages and (pages := stop.total_pages.first(body)) is not None:
            return self._pages_before + self._pages >= int(as_text(pages))
        if stop.max_pages and self._pages >= stop.max_pages:
            _logger.warning("Stopped after %d pages, as pagination.stop says; there may be more.", self._pages)
            return True
        if stop.older_than_bookmark and old:
            return True
        return stop.when is not None and stop.when.holds(**{**self._scope, "response": body})
