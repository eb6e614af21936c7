from __future__ import annotations

import json

import pytest

from ipai.errors import SpecError
from ipai.references import Resolver, is_reference, platform_values

URL = "postgresql://me:p%40ss-word@db.example:5433/lake"


def test_references_are_replaced_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "h")
    resolver = Resolver(platform_values(URL, source="odoo"))
    settings = {
        "a": "x-${env:HOST}-y",
        "b": [{"c": "raw_${ipai:source}_{stream}"}],
        "port": "${ipai:database_port}",
        "n": 3,
    }
    assert resolver.resolve(settings, where="i") == {
        "a": "x-h-y",
        "b": [{"c": "raw_odoo_{stream}"}],
        "port": 5433,
        "n": 3,
    }


def test_a_reference_that_leads_nowhere_names_the_setting() -> None:
    with pytest.raises(SpecError, match=r"i\.a\.b\[0\] needs the environment variable SURELY_NOT_SET"):
        Resolver({}).resolve({"a": {"b": ["${env:SURELY_NOT_SET}"]}}, where="i")
    with pytest.raises(SpecError, match=r"i\.a: no \$\{ipai:sauce\}; there are source"):
        Resolver({"source": "x"}).resolve({"a": "${ipai:sauce}"}, where="i")


def test_secrets_are_redacted_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "abcd")
    monkeypatch.setenv("LONG", "abcd-efgh")
    resolver = Resolver(platform_values(URL))
    resolver.resolve({"t": "${env:TOKEN}", "l": "${env:LONG}", "s": "literal"}, where="i", secret_keys=frozenset({"s"}))
    assert resolver.redact("abcd-efgh abcd literal") == "*** *** ***"
    assert resolver.redact(f"{URL} p@ss-word p%40ss-word") == "*** *** ***"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("${env:A}", True), ("x${env:A}", False), ("${env:A}${env:B}", False), ("${vault:A}", False), (None, False)],
)
def test_is_reference(value: object, expected: bool) -> None:
    assert is_reference(value) is expected


def test_a_secret_of_several_lines_and_one_inside_json_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEM", "-----BEGIN-----\nabcdef\n-----END-----")
    monkeypatch.setenv("QUOTED", 'pa"ss\\word')
    resolver = Resolver({})
    resolver.resolve("${env:PEM}${env:QUOTED}", where="i")
    assert resolver.redact("key line abcdef of it") == "key line *** of it"
    assert resolver.redact(json.dumps({"p": 'pa"ss\\word'})) == '{"p": "***"}'
