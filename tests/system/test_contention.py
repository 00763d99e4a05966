"""Three Gprs of one workspace and two of another contend for the same GPUs, and what people are told comes true."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from domain.gpr import Phase
from tests.system.freedom import left_in_ledger, left_in_namespaces, left_on_nodes, until, workspace_namespaces
from tests.system.history import EVENTS, double_grants, writes_beside_leases
from tests.system.scene import (
    BLUE,
    ENTRY_SECONDS_MAX,
    EXPECTED_ORDER,
    NODE,
    NODE_GPUS,
    RED,
    WISHES,
    Scene,
    waiting_sights,
)
from tests.system.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.installation import Installation
    from tests.system.operators_window import OperatorsWindow, Sight
    from tests.system.scene import Record

EXPIRED = ("r1", "b2", "r2", "b1")
SECOND = timedelta(seconds=1)
"""Instants of the EGS dialect are whole seconds."""
OVERRUN_MAX = timedelta(seconds=2)
ESTIMATE_ERROR_MAX = timedelta(seconds=6)
HANDOVER_MAX = timedelta(seconds=5)
"""From the end of one lease, teardown included, to the next one's begin."""
DELETION_SECONDS_MAX = 30.0


@pytest.fixture(scope="module")
def witness(installation: Installation) -> Iterator[Witness]:
    with Witness(installation) as watching:
        yield watching


@pytest.fixture(scope="module")
def record(installation: Installation, witness: Witness) -> Record:
    return Scene(installation).play()


def test_they_start_in_the_order_of_priority_and_then_of_submission(record: Record) -> None:
    begun = {name: gpr.active_at for name, gpr in record.gprs.items() if gpr.active_at}
    assert sorted(begun, key=begun.__getitem__) == EXPECTED_ORDER


def test_a_workspace_never_holds_two_leases_at_once(record: Record) -> None:
    for workspace in (RED, BLUE):
        gprs = [gpr for gpr in record.gprs.values() if gpr.workspace == workspace and gpr.active_at]
        for earlier, later in pairwise(sorted(gprs, key=lambda gpr: gpr.active_at or gpr.submitted_at)):
            assert earlier.finished_at
            assert later.active_at
            assert earlier.finished_at <= later.active_at


def test_two_workspaces_share_the_node_at_the_same_time(record: Record) -> None:
    held = {one["sliceName"]: one["totalGPUsAllocated"] for one in record.allocations}
    assert held == {RED: 2, BLUE: 2}


def test_everything_that_waits_has_an_estimate_that_is_not_in_the_past(record: Record) -> None:
    sights = list(waiting_sights(record))
    assert {name for name, _ in sights} >= {"b1", "r2", "r3"}
    # the arbiter looks at a new Gpr a moment after it was submitted
    without = [(name, sight.at) for name, sight in sights if sight.starts_at is None]
    assert all(at - record.gprs[name].submitted_at < OVERRUN_MAX for name, at in without)
    past = [
        (name, sight.at, sight.starts_at) for name, sight in sights if (sight.starts_at or sight.at) < sight.at - SECOND
    ]
    assert not past


def test_estimates_come_true_within_seconds(record: Record) -> None:
    for name in ("r2", "b1", "r3"):
        shown = [sight.starts_at for sight in record.sights[name] if sight.waits and sight.starts_at]
        began = record.gprs[name].active_at
        assert began
        assert abs(began - shown[-1]) <= ESTIMATE_ERROR_MAX, f"{name} was told {shown[-1]} and began {began}"


def test_the_next_one_begins_as_soon_as_the_one_before_it_is_gone(record: Record) -> None:
    for earlier, later in (("r1", "r2"), ("r2", "b1"), ("b1", "r3")):
        ended, began = record.gprs[earlier].end_at, record.gprs[later].active_at
        assert ended
        assert began
        assert began - ended <= HANDOVER_MAX, f"{later} began {began - ended} after the end of {earlier}"


