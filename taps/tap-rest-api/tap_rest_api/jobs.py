"""Exports that a server prepares: started, waited for, and downloaded."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from singer_kit.errors import SourceError
from singer_kit.http import Client, RefusedError, decoded
from tap_rest_api.requesting import Draft, Scope, call_draft, send
from tap_rest_api.templates import as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from tap_rest_api.language import Call as CallSpec
    from tap_rest_api.language import Job
    from tap_rest_api.rules import Rule


class JobFailedError(SourceError):
    """The server did not make what it was asked for."""


class Jobs:
    """The `job` of one stream, compiled. Threads share it.

    Args:
        spec: of the manifest.
        client: of the API.
        stream: for errors.
    """

    def __init__(self, spec: Job, client: Client, stream: str) -> None:
        self._spec, self._client, self._stream = spec, client, stream
        self._free = threading.Semaphore(spec.max_parallel)

    def run(
        self, scope: Scope, rules: tuple[Rule, ...], resumed: str | None, *, to_file: bool
    ) -> Iterator[str | requests.Response]:
        """Start an export, or go on with one.

        Args:
            scope: for templates.
            rules: what answers mean.
            resumed: the id of one that a former run has started.
            to_file: whether bodies go to files.

        Yields:
            The id once it is known, then the answers that hold the result.

        Raises:
            JobFailedError: the server says so, or it takes too long.
        """
        with self._free:
            number, answer = resumed, None
            if number is not None:
                try:
                    answer = self._wait({**scope, "job": {"id": number}}, rules)
                except (JobFailedError, RefusedError):
                    number = None  # it is gone, or came to nothing: start anew
            if number is None:
                created = self._send(self._spec.create, scope, rules)
                number = as_text(self._spec.id_path.first(created)) or None
                if number is None:
                    raise JobFailedError(
                        f"Stream '{self._stream}': the answer to job.create has nothing at {self._spec.id_path.text}. "
                        "Next: correct job.id_path."
                    )
                yield number
                answer = self._wait({**scope, "job": {"id": number}}, rules)
            yield from self._download({**scope, "job": {"id": number}}, rules, answer, to_file=to_file)

    def _wait(self, scope: Scope, rules: tuple[Rule, ...]) -> Any:
        poll = self._spec.poll
        end = time.monotonic() + poll.timeout.seconds
        while True:
            answer = self._send(poll.call, scope, rules)
            if poll.failed_when and poll.failed_when.holds(response=answer, config=scope.get("config")):
                raise JobFailedError(
                    f"Stream '{self._stream}': the export {scope['job']['id']} has failed: {as_text(answer)[:300]}. "
                    "Next: see what the API says of it, and run again."
                )
            if poll.done_when.holds(response=answer, config=scope.get("config")):
                return answer
            if time.monotonic() > end:
                raise JobFailedError(
                    f"Stream '{self._stream}': the export {scope['job']['id']} is not ready after {poll.timeout.text}. "
                    "Next: raise job.poll.timeout."
                )
            self._client.limiter.sleep(poll.interval.seconds)

    def _download(
        self, scope: Scope, rules: tuple[Rule, ...], answer: Any, *, to_file: bool
    ) -> Iterator[requests.Response]:
        spec = self._spec.download
        if spec.call is not None:
            drafts = [call_draft(spec.call, scope, f"Stream '{self._stream}'")]
        else:
            assert spec.urls_path is not None  # noqa: S101 - see Download
            drafts = [Draft(as_text(url)) for url in spec.urls_path.find(answer)]
        for draft in drafts:
            call = draft.call(self._stream, rules, to_file=to_file, reads_json=not to_file, anonymous=not spec.auth)
            yield send(self._client, call)

    def _send(self, spec: CallSpec, scope: Scope, rules: tuple[Rule, ...]) -> Any:
        call = call_draft(spec, scope, f"Stream '{self._stream}'").call(self._stream, rules)
        response = send(self._client, call)
        return decoded(response) if response.content else None
