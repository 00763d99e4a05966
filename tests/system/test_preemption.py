"""Preemption on the whole stack, with short times: a guaranteed run, a notice, the start of whom it is for, and a second run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from cli.client import Refused, SchedulingChange
from cli.client.sharing import WorkspaceQuotaSetting
from domain.gpr import Phase
from tests.system.freedom import until
from tests.system.history import EVENTS, double_grants
from tests.system.steady_stream import BUSY_MAX, FREE_GPUS, NODES, STEP_SECONDS_MAX, Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from cli.client.answers import Event
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(600)

GUARANTEED, NOTICE = timedelta(seconds=25), timedelta(seconds=15)
PASS_INTERVAL = timedelta(seconds=20)
"""So long after its guaranteed time is over a lease may stay unnoticed: nothing kicks the arbiter then."""
GANG = {"nodes": NODES, "gpus_per_node": FREE_GPUS}


@pytest.fixture(scope="module")
def town(installation: Installation) -> Iterator[Town]:
    made = Town(installation)
    before = made.native.scheduling()
    made.native.change_scheduling(
        SchedulingChange(guaranteed_seconds=int(GUARANTEED.total_seconds()), notice_seconds=int(NOTICE.total_seconds()))
    )
    made.wall()
    yield made
    made.leave()
    made.native.change_scheduling(
        SchedulingChange(guaranteed_seconds=before.guaranteed_seconds, notice_seconds=before.notice_seconds)
    )


def event(town: Town, gpr_id: UUID, kind: str) -> Event:
    """The first of that kind, once there is one."""
    until(lambda: any(one.kind == kind for one in town.native.events(gpr_id)), f"{gpr_id} {kind}", STEP_SECONDS_MAX)
    return next(one for one in town.native.events(gpr_id) if one.kind == kind)


def why(town: Town, gpr_id: UUID) -> str:
    estimate = town.native.gpr(gpr_id).estimate
    return estimate.reason if estimate else ""


def test_a_weaker_lease_runs_its_guaranteed_time_is_told_makes_room_and_runs_again(town: Town) -> None:
    native = town.native
    wish = {"priority": 50, "preemptible": True, **GANG}
    weak = town.reached(town.submit(town.workspace(), "weak", "10m", **wish).id, Phase.ACTIVE)
    strong = town.submit(town.workspace(), "strong", "6s", priority=250, **GANG)

    told = event(town, weak.id, "preempted")
    assert weak.active_at
    guaranteed = weak.active_at + GUARANTEED
    assert guaranteed - NOTICE <= told.at <= guaranteed - NOTICE + PASS_INTERVAL + BUSY_MAX
    ends_at = native.gpr(weak.id).end_at
    assert ends_at == told.at + NOTICE
    assert told.detail["for"] == str(strong.id)
    promise = native.gpr(strong.id).promise
    assert promise
    assert promise.starts_at
    with pytest.raises(Refused, match="it makes room for strong"):
        town.extend(weak.id, 60, or_longest=True)

    started = town.granted_at(town.reached(strong.id, Phase.EXPIRED).id)
    assert ends_at <= started <= promise.starts_at + BUSY_MAX
    notices = {notice.kind: notice for notice in native.notices(weak.id)}
    assert notices["preempted"].delivered_at
    assert notices["preempted"].delivered_at < ends_at

    again = town.reached(weak.id, Phase.ACTIVE)
    assert (again.preemptions, again.duration) == (1, weak.duration)
    assert again.active_at
    assert again.end_at == again.active_at + timedelta(minutes=10)
    causes = [one.detail["cause"] for one in native.events(weak.id) if one.kind == "releasing"]
    assert causes == ["preempted"]
    native.release(weak.id)


def test_when_the_stronger_request_goes_the_weaker_one_goes_on(town: Town) -> None:
    native = town.native
    wish = {"priority": 50, "preemptible": True, **GANG}
    weak = town.reached(town.submit(town.workspace(), "weak", "10m", **wish).id, Phase.ACTIVE)
    strong = town.submit(town.workspace(), "strong", "6s", priority=250, **GANG)
    event(town, weak.id, "preempted")
    native.release(strong.id)
    event(town, weak.id, "not_preempted")
    assert native.gpr(weak.id).end_at == weak.end_at
    assert native.gpr(weak.id).phase is Phase.ACTIVE
    native.release(weak.id)


def test_what_is_guaranteed_and_lent_within_a_band_is_told_comes_back_and_is_lent_again(town: Town) -> None:
    native = town.native
    lender, wish = town.workspace(), {"priority": 150, **GANG}
    native.set_workspace_quota(lender, WorkspaceQuotaSetting(gpus=NODES * FREE_GPUS))
    borrower = town.submit(town.workspace(), "borrower", "10m", preemptible=True, **wish)
    town.reached(borrower.id, Phase.ACTIVE)
    train = town.submit(lender, "train", "6s", **wish)

    told = event(town, borrower.id, "preempted")
    assert (told.detail["for"], told.detail["taken_back"]) == (str(train.id), True)
    ends_at = native.gpr(borrower.id).end_at
    assert ends_at == told.at + NOTICE
    until(lambda: "when borrower, which borrows, is preempted" in why(town, train.id), "the reason", STEP_SECONDS_MAX)
    promise = native.gpr(train.id).promise
    assert promise
    assert promise.starts_at

    started = town.granted_at(town.reached(train.id, Phase.EXPIRED).id)
    assert ends_at <= started <= promise.starts_at + BUSY_MAX
    [notice] = [notice for notice in native.notices(borrower.id) if notice.kind == "preempted"]
    assert "to which what it borrows is guaranteed" in notice.message
    assert town.reached(borrower.id, Phase.ACTIVE).preemptions == 1
    assert not [one for one in native.events(train.id) if one.kind == "preempted"]
    native.release(borrower.id)


def test_no_gpu_was_given_to_two(town: Town) -> None:
    assert double_grants(town.installation.tables.rows(EVENTS)) == []
