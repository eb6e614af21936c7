"""Names: any property and any stream keeps its values apart from all others.

What the target calls a table or a column is its own business; these scenarios find them by their values.
"""

from __future__ import annotations

from singer_kit.testing.acceptance.messages import INTEGER, TEXT, record, schema
from singer_kit.testing.acceptance.scenario import Scenario, loaded, refused, run, scenario, table

LONG = "p" * 63  # what Postgres keeps of a name


def properties(name: str, shows: str, *names: str) -> Scenario:
    """Properties of these names, in two runs, the second of which updates a row."""
    shape = schema("orders", {"id": INTEGER, **dict.fromkeys(names, TEXT)})
    first = {"id": 1, **{each: f"1 {each}" for each in names}}
    second = {"id": 2, **{each: f"2 {each}" for each in names}}
    changed = {"id": 1, **{each: f"changed {each}" for each in names}}
    return scenario(
        name,
        shows,
        run(shape, record("orders", first), endings=loaded(table("orders", first))),
        run(
            shape, record("orders", second), record("orders", changed), endings=loaded(table("orders", changed, second))
        ),
    )


def streams(name: str, shows: str, *names: str, may_be_refused: bool = False) -> Scenario:
    """Streams of these names with different rows, in two runs."""
    shapes = [schema(each, {"id": INTEGER, "v": TEXT}) for each in names]
    expected = [table(each, {"id": 1, "v": f"1 {each}"}, {"id": 2, "v": f"2 {each}"}) for each in names]
    endings = (loaded(*expected),)
    return scenario(
        name,
        shows,
        run(
            *shapes,
            *(record(each, {"id": number, "v": f"{number} {each}"}) for each in names for number in (1, 2)),
            endings=(*endings, refused(*names)) if may_be_refused else endings,
        ),
    )


SCENARIOS = (
    properties("select", "A reserved word is a name like others.", "select", "user", "order", "table"),
    properties('a"b', "Quotes in a name are part of it.", 'a"b', "a'b", "a`b"),
    properties("a name with SQL in it", "No name ends a statement.", 'x"; drop table orders; --', "x) values (1", ";"),
    properties(
        "names for printf",
        "Signs that formats and drivers read are part of a name.",
        "%s",
        "%(a)s",
        "{}",
        ":a",
        "$1",
        "?",
    ),
    properties("spaces and dots", "Spaces, dots and dashes are part of a name.", "a b", "a.b", "a-b", " a", "1st"),
    properties("names beyond ASCII", "Letters of other scripts and emoji are part of a name.", "größe", "数量", "😀"),
    properties("a name of 70 characters", "A long name finds a column again in the next run.", LONG + "1234567"),
    properties(
        "two names that are equal in their first 63 bytes",
        "Their values stay apart, run after run.",
        LONG + "1234567",
        LONG + "7654321",
    ),
    properties(
        "a long name of 3-byte characters", "Bytes are counted, and no character is cut in two.", "数" * 30, "数" * 31
    ),
    properties("two names that differ in case only", "Their values stay apart.", "Total", "total", "TOTAL"),
    properties("_sdc_x", "A name that begins like the target's own columns is loaded.", "_sdc_x"),
    properties(
        "the database's own columns", "Names that every table of Postgres has already.", "ctid", "xmin", "tableoid"
    ),
    properties("two names that one clean name would stand for", "a_b, a.b and a-b stay apart.", "a_b", "a.b", "a-b"),
    scenario(
        "a key with an odd name",
        "Keys are found by any name.",
        run(
            schema("orders", {'the "key" %s': INTEGER, "v": TEXT}, keys=('the "key" %s',)),
            record("orders", {'the "key" %s': 1, "v": "a"}),
            record("orders", {'the "key" %s': 1, "v": "b"}),
            endings=loaded(table("orders", {'the "key" %s': 1, "v": "b"}, key=('the "key" %s',))),
        ),
    ),
    scenario(
        "an empty name",
        "A property without a name loads in some column, or is refused by the stream's name.",
        run(
            schema("orders", {"id": INTEGER, "": TEXT}),
            record("orders", {"id": 1, "": "nameless"}),
            endings=(loaded(table("orders", {"id": 1, "": "nameless"})), refused("orders")),
        ),
    ),
    scenario(
        "NUL in a name",
        "A property that cannot be a column's name loads under another, or is refused by the stream's name.",
        run(
            schema("orders", {"id": INTEGER, "a\0b": TEXT}),
            record("orders", {"id": 1, "a\0b": "x"}),
            endings=(loaded(table("orders", {"id": 1, "a\0b": "x"})), refused("orders")),
        ),
    ),
    streams(
        "streams with odd names",
        "Quotes, spaces, dots and other scripts in stream names.",
        'we"ird; %s {x}',
        "a.b c",
        "größe",
    ),
    streams("a stream called select", "A reserved word is a stream like others.", "select", "user"),
    streams("a stream with a name of 70 characters", "It has a table of its own.", "s" * 70),
    streams(
        "two streams that are equal in their first 63 bytes",
        "They have two tables.",
        "s" * 63 + "1234567",
        "s" * 63 + "7654321",
    ),
    streams("two streams that differ in case only", "They have two tables.", "Orders", "orders"),
    streams(
        "a-b-c-d and x-y-z-d",
        "Streams whose last part is the same have two tables, or are refused with both names.",
        "a-b-c-d",
        "x-y-z-d",
        may_be_refused=True,
    ),
)
