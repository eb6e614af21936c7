"""The kit's conformance suite over a manifest: a token, a whole list, an incremental list for each of its rows."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone

import pytest
from rest_harness import manifest

from singer_kit.testing.api import Answer, Collection, FakeApi, link_pages
from singer_kit.testing.conformance import Kind, Subject, TapCommand, judge
from singer_kit.testing.conformance.parametrize import parametrize

pytestmark = pytest.mark.slow
COMMAND = TapCommand((sys.executable, "-c", "from tap_rest_api.cli import main; main()"))
START = datetime(2024, 1, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    shops = [{"id": n, "name": f"Shop {n}", "labels": [{"name": "a"}], "score": 0.1} for n in (1, 2, 3)]
    orders = {
        str(shop["id"]): [
            {
                "id": shop["id"] * 1000 + n,
                "total": f"{n}.50",
                "customer": {"name": f"C{n}", "vip": n % 2 == 0},
                "note": None if n % 3 else "hello",
                "updated_at": (START + timedelta(hours=n // 2)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            for n in range(150)
        ]
        for shop in shops
    }
    with FakeApi(strict=False) as api:
        api.clock.set(START + timedelta(days=60))
        api.gates.append(lambda r: None if r.credential == "good-token-1" else Answer({"message": "bad"}, 401))
        api.route("GET", "/shops", Collection(lambda _: shops, link_pages()))
        api.route(
            "GET",
            "/shops/{shop}/orders",
            Collection(
                lambda r: [row for row in orders[r.parameters["shop"]] if row["updated_at"] >= r.query["since"]],
                link_pages(),
            ),
        )
        spec = manifest(
            api,
            {"name": "shops", "path": "/shops", "primary_key": ["id"]},
            {
                "name": "orders",
                "path": "/shops/${parent.id}/orders",
                "primary_key": ["id"],
                "partitions": [{"parent": "shops", "fields": {"id": "$.id"}}],
                "fields": {"add": {"shop_id": "${parent.id}"}, "cast": {"total": "decimal"}},
                "incremental": {"cursor": "updated_at", "order": "asc", "start": {"name": "since"}},
            },
            settings={"token": {"secret": True, "required": True}},
            auth={"kind": "bearer", "token": "${config.token}"},
            pagination={"kind": "link_header", "size": 20, "size_param": "per_page"},
        )
        config = {
            "manifest": spec,
            "settings": {"token": "good-token-1"},
            "start_date": "2024-01-01T00:00:00Z",
            "state_dir": str(tmp_path_factory.mktemp("memory")),
            "max_retries": 2,
        }
        yield Subject(COMMAND, config)


@parametrize()
def test_conformance(check, subject) -> None:
    outcome = judge(check, subject)
    assert outcome.kind is not Kind.FAILED, outcome.detail
