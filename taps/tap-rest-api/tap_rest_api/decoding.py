"""From the bytes of an answer to values: JSON Lines, CSV and XML are read row by row from a file, whatever its size.

Numbers keep their digits: one with a point becomes a `Decimal`.
"""

from __future__ import annotations

import csv
import gzip
import io
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import msgspec

from singer_kit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_rest_api.language import Records, Xml

_LONGEST_LINE = 1 << 20
_GZIP = b"\x1f\x8b"
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
csv.field_size_limit(1 << 30)


class BrokenBodyError(SourceError):
    """A body that ends too early or is not in the format that the manifest says."""


def in_rows(records: Records) -> bool:
    """Whether bodies are read row by row, from a file."""
    return records.format != "json"


def is_text(records: Records) -> bool:
    """Whether values come as text, whatever they mean."""
    return {records.format, records.inner_format if records.format == "gzip" else ""} & {"csv", "xml"} != set()


def rows(body: IO[bytes], records: Records) -> Iterator[Any]:
    """The rows of a body.

    Args:
        body: a file at its beginning.
        records: what is in it.

    Raises:
        BrokenBodyError: it ends too early, or is something else.
    """
    kind: str = records.format
    try:
        if kind == "gzip":
            kind = records.inner_format
            # Where the server said so in Content-Encoding, it is unpacked already.
            start = body.read(2)
            body.seek(0)
            if start == _GZIP:
                body = gzip.GzipFile(fileobj=body)  # type: ignore[assignment]
        if kind == "xml":
            assert records.xml is not None  # noqa: S101 - see checks
            yield from _xml(body, records.xml)
        elif kind == "csv":
            yield from _csv(body, records)
        else:
            yield from _lines(body, records)
    except (EOFError, OSError, ValueError, csv.Error, ET.ParseError) as error:
        raise BrokenBodyError(
            f"the body is not {records.format}, or ends too early: {error}. Next: check records.format and encoding."
        ) from None


def ends_whole(body: IO[bytes], records: Records) -> bool:
    """Whether the last line of a body is a whole one; of other formats that is not known before they are read."""
    if records.format != "jsonl":
        return True
    body.seek(max(0, body.seek(0, io.SEEK_END) - _LONGEST_LINE))
    last = next((line for line in reversed(body.read().splitlines()) if line.strip()), b"")
    body.seek(0)
    try:
        return len(last) >= _LONGEST_LINE or not last or bool([_decode(last.decode(records.encoding))])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _lines(body: IO[bytes], records: Records) -> Iterator[Any]:
    plain = records.encoding.lower().replace("_", "-") in {"utf-8", "utf8"}
    for number, line in enumerate(body, start=1):
        if not line.strip():
            continue
        try:
            yield _decode(line if plain else line.decode(records.encoding))
        except msgspec.DecodeError as error:
            raise ValueError(f"line {number}: {error}") from None


def _csv(body: IO[bytes], records: Records) -> Iterator[dict[str, Any]]:
    encoding = "utf-8-sig" if records.encoding.lower() in {"utf-8", "utf8"} else records.encoding
    written = records.csv
    with io.TextIOWrapper(body, encoding=encoding, newline="") as text:
        reader = csv.reader(text, delimiter=written.delimiter, quotechar=written.quote, strict=True)
        names = next(reader, []) if written.header else literal_columns(records.columns_path)
        for row in reader:
            if not row:
                continue
            if len(row) > len(names):
                raise ValueError(f"line {reader.line_num} has {len(row)} values for {len(names)} columns")
            yield {**dict.fromkeys(names), **dict(zip(names, row, strict=False))}


def literal_columns(text: str | None) -> list[str]:
    """The names in `[a,b]`."""
    return [name.strip().strip("'\"") for name in (text or "").strip("[] ").split(",") if name.strip()]


def _xml(body: IO[bytes], written: Xml) -> Iterator[Any]:
    lists = frozenset(written.force_list)
    above: list[ET.Element] = []
    for event, element in ET.iterparse(body, events=("start", "end")):  # noqa: S314 - no entities from outside
        if event == "start":
            above.append(element)
            continue
        above.pop()
        inside = any(_local(each.tag) == written.record_tag for each in above)
        if _local(element.tag) == written.record_tag and not inside:
            value = _value(element, lists)
            yield value if isinstance(value, dict) else {"#text": value}
        if not inside:
            # What has been read leaves the tree, which would otherwise grow to the size of the file.
            for each in above[-1:]:
                each.remove(element)


def _value(element: ET.Element, lists: frozenset[str]) -> Any:
    value: dict[str, Any] = {f"@{_local(name)}": text for name, text in element.attrib.items()}
    for child in element:
        name, inner = _local(child.tag), _value(child, lists)
        if name not in value:
            value[name] = [inner] if name in lists else inner
        elif isinstance(value[name], list):
            value[name].append(inner)
        else:
            value[name] = [value[name], inner]
    text = (element.text or "").strip() or None
    if not value:
        return text
    return value if text is None else {**value, "#text": text}


def _local(name: str) -> str:
    return name.rpartition("}")[2]
