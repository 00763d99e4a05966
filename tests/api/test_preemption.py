"""Leases that end early for a stronger request: decided in the arbiter's pass, told, kept for whom it was done, and undone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.gpr import EndCause, Phase
from domain.messages import EXTENDED_SIGNAL
from ledger import lifecycle, suspension
from tests.api.time_kit import Town, error_of, instant

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

GUARANTEED, NOTICE = timedelta(minutes=30), timedelta(minutes=1)
"""As administrators find them."""
STRONG: dict[str, Any] = {"priority": 250, "name": "strong"}
WEAK: dict[str, Any] = {"priority": 50, "preemptible": True, "name": "weak", "duration": "10h"}
SIGNALS = "select count(*) from outbox where signal = $1 and argument = $2"


async def a_town_with_a_weak_lease(api: TheApi, *gpus: int) -> tuple[Town, str]:
    """On all of its first node; its guaranteed time is over."""
    town = await Town.founded(api, *(gpus or (8,)))
    weak = await town.running(8, **WEAK)
    town.later(minutes=31)
    return town, weak


async def end_of_notice(town: Town, weak: str) -> None:
    """The lifecycle wakes at the end, and tears down."""
    town.later(seconds=61)
    async with town.api.ledger.transaction() as connection:
        await lifecycle.expire(connection, UUID(weak), town.api.clock())
    await town.api.come_to_rest(UUID(weak))


async def notices(town: Town, gpr_id: str) -> dict[str, Any]:
    return {one["kind"]: one for one in (await town.got(f"gprs/{gpr_id}/notices"))["items"]}


async def signals(town: Town, gpr_id: str) -> int:
    async with town.api.ledger.reading() as connection:
        return int(await connection.fetchval(SIGNALS, EXTENDED_SIGNAL, gpr_id))


async def test_a_weaker_lease_is_told_ends_and_is_queued_again_and_the_stronger_request_has_its_gpus(
    api: TheApi,
) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    told_at = api.clock()
    strong = await town.waiting(8, **STRONG)
    told = await town.gpr(weak)
    assert told.end_at
    assert timedelta() < told.end_at - told_at - NOTICE < timedelta(seconds=30)
    assert await signals(town, weak) == 1
    notice = (await notices(town, weak))["preempted"]
    assert "its GPUs are needed for strong, which is of a stronger band" in notice["message"]
    seen = await town.got(f"gprs/{strong}")
    assert seen["estimate"]["reason"].endswith("when weak is preempted")
    assert instant(seen["promise"]["starts_at"]) == told.end_at + timedelta(seconds=15)

    await end_of_notice(town, weak)
    queued = await town.got(f"gprs/{weak}")
    assert (queued["phase"], queued["preemptions"], queued["end_cause"], queued["end_at"]) == ("queued", 1, None, None)
    assert queued["duration_seconds"] == 10 * 3600
    await town.run()
    assert (await town.gpr(strong)).phase is Phase.ACTIVE
    assert [kind for kind in await town.kinds(weak) if kind != "noticed"] == (
        ["submitted", "granted", "activated", "preempted", "releasing", "rested"]
    )
    assert "preempts" in await town.kinds(strong)


@pytest.mark.parametrize(
    ("weak", "strong"),
    [({"preemptible": False}, {}), ({"priority": 201}, {}), ({}, {"priority": 100})],
    ids=["that did not allow it", "of the same band", "for one that is no stronger"],
)
async def test_no_lease_ends_early(api: TheApi, weak: dict[str, Any], strong: dict[str, Any]) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8, **WEAK | weak)
    town.later(minutes=31)
    before = (await town.gpr(running)).end_at
    await town.waiting(8, **STRONG | strong)
    assert (await town.gpr(running)).end_at == before


async def test_none_ends_early_within_its_guaranteed_time_and_it_does_once_that_is_over(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    weak = await town.running(8, **WEAK)
    await town.waiting(8, **STRONG)
    town.later(minutes=28)
    await town.run()
    assert "preempted" not in await town.kinds(weak)
    town.later(minutes=2)
    await town.run()
    assert "preempted" in await town.kinds(weak)


async def test_what_administrators_decide_about_it_counts_from_the_next_pass_on(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    weak = await town.running(8, **WEAK)
    decided = {"guaranteed_seconds": 0, "notice_seconds": 0}
    answer = await town.ask("PATCH", "scheduling", json=decided)
    try:
        assert {name: answer.json()[name] for name in decided} == decided
        town.later(seconds=1)
        now = api.clock()
        await town.submit(8, **STRONG)
        await town.run()
        end_at = (await town.gpr(weak)).end_at
        assert end_at
        assert timedelta() <= end_at - now < timedelta(seconds=30)
    finally:
        await town.ask("PATCH", "scheduling", json={"guaranteed_seconds": 1800, "notice_seconds": 60})


async def test_the_history_tells_for_whom_and_when(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    strong = await town.waiting(8, **STRONG)
    [event] = [one for one in (await town.got(f"gprs/{weak}/events"))["items"] if one["kind"] == "preempted"]
    assert (event["detail"]["for"], event["detail"]["for_name"]) == (strong, "strong")
    [other] = [one for one in (await town.got(f"gprs/{strong}/events"))["items"] if one["kind"] == "preempts"]
    assert other["detail"]["leases"] == [event["fence"]]


async def test_repeated_passes_end_nothing_more(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api, 8, 8)
    other = await town.running(8, **WEAK)
    town.later(minutes=40)
    strong = await town.waiting(8, **STRONG)
    assert (await town.gpr(strong)).promise
    ended = {gpr_id: (await town.gpr(gpr_id)).end_at for gpr_id in (weak, other)}
    for _ in range(3):
        town.later(seconds=5)
        await town.run()
    assert {gpr_id: (await town.gpr(gpr_id)).end_at for gpr_id in (weak, other)} == ended
    assert await signals(town, weak) + await signals(town, other) == 1


async def test_not_even_when_the_promise_is_given_up(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api, 8, 8)
    other = await town.running(8, **WEAK)
    town.later(minutes=40)
    strong = await town.waiting(8, **STRONG)
    assert (await town.ask("DELETE", f"gprs/{strong}/promise")).status_code in {200, 204}
    await town.run()
    assert await signals(town, weak) + await signals(town, other) == 1


async def test_who_comes_later_and_stronger_gets_around_what_was_freed(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    strong = await town.waiting(8, **STRONG)
    strongest = await town.waiting(8, priority=300)
    await end_of_notice(town, weak)
    await town.run()
    assert [(await town.gpr(each)).phase for each in (strong, strongest)] == [Phase.ACTIVE, Phase.QUEUED]


async def test_what_was_preempted_is_first_in_its_band_and_preempts_nobody(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    strong = await town.waiting(8, **STRONG)
    earlier = await town.waiting(8, priority=100)
    await end_of_notice(town, weak)
    await town.run()
    await town.end(strong)
    await town.run()
    assert [(await town.gpr(each)).phase for each in (weak, earlier)] == [Phase.ACTIVE, Phase.QUEUED]


async def test_there_is_no_chain(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    middle = await town.running(8, **WEAK | {"priority": 150})
    town.later(minutes=20)
    lowest = await town.running(8, **WEAK)
    town.later(minutes=11)
    strong = await town.waiting(8, **STRONG)
    await end_of_notice(town, middle)
    await town.run()
    assert (await town.gpr(strong)).phase is Phase.ACTIVE
    town.later(minutes=30)
    await town.run()
    assert (await town.gpr(middle)).phase is Phase.QUEUED
    assert await signals(town, lowest) == 0
    await town.waiting(8, priority=150)
    assert await signals(town, lowest) == 1


async def test_an_extension_is_refused_with_the_reason(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    await town.waiting(8, **STRONG)
    for more in ({}, {"or_longest": True}):
        answer = await town.ask("POST", f"gprs/{weak}/extend", json={"seconds": 5, **more})
        assert error_of(answer) == (409, "extension_refused")
        assert "it makes room for strong, and ends at" in answer.json()["error"]["details"]["in_the_way"]


async def test_an_early_release_during_the_notice_is_one(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    strong = await town.waiting(8, **STRONG)
    assert (await town.ask("POST", f"gprs/{weak}/release")).status_code == 200
    await api.come_to_rest(UUID(weak))
    released = await town.gpr(weak)
    assert (released.phase, released.end_cause, released.preemptions) == (Phase.RELEASED, EndCause.EARLY_RELEASE, 0)
    await town.run()
    assert (await town.gpr(strong)).phase is Phase.ACTIVE


async def test_cancelled_while_it_is_torn_down_it_does_not_come_back(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    await town.waiting(8, **STRONG)
    town.later(seconds=61)
    async with api.ledger.transaction() as connection:
        await lifecycle.expire(connection, UUID(weak), api.clock())
    assert (await town.ask("POST", f"gprs/{weak}/release")).status_code == 200
    assert await api.come_to_rest(UUID(weak)) is Phase.RELEASED


@pytest.mark.parametrize("goes", ["release", "suspend"])
async def test_when_the_claimant_goes_the_lease_has_its_old_end_again(api: TheApi, goes: str) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    before, planned = (await town.gpr(weak)).end_at, set(await notices(town, weak))
    strong = await town.waiting(8, **STRONG)
    if goes == "release":
        assert (await town.ask("POST", f"gprs/{strong}/release")).status_code == 200
    else:
        async with api.ledger.transaction() as connection:
            await suspension.suspend(connection, UUID(strong), api.clock(), "somebody")
    await town.run()
    assert (await town.gpr(weak)).end_at == before
    found = await notices(town, weak)
    assert "needs its GPUs no more" in found["not_preempted"]["message"]
    assert not [kind for kind in planned if found[kind]["withdrawn_at"]]
    assert await signals(town, weak) == 2
    await town.waiting(8, **STRONG)
    assert await signals(town, weak) == 3


async def test_a_lease_without_an_end_has_none_again(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    await town.make_endless(weak)
    strong = await town.waiting(8, **STRONG)
    assert (await town.gpr(weak)).end_at
    await town.ask("POST", f"gprs/{strong}/release")
    await town.run()
    assert (await town.gpr(weak)).end_at is None


async def test_but_not_over_what_was_promised_since(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    strong = await town.waiting(8, duration="1h", **STRONG)
    early = (await town.gpr(weak)).end_at
    other = await town.waiting(8, priority=150, name="other")
    await town.promise(other)
    await town.ask("POST", f"gprs/{strong}/release")
    await town.run()
    assert (await town.gpr(weak)).end_at == early
    await end_of_notice(town, weak)
    assert (await town.gpr(weak)).preemptions == 1


async def test_its_cost_goes_on_counting(api: TheApi) -> None:
    town, weak = await a_town_with_a_weak_lease(api)
    price = {"shape": town.shape, "per_gpu_hour": "6.00"}
    assert (await town.ask("PUT", "prices", json=price)).status_code == 200
    town.later(hours=1)
    await town.waiting(8, **STRONG)
    await end_of_notice(town, weak)
    spent = (await town.gpr(weak)).spent
    assert spent >= 8 * 6
    assert Decimal((await town.got(f"gprs/{weak}"))["cost"]) >= spent


async def test_a_promise_counts_on_nobodys_being_preempted(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    weak = await town.running(8, **WEAK)
    strong = await town.waiting(8, **STRONG)
    town.later(minutes=31)
    promised = await town.promise(strong)
    end_at = (await town.gpr(weak)).end_at
    assert end_at
    assert promised > end_at
    await town.run()
    assert await signals(town, weak) == 0
