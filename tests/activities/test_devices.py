"""What the devices are asked at teardown and before a lease, through the real pynvml and a library that a test changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from temporalio.testing import ActivityEnvironment

from activities.devices import NvmlDevices
from domain.failures import Unavailable
from tests.agent_kit import DRIVER_NOT_LOADED, FUNCTION_NOT_FOUND, LOST, MockNode, loaded, mock_node
from workflows.signatures.leases import DeviceCheck

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def node() -> Iterator[MockNode]:
    with mock_node("node-a", gpus=2) as gpus, loaded(gpus):
        yield gpus


def complaints(*ordinals: int) -> list[str]:
    return ActivityEnvironment().run(NvmlDevices().verify_devices, DeviceCheck("node-a", list(ordinals) or [0]))


def unfit(*ordinals: int) -> list[str]:
    return ActivityEnvironment().run(NvmlDevices().precheck_devices, DeviceCheck("node-a", list(ordinals)))


def test_an_idle_gpu_is_free(node: MockNode) -> None:
    assert complaints() == []


def test_a_gpu_with_a_process_is_not_free(node: MockNode) -> None:
    node.change(0, pids=2)
    assert complaints() == ["GPU 0 has 2 compute process(es)"]


def test_memory_left_in_use_is_noticed(node: MockNode) -> None:
    node.change(0, used=30_000)
    assert complaints() == ["GPU 0 has 30000 MiB in use"]


def test_a_gpu_that_wants_a_reset_is_not_given_to_others(node: MockNode) -> None:
    node.change(0, pending=1)
    assert complaints() == ["GPU 0 has rows to remap and wants a reset"]


def test_a_gpu_without_spare_rows_is_not_given_to_others(node: MockNode) -> None:
    node.change(0, failed=1)
    assert complaints() == ["GPU 0 has no spare rows left"]


def test_a_gpu_that_knows_nothing_of_rows_is_free_all_the_same(node: MockNode) -> None:
    node.change(0, fail=f"nvmlDeviceGetRemappedRows:{FUNCTION_NOT_FOUND}")
    assert complaints() == []


def test_a_gpu_that_cannot_be_read_is_not_taken_for_free(node: MockNode) -> None:
    node.change(0, lost=LOST)
    assert "cannot be read" in complaints()[0]


def test_only_the_gpus_of_the_lease_are_asked(node: MockNode) -> None:
    node.change(0, pids=1)
    assert complaints(1) == []


def test_without_a_driver_the_check_is_tried_again(node: MockNode) -> None:
    node.driver(init=DRIVER_NOT_LOADED)
    with pytest.raises(Unavailable):
        complaints()


# --- before a lease ---------------------------------------------------------------------------------------------------


def test_a_node_with_enough_gpus_at_rest_is_fit_whichever_they_are(node: MockNode) -> None:
    node.change(0, pids=1, used=30_000)
    assert unfit(0) == []


@pytest.mark.parametrize(
    ("trouble", "complaint"),
    [
        ({"pids": 2}, "GPU 1 has 2 compute process(es)"),
        ({"used": 30_000}, "GPU 1 has 30000 MiB in use"),
        ({"pending": 1}, "GPU 1 has rows to remap and wants a reset"),
        ({"failed": 1}, "GPU 1 has no spare rows left"),
    ],
)
def test_a_node_with_too_few_gpus_at_rest_is_not_fit(node: MockNode, trouble: dict[str, int], complaint: str) -> None:
    node.change(1, **trouble)
    assert unfit(0, 1) == ["1 of its 2 GPUs are at rest, not 2", complaint]


def test_a_node_whose_gpu_is_lost_is_not_fit_for_all_of_them(node: MockNode) -> None:
    node.change(1, lost=LOST)
    assert unfit(0) == []
    assert "GPU 1 cannot be read" in unfit(0, 1)[1]


def test_a_node_without_a_driver_is_not_fit(node: MockNode) -> None:
    node.driver(init=DRIVER_NOT_LOADED)
    assert unfit(0)[0].startswith("NVML does not answer")


def test_a_node_with_a_gpu_that_is_cut_is_left_to_its_pods(node: MockNode) -> None:
    node.change(0, mig=1)
    node.change(1, pids=1)
    assert unfit(0, 1) == []
