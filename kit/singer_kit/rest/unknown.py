"""Members of records that the schema does not know: passed on under a schema that is told again, or dropped."""

from __future__ import annotations

import logging
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_logger = logging.getLogger("singer_kit")
_KINDS: dict[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    Decimal: "number",
    dict: "object",
    list: "array",
}


def learn(
    properties: dict[str, Any], records: Iterable[Mapping[str, Any]], known: frozenset[str], *, stream: str
) -> bool:
    """Add members that nobody has declared, with the types that were seen.

    Args:
        properties: of the schema; changed in place.
        records: a page.
        known: the declared ones, which stay as they are.
        stream: for the log.

    Returns:
        Whether the schema must be told again.
    """
    changed = False
    for record in records:
        if known.issuperset(record):
            continue
        for name in record.keys() - known:
            kind = _KINDS.get(type(record[name]))
            if kind is None and name in properties:
                continue  # null says nothing new
            types = properties.get(name, {}).get("type", ["null"])
            if kind == "integer" and "number" in types:
                continue
            if kind is None or kind not in types:
                if name not in properties:
                    _logger.warning("Stream '%s': the API sends a new member '%s', which is passed on.", stream, name)
                properties[name] = {"type": [*([kind] if kind else []), *types]}
                changed = True
    return changed
