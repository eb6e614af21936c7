"""Which dbt models read a column of Bronze, and which are built on those.

Told from the project's own text, as it stands: it needs neither dbt nor a manifest, which holds the same text as of the
last build. A model reads a Bronze table where it names it in a call, `source('odoo', 'account_move')` or a macro such
as `bronze_latest('account_move', [ … ])`; it reads a column where it names that too, within the macro's list if it has
one. A model that takes `*` and never names the column is not found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMMENT = re.compile(r"--[^\n]*|\{#.*?#\}|/\*.*?\*/", re.DOTALL)
_REF = re.compile(r"""\bref\(\s*['"](\w+)['"]""")


@dataclass(frozen=True)
class Model:
    """One dbt model. `layer` is its folder, such as `silver` or `silver/base`."""

    name: str
    layer: str
    text: str

    @property
    def refs(self) -> frozenset[str]:
        return frozenset(_REF.findall(self.text))


@dataclass(frozen=True)
class Reader:
    """A model that a change concerns.

    Args:
        reads: it names the column itself; otherwise it is built on one that does.
    """

    name: str
    layer: str
    reads: bool


class Project:
    """A dbt project's models and sources.

    Args:
        folder: where its `models` are.
    """

    def __init__(self, folder: Path) -> None:
        models = folder / "models"
        self._models = {
            path.stem: Model(
                path.stem, path.parent.relative_to(models).as_posix(), _COMMENT.sub(" ", path.read_text("utf-8"))
            )
            for path in sorted(models.rglob("*.sql"))
        }
        self._sources = dict(_sources(models))
        self._depths: dict[str, int] = {}

    def readers(self, table: str, column: str | None) -> list[Reader]:
        """The models that a change of a Bronze table concerns, those that read it first, then from layer to layer.

        Args:
            table: such as raw_odoo_account_move.
            column: None: the whole table.
        """
        source = self._sources.get(table.lower())
        if source is None:
            return []
        concerned = {name: True for name, model in self._models.items() if _reads(model, source, column)}
        found = list(concerned)
        for name in found:  # grows while it is walked
            for model in self._models.values():
                if name not in model.refs:
                    continue
                reads = concerned[name] and column is not None and _names(model.text, column)
                if model.name not in concerned or (reads and not concerned[model.name]):
                    concerned[model.name] = reads
                    found.append(model.name)
        readers = [Reader(name, self._models[name].layer, reads) for name, reads in concerned.items()]
        return sorted(readers, key=lambda each: (not each.reads, self._depth(each.name), each.name))

    def _depth(self, name: str) -> int:
        """How many models stand below one, at most, one upon the other."""
        if name not in self._depths:
            self._depths[name] = 0  # also the way out of a circle, which dbt refuses anyway
            known = self._models[name].refs & self._models.keys()
            self._depths[name] = max((self._depth(ref) + 1 for ref in known), default=0)
        return self._depths[name]


def _sources(models: Path) -> Iterator[tuple[str, str]]:
    """Of each source table: the relation's name in small letters, and what models call it."""
    yaml = YAML(typ="safe", pure=True)
    for path in sorted([*models.rglob("*.yml"), *models.rglob("*.yaml")]):
        try:
            document: Any = yaml.load(path.read_text("utf-8"))
        except YAMLError:
            continue  # dbt says what is wrong with it
        for source in (document or {}).get("sources") or ():
            for table in source.get("tables") or ():
                yield str(table.get("identifier") or table["name"]).lower(), str(table["name"])


def _reads(model: Model, table: str, column: str | None) -> bool:
    calls = re.finditer(rf"""\b(?!ref\b)\w+\((?=\s*(?:['"]\w+['"]\s*,\s*)?['"]{re.escape(table)}['"])""", model.text)
    for call in calls:
        arguments = _arguments(model.text, call.end())
        if column is None or _names(arguments if "[" in arguments else model.text, column):
            return True
    return False


def _arguments(text: str, start: int) -> str:
    """What stands between a call's parentheses."""
    depth = 1
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if not depth:
            return text[start:index]
    return text[start:]


def _names(text: str, column: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(column)}(?!\w)", text, re.IGNORECASE) is not None
