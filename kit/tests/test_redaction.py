"""Secrets stay out of what is logged, whatever way they came there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from singer_kit.redaction import Redactor

SECRET = 'p&ss "w0rd"/x'


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        "https://x/?token=p%26ss%20%22w0rd%22%2Fx",
        "https://x/?token=p%26ss+%22w0rd%22%2Fx",
        json.dumps({"token": SECRET}),
        repr({"token": SECRET}),
    ],
)
def test_a_secret_in_any_dress(text) -> None:
    redact = Redactor()
    redact.add([SECRET])
    assert "w0rd" not in redact(f"before {text} behind")
    assert redact(f"before {text} behind").startswith("before ")
    assert redact(f"before {text} behind").endswith(" behind")


def test_a_key_of_several_lines_goes_line_by_line() -> None:
    redact = Redactor()
    redact.add(["-----BEGIN KEY-----\nMIIabcdef\nxyz12345==\n-----END KEY-----\n"])
    assert redact("line MIIabcdef of it") == "line *** of it"


def test_the_longest_secret_is_taken_first_and_short_ones_are_left() -> None:
    redact = Redactor()
    redact.add(["token", "token-of-mine", "x", ""])
    assert redact("x token-of-mine token") == "x *** ***"


PROGRAM = """
import logging
from singer_kit.redaction import Redactor

logging.basicConfig()
redactor = Redactor()
redactor.install()
redactor.add(["s3cret"])
logging.getLogger("a").warning("plain s3cret")
logging.getLogger("a.b").warning("%s and %d", "s3cret", 3)
logging.getLogger("a").warning("wrong %d arguments s3cret", "x")
try:
    raise ValueError("of s3cret")
except ValueError:
    logging.getLogger("c").exception("caught")
raise KeyError("s3cret at last")
"""


def test_all_loggers_and_tracebacks_of_a_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert "s3cret" not in done.stderr
    assert done.stderr.count("***") >= 5
    assert "*** and 3" in done.stderr
    assert "ValueError: of ***" in done.stderr
    assert "KeyError: '*** at last'" in done.stderr
    assert done.returncode == 1


def test_it_is_installed_once_however_many_taps_a_process_makes() -> None:
    program = PROGRAM.replace("import Redactor", "import PROCESS, Redactor").replace(
        "redactor.install()", "[PROCESS.install() for _ in range(3000)]; redactor = PROCESS"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "s3cret" not in done.stderr
    assert "RecursionError" not in done.stderr
    assert "*** and 3" in done.stderr
