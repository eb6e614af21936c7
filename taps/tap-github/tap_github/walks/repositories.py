"""The repositories themselves. All are listed in each run, because the other streams must know which there are; those
of which anything has changed since the last run, stars and pushes included, are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_github.walks.reading import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.rest import Page
    from tap_github.walks.reading import Reading


def read(reading: Reading) -> Iterator[Page]:
    """Read one source of repositories."""
    lead = reading.lead
    known: dict[str, str] = lead.state.get("digests", {}) if lead.conditional else {}
    found: dict[str, str] = {}
    for rows in lead.stream.github_tap.selection.pages(reading.place.path["source"]):
        changed = []
        for row in rows:
            name = str(row["id"])
            before = found.get(name, known.get(name))
            found[name] = digest(row)
            if found[name] != before and lead.is_young(row):
                changed.append({"org": row["owner"]["login"], "repo": row["name"], "repo_id": row["id"], **row})
            lead.note(row)
        yield lead.page(changed)
    lead.digests.update(found if lead.conditional else {})
    yield from reading.finish()
