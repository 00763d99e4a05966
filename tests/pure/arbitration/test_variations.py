from __future__ import annotations

from arbitration.variations import DURATION_SECONDS_MIN, HALVINGS_MAX, Change, other_shapes, variations
from tests.builders_planner import a_claim, a_node

T4 = a_node("t4", gpus=1, shape="Tesla-T4", instance_type="n1", memory_gib=15)
H100 = a_node("h100")
NODES = (T4, H100)


def changes(claim: object) -> dict[Change, list[tuple[str, int, int, int | None]]]:
    found: dict[Change, list[tuple[str, int, int, int | None]]] = {change: [] for change in Change}
    for change, one in variations(claim, NODES):  # type: ignore[arg-type]
        found[change].append((one.shape, one.nodes, one.gpus_per_node, one.duration_seconds))
    return found


def test_another_kind_is_asked_for_in_the_same_number_on_as_many_nodes_as_that_takes() -> None:
    assert changes(a_claim(gpus=8, shape="H100"))[Change.SHAPE] == [("Tesla-T4", 8, 1, 3600)]
    assert changes(a_claim(gpus=1, shape="Tesla-T4"))[Change.SHAPE] == [("H100", 1, 1, 3600)]


def test_who_takes_any_kind_is_offered_no_other() -> None:
    assert changes(a_claim(gpus=1))[Change.SHAPE] == []


def test_kinds_that_are_too_small_elsewhere_or_in_a_pool_are_not_offered() -> None:
    assert other_shapes(a_claim(gpus=1, shape="H100", memory_gib=80), NODES) == []
    assert other_shapes(a_claim(gpus=1, shape="H100", clusters=("east",)), NODES) == []
    pooled = a_node("t4", gpus=1, shape="Tesla-T4", pools=frozenset({"theirs"}))
    assert other_shapes(a_claim(gpus=1, shape="H100"), (pooled, H100)) == []
    assert len(other_shapes(a_claim(gpus=1, shape="H100", pool="theirs"), (pooled, H100))) == 1


def test_fewer_gpus_are_whole_nodes_first() -> None:
    assert [one[1:3] for one in changes(a_claim(gpus=8, nodes=4))[Change.GPUS]] == [(2, 8), (1, 8), (1, 4)]
    assert [one[1:3] for one in changes(a_claim(gpus=2))[Change.GPUS]] == [(1, 1)]
    assert len(changes(a_claim(gpus=64, nodes=64))[Change.GPUS]) == HALVINGS_MAX


def test_shorter_times_are_whole_minutes_from_long_to_short() -> None:
    durations = [one[3] for one in changes(a_claim(duration_seconds=1000))[Change.DURATION]]
    assert durations == [720, 480, 240, 120, 60]
    assert changes(a_claim(duration_seconds=DURATION_SECONDS_MIN))[Change.DURATION] == []
    assert changes(a_claim(duration_seconds=None))[Change.DURATION] == []


def test_what_counts_against_quotas_counts_by_the_number_of_gpus() -> None:
    claim = a_claim(gpus=8, uses=(("w/ns/gpus", 8), ("disk/d", 1)))
    (half, *_) = [one.claim for one in variations(claim, NODES) if one.change is Change.GPUS]
    assert half.uses == (("w/ns/gpus", 4), ("disk/d", 1))


def test_a_variation_is_a_claim_of_its_own_without_a_promise_or_a_place() -> None:
    claim = a_claim(gpus=8, planned_nodes=("h100",), planned_cluster="west")
    found = [one.claim for one in variations(claim, NODES)]
    assert len({one.gpr_id for one in found} | {claim.gpr_id}) == len(found) + 1
    assert all(not one.planned_nodes and one.sequence == claim.sequence for one in found)
