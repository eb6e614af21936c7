"""Random streams and their records, ordinary and hostile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from corpus import NAMES, NUMBERS, NUMERIC, ODD_NAMES, REFUSED_TEXTS, SCRAPS, TEXTS, TIMES, USUAL, UUIDS
from plain_path import PlainPath

from target_postgres.binary import constant
from target_postgres.lineage import DELETED_AT
from target_postgres.plans import Plan, compile_plan
from target_postgres.types import column_type

if TYPE_CHECKING:
    from random import Random


CONSTANTS = (constant(datetime(2024, 1, 1, tzinfo=timezone.utc)), constant(-7), constant("bätch"), constant(None))
ASKED_TYPES = {
    "integer": ["smallint", "integer", "bigint", "numeric"],
    "number": ["real", "double precision", "numeric"],
    "string": ["varchar", "text"],
    "object": ["json", "jsonb"],
}


@dataclass(frozen=True)
class Stream:
    schema: dict[str, Any]
    plan: Plan
    plain: PlainPath


def random_stream(random: Random) -> Stream | None:
    """A stream; None: its schema is one that has no plan."""
    names = random.sample(NAMES, random.randint(1, 9)) + random.sample(ODD_NAMES, random.random() < 0.1)
    schema: dict[str, Any] = {"type": "object", "properties": {name: _property(random, 2) for name in names}}
    if random.random() < 0.3:
        schema["required"] = random.sample(names, random.randint(1, len(names)))
    if random.random() < 0.2:
        schema["additionalProperties"] = random.choice([True, False, {}])
    validate = random.random() < 0.8
    lineage = random.random() < 0.7
    loaded = [name for name in names if name != DELETED_AT and random.random() < 0.9]
    types = [column_type(schema["properties"][name], content_encoding=True) for name in loaded]
    simple = [name for name, found in zip(loaded, types, strict=True) if found.kind in {"integer", "text", "timestamp"}]
    cursors = names if random.random() < 0.1 else simple
    plan = compile_plan(
        schema,
        [(name, found.kind, found.staged) for name, found in zip(loaded, types, strict=True)],
        keys=[name for name in loaded if random.random() < 0.05],
        validate=validate,
        lineage=lineage,
        sequence=random.random() < 0.5,
        bookmark=[random.choice(cursors)] if cursors and random.random() < 0.7 else [],
        ignored=[name for name in names if name not in loaded],
        constants=random.choice([(), CONSTANTS]),
    )
    if plan is None:
        return None
    return Stream(schema, plan, PlainPath(schema, plan, validate=validate))


def _property(random: Random, depth: int) -> Any:
    null = ["null"] if random.random() < 0.6 else []
    if depth and random.random() < 0.3:
        return _container(random, depth - 1, null)
    types = random.sample(["integer", "number", "string", "boolean"], 2)
    asked = random.choice([*ASKED_TYPES])
    formats = ["date-time", "date-time", "date", "time", "uuid", "uuid", "singer.decimal"]
    return random.choice(
        [
            {"type": ["integer", *null], **random.choice(NUMERIC)},
            {"type": ["number", *null], **random.choice(NUMERIC)},
            {"type": ["string", *null], **random.choice([{}, {"maxLength": 4}, {"maxLength": 200}])},
            {"type": [*null, "boolean"]},
            {"type": ["string", *null], "format": random.choice(formats)},
            {"type": ["string", *null], "format": random.choice(formats)},
            {"type": [asked, *null], "x-sql-datatype": random.choice(ASKED_TYPES[asked])},
            {"type": random.choice(["integer", "string"])},
            {"type": [*types, *null]},
            {"anyOf": [{"type": name} for name in [*types, *null]]},
            random.choice([{}, True, {"title": "anything"}]),
        ]
    )


def _container(random: Random, depth: int, null: list[str]) -> dict[str, Any]:
    roll = random.random()
    if roll < 0.3:
        return {"type": ["array", *null], "items": _property(random, depth)}
    if roll < 0.5:
        variants = [_property(random, depth), {"type": "null"}]
        return {random.choice(["anyOf", "oneOf"]): variants}
    names = random.sample(NAMES, random.randint(1, 4))
    made: dict[str, Any] = {"type": ["object", *null]}
    made["properties"] = {name: _property(random, depth) for name in names}
    if random.random() < 0.4:
        made["required"] = random.sample(names, 1)
    if random.random() < 0.3:
        made["additionalProperties"] = False
    return made


class Writer:
    """Writes records as JSON the way taps do, and as no tap should."""

    def __init__(self, random: Random, *, wildness: float) -> None:
        self._random = random
        self._wildness = wildness
        self._comma, self._colon = random.choice([(",", ":"), (", ", ": ")])
        self._ascii = random.random() < 0.5

    def line(self, stream: Stream) -> bytes:
        random = self._random
        record = self._object(stream.schema["properties"], stream.schema.get("required", ()))
        members = [
            (
                "type",
                '"RECORD"' if not self._wild() else random.choice(['"STATE"', "null", '"RECORD "', '"\\u0052ECORD"']),
            ),
            ("stream", '"s"' if not self._wild() else random.choice(['"t"', "1", '"\\u0073"'])),
            ("record", record if not self._wild() else random.choice(["null", "[]", "{}", record])),
        ]
        if random.random() < 0.7:
            time = '"2024-06-01T12:00:00.000001+00:00"' if not self._wild() else self._string(random.choice(TIMES))
            members.append(("time_extracted", time))
        if random.random() < 0.3:
            members.append(("version", str(random.randrange(10**13)) if not self._wild() else self._anything(1)))
        if random.random() < 0.1:
            members.append((random.choice(NAMES), self._anything(2)))
        if random.random() < 0.3:
            random.shuffle(members)
        if self._wild():
            members.append(random.choice(members))
        text = self._joined([(self._string(name), value) for name, value in members])
        if self._wild():
            text = random.choice([" " + text, text + " ", "\ufeff" + text, text + "x", text + text, "\t" + text, ""])
        return text.encode("utf-8", "surrogatepass") + random.choice([b"\n", b"\n", b"\n", b"\r\n"])

    def _wild(self) -> bool:
        return self._random.random() < self._wildness

    def _joined(self, members: list[tuple[str, str]]) -> str:
        return "{" + self._comma.join(f"{name}{self._colon}{value}" for name, value in members) + "}"

    def _string(self, text: str) -> str:
        written = json.dumps(text, ensure_ascii=self._ascii)
        return written.replace("/", "\\/") if self._wild() else written

    def _object(self, properties: dict[str, Any], required: Any) -> str:
        random = self._random
        members = [
            (self._string(name), self._value(definition))
            for name, definition in properties.items()
            if random.random() < (0.999 if name in required else 0.9)
        ]
        if self._wild():
            random.shuffle(members)
        if self._wild():
            members.append((self._string(random.choice(NAMES)), self._anything(2)))
        if members and self._wild():
            members.append(random.choice(members))
        return self._joined(members)

    def _value(self, schema: Any) -> str:
        random = self._random
        if self._wild() or not isinstance(schema, dict):
            return self._anything(3)
        if variants := schema.get("anyOf") or schema.get("oneOf"):
            return self._value(random.choice(variants))
        types = schema.get("type", "anything")
        name = types if isinstance(types, str) else random.choice([*types, *(one for one in types if one != "null")])
        return self._typed(name, schema)

    def _typed(self, name: str, schema: dict[str, Any]) -> str:
        random = self._random
        if name == "object":
            return self._object(schema.get("properties", {}), schema.get("required", ()))
        if name == "array":
            return "[" + self._comma.join(self._value(schema.get("items")) for _ in range(random.randrange(4))) + "]"
        if name == "string":
            return self._string(self._text(schema))
        if name in {"integer", "number"} and {"minimum", "maximum"} & schema.keys() and not self._wild():
            return str(random.randrange(101))
        numbers = [repr(random.random() * 100), repr(random.uniform(-1e-6, 1e20)), "12.50", "3"]
        return {
            "anything": self._anything(3),
            "null": "null",
            "boolean": random.choice(["true", "false"]),
            "integer": str(random.choice([random.randrange(-5, 120), random.randrange(10**18)])),
            "number": random.choice(numbers),
        }[name]

    def _text(self, schema: dict[str, Any]) -> str:
        random, form = self._random, str(schema.get("format"))
        if form in USUAL:
            return random.choice(TIMES if self._wild() else USUAL[form])
        if form == "uuid":
            return random.choice(UUIDS) if self._wild() else random.choice(UUIDS[:2])
        if form == "singer.decimal":
            wild = random.choice([*TEXTS, *NUMBERS])
            return wild if self._wild() else random.choice(["1.50", "-7", "0.000000001", "12345678901234567890.1"])
        if self._wild():
            return random.choice(REFUSED_TEXTS)
        text = random.choice(TEXTS) if random.random() < 0.2 else random.choice("abc") * random.randrange(12)
        return text if self._wild() else text[: schema.get("maxLength")]

    def _anything(self, depth: int) -> str:
        random = self._random
        roll = random.randrange(10 if depth else 7)
        if roll < 2:
            return random.choice(NUMBERS)
        if roll < 4:
            return self._string(random.choice(TEXTS))
        if roll == 4:
            return self._string(random.choice((*TIMES, *UUIDS)))
        if roll < 7:
            return random.choice(
                ["null", "true", "false", "nul", "{}", "[]", "[[[]]]", "[1,]", "{,}", "[" * 70 + "]" * 70]
            )
        if roll == 7:
            return "[" + self._comma.join(self._anything(depth - 1) for _ in range(random.randrange(3))) + "]"
        return self._joined(
            [(self._string(random.choice(NAMES)), self._anything(depth - 1)) for _ in range(random.randrange(3))]
        )


def mutated(random: Random, line: bytes) -> bytes:
    """Change a few bytes of a line, which stays one that ends."""
    data = bytearray(line)
    for _ in range(random.choice([1, 1, 1, 2, 4])):
        place = random.randrange(len(data))
        roll = random.randrange(6)
        if roll == 0:
            data[place] = random.randrange(256)
        elif roll == 1:
            del data[place : place + random.choice([1, 1, 2, 8])]
        elif roll == 2:
            data[place:place] = random.choice(SCRAPS)
        elif roll == 3:
            data[place : place + 1] = random.choice(SCRAPS)
        elif roll == 4:
            start = random.randrange(len(data))
            data[place:place] = data[start : start + random.randrange(1, 20)]
        else:
            data[place] ^= 1 << random.randrange(8)
        if not data:
            break
    return bytes(data).rstrip(b"\n") + b"\n"
