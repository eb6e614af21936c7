"""A value is taken out of a text in whatever form it stands there, and other text is left alone."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest

from ipai.redaction import Redactor

BODY = "MIIEvQIBADANBgkq+hkiG9w0B/QEFAASC\nBKcwggSjAgEAAoIBAQDk=="
PEM = f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----\n"
ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "0123456789abcdef",
        "private_key": PEM,
        "client_email": "loader@my-project.example",
        "token_uri": "https://oauth2.example/token",
    }
)
ODD = "pa\"ss\\w/o+r&d é%'<x>"


def redactor(*values: object) -> Redactor:
    made = Redactor()
    for value in values:
        made.learn(value)
    return made


@pytest.mark.parametrize(
    "written",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(json.dumps(ODD))[3:-3],
        json.dumps(ODD, ensure_ascii=False)[1:-1],
        repr(ODD)[1:-1],
        repr(ODD.encode())[2:-1],
        quote(ODD),
        quote(ODD, safe=""),
        quote(ODD, safe="+&"),
        quote_plus(ODD),
        quote(ODD, safe="").lower(),
        html.escape(ODD),
        json.dumps(ODD)[1:-1]
        .replace("&", "\\u0026")
        .replace("<", "\\u003c")
        .replace(">", "\\u003E")
        .replace("/", "\\/"),
    ],
)
def test_every_way_to_write_a_value(written: str) -> None:
    assert redactor(ODD).redact(f"before {written} after") == "before *** after"


@pytest.mark.parametrize("user", ["", "u", "me", "you", "reader"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_of_a_user_and_a_password(user: str, encode: object) -> None:
    for secret in ("s3cr3t-password", "abcd", "~~~???>>>ÿÿÿ"):
        header = encode(f"{user}:{secret}".encode()).decode()  # type: ignore[operator]
        shown = redactor(secret).redact(f"Authorization: Basic {header}")
        assert "***" in shown
        left = shown.removeprefix("Authorization: Basic ").replace("***", "")
        # What stays is the user, and no more than the bits that share a character with it or with the padding.
        assert len(left) <= len(user) * 4 / 3 + 6


def test_a_service_account_is_taken_apart() -> None:
    made = redactor(ACCOUNT)
    assert made.redact("MIIEvQIBADANBgkq+hkiG9w0B/QEFAASC") == "***"
    assert made.redact(json.dumps({"private_key": PEM.strip()})) == '{"private_key": "***"}'
    assert made.redact(f"config={json.loads(ACCOUNT)!r}").count("MII") == 0
    assert made.redact("key 0123456789abcdef") == "key ***"
    said = "loader@my-project.example of my-project: a service_account at https://oauth2.example/token"
    assert made.redact(said) == said


def test_a_key_of_several_lines_is_found_line_by_line_and_joined() -> None:
    made = redactor(PEM)
    for line in PEM.splitlines():
        assert made.redact(f"| {line} |") == "| *** |"
    body = "".join(PEM.splitlines()[1:3])
    assert "MII" not in made.redact(body)
    assert "AAoIB" not in made.redact(body)
    assert made.redact("key: " + " ".join(PEM.splitlines())) == "key: ***"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("postgresql://me:p%40ss-word@db.example:5433/lake", "p@ss-word"),
        ("postgresql://me:p%40ss-word@db.example:5433/lake", "p%40ss-word"),
        ("host=db.example user=me password='h1dden one' dbname=lake", "h1dden"),
        ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=q0q0q0+/q0==;EndpointSuffix=y", "q0q0q0+/q0=="),
        ("https://api.example/v1?token=t0k3n-value&page=1", "t0k3n-value"),
        ({"nested": [{"password": "deep-down"}]}, "deep-down"),
    ],
)
def test_a_password_within_a_secret(value: object, part: str) -> None:
    assert redactor(value).redact(f"refused: {part}!") == "refused: ***!"


def test_the_address_within_a_secret_url_stays_readable() -> None:
    made = redactor("postgresql://me:p%40ss-word@db.example:5433/lake")
    for said in (
        'connection to "db.example", port 5433 failed: no such user me',
        "connected to postgresql",
        "/lake is there",
    ):
        assert made.redact(said) == said


def test_a_short_value_is_taken_out_where_it_stands_alone() -> None:
    made = redactor("abc", "x", "")
    assert made.redact("password abc, 'abc', abcd, xabc x") == "password ***, '***', abcd, xabc x"


def test_a_value_folded_over_lines_or_cut_off_with_its_line() -> None:
    made = redactor("Zq7ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    folded = ["│ token = Zq7ABCDEFGHIJ │", "│ KLMNOPQRSTUV │", "│ WXYZ0123456789 │", "│ and so on │"]
    assert [made.redact(line) for line in folded] == ["│ token = *** │", "│ *** │", "│ *** │", "│ and so on │"]
    assert made.redact("\n".join(folded)) == "│ token = *** │\n│ *** │\n│ *** │\n│ and so on │"
    assert made.redact("a long line, cut at Zq7ABCDEFG …") == "a long line, cut at *** …"
    quoted = redactor("first-part/+ \"second'part\\third")
    assert [quoted.redact(line) for line in ("{'a': 'first-part/+ '", "      '\"second\\'part\\\\third'}")] == [
        "{'a': '*** '", "      '\"***'}",
    ]  # fmt: skip


def test_the_longest_value_first() -> None:
    assert redactor("abcd", "abcd-efgh").redact("abcd-efgh abcd") == "*** ***"


def test_json_values_are_redacted_with_their_keys() -> None:
    value = {"a": ["s3cret!", 5, None], "s3cret!": {"b": "x s3cret! y"}}
    assert redactor("s3cret!").redacted(value) == {"a": ["***", 5, None], "***": {"b": "x *** y"}}


def test_what_one_learns_the_wider_one_knows() -> None:
    wide = Redactor()
    Redactor(wide).learn("s3cret!")
    assert wide.redact("s3cret!") == "***"


def test_nothing_learned_changes_nothing() -> None:
    assert redactor("", "  ", None, 5, True).redact("a\nb  c\n") == "a\nb  c\n"
