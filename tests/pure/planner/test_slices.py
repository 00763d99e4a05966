"""What is cut or shared is a shape of its own: only who asks for it by name gets it."""

from __future__ import annotations

from typing import Any

import pytest

from planner.plan import plan
from planner.reasons import ReasonCode
from planner.snapshot import Closure, NodeView
from tests.builders_planner import HOUR, a_claim, a_node, a_snapshot, at, gpus_of

SLICE = "A100-MIG-1g.5gb"
PART = "node-1/mig-1g.5gb"


def the_instances(gpus: int = 7, **other: Any) -> NodeView:
    return a_node(PART, gpus, shape=SLICE, instance_type="p4d", memory_gib=5, sliced=True, **other)


@pytest.mark.parametrize(
    "asked", [{}, {"shape": "A100"}, {"shape": "p4d"}, {"instance_type": "p4d"}, {"memory_gib": 4}]
)
def test_whoever_does_not_name_it_never_gets_a_part_of_a_gpu(asked: dict[str, Any]) -> None:
    (forecast,) = plan(a_snapshot(the_instances(), a_claim(**asked))).forecasts
    assert (forecast.starts_at, forecast.reason.code) == (None, ReasonCode.NO_SUCH_SHAPE)


@pytest.mark.parametrize("asked", [{"shape": SLICE}, {"shape": SLICE.lower()}, {"instance_type": SLICE}])
def test_whoever_names_it_gets_it(asked: dict[str, Any]) -> None:
    (grant,) = plan(a_snapshot(a_node("node-1/gpu", 4), the_instances(), a_claim(gpus=2, **asked))).grants
    assert grant.gpus == gpus_of(PART, 0, 1)


def test_whole_gpus_of_a_cut_node_are_for_who_asks_for_gpus() -> None:
    nodes = a_node("node-1/gpu", 4, shape="A100"), the_instances()
    (grant,) = plan(a_snapshot(*nodes, a_claim(gpus=4))).grants
    assert grant.gpus == gpus_of("node-1/gpu", *range(4))


def test_an_instance_is_named_with_its_memory() -> None:
    (forecast,) = plan(a_snapshot(the_instances(), a_claim(shape=SLICE, memory_gib=20))).forecasts
    assert forecast.reason.code is ReasonCode.NOT_ENOUGH_MEMORY


def test_maintenance_of_a_node_closes_its_parts() -> None:
    away = Closure("west", "node-1", at(-60), at(HOUR), "new cables")
    snapshot = a_snapshot(the_instances(), a_claim(shape=SLICE), closures=(away,))
    (forecast,) = plan(snapshot).forecasts
    assert forecast.starts_at == at(HOUR)
