"""Reading YAML so that every complaint can name the file and the line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.reader import ReaderError

from ipai.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_DEEPEST = 100
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # NUL, and halves of characters


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
        SpecError: the file cannot be read, is no YAML, says a key twice, or holds what JSON and Postgres do not.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        tree = YAML(typ="rt", pure=True).load(text)
        return YamlFile(path, _plain(tree, ()), tree)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SpecError(f"{where}: not valid YAML: {_one_line(error)}") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SpecError(f"{path}:{line}: not valid YAML: {str(error).splitlines()[0]}") from None
    except YAMLError as error:
        raise SpecError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    except UnicodeDecodeError as error:
        line, byte = error.object.count(b"\n", 0, error.start) + 1, error.object[error.start]
        raise SpecError(f"{path}:{line}: not valid YAML: a byte {byte:#x} that is no UTF-8") from None
    except RecursionError:
        raise SpecError(f"{path}:{_deep_line(text)}: not valid YAML: nested deeper than {_DEEPEST} levels") from None
    except _Refused as refused:
        line = YamlFile(path, None, tree).line(refused.keys)
        where = ".".join(map(str, refused.keys)) or "(top)"
        raise SpecError(f"{path}:{line}: {where}: {refused}") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    """A value that no spec can hold; what is wrong with it."""

    def __init__(self, keys: tuple[str | int, ...], text: str) -> None:
        super().__init__(text)
        self.keys = keys


def _one_line(error: MarkedYAMLError) -> str:
    return ", ".join(part.splitlines()[0] for part in (error.context, error.problem) if part)


def _deep_line(text: str) -> int:
    """The line (from 1) on which it is nested too deeply. Events come without recursion."""
    depth = 0
    for event in YAML(typ="rt", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > _DEEPEST:
            return int(event.start_mark.line) + 1
    return 1


def _plain(node: Any, keys: tuple[str | int, ...], above: tuple[Any, ...] = ()) -> Any:
    """Ordinary JSON values instead of ruamel's, which remember their quotes and places.

    Raises:
        _Refused: there is no such value in JSON, or in Postgres.
    """
    if isinstance(node, (dict, list)):
        if any(node is each for each in above):
            raise _Refused(keys, "it contains itself")
        if len(above) == _DEEPEST:
            raise RecursionError
        above = (*above, node)
        if isinstance(node, list):
            return [_plain(item, (*keys, index), above) for index, item in enumerate(node)]
        return {_text(str(key), keys): _plain(value, (*keys, key), above) for key, value in node.items()}
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        if not math.isfinite(node):
            raise _Refused(keys, f"{float(node)} is no number in JSON")
        return float(node)
    return _text(node.isoformat() if isinstance(node, (datetime, date)) else str(node), keys)


def _text(text: str, keys: tuple[str | int, ...]) -> str:
    if found := _UNSTORABLE.search(text):
        raise _Refused(keys, f"it holds a character that cannot be stored, U+{ord(found[0]):04X}")
    return text
