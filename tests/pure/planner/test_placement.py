from __future__ import annotations

from planner.plan import Grant, Plan, plan
from planner.snapshot import Claim, LeaseView, NodeView
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of


def _plan(*things: NodeView | LeaseView | Claim) -> Plan:
    return plan(a_snapshot(*things))


def _grant(*things: NodeView | LeaseView | Claim) -> Grant:
    return _plan(*things).grants[-1]


def test_the_lowest_free_ordinals_are_granted() -> None:
    held = a_lease("held", gpus_of("node-1", 0, 2), ends=HOUR)
    grant = _grant(a_node(blocked_ordinals=frozenset({1})), held, a_claim(gpus=2))
    assert grant.gpus == gpus_of("node-1", 3, 4)


def test_a_fragment_is_used_before_a_whole_node_is_broken() -> None:
    held = a_lease("held", gpus_of("node-2", *range(6)), ends=HOUR)
    assert _grant(a_node("node-1"), a_node("node-2"), held, a_claim(gpus=2)).gpus == gpus_of("node-2", 6, 7)


def test_equal_nodes_are_taken_by_name() -> None:
    assert _grant(a_node("node-b"), a_node("node-a"), a_claim(gpus=8)).gpus == gpus_of("node-a", *range(8))


def test_claims_of_one_pass_share_a_node_until_it_is_full() -> None:
    nodes = [a_node("node-1"), a_node("node-2")]
    grants = _plan(*nodes, *(a_claim(f"gpr-{number}", gpus=4) for number in range(3))).grants
    assert [grant.gpus[0].node for grant in grants] == ["node-1", "node-1", "node-2"]


def test_a_gang_stays_within_one_cluster() -> None:
    nodes = [a_node("a", cluster="east"), a_node("b", cluster="west"), a_node("c", cluster="west")]
    assert {gpu.node for gpu in _grant(*nodes, a_claim(gpus=8, nodes=2)).gpus} == {"b", "c"}


def test_the_preferred_cluster_wins_among_equal_starts() -> None:
    nodes = [a_node(cluster="east"), a_node(cluster="west")]
    assert _grant(*nodes, a_claim(clusters=("west", "east"))).cluster == "west"


def test_an_earlier_start_beats_the_preferred_cluster() -> None:
    busy = a_lease("busy", gpus_of("node-1", *range(8)), ends=60)
    nodes = [a_node(cluster="east"), a_node(cluster="west")]
    assert _grant(*nodes, busy, a_claim(clusters=("west", "east"))).cluster == "east"


def test_without_a_preference_the_tightest_cluster_is_taken() -> None:
    nodes = [a_node(cluster="east", gpus=8), a_node(cluster="west", gpus=1)]
    assert _grant(*nodes, a_claim()).cluster == "west"


def test_the_last_forecasts_node_is_kept_among_equal_starts() -> None:
    nodes = [a_node("node-1"), a_node("node-2")]
    claim = a_claim(gpus=8, planned_cluster="west", planned_nodes=("node-2",))
    assert _grant(*nodes, claim).gpus == gpus_of("node-2", *range(8))


def test_a_better_start_is_worth_leaving_the_planned_node() -> None:
    busy = a_lease("busy", gpus_of("node-2", 0), ends=HOUR)
    claim = a_claim(gpus=8, planned_cluster="west", planned_nodes=("node-2",))
    assert _grant(a_node("node-1"), a_node("node-2"), busy, claim).gpus == gpus_of("node-1", *range(8))


def test_shape_and_instance_type_may_be_sent_in_each_others_place() -> None:
    node = a_node(shape="NVIDIA-H100-80GB-HBM3", instance_type="p5.48xlarge")
    assert _grant(node, a_claim(shape="P5.48XLARGE", instance_type="nvidia-h100-80gb-hbm3"))


def test_a_gpu_that_reports_one_gib_less_still_suits() -> None:
    assert _plan(a_node(memory_gib=79), a_claim(memory_gib=80)).grants
    assert not _plan(a_node(memory_gib=78), a_claim(memory_gib=80)).grants


