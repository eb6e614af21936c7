"""Which sinks each stream feeds, with stream maps between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from singer_kit.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from target_postgres.layout import StreamSchema
    from target_postgres.naming import TableName
    from target_postgres.plans import Plan
    from target_postgres.sink import Sink

Record = dict[str, Any]


@dataclass(frozen=True)
class Mapped:
    """A stream that a stream map makes of another.

    Attributes:
        transform: makes a record of the new stream, or None to leave it out; it may change what it is given.
            None where records go as they are.
    """

    schema: StreamSchema
    transform: Callable[[Record], Record | None] | None


class Mapper(Protocol):
    """Stream maps."""

    def __call__(self, source: StreamSchema) -> Sequence[Mapped]: ...


def unmapped(source: StreamSchema) -> Sequence[Mapped]:
    """Every stream goes as it is."""
    return [Mapped(source, None)]


@dataclass(frozen=True)
class Route:
    """From a stream to a sink."""

    sink: Sink
    transform: Callable[[Record], Record | None] | None


class Streams:
    """The streams that have had a SCHEMA.

    Args:
        open_sink: makes a sink and its table ready; is given a number that no other sink has.
    """

    def __init__(self, open_sink: Callable[[StreamSchema, int], Sink]) -> None:
        self._open_sink = open_sink
        self._routes: dict[str, Sequence[Route]] = {}
        self._sinks: dict[str, Sink] = {}
        self._retired: list[Sink] = []
        self._tables: dict[TableName, str] = {}
        self._stale_plans: set[str] = set()

    def __len__(self) -> int:
        return len(self._routes)

    def __contains__(self, stream: str) -> bool:
        return stream in self._routes

    def routes(self, stream: str) -> Sequence[Route] | None:
        """Where a stream's records go; None: it has had no SCHEMA."""
        return self._routes.get(stream)

    @property
    def sinks(self) -> Iterable[Sink]:
        """Those that take records."""
        return self._sinks.values()

    @property
    def all_sinks(self) -> Sequence[Sink]:
        """In the order in which they were opened, those whose stream has changed since among them."""
        return [*self._retired, *self._sinks.values()]

    def declare(self, stream: str, mapped: Sequence[Mapped]) -> None:
        """Feed the streams that are made of one.

        Raises:
            PluginError: a sink cannot be opened.
        """
        self._routes[stream] = [Route(self._sink(one.schema), one.transform) for one in mapped]
        self._stale_plans.add(stream)

    def reopen(self, sink: Sink) -> Sink:
        """A new sink in the place of one whose table has been widened."""
        wider = self._open(sink.source)
        for stream, routes in self._routes.items():
            if any(route.sink is sink for route in routes):
                self._routes[stream] = [replace(route, sink=wider) if route.sink is sink else route for route in routes]
                self._stale_plans.add(stream)
        return wider

    def renew_plan(self, sink: Sink) -> None:
        """The scanner has to read a sink's stream in another way."""
        self._stale_plans.update(
            stream for stream, routes in self._routes.items() if any(route.sink is sink for route in routes)
        )

    def take_new_plans(self) -> Iterator[tuple[str, Plan | None]]:
        """How the scanner reads those streams for which that has changed; None: it cannot."""
        for stream in self._stale_plans:
            routes = self._routes[stream]
            as_it_is = len(routes) == 1 and routes[0].transform is None
            yield stream, routes[0].sink.plan if as_it_is else None
        self._stale_plans.clear()

    def _sink(self, source: StreamSchema) -> Sink:
        known = self._sinks.get(source.stream)
        return known if known is not None and known.source == source else self._open(source)

    def _open(self, source: StreamSchema) -> Sink:
        if (old := self._sinks.pop(source.stream, None)) is not None:
            old.meter.report()
            self._retired.append(old)
        sink = self._open_sink(source, len(self._retired) + len(self._sinks))
        self._sinks[source.stream] = sink
        return sink

    def claim(self, table: TableName, stream: str) -> None:
        """Reserve a table for a stream.

        Raises:
            ConfigurationError: another stream of the run goes there.
        """
        other = self._tables.setdefault(table, stream)
        if other != stream:
            raise ConfigurationError(
                f"Streams {other!r} and {stream!r} would share table {table.quoted}. Next: set table_name to a "
                "pattern with {full_stream}, or rename one with stream_maps and __alias__."
            )
