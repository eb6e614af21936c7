"""The three worked examples, as they stand, through the real command."""

# ruff: noqa: RUF012 - the fakes' rows are changed by tests
from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from fake_erp import FakeErp, order
from rest_harness import SPECS, command, needs

from singer_kit.testing.api import Answer, Collection, FakeApi, link_pages, page_numbers, read_description

UTC = timezone.utc
EXAMPLES = SPECS / "rest-api" / "examples"


def write_config(folder, example, api, state_dir=True, **config):
    manifest = needs(EXAMPLES / example)
    shutil.copy(manifest, folder / "manifest.yaml")
    path = folder / "config.json"
    path.write_text(
        json.dumps(
            {
                "manifest_path": str(folder / "manifest.yaml"),
                "api_url": api.url,
                **({"state_dir": str(folder / "memory")} if state_dir else {}),
                **config,
            }
        )
    )
    return str(path)


def write_state(folder, output):
    path = folder / "state.json"
    path.write_text(json.dumps(output.state))
    return str(path)


# 1: GitHub


def repository(number, updated, *, archived=False):
    return {
        "id": number,
        "full_name": f"acme/r{number}",
        "archived": archived,
        "updated_at": updated,
        "pushed_at": updated,
    }


def issue(number, updated, **more):
    return {"id": number, "number": number, "title": f"T{number}", "updated_at": updated, **more}


@pytest.fixture
def github():
    class Github:
        repositories = [
            repository(1, "2024-03-01T00:00:00Z"),
            repository(2, "2024-02-01T00:00:00Z", archived=True),
            repository(3, "2024-01-15T00:00:00Z"),
            repository(4, "2023-05-01T00:00:00Z"),
        ]
        issues = {
            "r1": [
                issue(
                    n,
                    f"2024-03-{1 + n // 24:02}T{n % 24:02}:00:00Z",
                    **({"pull_request": {"url": "x"}} if n % 2 else {}),
                )
                for n in range(1, 251)
            ],
            "r3": [issue(900, "2024-01-20T00:00:00Z", performed_via_github_app={"id": 1})],
            "r4": [],
        }
        threads = [{"id": f"T{n}", "isResolved": n % 2 == 0, "path": "a.py", "line": n} for n in range(3)]

    data = Github()
    with FakeApi() as api:
        data.api = api
        api.gates.append(
            lambda request: None if request.credential == "ghp_s3cret" else Answer({"message": "Bad"}, 401)
        )
        api.route(
            "GET",
            "/orgs/{org}/repos",
            Collection(lambda _: sorted(data.repositories, key=lambda r: r["updated_at"], reverse=True), link_pages()),
        )

        def issues(request):
            name = request.parameters["repo"]
            since = request.query["since"]
            found = sorted(
                (each for each in data.issues[name] if each["updated_at"] >= since),
                key=lambda each: (each["updated_at"], each["id"]),
            )
            answer = link_pages().answer(request, found)
            tag = f'W/"{hash(answer.content)}"'
            if request.headers.get("If-None-Match") == tag:
                return Answer(status=304, headers={"ETag": tag})
            return answer.with_headers({"ETag": tag})

        api.route("GET", "/repos/{owner}/{repo}/issues", issues)

        def graphql(request):
            variables = request.json["variables"]
            if variables["name"] == "r4":
                return Answer({"data": {"repository": None}, "errors": [{"type": "NOT_FOUND", "message": "gone"}]})
            nodes = [
                {
                    "number": 7,
                    "updatedAt": "2024-03-05T00:00:00Z",
                    "reviewThreads": {"nodes": data.threads if variables["name"] == "r1" else []},
                }
            ]
            info = {"hasNextPage": False, "endCursor": "x"}
            return Answer({"data": {"repository": {"pullRequests": {"nodes": nodes, "pageInfo": info}}}})

        api.route("POST", "/graphql", graphql)
        yield data


