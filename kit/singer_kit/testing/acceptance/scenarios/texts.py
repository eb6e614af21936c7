"""Text: every character comes back, and what cannot be stored is refused by place."""

from __future__ import annotations

import json

from singer_kit.testing.acceptance.messages import INTEGER, OBJECT, TEXT, nullable, record, schema
from singer_kit.testing.acceptance.scenario import loaded, run, scenario, table
from singer_kit.testing.acceptance.scenarios.single import refusal, values
from singer_kit.testing.acceptance.values import Repeated

# Each means something to some loader: COPY, CSV, a shell, printf, LIKE, SQL.
AWKWARD = (
    "", " ", "\\N", "\\.", "NULL", "null", "a\tb", "a\nb\r\nc", "\\\\x00", 'quote "', "quote '", "$1 %s {} ?", "--",
    "'; drop table orders; --", "\b\f\v\x1b\x7f", "\\u0000",
)  # fmt: skip

SCENARIOS = (
    values(
        "awkward text",
        "Text that means something to COPY, CSV, printf or SQL is only text.",
        TEXT,
        *((json.dumps(text), text) for text in AWKWARD),
    ),
    values(
        "emoji",
        "Characters beyond the first 65,536 come through, as UTF-8 and as escapes, also within an object.",
        TEXT,
        ('"😀 👩‍👩‍👧 é"', "😀 👩‍👩‍👧 é"),
        (r'"\ud83d\ude00"', "😀"),
    ),
    values("emoji in an object", "The same within an object, in its names too.", OBJECT, ('{"🪑":"😀"}', {"🪑": "😀"})),
    values(
        "right-to-left text",
        "Hebrew, Arabic and the marks that turn the direction stay in order.",
        TEXT,
        ('"שלום \u202eabc\u202c مرحبا"', "שלום \u202eabc\u202c مرحبا"),
    ),
    values(
        "composed and decomposed characters",
        "é of one and of two code points stay different.",
        TEXT,
        (r'"\u00e9"', "\u00e9"),
        (r'"e\u0301"', "e\u0301"),
    ),
    scenario(
        "a text of 1 MB",
        "A long text comes back whole.",
        run(
            schema("orders", {"id": INTEGER, "v": TEXT}),
            record("orders", {"id": 1, "v": Repeated("0123456789abcdef", 1 << 16)}),
            endings=loaded(table("orders", {"id": 1, "v": Repeated("0123456789abcdef", 1 << 16)})),
        ),
    ),
    refusal(
        "NUL in text", "Postgres cannot store U+0000: refused by place, not stored without it.", TEXT, r'"a\u0000b"'
    ),
    refusal("NUL in an object", "The same within an object.", OBJECT, r'{"a":"x\u0000y"}'),
    refusal(
        "half a surrogate pair", "U+D800 alone is no character: refused by place, not replaced.", TEXT, r'"a\ud800b"'
    ),
    refusal("half a surrogate pair in an object", "The same within an object.", OBJECT, r'{"a":"\udc00"}'),
    values(
        "text for a format that is not known",
        "A format that the target does not know changes nothing.",
        nullable("string", format="email"),
        ('"a@example.org"', "a@example.org"),
    ),
)
