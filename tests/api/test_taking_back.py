"""What is guaranteed to a workspace and lent within a band comes back by preemption: decided in the arbiter's pass, told, kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.gpr import Phase
from tests.api.test_preemption import STRONG, WEAK, end_of_notice, notices, signals
from tests.api.time_kit import Town, instant

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi


async def a_town_in_which_a_guarantee_is_lent(api: TheApi) -> tuple[Town, str, str]:
    """All of its node, by a lease of the same band as those of the workspace to which it is guaranteed; and that workspace."""
    town = await Town.founded(api, 8)
    lender = await town.workspace()
    answer = await town.ask("PUT", f"workspaces/{lender}/quota", json={"gpus": 8})
    assert answer.status_code == 200, answer.text
    borrower = await town.running(8, **WEAK | {"priority": 150})
    town.later(minutes=31)
    return town, lender, borrower


async def test_what_is_guaranteed_to_a_workspace_and_lent_comes_back_in_the_same_band(api: TheApi) -> None:
    town, lender, borrower = await a_town_in_which_a_guarantee_is_lent(api)
    train = await town.waiting(8, workspace=lender)
    told = await town.gpr(borrower)
    notice = (await notices(town, borrower))["preempted"]
    assert "needed for train, to which what it borrows is guaranteed: it ends at" in notice["message"]
    assert "at its old place" in notice["message"]
    seen = await town.got(f"gprs/{train}")
    assert seen["estimate"]["reason"].endswith("when weak, which borrows, is preempted")
    assert told.end_at
    assert instant(seen["promise"]["starts_at"]) == told.end_at + timedelta(seconds=15)
    [event] = [one for one in (await town.got(f"gprs/{borrower}/events"))["items"] if one["kind"] == "preempted"]
    assert event["detail"]["taken_back"] is True

    await end_of_notice(town, borrower)
    await town.run()
    assert [(await town.gpr(each)).phase for each in (train, borrower)] == [Phase.ACTIVE, Phase.QUEUED]
    assert (await town.gpr(borrower)).preemptions == 1
    town.later(minutes=31)
    await town.run()
    assert await signals(town, train) == 0


async def test_what_gave_back_what_it_borrowed_is_not_first_in_its_band_and_takes_nothing_back(api: TheApi) -> None:
    town, lender, borrower = await a_town_in_which_a_guarantee_is_lent(api)
    train = await town.waiting(8, workspace=lender)
    stronger = await town.waiting(8, priority=200)
    await end_of_notice(town, borrower)
    await town.run()
    await town.end(train)
    await town.run()
    assert [(await town.gpr(each)).phase for each in (stronger, borrower)] == [Phase.ACTIVE, Phase.QUEUED]


@pytest.mark.parametrize(
    ("of", "asks"),
    [(0, {}), (8, {"preemptible": True}), (8, {"priority": 100})],
    ids=["that has nothing guaranteed", "that can be preempted itself", "of a weaker band"],
)
async def test_nothing_is_taken_back_for_a_request(api: TheApi, of: int, asks: dict[str, Any]) -> None:
    town, lender, borrower = await a_town_in_which_a_guarantee_is_lent(api)
    if not of:
        lender = await town.workspace()
    await town.waiting(8, workspace=lender, **asks)
    assert await signals(town, borrower) == 0


async def test_nothing_is_taken_from_who_is_within_its_guarantee(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    lender, other = await town.workspace(), await town.workspace()
    for each in (lender, other):
        await town.ask("PUT", f"workspaces/{each}/quota", json={"gpus": 8})
    own = await town.running(8, workspace=other, **WEAK | {"priority": 150})
    town.later(minutes=31)
    await town.waiting(8, workspace=lender)
    assert await signals(town, own) == 0
    answer = await town.ask("PUT", f"workspaces/{other}/quota", json={"gpus": 7})
    assert answer.status_code == 200, answer.text
    await town.run()
    assert await signals(town, own) == 1


async def test_of_several_that_nobody_waits_for_any_more_those_stay_whose_gpus_nobody_was_promised_since(
    api: TheApi,
) -> None:
    town = await Town.founded(api, 8, 8)
    weak = [await town.running(8, **WEAK) for _ in range(2)]
    town.later(minutes=31)
    before = [(await town.gpr(each)).end_at for each in weak]
    strong = await town.waiting(8, nodes=2, duration="1h", **STRONG)
    assert [await signals(town, each) for each in weak] == [1, 1]
    other = await town.waiting(8, priority=150, name="other")
    await town.promise(other)
    await town.ask("POST", f"gprs/{strong}/release")
    await town.run()
    stay = [(await town.gpr(each)).end_at == end for each, end in zip(weak, before, strict=True)]
    assert sorted(stay) == [False, True]
