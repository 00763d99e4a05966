from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.dialects.gpuctl.translation import age, cpu_text, gpu_detail, memory_text, page
from api.operations.nodes import PooledNode
from domain.hardware import Node, NodeState

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def a_node(*, gpus: int, held: int, foreign: int, free: int, state: NodeState = NodeState.READY) -> PooledNode:
    node = Node("east", "n", "Tesla-T4", "t", gpus, 15360, "here", "", state, "", free, foreign)
    return PooledNode(node, held, ())


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=-1), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(minutes=59), "59m"),
        (timedelta(hours=2), "2h"),
        (timedelta(hours=23, minutes=59), "23h"),
        (timedelta(days=40), "40d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(passed: timedelta, text: str) -> None:
    assert age(NOW - passed, NOW) == text


def test_amounts_are_spelled_as_kubernetes_does() -> None:
    assert [cpu_text(millis) for millis in (0, 500, 8000)] == ["0", "500m", "8"]
    assert [memory_text(mebibytes) for mebibytes in (0, 512, 1024, 1500)] == ["0Mi", "512Mi", "1Gi", "1500Mi"]


def test_pages_are_counted_from_one() -> None:
    assert [page("abcde", number, 2) for number in (1, 3, 4)] == [["a", "b"], ["e"], []]


def test_each_gpu_is_used_free_or_neither() -> None:
    shown = gpu_detail(a_node(gpus=4, held=1, foreign=1, free=2))
    assert [gpu.status for gpu in shown.gpus] == ["used", "used", "free", "free"]
    away = gpu_detail(a_node(gpus=2, held=1, foreign=0, free=0, state=NodeState.NOT_READY))
    assert [gpu.status for gpu in away.gpus] == ["used", "unavailable"]
