"""Who asks too often is told so, and when to come back; nobody else is held up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from pydantic import ValidationError

from api.app import build_app
from api.auth.rates import Rates
from api.settings import Settings
from tests.api.api_kit import Someone, TheApi

NOBODYS_KEY = "berth_" + "0" * 64


@pytest_asyncio.fixture
async def strict(api: TheApi) -> AsyncIterator[httpx.AsyncClient]:
    """The same installation behind a process with low limits."""
    app = build_app(api.app.state.backends, rates=Rates("5/hour", "3/hour"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://berth") as client:
        yield client


async def asked(client: httpx.AsyncClient, who: Someone, path: str = "/api/v1/inventory/list") -> httpx.Response:
    return await client.get(path, headers=who.headers)


async def test_a_key_that_asks_too_often_is_told_when_to_come_back(api: TheApi, strict: httpx.AsyncClient) -> None:
    eager = await api.someone()
    answers = [await asked(strict, eager) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    refused = answers[-1]
    assert 1 <= int(refused.headers["retry-after"]) <= 2 * 3600
    assert (refused.json()["statusCode"], refused.json()["message"]) == (429, "Too Many Requests")
    assert set(refused.json()) == {"statusCode", "status", "message", "data", "error"}
    elsewhere = await asked(strict, eager, "/api/v1/pools")
    assert (elsewhere.status_code, elsewhere.json().keys()) == (429, {"error"})


async def test_the_native_dialect_says_so_in_its_own_words(api: TheApi, strict: httpx.AsyncClient) -> None:
    eager = await api.someone()
    answers = [await asked(strict, eager, "/berth/v1/whoami") for _ in range(6)]
    assert answers[-1].json()["error"]["code"] == "too_many_requests"


async def test_another_key_of_the_same_principal_is_counted_apart(api: TheApi, strict: httpx.AsyncClient) -> None:
    eager = await api.someone()
    for _ in range(6):
        await asked(strict, eager)
    calm = await api.someone(principal=eager.principal)
    assert (await asked(strict, calm)).status_code == 200


async def test_logins_and_the_requests_of_their_tokens_count_for_their_key(
    api: TheApi, strict: httpx.AsyncClient
) -> None:
    eager = await api.someone()
    logins = [await strict.post("/api/v1/auth", json={"apiKey": eager.key}) for _ in range(3)]
    bearer = {"Authorization": f"Bearer {logins[0].json()['data']['token']}"}
    answers = [await strict.get("/api/v1/inventory/list", headers=bearer) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (await strict.post("/api/v1/auth", json={"apiKey": eager.key})).status_code == 429


async def test_bad_credentials_are_counted_by_address_and_good_ones_go_on(
    api: TheApi, strict: httpx.AsyncClient
) -> None:
    answers = [await strict.post("/api/v1/auth", json={"apiKey": NOBODYS_KEY}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert (await strict.get("/api/v1/nothing", headers={"Authorization": "Bearer x"})).status_code == 429
    assert (await asked(strict, await api.someone())).status_code == 200


def test_a_limit_that_cannot_be_read_stops_the_process_at_its_start() -> None:
    with pytest.raises(ValidationError, match="BERTH_API_REQUESTS_PER_KEY"):
        Settings(DATABASE_URL="postgresql://x", BERTH_API_REQUESTS_PER_KEY="many")


def test_without_a_limit_nobody_is_counted() -> None:
    assert Settings(DATABASE_URL="postgresql://x", BERTH_API_REQUESTS_PER_KEY="").requests_per_key == ""
