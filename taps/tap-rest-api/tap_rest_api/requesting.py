"""From templates to a request: what a stream, a login or an export asks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

from singer_kit.errors import ConfigurationError
from singer_kit.http.links import trusted
from tap_rest_api.rules import Rule, RuledCall
from tap_rest_api.templates import Template, as_text

if TYPE_CHECKING:
    import requests

    from singer_kit.http import Call, Client
    from tap_rest_api.language import Call as CallSpec
    from tap_rest_api.language import Stream

Scope = Mapping[str, Any]


@dataclass
class Draft:
    """A request that paging and bounds still write into."""

    url: str
    method: str = "GET"
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    json: Any = None
    form: dict[str, Any] | None = None

    def call(self, stream: str, rules: tuple[Rule, ...] = (), **more: Any) -> RuledCall:
        """The finished request."""
        return RuledCall(
            self.url,
            self.method,
            params=self.params,
            headers=self.headers,
            json=self.json,
            data=self.form,
            stream=stream,
            rules=rules,
            **more,
        )


def stream_draft(stream: Stream, scope: Scope) -> Draft:
    """What a stream asks for at the beginning.

    Raises:
        ConfigurationError: the request cannot be made of these values.
    """
    assert stream.path is not None  # noqa: S101 - see checks
    try:
        json = stream.json.render(scope) if stream.json else None
        if stream.graphql:
            json = {"query": stream.graphql.query, "variables": _rendered(stream.graphql.variables, scope)}
        return Draft(
            stream.path.path(scope),
            stream.method or "GET",
            _rendered(stream.params, scope),
            _headers(stream.headers, scope),
            copy.deepcopy(json),
            _rendered(stream.form, scope) if stream.form else None,
        )
    except ValueError as error:
        raise ConfigurationError(f"Stream '{stream.name}': {error}. Next: correct the template.") from None


def call_draft(spec: CallSpec, scope: Scope, name: str) -> Draft:
    """A request beside the streams'.

    Raises:
        ConfigurationError: the request cannot be made of these values.
    """
    try:
        return Draft(
            spec.path.path(scope),
            spec.method,
            _rendered(spec.params, scope),
            _headers(spec.headers, scope),
            spec.json.render(scope) if spec.json else None,
            _rendered(spec.form, scope) if spec.form else None,
        )
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}. Next: correct the template.") from None


def send(client: Client, call: Call) -> requests.Response:
    """Send a call whose URL may come from data: one that leads to another host is not sent, headers may hold secrets.

    Raises:
        ForeignHostError: the host is neither the API's nor allowed.
    """
    if "://" in call.url and not call.anonymous:
        trusted(call.url, client.base_url, client.allowed_hosts)
    return client.send(call)


def file_of(response: requests.Response) -> IO[bytes]:
    """The file that a body went to, of a call with `to_file`."""
    return cast("IO[bytes]", response.raw)


def plain_call(spec: CallSpec, scope: Scope, name: str, **more: Any) -> Call:
    """A request beside the streams', which only its status judges."""
    return call_draft(spec, scope, name).call("", **more)


def _rendered(templates: Mapping[str, Template], scope: Scope) -> dict[str, Any]:
    rendered = {name: template.render(scope) for name, template in templates.items()}
    return {name: _plain(value) for name, value in rendered.items() if value is not None}


def _headers(templates: Mapping[str, Template], scope: Scope) -> dict[str, str]:
    return {name: as_text(value) for name, value in _rendered(templates, scope).items()}


def _plain(value: Any) -> Any:
    """What a query or body can hold: moments become text."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return as_text(value) if hasattr(value, "isoformat") else value
