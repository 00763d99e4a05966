"""A lease that is to last longer: decided and done in the request, as long as nothing slips that was promised."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from arbitration import arbiter_pass
from domain.messages import EXTENDED_SIGNAL
from domain.promises import TimeRules
from tests.api.time_kit import Town, error_of, instant
from tests.builders import a_box, a_workspace

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import TheApi

HOUR = 3600
MOST = TimeRules().extension_seconds_max
SIGNALS = "select count(*) from outbox where signal = $1 and argument = $2"


async def extend(town: Town, gpr_id: str, seconds: int, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return await town.ask("POST", f"gprs/{gpr_id}/extend", json={"seconds": seconds, **more}, headers=headers)


async def test_an_extension_moves_the_end_before_it_is_answered_and_tells_the_lifecycle(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    before = (await town.gpr(running)).end_at
    assert before is not None
    answer = await extend(town, running, 2 * HOUR)
    assert (answer.status_code, answer.json()["seconds"], answer.json()["in_the_way"]) == (200, 2 * HOUR, "")
    assert instant(answer.json()["gpr"]["end_at"]) == before + timedelta(hours=2)
    async with api.ledger.reading() as connection:
        assert await connection.fetchval(SIGNALS, EXTENDED_SIGNAL, running) == 1


async def test_what_only_waits_makes_room(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    waiting = await town.waiting(8)
    before = await town.start_of(waiting)
    assert (await extend(town, running, 2 * HOUR)).status_code == 200
    await town.run()
    assert await town.start_of(waiting) >= before + timedelta(hours=2)


async def test_a_promise_stands_in_the_way_and_the_longest_that_fits_is_told(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    gang = await town.waiting(8, name="gang")
    promised = await town.promise(gang)
    end = (await town.gpr(running)).end_at
    assert end is not None
    answer = await extend(town, running, 2 * HOUR)
    assert error_of(answer) == (409, "extension_refused")
    details = answer.json()["error"]["details"]
    assert 0 <= details["longest_seconds"] <= (promised - end).total_seconds()
    assert "gang" in details["in_the_way"]
    assert (await town.gpr(running)).end_at == end


async def test_the_longest_is_granted_to_who_takes_it_and_no_promise_slips(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    await town.waiting(8)
    gang = await town.waiting(8, name="gang")
    promised = await town.promise(gang)
    answer = await extend(town, running, 2 * HOUR, or_longest=True)
    assert answer.status_code == 200, answer.text
    assert 0 < answer.json()["seconds"] < 2 * HOUR
    assert "gang" in answer.json()["in_the_way"]
    await town.run()
    assert await town.start_of(gang) <= promised


async def test_where_there_is_room_elsewhere_a_promise_does_not_stand_in_the_way(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    first, second = await town.running(8), await town.running(8)
    gang = await town.waiting(8)
    await town.promise(gang)
    promised = (await town.gpr(gang)).promise
    assert promised is not None
    held = {one: {gpu.node for gpu in (await town.gpr(one)).gpus} for one in (first, second)}
    beside = next(one for one, nodes in held.items() if nodes.isdisjoint(promised.nodes))
    assert (await extend(town, beside, 5 * HOUR)).status_code == 200


async def test_a_repeat_under_the_same_key_extends_once_and_is_answered_as_before(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    key = {"Idempotency-Key": "again"}
    answers = [await extend(town, running, HOUR, headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.json()["gpr"]["end_at"] for answer in answers}) == 1
    assert {answer.json()["seconds"] for answer in answers} == {HOUR}
    assert error_of(await extend(town, running, 2 * HOUR, headers=key)) == (409, "idempotency_mismatch")
    assert (await extend(town, running, HOUR)).json()["gpr"]["end_at"] != answers[0].json()["gpr"]["end_at"]


async def test_the_rules_of_the_house_bound_all_extensions_together(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    assert (await extend(town, running, MOST - HOUR)).status_code == 200
    answer = await extend(town, running, 2 * HOUR)
    assert (error_of(answer), answer.json()["error"]["details"]["longest_seconds"]) == (
        (409, "extension_refused"),
        HOUR,
    )
    assert (await extend(town, running, 2 * HOUR, or_longest=True)).json()["seconds"] == HOUR
    assert error_of(await extend(town, running, 1, or_longest=True)) == (409, "extension_refused")


async def test_what_has_no_lease_or_no_end_is_not_extended(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    queued = await town.waiting(8)
    assert error_of(await extend(town, queued, HOUR)) == (409, "wrong_phase")
    await town.make_endless(running)
    assert error_of(await extend(town, running, HOUR)) == (409, "wrong_phase")
    await town.end(running)
    assert error_of(await extend(town, running, HOUR)) == (409, "wrong_phase")


async def test_a_lease_that_is_being_provisioned_lasts_longer_once_it_is_there(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    gpr_id = await town.submit(8)
    await arbiter_pass.grant(api.ledger, api.clock())
    assert (await extend(town, gpr_id, HOUR)).status_code == 200
    assert (await town.gpr(gpr_id)).request.duration_seconds == 2 * HOUR


async def test_a_box_is_extended_by_the_same_decision(api: TheApi) -> None:
    town, owner = await Town.founded(api, 8), await api.someone()
    principal = owner.principal.id
    workspace = await a_workspace(api.ledger, owner=principal, clusters=(town.cluster,))
    box = await a_box(api.ledger, workspace, owner=principal, shape=town.shape, gpus_per_node=8)
    await town.run()
    gang = await town.waiting(8, name="gang")
    await town.promise(gang)
    wish = {"json": {"extension_hours": 1}}
    refused = await api.call("POST", f"/v1/jobs/{box}/extend", owner, **wish)
    assert (refused.status_code, "gang has" in refused.text) == (409, True)
    await town.ask("DELETE", f"gprs/{gang}/promise")
    assert (await api.call("POST", f"/v1/jobs/{box}/extend", owner, **wish)).status_code == 200


@pytest.mark.parametrize("body", [{}, {"seconds": 0}, {"seconds": "1h"}, {"seconds": 1, "hours": 1}])
async def test_a_wish_that_makes_no_sense_is_refused(api: TheApi, body: dict[str, Any]) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    answer = await town.ask("POST", f"gprs/{running}/extend", json=body)
    assert error_of(answer) == (422, "invalid_request")
