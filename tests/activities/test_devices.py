"""What the devices are asked at teardown, through the real pynvml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pynvml
import pytest
from temporalio.testing import ActivityEnvironment

from activities.devices import NvmlDevices
from domain.failures import NotReadyYet
from tests.activities.nvml_mock import MockGpu, MockNvml, install
from workflows.signatures import DeviceCheck

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def real_library_again() -> Iterator[None]:
    before = pynvml.nvmlLib
    yield
    pynvml.nvmlLib = before
    pynvml._nvmlGetFunctionPointer_cache.clear()


def complaints(*gpus: MockGpu, ordinals: tuple[int, ...] = (0,)) -> list[str]:
    install(MockNvml(gpus))
    return ActivityEnvironment().run(NvmlDevices().verify_devices, DeviceCheck("node-a", list(ordinals)))


def test_an_idle_gpu_is_free() -> None:
    assert complaints(MockGpu()) == []


def test_a_gpu_with_a_process_is_not_free() -> None:
    assert complaints(MockGpu(processes=2)) == ["GPU 0 has 2 compute process(es)"]


def test_memory_left_in_use_is_noticed() -> None:
    assert complaints(MockGpu(used_mib=30_000)) == ["GPU 0 has 30000 MiB in use"]


def test_a_gpu_that_cannot_be_read_is_not_taken_for_free() -> None:
    assert "cannot be read" in complaints(MockGpu(lost=True))[0]


def test_only_the_gpus_of_the_lease_are_asked() -> None:
    assert complaints(MockGpu(processes=1), MockGpu(), ordinals=(1,)) == []


def test_without_a_driver_the_check_is_tried_again() -> None:
    install(MockNvml([], initialises=False))
    with pytest.raises(NotReadyYet):
        ActivityEnvironment().run(NvmlDevices().verify_devices, DeviceCheck("node-a", [0]))
