"""What a GPU says is read as far as it can be, through the real pynvml and a library that a test changes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pynvml
import pytest

from devices.__main__ import main as show
from devices.nvml import DevicesUnavailable, DriverChanged
from devices.reading import read_node
from devices.xids import XidListener
from domain.devices import FaultKind, GpuFault, GpuHealth, GpuReading
from tests.agent_kit import (
    DRIVER_NOT_LOADED,
    FUNCTION_NOT_FOUND,
    LOST,
    NO_PERMISSION,
    NOT_SUPPORTED,
    VERSION_MISMATCH,
    MockInstance,
    MockNode,
    loaded,
    mock_node,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READINGS = {
    "nvmlDeviceGetUtilizationRates": {"utilisation_percent", "memory_percent"},
    "nvmlDeviceGetPowerUsage": {"power_watts"},
    "nvmlDeviceGetComputeRunningProcesses_v3": {"processes"},
}
HEALTH = {
    "nvmlDeviceGetTotalEccErrors": {
        "ecc_corrected_volatile",
        "ecc_uncorrected_volatile",
        "ecc_corrected_aggregate",
        "ecc_uncorrected_aggregate",
    },
    "nvmlDeviceGetRemappedRows": {
        "rows_remapped_corrected",
        "rows_remapped_uncorrected",
        "row_remap_pending",
        "row_remap_failed",
    },
}
UNKNOWN = 999
LISTEN_SECONDS_MAX = 20


@pytest.fixture
def node() -> Iterator[MockNode]:
    with mock_node("node-a", gpus=2) as gpus, loaded(gpus):
        gpus.change(0, util=97, mem=41, temp=66, used=60_000, power=512_500, pids=3, ecc=1, ecc_total=4)
        yield gpus


def first() -> tuple[GpuReading, GpuHealth]:
    reading = read_node()
    return reading.readings[0], reading.health[0]


def unread(thing: GpuReading | GpuHealth) -> set[str]:
    return {name for name in thing.__slots__ if getattr(thing, name) is None}


def test_everything_a_gpu_says_is_read(node: MockNode) -> None:
    uuid = node.gpus[0].uuid
    reading, health = first()
    assert reading == GpuReading(uuid, 97, 41, 66, 60_000, 512.5, 3)
    assert health == GpuHealth(uuid, 0, 1, 0, 4, 0, 0, row_remap_pending=False, row_remap_failed=False)
    identity = read_node().gpus[0]
    assert (identity.ordinal, identity.product, identity.memory_mib) == (0, "NVIDIA H100 80GB HBM3", 81_559)


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND, UNKNOWN])
@pytest.mark.parametrize("function", READINGS | HEALTH)
def test_what_one_call_cannot_read_keeps_nothing_else_back(node: MockNode, function: str, code: int) -> None:
    node.change(0, fail=f"{function}:{code}")
    reading, health = first()
    assert unread(reading) | unread(health) == (READINGS | HEALTH)[function]


def test_an_older_driver_is_asked_in_older_words(node: MockNode) -> None:
    missing = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMigMode")
    node.driver(fail=",".join(f"{name}:{FUNCTION_NOT_FOUND}" for name in missing))
    reading, _ = first()
    assert (reading.temperature_celsius, reading.memory_used_mib) == (66, 60_000)


def test_a_gpu_without_any_reading_is_there_all_the_same(node: MockNode) -> None:
    functions = [*READINGS, *HEALTH, "nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", "nvmlDeviceGetName"]
    functions += ["nvmlDeviceGetMemoryInfo", "nvmlDeviceGetMemoryInfo_v2"]
    node.change(0, fail=",".join(f"{name}:{UNKNOWN}" for name in functions))
    found = read_node()
    assert found.readings[0] == GpuReading(node.gpus[0].uuid)
    assert found.gpus[0].memory_mib == 0


def test_a_lost_gpu_is_said_to_be_lost_and_the_others_are_read(node: MockNode) -> None:
    node.change(0, lost=LOST)
    found = read_node()
    assert found.lost == (0,)
    assert [gpu.uuid for gpu in found.gpus] == [node.gpus[1].uuid]


def test_a_gpu_that_is_lost_while_it_is_read_is_lost(node: MockNode) -> None:
    node.change(0, fail=f"nvmlDeviceGetPowerUsage:{LOST}")
    assert read_node().lost == (0,)


def test_mig_instances_have_profile_and_parent_and_readings_of_their_own(node: MockNode) -> None:
    small = MockInstance("MIG-1", used=8_000, pids=1)
    unnamed = MockInstance("MIG-2", name="", total=40_448, gslices=3, cslices=3)
    part = MockInstance("MIG-3", name="", total=40_448, gslices=3, cslices=1)
    node.change(0, mig=1, instances=[small, unnamed, part])
    found = read_node()
    whole, *instances, _ = found.gpus
    assert whole.mig_enabled
    assert [gpu.mig_profile for gpu in instances] == ["1g.10gb", "3g.40gb", "1c.3g.40gb"]
    assert {(gpu.parent_uuid, gpu.ordinal) for gpu in instances} == {(whole.uuid, 0)}
    readings = {one.uuid: one for one in found.readings}
    assert readings["MIG-1"] == GpuReading("MIG-1", memory_used_mib=8_000, processes=1)
    assert readings[whole.uuid].utilisation_percent is None
    assert readings[whole.uuid].power_watts == 512.5


def test_without_a_driver_nothing_is_read_and_with_it_everything_again(node: MockNode) -> None:
    node.driver(init=DRIVER_NOT_LOADED)
    with pytest.raises(DevicesUnavailable):
        read_node()
    node.driver(init=0)
    assert len(read_node().gpus) == 2


def test_a_driver_that_is_another_one_than_the_library_wants_a_new_process(node: MockNode) -> None:
    node.driver(init=VERSION_MISMATCH)
    with pytest.raises(DriverChanged):
        read_node()


def test_each_xid_is_told_once_and_only_those_that_come_while_somebody_listens(node: MockNode) -> None:
    node.xid(0, 13)
    with listening() as heard:
        until(lambda: told_again(node, heard))
        node.xid(1, 79)
        node.xid(1, 79)
        until(lambda: len(codes(heard, 1)) == 2)
    assert codes(heard, 1) == [79, 79]
    assert 13 not in codes(heard, 0)
    assert {fault.uuid for fault in heard if fault.ordinal == 1} == {node.gpus[1].uuid}
    assert {fault.kind for fault in heard} == {FaultKind.XID}


def test_who_listens_hears_again_after_the_driver_was_away(node: MockNode) -> None:
    with listening() as heard:
        until(lambda: told_again(node, heard))
        node.driver(init=DRIVER_NOT_LOADED)
        until(lambda: pynvml._nvmlLib_refcount == 0)
        node.driver(init=0)
        until(lambda: told_again(node, heard, code=48))


def test_a_lost_gpu_does_not_keep_the_others_from_being_heard(node: MockNode) -> None:
    node.change(0, lost=LOST)
    with listening() as heard:
        until(lambda: told_again(node, heard, ordinal=1))


class listening:  # noqa: N801 - read like a function
    def __init__(self) -> None:
        self.heard: list[GpuFault] = []
        self.listener = XidListener(self.heard.append)

    def __enter__(self) -> list[GpuFault]:
        self.listener.start()
        return self.heard

    def __exit__(self, *_: object) -> None:
        self.listener.stop()
        self.listener._thread.join()


def codes(heard: list[GpuFault], ordinal: int) -> list[int | None]:
    return [fault.code for fault in heard if fault.ordinal == ordinal]


def told_again(node: MockNode, heard: list[GpuFault], ordinal: int = 0, code: int = 94) -> bool:
    """Nothing says when somebody has begun to listen; so something is told until it was heard."""
    if code in codes(heard, ordinal):
        return True
    node.xid(ordinal, code)
    return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LISTEN_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_people_are_shown_what_a_machine_says(node: MockNode, capsys: pytest.CaptureFixture[str]) -> None:
    assert show() == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["readings"][0]["power_watts"] == 512.5
    assert shown["complaints"] == ["GPU 0 has 3 compute process(es)", "GPU 0 has 60000 MiB in use"]
    node.driver(init=DRIVER_NOT_LOADED)
    assert show() == 1
    assert "NVML does not answer" in capsys.readouterr().err
