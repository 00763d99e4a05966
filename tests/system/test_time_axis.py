"""What is said about time comes true on the real stack: what-ifs, promises against a steady stream, extensions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from cli.client import Refused
from domain.gpr import Phase
from tests.system.steady_stream import BUSY_MAX, FREE_GPUS, NODES, STREAMS, Town, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.installation import Installation

pytestmark = pytest.mark.timeout(600)

WHAT_IF_ERROR_MAX = timedelta(seconds=10)
"""For each lease that it waits for: between what provisioning and teardown are expected to take, and take on a busy machine."""
GANG = {"nodes": NODES, "gpus_per_node": FREE_GPUS}


@pytest.fixture(scope="module")
def town(installation: Installation) -> Iterator[Town]:
    made = Town(installation)
    made.wall()
    yield made
    made.leave()


def test_what_was_said_before_submitting_is_what_then_happens(town: Town) -> None:
    spaces = [town.workspace() for _ in range(3)]
    wishes: list[dict[str, Any]] = [
        {"workspace": spaces[0], "duration": "6s", **GANG},
        {"workspace": spaces[1], "duration": "5s", **GANG},
        {"workspace": spaces[2], "duration": "5s", "gpus_per_node": 1},
    ]
    said = town.what_if(*wishes)
    ids = [town.submit(name=f"wish-{number}", **wish).id for number, wish in enumerate(wishes)]
    for before, (gpr_id, one) in enumerate(zip(ids, said, strict=True)):
        gpr = town.reached(gpr_id, Phase.EXPIRED)
        assert one.estimate.starts_at
        assert gpr.active_at
        assert abs(gpr.active_at - one.estimate.starts_at) <= WHAT_IF_ERROR_MAX * max(1, before)


def test_a_promised_gang_starts_by_its_first_promised_time_however_many_stronger_ones_come(town: Town) -> None:
    (kept,) = play(town, [town.workspace() for _ in range(STREAMS)], town.workspace(), seconds=0)
    assert kept.is_kept, str(kept)
    assert kept.came_later >= 3
    assert kept.waited_longer >= 1


def test_an_extension_is_refused_where_a_promise_would_slip_and_granted_where_none_does(town: Town) -> None:
    running = town.reached(town.submit(town.workspace(), "first", "20s", **GANG).id, Phase.ACTIVE)
    gang = town.estimated(town.submit(town.workspace(), "promised", "4s", **GANG).id)
    promise = town.native.promise(gang.id).promise
    assert promise
    assert promise.starts_at
    with pytest.raises(Refused, match="promised"):
        town.extend(running.id, 600)
    before = running.end_at
    granted = town.extend(running.id, 600, or_longest=True)
    assert before
    assert granted.gpr.end_at == before + timedelta(seconds=granted.seconds)
    assert 0 < granted.seconds < 600
    assert town.granted_at(town.reached(gang.id, Phase.EXPIRED).id) <= promise.starts_at + BUSY_MAX
    assert town.native.gpr(running.id).phase is Phase.EXPIRED


def test_the_errors_of_what_was_shown_are_told_and_measured(town: Town) -> None:
    told = town.native.honesty()
    assert sum(item.shown for item in told.items) >= 3
    assert all(0 <= item.inside_share <= 1 for item in told.items)
