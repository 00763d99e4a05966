"""A promised start: whoever comes later, and however strong, does not move it; lost hardware does, and says so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from arbitration.promising import LOST_AFTER, MARGIN
from domain.gpr import Phase
from domain.promises import TimeRules
from tests.api.time_kit import Town, error_of, instant

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

LIMIT = TimeRules().promises_per_workspace


async def test_what_is_promised_is_the_start_that_was_shown_and_a_few_seconds(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    shown, promised = await town.start_of(gang), await town.promise(gang)
    assert shown <= promised <= shown + 2 * MARGIN
    view = (await town.got(f"gprs/{gang}"))["promise"]
    assert (view["cluster"], view["nodes"], view["moves"]) == (town.cluster, [f"{town.cluster}-0"], 0)


async def test_no_later_arrival_moves_a_promise_however_strong_it_is(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    await town.running(8), await town.running(8)
    gang = await town.waiting(8, nodes=2)
    promised = await town.promise(gang)
    strong = [await town.waiting(gpus, priority=300, duration="10h") for gpus in (8, 1, 4)]
    assert await town.start_of(gang) <= promised
    for one in strong:
        assert await town.start_of(one) > promised


async def test_without_a_promise_the_same_arrivals_go_first(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    before = await town.start_of(gang)
    await town.waiting(8, priority=300, duration="10h")
    assert await town.start_of(gang) >= before + timedelta(hours=10)


async def test_a_promise_is_kept_when_its_time_comes(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    gang = await town.waiting(8)
    promised = await town.promise(gang)
    await town.waiting(1, priority=300, duration="10h")
    town.later(hours=1)
    await town.end(running)
    await town.run()
    gpr = await town.gpr(gang)
    assert (gpr.phase, gpr.promise is not None) == (Phase.ACTIVE, True)
    assert gpr.active_at is not None
    assert gpr.active_at <= promised


async def test_a_promised_start_may_come_sooner(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    running = await town.running(8)
    gang = await town.waiting(8)
    await town.promise(gang)
    await town.end(running)
    await town.run()
    assert (await town.gpr(gang)).phase is Phase.ACTIVE


async def test_what_waits_behind_a_lease_without_an_end_is_promised_nothing_and_told_why(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.make_endless(await town.running(8))
    gang = await town.waiting(8)
    answer = await town.ask("POST", f"gprs/{gang}/promise")
    assert error_of(answer) == (409, "no_promise")
    assert "without a known end" in answer.json()["error"]["message"]
    assert (await town.gpr(gang)).promise is None


async def test_what_does_not_wait_is_promised_nothing(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    active = await town.running(8)
    suspended = await town.waiting(8)
    await town.ask("POST", f"jobs/{suspended}/suspend")
    for gpr_id in (active, suspended):
        assert error_of(await town.ask("POST", f"gprs/{gpr_id}/promise")) == (409, "wrong_phase")


async def test_a_promise_asked_for_again_stays_as_it_is_and_given_up_it_is_gone(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    promised = await town.promise(gang)
    town.later(minutes=10)
    assert await town.promise(gang) == promised
    for _ in range(2):
        answer = await town.ask("DELETE", f"gprs/{gang}/promise")
        assert (answer.status_code, answer.json()["promise"]) == (200, None)
    assert (await town.kinds(gang)).count("promise_withdrawn") == 1


async def test_a_suspended_gpr_has_its_promise_no_more(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    await town.promise(gang)
    await town.ask("POST", f"jobs/{gang}/suspend")
    await town.ask("POST", f"jobs/{gang}/resume")
    assert (await town.gpr(gang)).promise is None


async def test_a_workspace_has_so_many_promises_at_once_however_many_ask_at_the_same_moment(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    workspace = await town.workspace()
    ids = [await town.submit(1, workspace=workspace) for _ in range(LIMIT + 1)]
    await town.run()
    answers = await asyncio.gather(*(town.ask("POST", f"gprs/{one}/promise") for one in ids))
    assert sorted(answer.status_code for answer in answers) == [200] * LIMIT + [409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert error_of(refused) == (409, "too_many_promises")
    kept = next(answer.json()["id"] for answer in answers if answer.status_code == 200)
    await town.ask("DELETE", f"gprs/{kept}/promise")
    left = refused.request.url.path.split("/")[-2]
    assert (await town.ask("POST", f"gprs/{left}/promise")).status_code == 200


async def test_two_promises_one_behind_the_other_are_both_kept(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    ids = [await town.submit(8) for _ in range(3)]
    await town.run()
    promised = [await town.promise(one) for one in reversed(ids)]
    await town.run()
    starts = [await town.start_of(one) for one in reversed(ids)]
    assert all(start <= kept for start, kept in zip(starts, promised, strict=True))
    assert all(starts[n] >= starts[n + 1] + timedelta(hours=1) for n in range(2))


async def test_lost_hardware_moves_a_promise_loudly_with_a_new_one(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    await town.running(8, duration="1h"), await town.running(8, duration="5h")
    gang = await town.waiting(8)
    promised = await town.promise(gang)
    place = (await town.gpr(gang)).promise
    assert place is not None
    await town.observe(lost=place.nodes)
    await town.run()
    moved = (await town.gpr(gang)).promise
    assert moved is not None
    assert moved.starts_at is not None
    assert (moved.starts_at > promised + timedelta(hours=3), moved.moves) == (True, 1)
    assert set(moved.nodes).isdisjoint(place.nodes)
    assert (await town.kinds(gang)).count("promise_moved") == 1
    told = [one for one in (await town.got(f"gprs/{gang}/notices"))["items"] if one["kind"] == "promise_moved"]
    assert len(told) == 1
    assert f"promised by {promised:%Y-%m-%d %H:%M:%S} UTC cannot be kept" in told[0]["message"]
    await town.waiting(8, priority=300, duration="10h")
    assert await town.start_of(gang) <= moved.starts_at


async def test_a_promise_that_is_moved_comes_before_all_that_have_none_however_strong(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    await town.running(8, duration="1h"), await town.running(8, duration="5h")
    gang = await town.waiting(8)
    promised = await town.promise(gang)
    place = (await town.gpr(gang)).promise
    assert place is not None
    strong = [await town.waiting(8, priority=300, duration="10h") for _ in range(2)]
    await town.observe(lost=place.nodes)
    await town.run()
    moved = (await town.gpr(gang)).promise
    assert moved is not None
    assert moved.starts_at is not None
    assert promised + timedelta(hours=3) < moved.starts_at < promised + timedelta(hours=5)
    assert min([await town.start_of(one) for one in strong]) > moved.starts_at


async def test_a_promise_whose_last_hardware_is_lost_is_renewed_when_there_is_other(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    await town.promise(gang)
    await town.observe(lost=tuple(town.nodes))
    await town.run()
    lost = (await town.gpr(gang)).promise
    assert lost is not None
    assert (lost.starts_at, lost.moves) == (None, 1)
    await town.observe()
    await town.run()
    renewed = (await town.gpr(gang)).promise
    assert renewed is not None
    assert renewed.starts_at is not None
    kinds = await town.kinds(gang)
    assert [kind for kind in kinds if kind.startswith("promise_")] == ["promise_moved", "promise_renewed"]


async def test_a_teardown_that_takes_its_time_moves_no_promise(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    promised = await town.promise(gang)
    town.later(hours=1, seconds=LOST_AFTER.total_seconds() / 2)
    await town.run()
    found = (await town.gpr(gang)).promise
    assert found is not None
    assert (found.starts_at, found.moves) == (promised, 0)


async def test_the_interval_of_a_promised_start_ends_with_the_promise(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8)
    gang = await town.waiting(8)
    await town.promise(gang)
    town.later(minutes=5)
    await town.waiting(8)
    estimate = (await town.got(f"gprs/{gang}"))["estimate"]
    assert instant(estimate["earliest"]) <= instant(estimate["starts_at"]) <= instant(estimate["latest"])
