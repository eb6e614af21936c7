"""A GraphQL endpoint: queries are checked against the API's schema and executed."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import ExecutionResult, GraphQLSchema, build_schema, execute_sync, parse, validate
from graphql.error import GraphQLError

from singer_kit.testing.api.exchange import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from singer_kit.testing.api.exchange import Request


@functools.cache
def read_schema(path: str | Path) -> GraphQLSchema:
    """Read a schema in SDL, gzipped if named `.gz`; the same object for the same path."""
    content = Path(path).read_bytes()
    text = (gzip.decompress(content) if str(path).endswith(".gz") else content).decode()
    return build_schema(text, assume_valid=True, no_location=True)


class GraphQL:
    """A handler for `POST /graphql`.

    Args:
        schema: the API's.
        root: makes the value behind the query's first fields: a mapping, whose values may be functions of
            `(info, **arguments)`; so may those of the mappings that they give. One with several possible types
            says its own as `__typename`.
        complain: told what is illegal in a query: `api.complaints.append`.

    """

    def __init__(
        self, schema: GraphQLSchema, root: Callable[[Request], Mapping[str, Any]], complain: Callable[[str], object]
    ) -> None:
        self._schema = schema
        self._root = root
        self._complain = complain

    def __call__(self, request: Request) -> Answer:
        """As GraphQL over HTTP has it: errors come with status 200."""
        asked = request.json
        try:
            document = parse(asked["query"])
        except GraphQLError as error:
            return self._refused([error])
        if errors := validate(self._schema, document):
            return self._refused(errors)
        result = execute_sync(
            self._schema,
            document,
            self._root(request),
            context_value=request,
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
        )
        return Answer(_written(result))

    def _refused(self, errors: list[GraphQLError]) -> Answer:
        for error in errors:
            self._complain(f"GraphQL: {error.message}")
        return Answer(_written(ExecutionResult(None, errors)))


def _written(result: ExecutionResult) -> dict[str, Any]:
    written: dict[str, Any] = dict(result.formatted)
    return written
