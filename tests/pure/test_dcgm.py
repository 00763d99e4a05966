"""What a DCGM exporter says, and how it completes what NVML says."""

from __future__ import annotations

import pytest

from devices.dcgm import completed, parsed
from devices.nvml import DevicesUnavailable
from domain.devices import GpuHealth, GpuIdentity, GpuReading, NodeReading

GPU_0 = 'gpu="0",UUID="GPU-a",pci_bus_id="00000000:19:00.0",device="nvidia0",modelName="NVIDIA H100 80GB HBM3",Hostname="n1"'
TEXT = f"""
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{{{GPU_0},DCGM_FI_DRIVER_VERSION="580.82.07"}} 87
# HELP DCGM_FI_DEV_MEM_COPY_UTIL Memory utilization (in %).
# TYPE DCGM_FI_DEV_MEM_COPY_UTIL gauge
DCGM_FI_DEV_MEM_COPY_UTIL{{{GPU_0}}} 34
DCGM_FI_DEV_FB_USED{{{GPU_0}}} 61440
DCGM_FI_DEV_FB_FREE{{{GPU_0}}} 19519
DCGM_FI_DEV_FB_RESERVED{{{GPU_0}}} 600
DCGM_FI_DEV_POWER_USAGE{{{GPU_0}}} 512.25
DCGM_FI_DEV_GPU_TEMP{{{GPU_0}}} 61
DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{{{GPU_0}}} 2
DCGM_FI_DEV_ROW_REMAP_PENDING{{{GPU_0}}} 1
DCGM_FI_DEV_ROW_REMAP_FAILURE{{{GPU_0}}} 0
DCGM_FI_DEV_ECC_SBE_VOL_TOTAL{{{GPU_0}}} 2147483632
"""
CUT = """
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-b",modelName="H100",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 4000
DCGM_FI_DEV_FB_FREE{gpu="1",UUID="GPU-b",modelName="H100",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 5984
DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="1",UUID="GPU-b",modelName="H100",GPU_I_PROFILE="1g.10gb",GPU_I_ID="7"} 0.42
"""


def test_figures_of_a_gpu_are_a_reading() -> None:
    found = parsed(TEXT)
    assert found.gpus == (GpuIdentity("GPU-a", 0, "NVIDIA H100 80GB HBM3", 81_559),)
    assert found.readings == (GpuReading("GPU-a", 87, 34, 61, 61_440, 512.25, None),)


def test_errors_and_marks_are_its_health_and_blank_is_not_known() -> None:
    [health] = parsed(TEXT).health
    assert (health.ecc_uncorrected_volatile, health.row_remap_pending, health.row_remap_failed) == (2, True, False)
    assert health.ecc_corrected_volatile is None


def test_an_instance_is_one_of_its_gpu_and_its_use_is_what_profiling_says() -> None:
    found = parsed(CUT)
    whole, instance = found.gpus
    assert (whole.uuid, whole.mig_enabled, whole.mig_profile) == ("GPU-b", True, "")
    assert (instance.parent_uuid, instance.mig_profile, instance.ordinal) == ("GPU-b", "1g.10gb", 1)
    assert found.readings == (GpuReading(instance.uuid, utilisation_percent=42, memory_used_mib=4000),)


@pytest.mark.parametrize("text", ["", "up 1\n", "go_threads 9\n", 'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 5\n'])
def test_a_text_that_says_nothing_of_gpus_is_a_reading_of_none(text: str) -> None:
    assert parsed(text) == NodeReading()


def test_what_is_no_such_text_is_refused() -> None:
    with pytest.raises(DevicesUnavailable):
        parsed("<html>502</html>")


def test_the_exporter_fills_in_what_nvml_does_not_say_and_nothing_else() -> None:
    own = NodeReading(
        gpus=(GpuIdentity("GPU-a", 0, "H100", 81_559),),
        readings=(GpuReading("GPU-a", utilisation_percent=5, processes=1),),
        health=(GpuHealth("GPU-a", row_remap_pending=False),),
    )
    both = completed(own, parsed(TEXT))
    assert both.gpus == own.gpus
    assert both.readings == (GpuReading("GPU-a", 5, 34, 61, 61_440, 512.25, 1),)
    assert (both.health[0].row_remap_pending, both.health[0].ecc_uncorrected_volatile) == (False, 2)


def test_a_gpu_that_only_the_exporter_knows_is_there() -> None:
    assert [gpu.uuid for gpu in completed(NodeReading(), parsed(TEXT)).gpus] == ["GPU-a"]


def test_a_gpu_that_is_lost_is_not_there_again_by_what_an_exporter_last_knew() -> None:
    both = completed(NodeReading(lost=(0,)), parsed(TEXT))
    assert (both.gpus, both.readings, both.lost) == ((), (), (0,))