def test_a_gpu_pod_waits_before_the_lease_runs_during_it_and_is_gone_after_it(record: Record) -> None:
    assert (record.pod_before, record.pod_during) == ("Pending", "Running")
    assert ".berth.io/gpu" in record.why_pod_waited
    assert record.pod_node == NODE
    assert record.pods_after == []


def test_a_kubeconfig_issued_during_a_lease_is_refused_soon_after_its_end(record: Record) -> None:
    assert record.let_in_during
    assert record.refused_after_seconds <= ENTRY_SECONDS_MAX


def test_leases_expire_at_the_second(record: Record) -> None:
    for name in EXPIRED:
        gpr = record.gprs[name]
        assert gpr.phase is Phase.EXPIRED
        assert gpr.end_at
        assert gpr.finished_at
        assert timedelta() <= record.release_began[name] - gpr.end_at <= OVERRUN_MAX
        assert gpr.finished_at - gpr.end_at <= OVERRUN_MAX, (
            f"{name} was free {gpr.finished_at - gpr.end_at} after its end"
        )


def test_an_early_release_ends_a_lease_long_before_its_time(record: Record) -> None:
    gpr = record.gprs["r3"]
    assert gpr.phase is Phase.RELEASED
    assert gpr.finished_at
    assert record.early_release_at
    assert gpr.finished_at - record.early_release_at <= HANDOVER_MAX
    assert record.sights["r3"][-1].gpr["earlyRelease"]


def test_the_temporal_ui_lists_each_of_them_with_what_operators_filter_by(
    installation: Installation, record: Record
) -> None:
    window = installation.window
    query = f"BerthKind = 'gpr' and BerthWorkspace in ('{RED}', '{BLUE}')"
    listed = until(lambda: _all_closed(window, query), "closed lifecycles in the UI's list", DELETION_SECONDS_MAX)
    seen = {one.workflow_id: one for one in listed}
    for name, gpr in record.gprs.items():
        one = seen[f"gpr/{gpr.id}"]
        assert one.status == "completed"
        assert one.attributes["BerthPhase"] == gpr.phase
        assert (one.attributes["BerthWorkspace"], one.attributes["BerthPriority"]) == (WISHES[name][0], WISHES[name][2])


def test_the_temporal_ui_says_what_each_step_was_about(installation: Installation, record: Record) -> None:
    gpr = record.gprs["b1"]
    assert gpr.lease
    said = installation.window.summaries(f"gpr/{gpr.id}")
    where = f"{NODE_GPUS} GPU(s) of {NODE}"
    for expected in (f"is there room: {where}", f"tokens: {where}", f"pods on {where}", f"until {where} are free"):
        assert expected in said
    assert any(one.startswith("lease ends ") for one in said)


def test_everything_is_free_at_the_end(installation: Installation, record: Record) -> None:
    assert until(lambda: not left_in_ledger(installation), "an empty ledger", DELETION_SECONDS_MAX)
    assert left_on_nodes(installation) == []
    assert left_in_namespaces(installation, (RED, BLUE)) == []
    egs = installation.egs
    for workspace in (RED, BLUE):
        egs.delete_workspace(workspace)
    until(lambda: not {RED, BLUE} & set(egs.workspaces()), "the end of both workspaces", DELETION_SECONDS_MAX)
    assert workspace_namespaces(installation) == []


def test_nobody_who_looked_all_the_time_saw_anything_held_twice(installation: Installation, witness: Witness) -> None:
    assert witness.complaints == []
    assert min(witness.looks[truth] for truth in ("ledger", "worker-1", "worker-2")) >= 5
    assert double_grants(installation.tables.rows(EVENTS)) == []
    assert writes_beside_leases(installation) == []


def _all_closed(window: OperatorsWindow, query: str) -> list[Sight]:
    listed = window.listed(query)
    return listed if len(listed) == len(WISHES) and all(one.status != "running" for one in listed) else []
