"""When would it start? Asked of many wishes at once, and answered as if each were alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from planner.plan import Grant, Opening, openings, outcome_of
from planner.snapshot import Claim, Snapshot
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of
from tests.pure.planner.chance import Chance, drawn
from tests.pure.planner.worlds import any_claim, law, world

pytestmark = pytest.mark.usefixtures("small_pages")


def world_with_wishes(chance: Chance) -> tuple[Snapshot, list[Claim]]:
    snapshot = world(chance)
    wishes = [
        replace(any_claim(chance, 100 + number, snapshot.nodes), gpr_id=f"wish-{number}")
        for number in range(chance.number(1, 5))
    ]
    return snapshot, wishes


@law(200)
@given(drawn(world_with_wishes))
def test_each_wish_is_told_what_it_would_be_told_alone(asked: tuple[Snapshot, list[Claim]]) -> None:
    snapshot, wishes = asked
    found = openings(snapshot, wishes)
    assert found.keys() == {wish.gpr_id for wish in wishes}
    for wish in wishes:
        alone = outcome_of(replace(snapshot, queue=(*snapshot.queue, wish)), wish.gpr_id)
        expected = Opening(snapshot.now, None) if isinstance(alone, Grant) else Opening(alone.starts_at, alone.reason)
        assert found[wish.gpr_id] == expected


def test_many_sizes_of_one_shape_are_free_at_different_times() -> None:
    snapshot = a_snapshot(
        a_node("a"),
        a_node("b"),
        a_lease("short", gpus_of("a", 0, 1, 2, 3), HOUR),
        a_lease("long", gpus_of("b", *range(8)), 4 * HOUR),
        turnaround_seconds=0,
    )
    sizes = {1: (1, 1), 4: (1, 4), 8: (1, 8), 16: (2, 8), 32: (4, 8)}
    wishes = [a_claim(str(size), gpus=gpus, nodes=nodes) for size, (nodes, gpus) in sizes.items()]
    starts = {size: openings(snapshot, wishes)[str(size)].starts_at for size in sizes}
    assert starts == {1: at(0), 4: at(0), 8: at(HOUR), 16: at(4 * HOUR), 32: None}


def test_without_wishes_nothing_is_planned() -> None:
    assert openings(a_snapshot(a_node(), a_claim()), []) == {}
