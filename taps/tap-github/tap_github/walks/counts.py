"""How many issues and pull requests a search finds, by the month that they were made in: trends without the rows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from tap_github.times import written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.rest import Page
    from tap_github.walks.reading import Reading

_YEAR = timedelta(days=365)


def read(reading: Reading) -> Iterator[Page]:
    """Count the months since the bookmark: that which it lies in is counted again."""
    lead = reading.lead
    now = reading.github.client.now()
    start = _month(reading.floor or now - _YEAR)
    while start <= now:
        end = _month(start + timedelta(days=31))
        last = end - timedelta(seconds=1)
        query = f"{reading.place.path['query']} created:{written(start)}..{written(last)}"
        answer = reading.github.get("search/issues", {"q": query, "per_page": 1}, stream=lead.spec.name)
        row = lead.stamp(
            {
                "query": reading.place.path["query"],
                "window_start": written(start),
                "window_end": written(min(end, now.replace(microsecond=0))),
                "total_count": answer.body["total_count"],
                "incomplete_results": answer.body["incomplete_results"],
            }
        )
        lead.note(row)
        yield lead.page([row], lead.bookmark())
        start = end


def _month(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, 1, tzinfo=timezone.utc)
