"""Put mutated records through the scanner under sanitizers, and compare what it takes with the plain path.

    python run.py [--records 1000000] [--seed 1]

The library is built with ASan and UBSan, which end the process at the first fault; each block lies in memory of
exactly its own size, so one byte read beyond it is a fault too. Ends with 1 at the first difference, and prints what
repeats it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import random_records
from plain_path import difference

from target_postgres.binary import rows_of
from target_postgres.scanner import Scanner, load

_SOURCE = Path(__file__).parents[2] / "native" / "scan.c"
_SANITIZED = "TARGET_POSTGRES_SANITIZED_SCANNER"
_LINES_PER_STREAM = 400
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if library := os.environ.get(_SANITIZED):
        return _fuzz(library, arguments.records, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder, "scan.so"))
        flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *_SANITIZE)
        subprocess.run(["gcc", *flags, "-o", library, _SOURCE], check=True)
        asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
        # PYTHONMALLOC: bytes and buffers are watched too. The interpreter itself leaks, by design.
        environment = {
            **os.environ,
            _SANITIZED: library,
            "LD_PRELOAD": asan.stdout.strip(),
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0",
        }
        return subprocess.run([sys.executable, *sys.argv], env=environment, check=False).returncode


def _fuzz(path: str, records: int, seed: int) -> int:
    library = load(path)
    assert library is not None
    random, started = Random(seed), time.monotonic()
    tried = taken = streams = declined = 0
    while tried < records:
        stream = random_records.random_stream(random)
        if stream is None:
            declined += 1
            continue
        streams += 1
        lines = _lines(random, stream, min(_LINES_PER_STREAM, records - tried))
        scanner = Scanner(library)
        scanner.set("s", stream.plan)
        tried += len(lines)
        while lines:
            count = random.choice([1, 1, 5, 50])
            taken += _compare(scanner, stream, lines[:count], seed)
            del lines[:count]
    seconds = time.monotonic() - started
    print(
        f"{tried} records of {streams} streams, seed {seed}: {taken} taken ({taken / tried:.0%}), every one of them as "
        f"the plain path has it; {declined} more schemas have no plan; {seconds:.0f} s"
    )
    return 0


def _lines(random: Random, stream: random_records.Stream, count: int) -> list[bytes]:
    writer = random_records.Writer(random, wildness=random.choice([0, 0.01, 0.05]))
    lines: list[bytes] = []
    while len(lines) < count:
        line = writer.line(stream)
        if random.random() < 0.5:
            line = random_records.mutated(random, line)
        lines += [one + b"\n" for one in line[:-1].split(b"\n")]
    return lines[:count]


def _compare(scanner: Scanner, stream: random_records.Stream, lines: list[bytes], seed: int) -> int:
    data = b"".join(lines)
    block = ctypes.create_string_buffer(data, len(data))
    number = offset = taken = 0
    while number < len(lines):
        scanned = scanner.scan(block, offset, line=number, sequence=number, rows=1 << 30)  # type: ignore[arg-type]
        assert scanned.stop == offset + sum(map(len, lines[number : number + scanned.lines]))
        for chunk in scanned.chunks:
            rows = list(rows_of(chunk.data))
            assert len(rows) == chunk.rows == scanned.rows == len(chunk.line_numbers)
            assert chunk.size == sum(len(lines[line_number]) for line_number in chunk.line_numbers)
            for row, (place, line_number) in zip(rows, enumerate(chunk.line_numbers), strict=True):
                _must_be_equal(stream, lines[line_number], number + place, row, seed)
        taken += scanned.rows
        number += scanned.lines + 1
        offset = sum(map(len, lines[:number]))
    return taken


def _must_be_equal(stream: random_records.Stream, line: bytes, sequence: int, row: bytes, seed: int) -> None:
    try:
        reason = difference(stream.plan, row, stream.plain.row(line, sequence))
    except Exception as error:  # noqa: BLE001 - whatever the plain path refuses a line with
        reason = f"the plain path refuses the line: {error!r}"
    if reason:
        sys.exit(f"seed {seed}: {reason}\nschema: {stream.schema}\nplan: {stream.plan}\nline: {line!r}\nrow: {row!r}")


if __name__ == "__main__":
    sys.exit(main())
