"""Reading YAML so that every complaint can name the file and the line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ipai.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class YamlFile:
    """A parsed file: plain values, and the lines they stand on."""

    path: Path
    value: Any
    _tree: Any

    def line(self, keys: Iterable[str | int]) -> int:
        """The line (from 1) of the value under `keys`, or of the nearest one above it that is there."""
        node, line = self._tree, 1
        for key in keys:
            try:
                if isinstance(node, CommentedMap):
                    line = node.lc.key(key)[0] + 1
                elif isinstance(node, CommentedSeq):
                    line = node.lc.item(key)[0] + 1
                node = node[key]
            except (KeyError, IndexError, TypeError, AttributeError):
                break
        return line


def read_yaml(path: Path) -> YamlFile:
    """Read one document.

    Raises:
        SpecError: the file cannot be read, is no YAML, or says a key twice.
    """
    try:
        tree = YAML(typ="rt", pure=True).load(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError(f"{where}: not valid YAML: {_one_line(error)}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    return YamlFile(path, _plain(tree), tree)


def _one_line(error: MarkedYAMLError) -> str:
    return ", ".join(part.splitlines()[0] for part in (error.context, error.problem) if part)


def _plain(node: Any) -> Any:
    """Ordinary JSON values instead of ruamel's, which remember their quotes and places."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    if isinstance(node, (datetime, date)):
        return node.isoformat()
    return str(node)