def test_github(github, tmp_path) -> None:
    config = write_config(tmp_path, "1-github-issues.yaml", github.api, settings={"org": "acme"}, clock_skew_seconds=0)
    output = command("--config", config, GITHUB_TOKEN="ghp_s3cret")
    assert output.exit_code == 0, output.stderr
    assert "ghp_s3cret" not in output.stderr
    assert output.column("repositories", "id") == [1, 2, 3]  # 4 was not changed since 2024
    issues = {record["id"]: record for record in output.records("issues")}
    assert set(issues) == {*range(1, 251), 900}  # the archived repository is left out
    assert issues[900]["repo_id"] == 3
    assert issues[1]["is_pull_request"] is True
    assert issues[2]["is_pull_request"] is False
    assert "performed_via_github_app" not in issues[900]
    assert output.records("review_threads")[0] == {
        "id": "T0",
        "isResolved": True,
        "path": "a.py",
        "line": 0,
        "pull_number": 7,
        "updated_at": "2024-03-05T00:00:00Z",
    }
    assert output.partitions("issues")["acme/r1"] == "2024-03-11T10:00:00Z"
    assert output.bookmark("repositories") == "2024-03-01T00:00:00Z"

    # Nothing has changed: repositories are listed for their children, issues are answered by 304 or a page of one.
    github.api.forget()
    again = command("--config", config, "--state", write_state(tmp_path, output), GITHUB_TOKEN="ghp_s3cret")
    assert again.exit_code == 0, again.stderr
    assert again.column("repositories", "id") == [1]
    assert set(again.column("issues", "id")) <= {250, 900}
    third = command("--config", config, "--state", write_state(tmp_path, again), GITHUB_TOKEN="ghp_s3cret")
    assert third.exit_code == 0, third.stderr
    assert third.records("issues") == []
    assert len(github.api.log.of("/repos/{owner}/{repo}/issues", status=304)) >= 2
    assert third.partitions("issues") == output.partitions("issues")

    # One more, behind the bookmark.
    github.issues["r3"].append(issue(901, "2024-02-20T00:00:00Z"))
    fourth = command("--config", config, "--state", write_state(tmp_path, third), GITHUB_TOKEN="ghp_s3cret")
    assert fourth.column("issues", "id")[-1] == 901
    assert fourth.partitions("issues")["acme/r3"] == "2024-02-20T00:00:00Z"


# 2: DigitalOcean


