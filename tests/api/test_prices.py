"""What GPUs cost: set by administrators, seen by all, shown with every Gpr that ran."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from domain.gpr import EndCause, Phase
from ledger import gprs, lifecycle

if TYPE_CHECKING:
    from uuid import UUID

    from tests.api.api_kit import Someone, TheApi

T4, H100 = "Tesla-T4", "NVIDIA-H100-80GB-HBM3"


async def set_price(
    api: TheApi, shape: str, amount: str | None, *, hours_ago: float = 0, who: Someone | None = None
) -> Any:
    starts_at = api.clock() - timedelta(hours=hours_ago)
    body = {"shape": shape, "per_gpu_hour": amount, "starts_at": starts_at.isoformat()}
    return await api.call("PUT", "/berth/v1/prices", who or await api.someone(administrator=True), json=body)


async def cost(api: TheApi, who: Someone, gpr: str) -> str:
    answer = await api.call("GET", "/api/v1/gpr", who, params={"gprId": gpr})
    shown: str = answer.json()["data"]["status"]["cost"]
    return shown


async def gpr_id(api: TheApi, external_id: str) -> UUID:
    async with api.ledger.reading() as connection:
        found = await gprs.id_of_external(connection, external_id)
    assert found is not None
    return found


@pytest.fixture(autouse=True)
async def no_prices(api: TheApi) -> None:
    async with api.ledger.transaction() as connection:
        await connection.execute("delete from price")


async def test_without_a_price_there_is_no_cost(api: TheApi) -> None:
    owner = await api.someone()
    gpr = await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE)
    assert await cost(api, owner, gpr) == ""


async def test_what_runs_costs_by_the_hour_from_when_it_became_active(api: TheApi) -> None:
    owner = await api.someone()
    await set_price(api, T4, "2.5", hours_ago=1)
    workspace = await api.workspace(owner)
    gpr, queued = await api.gpr(owner, workspace, Phase.ACTIVE, exitDuration="10h"), await api.gpr(owner, workspace)
    api.clock.ahead = timedelta(hours=2)
    assert await cost(api, owner, gpr) == "5.00"
    assert await cost(api, owner, queued) == ""
    listed = (await api.call("GET", f"/api/v1/gpr/list?sliceName={workspace}", owner)).json()["data"]["items"]
    assert [item["status"]["cost"] for item in listed] == ["", "5.00"]
    native = (await api.call("GET", f"/berth/v1/gprs/{gpr}", owner)).json()
    assert Decimal(native["cost"]).quantize(Decimal("0.01")) == Decimal("5.00")


async def test_each_hour_costs_what_it_cost_then(api: TheApi) -> None:
    owner = await api.someone()
    await set_price(api, T4, "1", hours_ago=1)
    await set_price(api, T4, "3", hours_ago=-1)
    await set_price(api, T4, None, hours_ago=-2)
    gpr = await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE, exitDuration="10h")
    api.clock.ahead = timedelta(hours=5)
    assert await cost(api, owner, gpr) == "4.00"


async def test_the_cost_ends_with_the_release_and_not_with_a_late_teardown(api: TheApi) -> None:
    owner = await api.someone()
    await set_price(api, T4, "6", hours_ago=1)
    gpr = await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE, exitDuration="10h")
    api.clock.ahead = timedelta(hours=1)
    async with api.ledger.transaction() as connection:
        await lifecycle.begin_release(connection, await gpr_id(api, gpr), EndCause.EARLY_RELEASE, api.clock())
    api.clock.ahead = timedelta(hours=4)
    assert await cost(api, owner, gpr) == "6.00"


async def test_a_late_expiry_is_not_the_owners_cost(api: TheApi) -> None:
    owner = await api.someone()
    await set_price(api, T4, "6", hours_ago=1)
    gpr = await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE, exitDuration="1h")
    api.clock.ahead = timedelta(hours=3)
    assert await cost(api, owner, gpr) == "6.00"


async def test_prices_are_set_by_administrators_and_seen_by_all(api: TheApi) -> None:
    somebody = await api.someone()
    assert (await set_price(api, T4, "1", who=somebody)).status_code == 403
    administrator = await api.someone(administrator=True)
    made = await set_price(api, T4.lower(), "1.25", who=administrator)
    assert (made.status_code, made.json()["shape"], made.json()["set_by"]) == (200, T4, administrator.principal.name)
    listed = (await api.call("GET", "/berth/v1/prices", somebody)).json()["items"]
    assert [(one["shape"], Decimal(one["per_gpu_hour"])) for one in listed] == [(T4, Decimal("1.25"))]


async def test_a_price_of_the_same_instant_is_replaced(api: TheApi) -> None:
    administrator = await api.someone(administrator=True)
    for amount in ("1", "2"):
        body = {"shape": H100, "per_gpu_hour": amount, "starts_at": "2026-01-01T00:00:00Z"}
        await api.call("PUT", "/berth/v1/prices", administrator, json=body)
    listed = (await api.call("GET", "/berth/v1/prices", administrator)).json()["items"]
    assert [Decimal(one["per_gpu_hour"]) for one in listed] == [Decimal(2)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": "no-such-gpu"},
        {"per_gpu_hour": "-1"},
        {"per_gpu_hour": "much"},
        {"per_gpu_hour": "1e30"},
        {"per_gpu_hour": "NaN"},
        {"per_gpu_hour": ""},
        {"per_gpu_hour": 1},
        {"per_gpu_hour": 1.25},
        {"per_gpu_hour": "1_0"},
        {"per_gpu_hour": " 1"},
        {"per_gpu_hour": "\u0661"},
        {"per_gpu_hour": "1.23456"},
        {"per_gpu_hour": "123456789"},
        {"starts_at": "2026-01-01T00:00:00"},
        {"starts_at": "0001-01-01T00:00:00+14:00"},
        {"shape": "T4\0"},
    ],
)
async def test_what_is_no_price_is_refused(api: TheApi, wrong: dict[str, Any]) -> None:
    body = {"shape": T4, "per_gpu_hour": "1", "starts_at": "2026-01-01T00:00:00Z"} | wrong
    answer = await api.call("PUT", "/berth/v1/prices", await api.someone(administrator=True), json=body)
    assert answer.status_code == 422, answer.text


async def test_what_was_suspended_keeps_what_it_cost_and_costs_nothing_until_it_runs_again(api: TheApi) -> None:
    owner = await api.someone()
    await set_price(api, T4, "2.5", hours_ago=1)
    gpr = await api.gpr(owner, await api.workspace(owner), Phase.ACTIVE, exitDuration="10h")
    found = await gpr_id(api, gpr)
    api.clock.ahead = timedelta(hours=2)
    assert (await api.call("POST", f"/berth/v1/jobs/{gpr}/suspend", owner)).status_code == 200
    await api.come_to_rest(found)
    api.clock.ahead = timedelta(hours=5)
    assert await cost(api, owner, gpr) == "5.00"
    assert (await api.call("POST", f"/berth/v1/jobs/{gpr}/resume", owner)).status_code == 200
    await api.move(gpr, Phase.ACTIVE)
    api.clock.ahead = timedelta(hours=6)
    assert await cost(api, owner, gpr) == "7.50"
    await api.call("POST", f"/berth/v1/jobs/{gpr}/suspend", owner)
    await api.come_to_rest(found)
    assert await cost(api, owner, gpr) == "7.50"
