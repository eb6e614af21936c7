"""Taking secrets out of texts, by their values.

A secret shows in many forms: as it is, inside JSON or a URL, line by line, in base64 beside a user's name. So each
value that must not be seen becomes patterns: whatever is no plain letter or digit in it may stand in any of its
encodings, and base64 is recognised by what the value becomes inside it at each of the three places it can begin. What
holds secrets itself (a service account's JSON, a URL with a password) is taken apart first.

Two things are out of reach: a value of one character, and a plugin that takes a secret apart on purpose.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = "***"
_SHORTEST = 4  # shorter values are taken out only where they stand alone: they would blank out half of every line
_PIECE = 6  # so much of a secret at the edge of a line is taken for the rest of one that was folded or cut off
_PLAIN = frozenset("-_.~")  # besides letters and digits, what no encoding changes
_LINE_BREAKS = re.compile(r"(?:\r\n|\r|\n)+")
_LINE_BREAK = r"(?:\s|\\+[rn]|%0[aAdD])*"
_EDGE = " \t\r\n\"',;:|…│┃╎║>"  # what stands around the text of a line that was folded or cut
_USERINFO = re.compile(r"^[a-zA-Z][\w+.-]*://[^/@\s:]*:([^/\s]+)@")
_KEY_AND_VALUE = re.compile(
    r"(?:password|passwd|pwd|secret|token|key|sig|signature)\s*=\s*'?([^;&'\s]+)", re.IGNORECASE
)
# In a JSON secret, what is known to be public; taking these out would leave unreadable logs.
_PUBLIC = re.compile(
    r"^(?:type|project_id|client_email|client_id|email|user|username|host|port|universe_domain|scope|token_type"
    r"|.*(?:_ur[il]|_email))$",
    re.IGNORECASE,
)


class Redactor:
    """Learns values and takes them out of texts. Safe to use from several threads."""

    def __init__(self, also: Redactor | None = None) -> None:
        self._also = also
        self._lock = threading.Lock()
        self._values: tuple[str, ...] = ()
        self._whole: tuple[str, ...] = ()  # those that are looked for in pieces, without backslashes

    def learn(self, value: Any) -> None:
        """Keep a value from being seen, and every text within it if it is a list or an object."""
        with self._lock:
            learned = {*self._values, *_parts(value)}
            # The longest first, so that none is cut in two by a shorter one.
            self._values = tuple(sorted(learned, key=len, reverse=True))
            # Not a URL: a line may well end in postgresql. Its password is a value of its own.
            self._whole = tuple(each.replace("\\", "") for each in self._values if not _USERINFO.match(each))
        if self._also is not None:
            self._also.learn(value)

    def redact(self, text: str) -> str:
        """The text without any value learned so far."""
        for value in self._values:
            for pattern in _patterns(value):
                text = pattern.sub(MASK, text)
        if not self._whole:
            return text
        return "".join(map(self._without_pieces, text.splitlines(keepends=True)))

    def redacted(self, value: Any) -> Any:
        """A JSON value with every text in it redacted, keys too."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {self.redacted(key): self.redacted(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redacted(item) for item in value]
        return value

    def _without_pieces(self, line: str) -> str:
        """A secret that was folded over several lines, or cut off with its line, ends one and goes on in the next."""
        end = len(line.rstrip(_EDGE))
        start = end - len(line[:end].lstrip(_EDGE))
        kept = [at for at in range(start, end) if line[at] != "\\"]  # whoever folds may escape as well
        if len(kept) < _PIECE:
            return line
        text = "".join(line[at] for at in kept)
        for value in self._whole:
            if text in value:
                return line[:start] + MASK + line[end:]
            if size := _common_edge(text, value):
                return self._without_pieces(line[: kept[-size]] + MASK + line[end:])
            if size := _common_edge(value, text):
                return self._without_pieces(line[:start] + MASK + line[kept[size - 1] + 1 :])
        return line


# Whatever this process has learned, for what it says of itself: its log and its errors.
EVERYTHING = Redactor()


def _common_edge(text: str, other: str) -> int:
    """How many characters at the end of one text are the beginning of the other; 0 where they are few, or all of it."""
    probe = text[-_PIECE:]
    at = other.find(probe)
    while at >= 0:
        size = at + len(probe)
        if size < len(other) and text.endswith(other[:size]):
            return size
        at = other.find(probe, at + 1)
    return 0


def _parts(value: Any) -> Iterator[str]:
    """A value, and the secrets within it."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(item, str) or not _PUBLIC.match(str(key)):
                yield from _parts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, str) and len(value.strip()) > 1:
        yield value
        yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST)
        if value.lstrip().startswith(("{", "[")):
            with suppress(ValueError, RecursionError):
                yield from _parts(json.loads(value))
        within = [*_KEY_AND_VALUE.findall(value), *_USERINFO.findall(value)]
        yield from (part for found in within for part in (found, unquote(found)) if len(part) > 1)


@lru_cache(maxsize=4096)
def _patterns(value: str) -> tuple[re.Pattern[str], ...]:
    written = _LINE_BREAK.join("".join(map(_encodings, line)) for line in _LINE_BREAKS.split(value.strip()))
    if len(value) < _SHORTEST:
        return (re.compile(rf"(?<!\w)(?:{written})(?!\w)"),)
    return (re.compile(written), *(re.compile(form) for form in _in_base64(value)))


def _encodings(character: str) -> str:
    """A pattern for a character as it is, and as JSON, Python, HTML and URLs write it."""
    if character.isascii() and (character.isalnum() or character in _PLAIN):
        return re.escape(character)
    if character == "\\":
        return r"(?:\\+|%5[cC])"
    data = character.encode("utf-8", "surrogatepass")
    forms = {re.escape(character), "".join(f"%(?i:{byte:02x})" for byte in data)}
    forms |= {re.escape(html.escape(character)), f"&#0*{ord(character)};"}
    units = character.encode("utf-16-be", "surrogatepass").hex()
    forms.add("".join(rf"\\+u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4)))
    if not character.isascii() or not character.isprintable():
        forms.add("".join(rf"\\+x(?i:{byte:02x})" for byte in data))  # as Python writes bytes
        forms.add(re.escape(json.dumps(character)[1:-1]).replace(r"\\", r"\\+"))
    if character == " ":
        forms.add(r"\+")
    escaped = r"\\*" if character in "\"'/&<>" else ""
    return escaped + "(?:" + "|".join(sorted(forms)) + ")"


def _in_base64(value: str) -> Iterator[str]:
    """Patterns for what a value becomes in base64, wherever in the encoded text it begins, in either alphabet.

    Its first and last few bits share a character with what stands around them and are left.
    """
    data = value.encode("utf-8", "surrogatepass")
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        whole = len(data) + offset
        inside = encoded[(0, 2, 3)[offset] : whole * 8 // 6]
        if len(inside) >= _SHORTEST:
            yield re.escape(inside).replace(r"\+", r"[+\-]").replace("/", "[/_]")
