"""Scenarios about one property `v` of a stream `orders` with the key `id`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_kit.testing.acceptance.messages import INTEGER, record, schema
from singer_kit.testing.acceptance.scenario import Ending, loaded, refused, run, scenario, table
from singer_kit.testing.acceptance.values import Raw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_kit.testing.acceptance.scenario import Scenario

# What an error about one record must name: the stream and the line, which is the one after the SCHEMA.
WHERE = ("orders", "line 2")


def values(
    name: str,
    shows: str,
    shape: Mapping[str, Any],
    *pairs: tuple[str, Any],
    or_refused: bool = False,
    kinds: tuple[str, ...] = (),
    **settings: Any,
) -> Scenario:
    """Values of one property are loaded exactly.

    Args:
        name: of the scenario.
        shows: in one sentence.
        shape: the JSON schema of `v`.
        pairs: for each record the JSON text of `v`, and the value expected.
        or_refused: an error that names stream and line is right as well; for one pair only.
        kinds: which kinds of column are right; empty: any that holds the values.
        settings: of the target.

    """
    sent = (record("orders", Raw(f'{{"id":{number},"v":{text}}}')) for number, (text, _) in enumerate(pairs, 1))
    rows = ({"id": number, "v": expected} for number, (_, expected) in enumerate(pairs, 1))
    endings: tuple[Ending, ...] = (loaded(table("orders", *rows, kinds={"v": kinds} if kinds else {})),)
    if or_refused:
        endings += (refused(*WHERE),)
    return scenario(name, shows, run(schema("orders", {"id": INTEGER, "v": shape}), *sent, endings=endings), **settings)


def refusal(name: str, shows: str, shape: Mapping[str, Any], text: str, **settings: Any) -> Scenario:
    """A value that nothing in the destination could stand for: refused with stream and line."""
    sent = record("orders", Raw(f'{{"id":1,"v":{text}}}'))
    ending = refused(*WHERE, tables=(table("orders"),))
    return scenario(name, shows, run(schema("orders", {"id": INTEGER, "v": shape}), sent, endings=ending), **settings)