def test_a_node_that_failed_the_claim_is_left_out() -> None:
    claim = a_claim(excluded_nodes=frozenset({("west", "node-1")}))
    assert _grant(a_node("node-1"), a_node("node-2"), claim).gpus == gpus_of("node-2", 0)


def test_the_wait_of_a_claim_that_may_not_use_a_node_is_not_the_wait_of_others() -> None:
    busy = a_lease("busy", gpus_of("node-2", *range(8)), ends=60)
    picky = a_claim("picky", gpus=8, priority=250, excluded_nodes=frozenset({("west", "node-1")}))
    found = _plan(a_node("node-1"), a_node("node-2"), busy, picky, a_claim("other", gpus=8))
    assert [grant.gpr_id for grant in found.grants] == ["other"]


def test_priority_goes_before_the_order_of_submission() -> None:
    found = _plan(a_node(), a_claim("early", gpus=8), a_claim("urgent", gpus=8, priority=250))
    assert [grant.gpr_id for grant in found.grants] == ["urgent"]
    assert [(forecast.gpr_id, forecast.position) for forecast in found.forecasts] == [("early", 1)]


def test_a_short_claim_fills_the_gap_before_a_waiting_gang() -> None:
    held = a_lease("held", gpus_of("node-1", *range(4)), ends=2 * HOUR)
    found = _plan(a_node(), held, a_claim("gang", gpus=8, priority=250), a_claim("short", gpus=4))
    assert [grant.gpr_id for grant in found.grants] == ["short"]
    assert found.forecasts[0].starts_at == at(2 * HOUR + 5)


def test_a_claim_too_long_for_the_gap_waits_behind_the_gang() -> None:
    held = a_lease("held", gpus_of("node-1", *range(4)), ends=2 * HOUR)
    long = a_claim("long", gpus=4, duration_seconds=2 * HOUR + 1)
    found = _plan(a_node(), held, a_claim("gang", gpus=8, priority=250), long)
    assert [forecast.starts_at for forecast in found.forecasts] == [at(2 * HOUR + 5), at(3 * HOUR + 10)]


def test_a_gang_waits_until_its_nodes_are_free_together() -> None:
    nodes = [a_node("a", gpus=1, shape="T4"), a_node("b", gpus=1, shape="L4")]
    leases = [a_lease("first", gpus_of("a", 0), ends=100), a_lease("second", gpus_of("b", 0), ends=300)]
    stronger = a_claim("stronger", shape="T4", priority=250, not_before=at(200), duration_seconds=200)
    found = _plan(*nodes, *leases, stronger, a_claim("gang", nodes=2, duration_seconds=60))
    assert [forecast.starts_at for forecast in found.forecasts] == [at(200), at(405)]


def test_an_overdue_lease_is_never_free_now() -> None:
    overdue = a_lease("overdue", gpus_of("node-1", *range(8)), ends=-HOUR)
    assert _plan(a_node(), overdue, a_claim()).forecasts[0].starts_at == at(5)


def test_a_lease_that_ended_a_moment_ago_frees_when_its_teardown_was_due() -> None:
    ending = a_lease("ending", gpus_of("node-1", *range(8)), ends=-2)
    assert _plan(a_node(), ending, a_claim()).forecasts[0].starts_at == at(3)


def test_a_lease_on_an_unusable_node_still_holds_its_workspace() -> None:
    lost = a_lease("lost", gpus_of("node-2", 0), ends=HOUR, workspace="red", exclusive=True)
    nodes = [a_node("node-1"), a_node("node-2", usable=False)]
    found = _plan(*nodes, lost, a_claim(workspace="red", exclusive=True))
    assert found.forecasts[0].starts_at == at(HOUR + 5)


def test_without_a_preference_the_last_forecasts_cluster_is_kept_though_another_is_tighter() -> None:
    nodes = [a_node(cluster="east", gpus=1), a_node(cluster="west", gpus=8)]
    assert _grant(*nodes, a_claim(planned_cluster="west", planned_nodes=("node-1",))).cluster == "west"
