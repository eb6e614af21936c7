"""What a manifest may say, and what it is told when it says something else."""

# ruff: noqa: E501 - tables are easier to read in one line
from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from rest_harness import SPECS, command, manifest, needs, run

from singer_kit.errors import ConfigurationError
from singer_kit.testing.api import Answer, Collection, FakeApi, link_pages
from tap_rest_api.absent import ABSENT
from tap_rest_api.checks import check
from tap_rest_api.loading import ManifestError, Source, parse_manifest, read_yaml
from tap_rest_api.reference import json_schema, reference
from tap_rest_api.starting import starting_manifest

PACKAGE = Path(__file__).parents[1]
BASE = """\
version: 1
base_url: https://example.com
settings: {token: {secret: true}}
streams:
  - {name: a, path: /a}
  - {name: b, path: /b}
  - {name: c, path: /c}
  - name: d
    path: /d
"""


def load(text: str):
    source = Source(text, "shop.yaml", Path())
    found = parse_manifest(read_yaml(source), source)
    check(found, source)
    return found


def refused(text: str) -> str:
    with pytest.raises(ManifestError) as raised:
        load(text)
    return str(raised.value)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("    pagination: {kind: page, param: p, siez: 3}", "shop.yaml:10: streams[3].pagination.siez: there is no such key; did you mean 'size'?"),
        ("    pagination: {kind: pge}", "streams[3].pagination.kind: 'pge' is none of the values it may have; did you mean 'page'?"),
        ("    pagination: {kind: scroll}", "it is left out of the language: `kind: cursor`"),
        ("    pagination: {kind: page, param: p, stop: [{has_more: $.more}]}", "streams[3].pagination.stop[0].has_more: there is no such key, it is left out"),
        ("    pagination: {kind: page, param: p, stop: [{total: $.t, max_pages: 3}]}", "each entry of stop holds exactly one key"),
        ("    pagination: {kind: page}", "needs param, or path_in_body"),
        ("    pagination: {kind: page, param: p, size: many}", "streams[3].pagination.size: has to be int | null, is str"),
        ("    pathh: /x", "streams[3].pathh: there is no such key; did you mean 'path'?"),
        ("    path: /x", "shop.yaml:10: key 'path' is there twice"),
        ("    records: {path: '$.a['}", "'$.a[' is not a JSONPath"),
        ("    params: {k: '${confg.token}'}", "streams[3].params.k: ${confg.token}: there is no 'confg'; did you mean 'config'?"),
        ("    params: {k: '${config.tokn}'}", "no setting 'tokn'; did you mean 'token'?"),
        ("    params: {k: '${config.token|splitt:/,0}'}", "there is no filter 'splitt'; did you mean 'split'?"),
        ("    params: {k: '${config.token|split:/}'}", "filter 'split' takes 2 arguments"),
        ("    params: {k: '${config.token'}", "opens a template that it does not close"),
        ("    params: {k: '${parent.id}'}", "streams[3].params.k: ${parent.id}: no 'id' there"),
        ("    filter: record.id > 3", "a field is written x['id'], not x.id"),
        ("    filter: recrd['id'] > 3", "there is no 'recrd'; did you mean 'record'?"),
        ("    filter: __import__('os')", "there is no '__import__'"),
        ("    incremental: {cursor: at, lookback: 3 parsecs}", "'3 parsecs' is not a duration"),
        ("    incremental: {cursor: at, timezone: Berlin}", "'Berlin' is not a time zone"),
        ("    incremental: {cursor: at, window: {step: 1d}}", "nothing in the request uses it"),
        ("    incremental: {lookback: 1d}", "streams[3].incremental: the key 'cursor' is missing"),
        ("    partitions: [{parent: e, fields: {id: $.id}}]", "there is no stream 'e'"),
        ("    partitions: [{parent: d, fields: {id: $.id}}]", "is its own ancestor"),
        ("    partitions: [{as: x}]", "streams[3].partitions[0]: write either parent or values"),
        ("    extends: tmpl", "streams[3].extends: there is no template 'tmpl'"),
        ("    errors: [{status: 404, action: retri}]", "'retri' is none of the values it may have; did you mean 'retry'?"),
        ("    errors: [{action: retry}]", "a rule needs something to match"),
        ("    fields: {cast: {a: flaot}}", "streams[3].fields.cast.a: there is no type 'flaot'"),
        ("    deletion: {mode: snapshot}\n    conditional: {etag: true}", "needs the whole list; leave out conditional"),
        ("templates: {m: {pagination: {kind: page, param: p, sise: 3}}}", "templates.m.pagination.sise: there is no such key; did you mean 'size'?"),
        ("auth: {kind: bearer}", "auth: the key 'token' is missing"),
        ("auth: {kind: aws_sigv4}", "auth.kind: 'aws_sigv4' is none of the values it may have, it is left out of the language"),
        ("  - {name: a, path: /x}", "2 streams are called 'a'"),
        ("  - [", "Next: check the YAML there."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_is(added, said) -> None:
    assert said in refused(BASE + added + "\n")


def test_all_that_does_not_fit_is_said_at_once() -> None:
    text = refused(BASE + "    params: {a: '${config.x}', b: '${config.y}'}\n")
    assert len(text.splitlines()) == 2


def test_words_that_look_like_something_else() -> None:
    """A country's `no`, a date: YAML 1.1 would take them for other types."""
    data = read_yaml(Source("values: [no, on, true, 2024-01-01]", "x.yaml", Path()))
    assert data == {"values": ["no", "on", True, "2024-01-01"]}


def test_missing_settings_are_named_together() -> None:
    settings = {
        "token": {"secret": True, "required": True, "env": "SHOP_TOKEN"},
        "org": {"required": True},
        "count": {"type": "integer"},
    }
    spec = manifest("https://example.com", {"name": "a", "path": "/a"}, settings=settings)
    output = run(spec, settings={"count": "three", "ogr": 1})
    assert output.exit_code == 2
    for part in (
        "token is missing: set settings.token or the environment variable SHOP_TOKEN",
        "org is missing",
        "count has to be integer, not 'three'",
        "settings.ogr is not a setting of this manifest; did you mean 'org'?",
    ):
        assert part in str(output.error)


def test_where_a_setting_is_looked_up(api, monkeypatch) -> None:
    api.route("GET", "/{a}/{b}/{c}/{d}", lambda _: Answer([]))
    settings = {name: {"env": "SHOP_C", "default": "default"} for name in "abcd"}
    settings["d"] = {"default": "default"}
    monkeypatch.setenv("SHOP_C", "environment")
    spec = manifest(api, {"name": "x", "path": "/${config.a}/${config.b}/${config.c}/${config.d}"}, settings=settings)
    run(spec, settings={"a": "inner"}, a="outer", b="outer")
    assert api.log[-1].request.path == "/inner/outer/environment/default"


def test_what_a_stream_inherits(api) -> None:
    api.route("GET", "/rows", lambda _: Answer({"data": []}))
    spec = manifest(
        api,
        {"name": "own", "path": "/rows", "extends": "t", "params": {"b": 3}, "pagination": {"kind": "none"}},
        {"name": "inherited", "path": "/rows", "extends": "t"},
        params={"a": 1, "b": 1},
        headers={"X-A": "top"},
        pagination={"kind": "page", "param": "page"},
        templates={"t": {"params": {"b": 2}, "headers": {"X-B": "template"}, "records": {"path": "$.data[*]"}}},
    )
    run(spec)
    own, inherited = (each.request for each in (api.log[0], api.log[1]))
    assert own.query == {"a": "1", "b": "3"}
    assert inherited.query == {"a": "1", "b": "2", "page": "1"}
    assert own.headers["X-A"] == "top"
    assert own.headers["X-B"] == "template"


@pytest.mark.parametrize("config", [{}, {"manifest": {}, "manifest_yaml": ""}])
def test_exactly_one_manifest(config) -> None:
    from tap_rest_api.loading import read_source

    with pytest.raises(ConfigurationError, match="set exactly one of manifest_path"):
        read_source(config)


# Documents


def test_the_reference_says_what_the_program_does() -> None:
    """And a key without a description ends here."""
    assert (PACKAGE / "REFERENCE.md").read_text() == reference(), "run: python -m tap_rest_api.reference"
    assert (PACKAGE / "manifest.schema.json").read_text() == json_schema(), "run: python -m tap_rest_api.reference"


def test_what_is_left_out_is_left_out() -> None:
    schema = json.loads(json_schema())
    for struct in ("PageNumber", "Stop", "Records", "Incremental"):
        assert not ABSENT.keys() & schema["$defs"][struct]["properties"].keys()


@pytest.mark.parametrize(
    "example", ["1-github-issues.yaml", "2-digitalocean-invoices-and-metrics.yaml", "3-erp-search-and-export.yaml"]
)
def test_the_examples_fit_the_schema_for_editors(example) -> None:
    text = needs(SPECS / "rest-api" / "examples" / example).read_text()
    load(text)
    jsonschema.validate(read_yaml(Source(text, example, Path())), json.loads(json_schema()))


def test_the_example_of_the_readme(tmp_path) -> None:
    """As it stands there: a first run, and a second that brings what is new."""
    text = (PACKAGE / "README.md").read_text()
    blocks = dict(re.findall(r"```(yaml|json)\n(.*?)```", text, re.DOTALL))
    (tmp_path / "github.yaml").write_text(blocks["yaml"])
    config = json.loads(blocks["json"])
    issues = [{"id": n, "updated_at": f"2024-02-0{n}T00:00:00Z", "title": "x"} for n in range(1, 6)]
    with FakeApi() as api:
        api.route("GET", "/repos/octocat/hello-world/labels", lambda _: Answer([{"id": 1, "name": "bug"}]))
        api.route(
            "GET",
            "/repos/octocat/hello-world/issues",
            Collection(
                lambda request: [row for row in issues if row["updated_at"] >= request.query["since"]], link_pages()
            ),
        )
        config |= {"manifest_path": str(tmp_path / config["manifest_path"]), "api_url": api.url}
        (tmp_path / "config.json").write_text(json.dumps(config))
        first = command("--config", str(tmp_path / "config.json"))
        assert first.exit_code == 0, first.stderr
        assert first.column("issues", "id") == [1, 2, 3, 4, 5]
        (tmp_path / "state.json").write_text(json.dumps(first.state))
        issues.append({"id": 6, "updated_at": "2024-02-06T00:00:00Z"})
        second = command("--config", str(tmp_path / "config.json"), "--state", str(tmp_path / "state.json"))
        assert second.column("issues", "id") == [5, 6]


def test_the_readme_s_lines_are_all_right() -> None:
    """Each line of "the usual things" is YAML of this language."""
    rows = re.findall(r"^\| [^|]+ \| `((?:records|pagination|auth|incremental|partitions|detail|children_inline|fields|errors|rate_limit|deletion): [^`]*)`", (PACKAGE / "README.md").read_text(), re.MULTILINE)  # fmt: skip
    assert len(rows) > 15
    for row in rows:
        part = yaml.safe_load(row.replace("{…}", "{}").replace("…", "https://x"))
        top = {key: value for key, value in part.items() if key in {"auth", "rate_limit"}}
        streams = [
            {"name": "a", "path": "/a", **{k: v for k, v in part.items() if k not in top}},
            {"name": "orders", "path": "/o"},
        ]
        data = {
            "version": 1,
            "base_url": "https://x",
            "settings": {n: {} for n in ("key", "id", "secret", "token")},
            **top,
            "streams": streams,
        }
        if part.get("pagination", {}).get("kind") == "relay":
            streams[0]["graphql"] = {"query": "x"}
        source = Source(None, "README.md", Path())
        check(parse_manifest(data, source), source)


# init and dry run


def test_a_start_from_openapi_runs() -> None:
    document = needs(SPECS / "trimmed" / "digitalocean.trimmed.json")
    text = starting_manifest(document)
    found = load(text)
    by_name = {stream.name: stream for stream in found.streams}
    assert str(found.base_url.source) == "https://api.digitalocean.com"
    assert by_name["droplets"].primary_key == ["id"]
    assert by_name["droplets"].records.path.text == "$.droplets[*]"
    assert by_name["droplets"].pagination.size == 200
    jsonschema.validate(yaml.safe_load(text), json.loads(json_schema()))
    droplets = [{"id": n, "name": f"d{n}"} for n in range(3)]
    with FakeApi() as api:
        api.route("GET", "/v2/droplets", lambda r: Answer({"droplets": droplets if r.query["page"] == "1" else []}))
        data = yaml.safe_load(text)
        data["streams"] = [stream for stream in data["streams"] if stream["name"] == "droplets"]
        output = run({**data, "base_url": api.url}, settings={"token": "secret-token"})
    assert output.column("droplets", "id") == [0, 1, 2]
    assert output.schema("droplets")["created_at"]["format"] == "date-time"


@pytest.mark.parametrize("name", ["vercel", "supabase-management", "github-rest"])
def test_a_start_from_other_documents_is_a_manifest(name) -> None:
    found = load(starting_manifest(needs(SPECS / "trimmed" / f"{name}.trimmed.json")))
    assert len(found.streams) > 3


def test_a_dry_run_prints_requests_and_sends_none(api, tmp_path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(
        yaml.safe_dump(
            manifest(
                api,
                {
                    "name": "orders",
                    "path": "/orders/search",
                    "method": "POST",
                    "json": {"after": "${window.start|format:epoch_s}", "key": "${config.token}"},
                    "incremental": {"cursor": "at", "window": {"step": "1d"}},
                },
                {
                    "name": "lines",
                    "path": "/orders/${parent.id}/lines",
                    "params": {"token": "${config.token}"},
                    "partitions": [{"parent": "orders", "fields": {"id": "$.id"}}],
                },
                settings={"token": {"secret": True}},
                auth={"kind": "bearer", "token": "${config.token}"},
            )
        )
    )
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "manifest_path": str(path),
                "settings": {"token": "s3cret-value"},
                "start_date": "2024-01-01T00:00:00Z",
            }
        )
    )
    output = command("--config", str(config), "--dry-run")
    assert output.exit_code == 0, output.stderr
    assert f"POST {api.url}/orders/search" in output.stderr
    assert '{"after":1704067200,"key":"***"}' in output.stderr
    assert f"GET {api.url}/orders/<id>/lines?token=***" in output.stderr
    assert not api.log
