from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.plan import Forecast, Grant, Plan, decide, outcome_of, plan
from planner.snapshot import Claim, NodeView, Snapshot
from tests.pure.planner.chance import drawn
from tests.pure.planner.oracle import Oracle, Start
from tests.pure.planner.worlds import LAW, WORLDS, law, world_and_newcomer

pytestmark = pytest.mark.usefixtures("small_pages")


def _claims(snapshot: Snapshot) -> dict[str, Claim]:
    return {claim.gpr_id: claim for claim in snapshot.queue}


def _nodes(snapshot: Snapshot) -> dict[tuple[str, str], NodeView]:
    return {(node.cluster, node.name): node for node in snapshot.nodes}


def _starts(snapshot: Snapshot, found: Plan) -> dict[str, Start | None]:
    starts: dict[str, Start | None] = {}
    for grant in found.grants:
        nodes = dict.fromkeys(gpu.node for gpu in grant.gpus)
        starts[grant.gpr_id] = Start(snapshot.now, grant.cluster, tuple(nodes))
    for forecast in found.forecasts:
        starts[forecast.gpr_id] = (
            Start(forecast.starts_at, forecast.cluster, tuple(dict.fromkeys(forecast.nodes)))
            if forecast.starts_at and forecast.cluster
            else None
        )
    return starts


@law(300)
@given(WORLDS)
def test_every_start_and_place_is_the_one_that_trying_all_instants_finds(snapshot: Snapshot) -> None:
    assert _starts(snapshot, plan(snapshot)) == Oracle(snapshot).starts()


@LAW
@given(WORLDS)
def test_no_gpu_is_granted_twice_or_while_held_blocked_or_unusable(snapshot: Snapshot) -> None:
    held = {gpu for lease in snapshot.leases for gpu in lease.gpus}
    granted = [gpu for grant in plan(snapshot).grants for gpu in grant.gpus]
    nodes = _nodes(snapshot)
    assert len(granted) == len(set(granted))
    assert held.isdisjoint(granted)
    for gpu in granted:
        node = nodes[gpu.cluster, gpu.node]
        assert node.usable
        assert gpu.ordinal in set(range(node.gpus)) - node.blocked_ordinals


@LAW
@given(WORLDS)
def test_a_gang_is_whole_on_distinct_nodes_of_one_cluster(snapshot: Snapshot) -> None:
    for grant in plan(snapshot).grants:
        claim = _claims(snapshot)[grant.gpr_id]
        assert {gpu.cluster for gpu in grant.gpus} <= {grant.cluster}
        per_node = list(Counter(gpu.node for gpu in grant.gpus).values())
        if claim.spread and claim.gpus_per_node:
            assert per_node == [claim.gpus_per_node] * claim.nodes
        assert sum(per_node) == claim.gpus_per_node * claim.nodes
        assert all(count % claim.gpus_per_node == 0 for count in per_node)


@LAW
@given(WORLDS)
def test_no_more_is_granted_of_a_quota_than_it_has_left(snapshot: Snapshot) -> None:
    granted = [_claims(snapshot)[grant.gpr_id].uses for grant in plan(snapshot).grants]
    for limit in snapshot.limits:
        held = sum(amount for lease in snapshot.leases for key, amount in lease.uses if key == limit.key)
        more = sum(amount for uses in granted for key, amount in uses if key == limit.key)
        total = [limit.total, *(then for since, then in limit.changes if since <= snapshot.now)][-1]
        assert more == 0 or held + more <= total


@LAW
@given(WORLDS)
def test_a_workspace_never_has_two_exclusive_leases(snapshot: Snapshot) -> None:
    busy = {lease.workspace for lease in snapshot.leases if lease.exclusive}
    for grant in plan(snapshot).grants:
        claim = _claims(snapshot)[grant.gpr_id]
        if claim.exclusive:
            assert claim.workspace not in busy
            busy.add(claim.workspace)


@LAW
@given(WORLDS)
def test_every_claim_is_granted_or_forecast_and_positions_count_up(snapshot: Snapshot) -> None:
    found = plan(snapshot)
    named = [grant.gpr_id for grant in found.grants] + [forecast.gpr_id for forecast in found.forecasts]
    assert sorted(named) == sorted(_claims(snapshot))
    assert [forecast.position for forecast in found.forecasts] == list(range(1, len(found.forecasts) + 1))


@LAW
@given(WORLDS)
def test_a_forecast_lies_ahead_and_always_has_a_reason(snapshot: Snapshot) -> None:
    for forecast in plan(snapshot).forecasts:
        assert forecast.starts_at is None or forecast.starts_at > snapshot.now
        assert (forecast.starts_at is None) == (forecast.cluster is None)
        assert forecast.reason.text


@LAW
@given(WORLDS, st.randoms(use_true_random=False))
def test_the_order_of_the_input_makes_no_difference(snapshot: Snapshot, random: Random) -> None:
    shuffled = replace(
        snapshot,
        nodes=tuple(random.sample(snapshot.nodes, len(snapshot.nodes))),
        leases=tuple(random.sample(snapshot.leases, len(snapshot.leases))),
        queue=tuple(random.sample(snapshot.queue, len(snapshot.queue))),
    )
    assert plan(shuffled) == plan(snapshot)


@LAW
@given(drawn(world_and_newcomer))
def test_a_weaker_claim_never_changes_what_stronger_ones_get(world: tuple[Snapshot, Claim]) -> None:
    snapshot, newcomer = world
    weakest = replace(newcomer, priority=0, submitted_at=None)
    before, after = plan(snapshot), plan(replace(snapshot, queue=(*snapshot.queue, weakest)))
    assert [grant for grant in after.grants if grant.gpr_id != weakest.gpr_id] == list(before.grants)
    assert [forecast for forecast in after.forecasts if forecast.gpr_id != weakest.gpr_id] == list(before.forecasts)


@LAW
@given(WORLDS)
def test_grants_alone_are_the_grants_of_the_whole_plan(snapshot: Snapshot) -> None:
    assert decide(snapshot).grants == plan(snapshot).grants


@LAW
@given(WORLDS)
def test_what_is_said_about_one_claim_is_what_the_whole_plan_says(snapshot: Snapshot) -> None:
    whole = plan(snapshot)
    outcomes: list[Grant | Forecast] = [*whole.grants, *whole.forecasts]
    for outcome in outcomes:
        assert outcome_of(snapshot, outcome.gpr_id) == outcome
