"""How REST taps speak HTTP: a `Call` goes in, an answer that can be used comes out."""

from singer_kit.http.call import Call
from singer_kit.http.client import Client, Retry, decoded
from singer_kit.http.credentials import Credential, Token
from singer_kit.http.errors import (
    FailingServerError,
    ForeignHostError,
    QuotaExhaustedError,
    RefusedError,
    UnauthorizedError,
    UnreachableError,
    UnreadableError,
)
from singer_kit.http.limiter import Budget, Limiter, QuotaHeaders, StoppedError
from singer_kit.http.verdict import Judge, Verdict, judge_by_status

__all__ = [
    "Budget",
    "Call",
    "Client",
    "Credential",
    "FailingServerError",
    "ForeignHostError",
    "Judge",
    "Limiter",
    "QuotaExhaustedError",
    "QuotaHeaders",
    "RefusedError",
    "Retry",
    "StoppedError",
    "Token",
    "UnauthorizedError",
    "UnreachableError",
    "UnreadableError",
    "Verdict",
    "decoded",
    "judge_by_status",
]
