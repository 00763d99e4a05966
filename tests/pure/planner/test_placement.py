from __future__ import annotations

import pytest

from planner.plan import Forecast, Grant, Plan, decide, outcome_of, plan
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


def test_a_gang_fills_a_gap_that_is_exactly_as_long_as_it_stays() -> None:
    nodes = [a_node("node-1"), a_node("node-2")]
    busy = [a_lease(f"busy-{node.name}", gpus_of(node.name, *range(8)), ends=HOUR) for node in nodes]
    later = a_claim("later", gpus=8, priority=250, not_before=at(2 * HOUR))
    found = plan(a_snapshot(*nodes, *busy, later, a_claim("gang", gpus=8, nodes=2), turnaround_seconds=0))
    assert {forecast.gpr_id: forecast.starts_at for forecast in found.forecasts} == {
        "later": at(2 * HOUR),
        "gang": at(HOUR),
    }


def test_a_position_counts_only_those_that_wait_whether_or_not_they_have_a_start() -> None:
    sizes = {"first": 4, "second": 4, "large": 9, "last": 4}
    snapshot = a_snapshot(a_node(), *(a_claim(name, gpus=gpus) for name, gpus in sizes.items()))
    assert [(one.gpr_id, one.position) for one in plan(snapshot).forecasts] == [("large", 1), ("last", 2)]
    found = outcome_of(snapshot, "last")
    assert isinstance(found, Forecast)
    assert found.position == 2
    with pytest.raises(KeyError, match="nobody"):
        outcome_of(snapshot, "nobody")


def test_a_gang_that_waits_gets_the_tightest_of_the_nodes_that_come_free_together() -> None:
    nodes = [a_node(name, gpus=gpus) for name, gpus in (("a", 8), ("b", 8), ("c", 4))]
    busy = [a_lease(f"busy-{node.name}", gpus_of(node.name, *range(node.gpus)), ends=HOUR) for node in nodes]
    assert _plan(*nodes, *busy, a_claim("gang", gpus=2, nodes=2)).forecasts[0].nodes == ("c", "a")


@pytest.mark.parametrize("size", [1, 2])
def test_a_cluster_that_was_not_preferred_serves_the_next_at_the_very_same_instant(size: int) -> None:
    nodes = [a_node(f"node-{number}", cluster=name, gpus=1) for name in ("east", "west") for number in range(size)]
    busy = [a_lease(f"busy-{node}", gpus_of(node.name, 0, cluster=node.cluster), ends=HOUR) for node in nodes]
    claims = [a_claim(name, nodes=size, clusters=("west", "east")) for name in ("first", "second")]
    starts = [(forecast.starts_at, forecast.cluster) for forecast in _plan(*nodes, *busy, *claims).forecasts]
    assert starts == [(at(HOUR + 5), "west"), (at(HOUR + 5), "east")]


def test_a_gang_that_waits_leaves_a_planned_node_that_comes_free_later() -> None:
    nodes = [a_node(name) for name in ("a", "b", "c")]
    busy = [
        a_lease(f"busy-{name}", gpus_of(name, *range(8)), ends) for name, ends in zip("abc", (1, 2, 1), strict=True)
    ]
    gang = a_claim("gang", gpus=8, nodes=2, planned_cluster="west", planned_nodes=("a", "b"))
    assert _plan(*nodes, *busy, gang).forecasts[0].nodes == ("a", "c")


def test_the_tightest_node_is_taken_though_it_is_free_exactly_as_long_as_the_claim_stays() -> None:
    held = a_lease("held", gpus_of("node-1", *range(4)), ends=9 * HOUR)
    later = a_claim("later", gpus=4, priority=250, not_before=at(2 * HOUR), duration_seconds=2 * HOUR)
    claim = a_claim("claim", gpus=4, not_before=at(HOUR))
    found = plan(a_snapshot(a_node("node-1"), a_node("node-2"), held, later, claim, turnaround_seconds=0))
    assert [(one.starts_at, one.nodes) for one in found.forecasts] == [
        (at(2 * HOUR), ("node-1",)),
        (at(HOUR), ("node-1",)),
    ]


def test_a_node_that_failed_the_claim_is_left_out_of_what_is_free_later() -> None:
    claim = a_claim(excluded_nodes=frozenset({("west", "node-1")}), not_before=at(HOUR))
    assert _plan(a_node("node-1"), a_node("node-2"), claim).forecasts[0].nodes == ("node-2",)


