"""Pages that are told apart by a number, though rows may vanish while they are read.

A row that is deleted from page 1 moves all behind it one place forward, and the first of page 2 is never seen. So
pages behind which others were read are asked for again at the end. GitHub says "unchanged" of them for free; if one
has changed, it may hold what slipped through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from singer_kit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tap_github.client import Answer
    from tap_github.rows import Row
    from tap_github.walks.reading import Reading

_ROUNDS = 5


@dataclass
class _Seen:
    answer: Answer
    rows: list[Row]


class SteadyPages:
    """The pages of one listing.

    Args:
        reading: of the partition.
    """

    def __init__(self, reading: Reading) -> None:
        self._github = reading.github
        self._reading = reading
        self._spec = reading.lead.spec
        self._seen: list[_Seen] = []
        self._known: set[str] = set()

    def read(self, url: str, params: Mapping[str, Any], etag: str | None = None) -> Iterator[tuple[Answer, list[Row]]]:
        """The pages as they come, with their rows; the first may be "unchanged"."""
        spec = self._spec
        pages = self._github.pages(
            url,
            params,
            stream=spec.name,
            tolerate=self._reading.tolerated(spec),
            etag=etag,
            accept=spec.accept,
            paged=spec.paged,
        )
        for answer in pages:
            rows = [] if answer.unchanged or not self._reading.check(answer, spec) else self._rows(answer)
            if not answer.unchanged:
                self._seen.append(_Seen(answer, rows))
                self._known.update(map(self._key, rows))
            yield answer, rows

    def again(self, counts: Callable[[Row], bool] = lambda _: True) -> Iterator[tuple[Answer, list[Row]]]:
        """Ask again for all pages but the last, until no row is new.

        Args:
            counts: whether a row that was not seen may have slipped through.

        Yields:
            Pages that hold rows which were not seen.

        Raises:
            SourceError: there are new ones each time.
        """
        for _ in range(_ROUNDS):
            moved = False
            for place in [each for each in self._seen[:-1] if is_numbered(each.answer.next)]:
                answer = self._github.get(
                    place.answer.url, stream=self._spec.name, etag=place.answer.etag, accept=self._spec.accept
                )
                if answer.unchanged:
                    continue
                place.answer, place.rows = answer, self._rows(answer)
                if all(self._key(row) in self._known or not counts(row) for row in place.rows):
                    continue
                moved = True
                self._known.update(map(self._key, place.rows))
                yield answer, place.rows
            if not moved:
                return
        raise SourceError(
            f"Stream '{self._spec.name}': the listing {self._seen[0].answer.url} changes faster than it can be read. "
            "Next: run again with the last state."
        )

    @property
    def etags(self) -> list[list[str]] | None:
        """Where the pages are and what tells whether they have changed; None if not all can."""
        found = [[each.answer.url, each.answer.etag] for each in self._seen if each.answer.etag is not None]
        return found if len(found) == len(self._seen) else None

    def _rows(self, answer: Answer) -> list[Row]:
        return self._reading.rows_of(answer.body, self._spec)

    def _key(self, row: Row) -> str:
        """A row's key, as far as GitHub itself gives it."""
        return "|".join(str(row[name]) for name in self._spec.key if name in row) or str(row)


def is_numbered(link: str | None) -> bool:
    """Whether a link leads to a page by its number, and not by a cursor."""
    return link is not None and "page" in parse_qs(urlsplit(link).query)
