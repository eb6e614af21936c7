"""What is deselected stays away, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.output import canonical
from singer_kit.testing.conformance.subject import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.output import Row
    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("selection")


@CHECKS.add("stream")
def stream(subject: Subject) -> Iterator[str]:
    """Of a stream that is deselected nothing is printed; the others are as before."""
    clean = subject.clean.records()
    if len(clean) < 2:  # noqa: PLR2004
        raise NotApplicable("there is but one stream with rows")
    name = next(iter(clean))
    output = subject.read(catalog=subject.catalog.without(name))
    if any(message.get("stream") == name for message in output.messages):
        yield f"stream {name!r} is printed though it is deselected"
    for other, rows in clean.items():
        if other != name and _texts(output.records().get(other, [])) != _texts(rows):
            yield f"stream {other!r} has other rows once {name!r} is deselected"


@CHECKS.add("property")
def single_property(subject: Subject) -> Iterator[str]:
    """A property that is deselected is in no SCHEMA and no row; the others are as before."""
    name, chosen = _a_property(subject)
    output = subject.read(catalog=subject.catalog.without(name, "properties", chosen))
    if any(chosen in each["schema"].get("properties", {}) for each in output.of("SCHEMA") if each["stream"] == name):
        yield f"stream {name!r}: property {chosen!r} is in its SCHEMA though it is deselected"
    rows = output.records().get(name, [])
    if any(chosen in row for row in rows):
        yield f"stream {name!r}: property {chosen!r} is in its rows though it is deselected"
        return
    expected = [{key: value for key, value in row.items() if key != chosen} for row in subject.clean.records()[name]]
    if _texts(rows) != _texts(expected):
        yield f"stream {name!r} has other rows once property {chosen!r} is deselected"


def _a_property(subject: Subject) -> tuple[str, str]:
    clean = subject.clean.records()
    for each in subject.catalog.chosen:
        needed = {*each.keys, each.replication_key}
        for name in each.properties:
            optional = each.metadata("properties", name).get("inclusion", "available") == "available"
            if optional and name not in needed and any(row.get(name) is not None for row in clean.get(each.name, [])):
                return each.name, name
    raise NotApplicable("no stream has a property that may be deselected and holds a value")


def _texts(rows: list[Row]) -> set[str]:
    return set(map(canonical, rows))