def test_parts_that_may_share_a_node_fill_the_tightest_one_later_too() -> None:
    sharing = a_claim("sharing", gpus=2, nodes=2, spread=False, not_before=at(HOUR))
    assert _plan(a_node("node-1"), a_node("node-2"), sharing).forecasts[0].nodes == ("node-1", "node-1")


@pytest.mark.parametrize("first", [1, 4, 7])
def test_what_was_given_away_leaves_the_rest_to_be_decided_about(first: int) -> None:
    snapshot = a_snapshot(a_node(), a_claim("first", gpus=first), a_claim("second", gpus=8 - first))
    assert [grant.gpr_id for grant in decide(snapshot).grants] == ["first", "second"]


@pytest.mark.parametrize("teardown", [0, 5])
def test_a_lease_whose_teardown_is_due_at_this_very_instant_still_holds_its_gpus(teardown: int) -> None:
    due = a_lease("due", gpus_of("node-1", *range(8)), ends=-teardown)
    found = plan(a_snapshot(a_node(), due, a_claim(), turnaround_seconds=teardown))
    assert [forecast.starts_at for forecast in found.forecasts] == [at(max(teardown, 1))]


def test_what_only_waits_takes_nothing_of_what_is_decided_about_now() -> None:
    held = a_lease("held", gpus_of("node-1", *range(7)), ends=HOUR)
    waits, starts = a_claim("waits", gpus=8), a_claim("starts", duration_seconds=60)
    assert [grant.gpr_id for grant in decide(a_snapshot(a_node(), held, waits, starts)).grants] == ["starts"]


def test_among_nodes_of_several_kinds_the_tightest_is_taken_and_of_equally_tight_ones_by_name() -> None:
    nodes = [a_node("a"), a_node("b", shape="T4"), a_node("c", gpus=2, shape="T4"), a_node("d")]
    (small,) = _plan(*nodes, a_claim(gpus=2, not_before=at(1))).forecasts
    (gang,) = _plan(*nodes, a_claim(gpus=8, nodes=2, not_before=at(1))).forecasts
    assert (small.nodes, gang.nodes) == (("c",), ("a", "b"))


def test_the_largest_nodes_that_are_counted_can_be_had_whole() -> None:
    busy = a_lease("busy", gpus_of("node-2", 0), ends=HOUR)
    claims = a_claim("one", gpus=255, duration_seconds=60), a_claim("gang", gpus=255, nodes=2, not_before=at(1))
    found = plan(a_snapshot(a_node(gpus=300), a_node("node-2", gpus=255), busy, *claims, turnaround_seconds=0))
    assert [(grant.gpr_id, len(grant.gpus)) for grant in found.grants] == [("one", 255)]
    assert [forecast.starts_at for forecast in found.forecasts] == [at(HOUR)]


def test_of_nodes_that_are_equally_tight_a_gang_that_begins_later_takes_the_first_by_name() -> None:
    held = [a_lease(f"held-{name}", gpus_of(name, *range(6)), ends=HOUR) for name in ("a", "b", "c")]
    (gang,) = _plan(*map(a_node, "abcd"), *held, a_claim(gpus=2, nodes=2, not_before=at(1))).forecasts
    assert gang.nodes == ("a", "b")


def test_each_node_of_a_gang_is_one_of_its_own_though_one_has_room_for_all() -> None:
    gang, later = a_claim("gang", gpus=2, nodes=2), a_claim("later", gpus=2, nodes=2, not_before=at(HOUR))
    found = _plan(a_node("node-1"), a_node("node-2"), gang, later)
    assert sorted(gpu.node for gpu in found.grants[0].gpus) == ["node-1", "node-1", "node-2", "node-2"]
    assert found.forecasts[0].nodes == ("node-1", "node-2")


def test_the_first_of_two_clusters_is_taken_where_it_is_tighter_or_the_last_forecasts() -> None:
    assert _grant(a_node(cluster="east", gpus=1), a_node(cluster="west"), a_claim()).cluster == "east"
    planned = a_claim(planned_cluster="east", planned_nodes=("node-1",))
    assert _grant(a_node(cluster="east"), a_node(cluster="west", gpus=1), planned).cluster == "east"


def test_a_node_of_another_cluster_is_not_the_one_of_the_last_forecast_though_it_has_its_name() -> None:
    claim = a_claim(clusters=("west",), planned_cluster="east", planned_nodes=("node-1",))
    assert _grant(a_node("node-1"), a_node("node-2", gpus=1), claim).gpus == gpus_of("node-2", 0)
