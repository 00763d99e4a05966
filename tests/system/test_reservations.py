"""Reservations on the whole stack, with short times: on time, room kept, what nobody uses given back, a series that goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cli.client import NewGpr, NewPool, NewReservation, NewWorkspace, Refused, SchedulingChange
from domain.gpr import EndCause, Phase
from domain.workspace import WorkspacePhase
from tests.system.freedom import left_in_ledger, until
from tests.system.history import EVENTS, double_grants
from tests.system.kubectl import a_gpu_pod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from cli.client import Gpr, Reservation
    from cli.client.reserving import Occurrence
    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(300)

CLUSTER, NODE, GPUS, POOL = "worker-1", "worker-1-a100-1", 4, "reserved"
MINE, RIVAL, SHORT = "reserving", "reserving-rival", "reserving-short"
GRACE_SECONDS = 5
HORIZON_SECONDS = 100
AHEAD = timedelta(seconds=35)
WINDOW = timedelta(seconds=25)
HANDOVER = timedelta(seconds=5)
STEP_SECONDS_MAX = 90.0
LATE_MAX = timedelta(seconds=10)
"""From the instant that was reserved to the grant: one look of the arbiter without a kick would take up to twenty."""


@pytest.fixture(scope="module")
def reserved(installation: Installation) -> Iterator[Reservation]:
    """Four GPUs for 25 seconds of each of three minutes, on a node that a rival wants for ten."""
    native = installation.native
    before = native.scheduling()
    native.change_scheduling(SchedulingChange(grace_seconds=GRACE_SECONDS, horizon_seconds=HORIZON_SECONDS))
    until(lambda: any(node.name == NODE for node in native.nodes()), "the node", STEP_SECONDS_MAX)
    native.create_pool(NewPool(name=POOL, nodes=[NODE]))
    for name in (MINE, RIVAL, SHORT):
        native.create_workspace(NewWorkspace(name=name, clusters=[CLUSTER], namespaces=[name]))
        until(lambda name=name: native.workspace(name).phase is WorkspacePhase.READY, name, STEP_SECONDS_MAX)
    made = native.reserve(
        NewReservation(
            workspace=MINE,
            name="lecture",
            start=(datetime.now(UTC) + AHEAD).replace(microsecond=0),
            duration="25s",
            rule="FREQ=MINUTELY;COUNT=3",
            gpus_per_node=GPUS,
            pool=POOL,
        )
    )
    # pods that come early wait, and start by themselves
    installation.kubectl(native.kubeconfig(MINE).kubeconfig).create(a_gpu_pod("lecture"))
    yield made
    for name in (MINE, RIVAL, SHORT):
        for gpr in native.gprs(workspace=name, phases=[Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE]):
            native.release(gpr.id)
    until(lambda: not left_in_ledger(installation), "an empty ledger", STEP_SECONDS_MAX)
    for name in (MINE, RIVAL, SHORT):
        native.delete_workspace(name)
    native.delete_pool(POOL)
    native.change_scheduling(
        SchedulingChange(grace_seconds=before.grace_seconds, horizon_seconds=before.horizon_seconds)
    )


@pytest.fixture(scope="module")
def short(installation: Installation, reserved: Reservation) -> Gpr:
    """Fits before the first time of the reservation; came after it."""
    wanted = NewGpr(workspace=SHORT, name="short", duration="10s", gpus_per_node=GPUS, pool=POOL)
    return installation.native.submit(wanted)


@pytest.fixture(scope="module")
def rival(installation: Installation, short: Gpr) -> Gpr:
    """Would run into the reservation, however strong it is."""
    wanted = NewGpr(workspace=RIVAL, name="rival", duration="10m", gpus_per_node=GPUS, pool=POOL, priority=300)
    return installation.native.submit(wanted)


def test_only_the_times_within_the_horizon_are_placed_at_first(reserved: Reservation) -> None:
    assert [one.state for one in reserved.occurrences] == ["booked", "booked"]
    assert {tuple(one.nodes) for one in reserved.occurrences} == {(NODE,)}


def test_a_window_that_is_taken_is_refused_with_the_nearest_one(
    installation: Installation, reserved: Reservation
) -> None:
    wanted = NewReservation(
        workspace=RIVAL, name="rival", start=reserved.start, duration="20s", gpus_per_node=1, pool=POOL
    )
    with pytest.raises(Refused) as refusal:
        installation.native.reserve(wanted)
    assert refusal.value.code == "does_not_fit"
    assert "there is from" in refusal.value.message


def test_what_fits_before_the_reservation_runs_at_once(
    installation: Installation, reserved: Reservation, short: Gpr
) -> None:
    gpr = until(lambda: _begun(installation, short.id), "the short lease", STEP_SECONDS_MAX)
    assert gpr.active_at < reserved.start


def test_it_starts_on_time_although_somebody_stronger_waits(
    installation: Installation, reserved: Reservation, rival: Gpr
) -> None:
    first = reserved.occurrences[0]
    gpr = until(lambda: _begun(installation, first.gpr_id), "the first time", STEP_SECONDS_MAX)
    granted_at = _granted_at(installation, first)
    assert reserved.start <= granted_at <= reserved.start + LATE_MAX
    assert gpr.end_at == reserved.start + WINDOW - HANDOVER
    assert installation.native.gpr(rival.id).phase is Phase.QUEUED


def test_what_a_pod_runs_on_lasts_to_its_end(installation: Installation, reserved: Reservation) -> None:
    native, first = installation.native, reserved.occurrences[0]
    assert first.gpr_id
    used = until(lambda: _times(installation, reserved)[0].used_at, "the pod to be seen", STEP_SECONDS_MAX)
    assert used > reserved.start
    until(lambda: native.gpr(first.gpr_id or "").ended, "the end of the first time", STEP_SECONDS_MAX)
    assert native.gpr(first.gpr_id).end_cause is EndCause.EXPIRED
    assert _times(installation, reserved)[0].state == "ended"


def test_the_next_time_of_the_series_is_placed_as_it_comes_near(
    installation: Installation, reserved: Reservation
) -> None:
    (third,) = until(lambda: _times(installation, reserved)[2:], "the third time", STEP_SECONDS_MAX)
    assert (third.state, third.start) == ("booked", reserved.start + timedelta(minutes=2))


def test_what_nobody_uses_is_given_back_and_its_people_are_told(
    installation: Installation, reserved: Reservation
) -> None:
    native, second = installation.native, reserved.occurrences[1]
    assert second.gpr_id
    until(lambda: native.gpr(second.gpr_id or "").ended, "the end of the second time", STEP_SECONDS_MAX)
    gpr = native.gpr(second.gpr_id)
    assert (gpr.end_cause, _times(installation, reserved)[1].state) == (EndCause.UNUSED, "unused")
    assert gpr.end_at
    assert gpr.finished_at
    assert gpr.finished_at < gpr.end_at
    assert "given_back" in {one.kind for one in native.notices(second.gpr_id) if one.delivered_at}


def test_what_is_cancelled_is_free_for_whoever_waits(
    installation: Installation, reserved: Reservation, rival: Gpr
) -> None:
    native = installation.native
    cancelled = native.cancel_reservation(reserved.id)
    assert cancelled.occurrences[-1].state in {"cancelled", "running"}
    until(lambda: _begun(installation, rival.id), "the rival's lease", STEP_SECONDS_MAX)
    over = until(lambda: native.reservation(reserved.id).ended_at, "the end of the reservation", STEP_SECONDS_MAX)
    assert over
    assert double_grants(installation.tables.rows(EVENTS)) == []


def _begun(installation: Installation, gpr_id: UUID | None) -> Gpr | None:
    found = installation.native.gpr(gpr_id or "")
    return found if found.active_at else None


def _times(installation: Installation, reserved: Reservation) -> list[Occurrence]:
    return installation.native.reservation(reserved.id).occurrences


def _granted_at(installation: Installation, occurrence: Occurrence) -> datetime:
    events = installation.native.events(occurrence.gpr_id or "")
    return next(event.at for event in events if event.kind == "granted")
