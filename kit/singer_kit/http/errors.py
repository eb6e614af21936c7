"""What an HTTP call ends with when it does not end well, by what can be done about it.

    ConnectionFailedError
    └── UnavailableError
        ├── UnreachableError     no answer in all tries: it concerns whatever would be asked next, too
        ├── FailingServerError   only "not now" in all tries, for this request
        └── QuotaExhaustedError  the server's limit refills later than the tap may wait
    ConfigurationError
    └── UnauthorizedError        the credential is wrong, expired or lacks a right
    SourceError
    ├── RefusedError             any other refusal, with its status
    ├── UnreadableError          an answer that is not what the API promises
    └── ForeignHostError         a link or redirect that would take credentials to another host

A stream reads on past what it tolerates; everything here ends its partition or the tap, see `singer_kit.rest`.
"""

from __future__ import annotations

from singer_kit.errors import ConfigurationError, SourceError
from singer_kit.retry import UnavailableError


class UnreachableError(UnavailableError):
    """The server has not answered in all tries."""


class FailingServerError(UnavailableError):
    """The server has not given a usable answer to this request in all tries."""


class QuotaExhaustedError(UnavailableError):
    """The server's limit is used up for longer than the tap may wait."""


class UnauthorizedError(ConfigurationError):
    """The credential does not open this door."""


class RefusedError(SourceError):
    """The server refuses the request.

    Args:
        message: what happened and what to do next.
        status: of the answer.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class UnreadableError(SourceError):
    """The answer is not what the API promises."""


class ForeignHostError(SourceError):
    """Credentials would leave for a host that nobody named."""