def test_digitalocean(tmp_path) -> None:
    document = needs(SPECS / "trimmed" / "digitalocean.trimmed.json")
    shutil.copy(document, tmp_path / document.name)
    description = read_description(document)
    example = _example(json.loads(document.read_text()), "/v2/droplets")["droplets"][0]
    droplets = [{**example, "id": 9007199254740993 + n, "name": f"d{n}"} for n in range(4)]
    invoices = [
        {
            "invoice_uuid": f"uuid-{month:02}",
            "invoice_id": str(month),
            "amount": "10.10",
            "invoice_period": f"2024-{month:02}",
            "updated_at": "2024-05-01T00:00:00Z",
        }
        for month in range(5, 0, -1)
    ]
    paging = {"tells": "url", "next": "links.pages.next", "omits": True, "maximum": 200, "size": 20}
    asked = []
    with FakeApi(description, base_path="") as api:
        api.route(
            "GET",
            "/v2/droplets",
            Collection(lambda _: droplets, page_numbers("droplets", "meta.total", **paging)),
        )
        api.route(
            "GET",
            "/v2/customers/my/invoices",
            Collection(lambda _: invoices, page_numbers("invoices", "meta.total", **paging)),
        )
        api.route(
            "GET",
            "/v2/customers/my/invoices/{invoice_uuid}",
            Collection(
                lambda request: [
                    {"product": "Droplets", "resource_uuid": request.parameters["invoice_uuid"], "amount": "5.10"},
                    {"product": "Spaces", "amount": "5.0000"},
                ],
                page_numbers("invoice_items", "meta.total", **paging),
            ),
        )

        def metrics(request):
            asked.append((request.query["host_id"], int(request.query["start"]), int(request.query["end"])))
            start, end = int(request.query["start"]), int(request.query["end"])
            values = [[ts, "0.1000"] for ts in range(-(-start // 3600) * 3600, end + 1, 3600)]  # both ends included
            result = [{"metric": {"host_id": request.query["host_id"]}, "values": values}]
            return Answer({"status": "success", "data": {"resultType": "matrix", "result": result}})

        for metric in ("cpu", "load_1", "load_5", "memory_free", "memory_total", "filesystem_free", "filesystem_size"):
            api.route("GET", f"/v2/monitoring/metrics/droplet/{metric}", metrics)
        api.clock.set(datetime(2024, 5, 3, 12, 0, 0, tzinfo=UTC))
        config = write_config(
            tmp_path,
            "2-digitalocean-invoices-and-metrics.yaml",
            api,
            settings={"token": "dop_s3cret", "start_date": "2024-05-01T00:00:00Z"},
        )
        settings = json.loads((tmp_path / "config.json").read_text())
        settings["api_url"] = f"{api.url}/v2"
        (tmp_path / "config.json").write_text(json.dumps(settings))
        output = command("--config", config, "--catalog", _short(config, tmp_path))
        assert output.exit_code == 0, output.stderr
        assert "dop_s3cret" not in output.stderr
        assert output.column("droplets", "id") == [
            9007199254740993,
            9007199254740994,
            9007199254740995,
            9007199254740996,
        ]
        assert output.column("droplets", "_sdc_deleted_at") == [None] * 4
        assert len(output.records("invoices")) == 5
        items = {(r["invoice_uuid"], r["line_no"]): r["amount"] for r in output.records("invoice_items")}
        assert items["uuid-03", 1] == "5.0000"
        assert len(items) == 10
        rows = output.records("droplet_metrics")
        keys = [(r["host_id"], r["metric"], r["labels_hash"], r["ts"]) for r in rows]
        assert len(keys) == len(set(keys))  # rows on the seam of two days come once
        hours = {r["ts"] for r in rows if r["metric"] == "cpu" and r["host_id"] == droplets[0]["id"]}
        last = int(datetime(2024, 5, 3, 11, tzinfo=UTC).timestamp())
        assert set(range(1714521600, last + 1, 3600)) <= hours
        assert {r["value"] for r in rows} == {"0.1000"}
        assert output.schema("droplet_metrics")["value"] == {"type": ["string", "null"], "format": "singer.decimal"}
        assert output.schema("droplet_metrics")["host_id"] == {"type": ["integer"]}

        # A droplet is gone; of invoices only those of the last months are read, and of items only theirs.
        api.forget()
        del droplets[1]
        second = command("--config", config, "--state", write_state(tmp_path, output))
        assert second.exit_code == 0, second.stderr
        gone = [r for r in second.records("droplets") if r["_sdc_deleted_at"]]
        assert [r["id"] for r in gone] == [9007199254740994]
        assert second.column("invoices", "invoice_period") == ["2024-05", "2024-04", "2024-03"]
        assert {r["invoice_uuid"] for r in second.records("invoice_items")} == {"uuid-05", "uuid-04", "uuid-03"}


def _example(document, path):
    def resolved(value):
        while "$ref" in value:
            found = document
            for part in value["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            value = found
        return value

    response = resolved(document["paths"][path]["get"]["responses"]["200"])
    media = response["content"]["application/json"]
    return resolved(media.get("example") or next(iter(media["examples"].values())))["value"]


def _short(config, folder):
    """A catalog from discovery, with everything selected."""
    discovered = command("--config", config, "--discover")
    assert discovered.exit_code == 0, discovered.stderr
    path = folder / "catalog.json"
    path.write_text(discovered.stderr[discovered.stderr.index("{\n") :])
    return str(path)


# 3: an ERP


def erp_config(folder, erp, **settings):
    return write_config(
        folder,
        "3-erp-search-and-export.yaml",
        erp.api,
        settings={
            "host": "erp.example.com",
            "user": "joe",
            "password": "s3cret-pass",
            "app_key": "appkey-9",
            "start_date": "2024-03-01T00:00:00Z",
            **settings,
        },
        on_partition_error="fail",
    )


def test_erp(tmp_path) -> None:
    start = datetime(2024, 3, 2, tzinfo=UTC)
    orders = [order(n, start + timedelta(hours=n)) for n in range(1, 400)]
    orders += [
        order(
            1000,
            datetime(2024, 4, 1, 8, 30, tzinfo=UTC),
            2,
            has_lines=True,
            _lines=[{"pos": 1, "sku": "A"}, {"pos": 2, "sku": "B"}],
            cardNumber="4111",
            card_number="4111",
            status="DELETED",
            note="",
        )
    ]
    erp = FakeErp(orders, page=50)
    with erp.api as api:
        api.clock.set(datetime(2024, 5, 1, 12, tzinfo=UTC))
        api.fault(_busy(), nth=2, path="/orders/search")
        config = erp_config(tmp_path, erp, companies=[1, 2])
        _hurry(tmp_path)
        output = command("--config", config)
        assert output.exit_code == 0, output.stderr
        for secret in ("s3cret-pass", "appkey-9", "session-1"):
            assert secret not in output.stderr
        found = {(r["company"], r["number"]): r["changed"] for r in output.records("orders")}
        assert found == erp.expected()
        deleted = next(r for r in output.records("orders") if r["number"] == 1000)
        assert deleted["_sdc_deleted_at"] == "2024-05-01T12:00:00Z"
        assert deleted["customer"] == {"name": "C1000"}
        assert deleted["note"] is None
        assert "card_number" not in deleted
        assert deleted["total"] == "12.50"
        assert [(r["order_number"], r["pos"], r["company"]) for r in output.records("order_lines")] == [
            (1000, 1, 2),
            (1000, 2, 2),
        ]
        assert output.records("stock_levels") == [
            {"warehouse": "NORD", "sku": "Käse", "qty": Decimal("1.5")},
            {"warehouse": "SÜD;2", "sku": 'Two\nlines "q"', "qty": 1000},
        ]
        kinds = [each["type"] for each in output.messages if each.get("stream") == "stock_levels"]
        assert kinds[-1] == "ACTIVATE_VERSION"
        assert erp.logged_out == ["SID=session-1"] * len(erp.logged_out)
        assert output.partitions("orders")["1"] == "2024-05-01T11:59:00Z"


def _busy():
    from singer_kit.testing.api import Fault

    return Fault(Answer({"status": "busy"}))


def _hurry(folder):
    """The example's pauses are for a real server."""
    path = folder / "manifest.yaml"
    text = path.read_text()
    path.write_text(text.replace("constant: 5s", "constant: 0s").replace("interval: 10s", "interval: 0s"))
