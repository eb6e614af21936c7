"""What a GraphQL query costs: as GitHub counts, from the sizes of its connections and before it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import FieldNode, FragmentDefinitionNode, FragmentSpreadNode, IntValueNode, OperationDefinitionNode, parse
from graphql import VariableNode as Variable
from graphql.error import GraphQLError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import SelectionSetNode

LARGEST = 500_000  # nodes of one query


def measured(query: str, variables: Mapping[str, Any] | None) -> tuple[int, int]:
    """Points (requests that the connections stand for, by the hundred, at least one) and nodes at most."""
    try:
        document = parse(query)
    except GraphQLError:
        return 1, 0
    fragments = {each.name.value: each.selection_set for each in document.definitions
                 if isinstance(each, FragmentDefinitionNode)}  # fmt: skip
    requests = nodes = 0
    for each in document.definitions:
        if isinstance(each, OperationDefinitionNode):
            more = _counted(each.selection_set, 1, fragments, variables or {})
            requests, nodes = requests + more[0], nodes + more[1]
    return max(1, round(requests / 100)), nodes


def _counted(
    selections: SelectionSetNode, times: int, fragments: Mapping[str, SelectionSetNode], variables: Mapping[str, Any]
) -> tuple[int, int]:
    requests = nodes = 0
    for each in selections.selections:
        inside = (
            fragments[each.name.value] if isinstance(each, FragmentSpreadNode) else getattr(each, "selection_set", None)
        )
        size = _size(each, variables) if isinstance(each, FieldNode) else None
        if size is not None:
            requests, nodes = requests + times, nodes + times * size
        if inside is not None:
            more = _counted(inside, times * (size or 1), fragments, variables)
            requests, nodes = requests + more[0], nodes + more[1]
    return requests, nodes


def _size(field: FieldNode, variables: Mapping[str, Any]) -> int | None:
    for argument in field.arguments or ():
        if argument.name.value in {"first", "last"}:
            value = argument.value
            if isinstance(value, IntValueNode):
                return int(value.value)
            if isinstance(value, Variable):
                return int(variables.get(value.name.value) or 1)
    return None
