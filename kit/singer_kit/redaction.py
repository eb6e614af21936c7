"""Secrets are taken out of all that a plugin logs, by their values: whatever way they came there."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

_MASK = "***"
_SHORTEST = 4
"""A secret of fewer characters is left: it would take parts of words away and hide nothing."""


class Redactor:
    """Knows secrets, and texts without them."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._installed = False

    def add(self, secrets: Iterable[str]) -> None:
        """Learn secrets, as they are and as they look in URLs, in JSON and line by line."""
        found = set(self._secrets)
        for secret in secrets:
            lines = secret.splitlines() if "\n" in secret else []
            for text in (secret, *lines):
                if len(text.strip()) >= _SHORTEST:
                    text = text.strip()  # noqa: PLW2901
                    found |= {text, quote(text, safe=""), quote_plus(text), repr(text)[1:-1], _as_json(text)}
        if found != self._secrets:
            self._secrets = found
            longest_first = sorted(found, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """Mask all secrets in a text."""
        return self._pattern.sub(_MASK, text) if self._pattern else text

    def install(self) -> None:
        """Redact every log record from now on, whichever logger it is of, and what Python prints of a defect."""
        if self._installed:
            return
        self._installed = True
        make = logging.getLogRecordFactory()

        def redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = make(*args, **kwargs)
            if self._pattern is None:
                return record
            try:
                record.msg, record.args = self(record.getMessage()), ()
            except (TypeError, ValueError):
                record.msg, record.args = self(str(record.msg)), ()
            if record.exc_info and record.exc_info[0]:
                record.exc_text = self("".join(traceback.format_exception(*record.exc_info)).rstrip())
            return record

        logging.setLogRecordFactory(redacted)

        def report(kind: type[BaseException], error: BaseException, trace: Any) -> None:
            sys.stderr.write(self("".join(traceback.format_exception(kind, error, trace))))

        sys.excepthook = report


PROCESS = Redactor()
"""Of the whole process: its log is one, however many plugins are made in it."""


def _as_json(text: str) -> str:
    return json.dumps(text)[1:-1]
