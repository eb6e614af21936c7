"""What an API's own description says of its requests and answers."""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from singer_kit.testing.api.discovery import Discovery
from singer_kit.testing.api.openapi import OpenApi

if TYPE_CHECKING:
    from collections.abc import Collection

    from singer_kit.testing.api.exchange import Answer, Request


class Description(Protocol):
    """A document that requests and answers are checked against. Problems are sentences; none is good."""

    def request_problems(self, template: str, request: Request, also: Collection[str]) -> list[str]:
        """What is illegal in a request; `also` are query parameters that are let through."""

    def answer_problems(self, template: str, request: Request, answer: Answer) -> list[str]:
        """In what an answer is not as it is described."""


@functools.cache
def read_description(path: str | Path) -> Description:
    """Read an OpenAPI 3.x or Swagger 2.0 document or a Google discovery document: JSON, gzipped if named `.gz`.

    The same object for the same path: its validators are compiled once for a whole test run.

    Raises:
        ValueError: it is none of them.

    """
    content = Path(path).read_bytes()
    return describe(json.loads(gzip.decompress(content) if str(path).endswith(".gz") else content))


def describe(document: dict[str, Any]) -> Description:
    """A document that is read already.

    Raises:
        ValueError: it is neither OpenAPI, nor Swagger, nor Google discovery.

    """
    if "openapi" in document or document.get("swagger") == "2.0":
        return OpenApi(document)
    if "discoveryVersion" in document:
        return Discovery(document)
    raise ValueError("The document has neither 'openapi' nor 'swagger: 2.0' nor 'discoveryVersion'.")
