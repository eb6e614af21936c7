"""What a run prints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from singer_kit.testing.conformance.check import Checks
from singer_kit.testing.conformance.output import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_kit.testing.conformance.subject import Subject

CHECKS = Checks("records")

_KINDS = {"SCHEMA", "RECORD", "STATE", "ACTIVATE_VERSION", "BATCH"}
_SHOWN = 3  # problems of one stream


@CHECKS.add("there are some")
def some(subject: Subject) -> Iterator[str]:
    """A run reads something; without rows the other checks would show nothing."""
    if not subject.clean.records():
        yield "no RECORD was printed. Next: point the configuration at a source with rows"


@CHECKS.add("messages")
def messages(subject: Subject) -> Iterator[str]:
    """Every line is a message, a stream's SCHEMA stands before its rows and has the catalog's keys."""
    yield from subject.clean.broken[:_SHOWN]
    described: dict[str, Any] = {}
    for kind, count in Counter(each["type"] for each in subject.clean.messages).items():
        if kind not in _KINDS:
            yield f"{count} messages of type {kind!r}"
    early = set()
    for message in subject.clean.messages:
        if message["type"] == "SCHEMA":
            described[message["stream"]] = message
        elif message["type"] == "RECORD" and message["stream"] not in described:
            early.add(message["stream"])
        elif message["type"] == "STATE" and not isinstance(message.get("value"), dict):
            yield f"a STATE whose value is {message.get('value')!r}"
    for name in sorted(early):
        yield f"stream {name!r}: a RECORD before its SCHEMA"
    keys = subject.catalog.keys
    for name, message in described.items():
        if name in keys and sorted(message.get("key_properties") or []) != sorted(keys[name]):
            yield f"stream {name!r}: SCHEMA has the keys {message.get('key_properties')}, the catalog {keys[name]}"


@CHECKS.add("schema")
def schema(subject: Subject) -> Iterator[str]:
    """Every row fits the SCHEMA before it, formats too, and holds no property that it does not have."""
    validators: dict[str, jsonschema_rs.Validator] = {}
    properties: dict[str, set[str]] = {}
    found: Counter[str] = Counter()
    for message in subject.clean.messages:
        stream = message.get("stream", "")
        if message["type"] == "SCHEMA":
            validators[stream] = jsonschema_rs.validator_for(message["schema"], validate_formats=True)
            properties[stream] = set(message["schema"].get("properties", {}))
        elif message["type"] == "RECORD" and stream in validators:
            problems = [_told(error) for error in validators[stream].iter_errors(message["record"])]
            if strangers := message["record"].keys() - properties[stream]:
                problems.append(f"{', '.join(sorted(strangers))}: not in the SCHEMA")
            for problem in problems:
                found[stream] += 1
                if found[stream] <= _SHOWN:
                    yield f"stream {stream!r}: {problem}"


@CHECKS.add("keys")
def keys(subject: Subject) -> Iterator[str]:
    """Every row has its key, and two rows with the same key are the same row: what is delivered twice does no harm."""
    names = subject.catalog.keys
    for stream, rows in subject.clean.records().items():
        seen: dict[str, str] = {}
        for row in rows:
            missing = [name for name in names.get(stream, []) if row.get(name) is None]
            if missing:
                yield f"stream {stream!r}: a row without its key {', '.join(missing)}"
                break
            key, text = canonical([row[name] for name in names.get(stream) or row]), canonical(row)
            if seen.setdefault(key, text) != text:
                yield f"stream {stream!r}: two different rows with the key {key}"
                break


@CHECKS.add("selected only")
def selected_only(subject: Subject) -> Iterator[str]:
    """Nothing is printed of a stream that is not selected, and no property that the catalog does not have."""
    chosen = {stream.name: stream for stream in subject.catalog.chosen}
    printed = {each["stream"] for each in subject.clean.messages if "stream" in each}
    for name in sorted(printed - chosen.keys()):
        yield f"stream {name!r} is not selected"
    for message in subject.clean.of("SCHEMA"):
        stream = chosen.get(message["stream"])
        if stream is not None:
            extra = {each for each in message["schema"].get("properties", {}) if not each.startswith("_sdc_")}
            if extra := extra - stream.properties.keys():
                yield f"stream {stream.name!r}: SCHEMA has {', '.join(sorted(extra))}, which the catalog has not"


def _told(error: jsonschema_rs.ValidationError) -> str:
    place = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.instance_path)
    return f"{place.lstrip('.') or 'a row'}: {error.message[:200]}"
