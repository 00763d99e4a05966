"""What needs no login: what this is, how its parts are, its metrics, its documents; all of it without the internet."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import httpx
import pytest

from api.app import build_app
from api.operations import health
from domain.failures import Unavailable
from ledger import inventory
from tests.api.api_kit import CAPABILITIES, opened

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi


async def test_the_index_serves_the_union_of_what_its_clients_read(api: TheApi) -> None:
    body = (await api.client.get("/")).json()
    assert body.keys() == {"service", "message", "version", "docs", "health", "auth", "endpoints"}
    assert body["auth"]["aws_login"] == "/v1/auth/aws-login"
    assert {"jobs", "disks", "gpu_availability", "cluster_status", "egs", "gpuctl", "native"} < body["endpoints"].keys()


async def test_health_names_every_part_and_is_always_200(api: TheApi) -> None:
    answer = await api.client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["status"], body["database"], body["queue"]) == (
        200,
        "healthy",
        "healthy",
        "healthy",
    )
    assert body["parts"].keys() == {"ledger", "temporal", "outbox", "clusters"}
    assert body["parts"]["clusters"]["worker-1"] == {"state": "ok", "detail": ""}


async def test_a_part_that_is_away_is_named_with_its_reason(database_url: str) -> None:
    async with opened(database_url) as api:
        api.courier.temporal_failure = Unavailable("Temporal at nowhere does not answer")
        async with api.ledger.transaction() as connection:
            await inventory.register_cluster(connection, "far", CAPABILITIES, api.clock())
            await inventory.mark_away(connection, "far", api.clock())
            await connection.execute(
                "insert into outbox (workflow_id, workflow_type, argument, created_at)"
                " values ('x', 'X', 'x', now() - interval '1 minute')"
            )
        body = (await api.client.get("/health")).json()
        ready = await api.client.get("/readyz")
    parts = body["parts"]
    assert (body["status"], body["queue"], ready.status_code) == ("degraded", "unhealthy", 200)
    assert parts["temporal"]["detail"] == "Temporal at nowhere does not answer"
    assert parts["clusters"]["far"]["state"] == "away"
    assert parts["outbox"]["detail"].startswith("1 messages undelivered, the oldest for 6")


async def test_who_asks_often_is_answered_at_once_while_a_part_is_slow(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "KEPT_SECONDS", 0.0)
    monkeypatch.setattr(health, "OLD_SECONDS", 3600.0)
    async with opened(database_url) as api:
        assert (await api.client.get("/health")).json()["queue"] == "healthy"
        go_on = asyncio.Event()

        async def slow() -> None:
            await go_on.wait()
            raise Unavailable("Temporal at nowhere does not answer")

        monkeypatch.setattr(api.courier, "ping", slow)
        assert (await api.client.get("/health")).json()["queue"] == "healthy"
        go_on.set()
        async with asyncio.timeout(10):
            while (await api.client.get("/health")).json()["queue"] == "healthy":
                await asyncio.sleep(0.01)


async def test_an_old_answer_about_health_is_not_given(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "OLD_SECONDS", 0.0)
    async with opened(database_url) as api:
        assert (await api.client.get("/health")).json()["queue"] == "healthy"
        api.courier.temporal_failure = Unavailable("Temporal at nowhere does not answer")
        assert (await api.client.get("/health")).json()["queue"] == "unhealthy"


async def test_metrics_count_by_route_template_dialect_and_code(api: TheApi) -> None:
    me = await api.someone()
    await api.call("GET", "/berth/v1/gprs/gpr-00000000-0000", me)
    await api.call("GET", "/api/v1/some/unknown/path", me)
    text = (await api.client.get("/metrics")).text
    assert 'berth_api_requests_total{code="404",dialect="native",method="GET",route="/berth/v1/gprs/{gpr}"} 1.0' in text
    assert 'code="404",dialect="egs",method="GET",route="(unmatched)"' in text
    assert (
        'berth_api_request_seconds_bucket{dialect="native",le="0.001",method="GET",route="/berth/v1/gprs/{gpr}"}'
        in text
    )
    assert "gpr-00000000" not in text


@pytest.mark.parametrize("page", ["/docs", "/docs/egs", "/docs/gpudev", "/docs/native"])
async def test_the_pages_take_everything_from_here(api: TheApi, page: str) -> None:
    html = (await api.client.get(page)).text
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", html) + re.findall(r"url: '([^']+)'", html)
    assert len(links) >= 4
    for link in links:
        assert link.startswith("/")
        assert (await api.client.get(link)).status_code == 200


async def test_cross_origin_calls_are_answered_only_for_configured_origins(api: TheApi) -> None:
    app = build_app(api.app.state.backends, ("https://console.example",))
    preflight = {"Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://berth") as client:
        known = await client.options("/api/v1/gpr", headers={**preflight, "Origin": "https://console.example"})
        foreign = await client.options("/api/v1/gpr", headers={**preflight, "Origin": "https://elsewhere.example"})
    assert known.headers["access-control-allow-origin"] == "https://console.example"
    assert "access-control-allow-origin" not in foreign.headers
    assert "access-control-allow-origin" not in (await api.client.options("/api/v1/gpr", headers=preflight)).headers
