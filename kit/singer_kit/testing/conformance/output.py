"""What a run printed, as messages."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass
class Output:
    """The messages of one run, or of several one after another.

    Attributes:
        messages: whole lines that are JSON objects, in their order.
        broken: problems of other lines. A last line without its end is none: the run was cut off.

    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, stdout: bytes) -> Output:
        """Read the lines of a run."""
        output = cls()
        for number, line in enumerate(stdout.split(b"\n")[:-1], 1):
            try:
                message = json.loads(line)
            except ValueError:
                output.broken.append(f"line {number} is no JSON: {line[:60]!r}")
                continue
            if isinstance(message, dict) and isinstance(message.get("type"), str):
                output.messages.append(message)
            else:
                output.broken.append(f"line {number} is no Singer message: {line[:60]!r}")
        return output

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type."""
        return [message for message in self.messages if message["type"] == kind]

    def records(self) -> dict[str, list[Row]]:
        """Rows by stream, in their order, without what differs from run to run (`_sdc_…`)."""
        found: dict[str, list[Row]] = defaultdict(list)
        for message in self.of("RECORD"):
            found[message["stream"]].append(
                {name: value for name, value in message["record"].items() if not name.startswith("_sdc_")}
            )
        return dict(found)

    @property
    def state(self) -> dict[str, Any] | None:
        """The last STATE."""
        states = self.of("STATE")
        return states[-1]["value"] if states else None

    def committed(self) -> Output:
        """What a target that commits with each STATE has stored of it."""
        last = max((number for number, each in enumerate(self.messages) if each["type"] == "STATE"), default=-1)
        return Output(self.messages[: last + 1])

    def then(self, other: Output) -> Output:
        """The messages of this run and of a later one."""
        return Output([*self.messages, *other.messages], [*self.broken, *other.broken])


def canonical(row: Any) -> str:
    """A row as a text that is the same for the same values."""
    return json.dumps(row, sort_keys=True)


def union(output: Output, keys: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """What is stored at the end, by stream and key: later rows replace earlier ones. Without a key it is the row."""
    return {
        stream: {canonical([row.get(name) for name in keys.get(stream) or row]): canonical(row) for row in rows}
        for stream, rows in output.records().items()
    }
