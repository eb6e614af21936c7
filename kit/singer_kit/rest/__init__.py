"""What a REST tap is made of: a `RestTap` with `RestStream`s, whose pages several threads read and one writes."""

from singer_kit.instants import format_instant, parse_instant
from singer_kit.rest.page import Page, Partition, SkippedError, State
from singer_kit.rest.settings import COMMON
from singer_kit.rest.stream import RestStream
from singer_kit.rest.tap import RestTap

__all__ = [
    "COMMON",
    "Page",
    "Partition",
    "RestStream",
    "RestTap",
    "SkippedError",
    "State",
    "format_instant",
    "parse_instant",
]
