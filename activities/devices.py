"""Asks the devices of a node through NVML. Runs in the node's own agent; reading changes nothing."""

import pynvml
from temporalio import activity

from domain.failures import NotReadyYet
from workflows.signatures import DeviceCheck, Devices

MEMORY_FLOOR_MIB = 1024
"""What drivers and persistence use on an idle device; above it somebody's memory is left."""
_MIB = 1024 * 1024


class NvmlDevices(Devices):
    """The GPUs of the node that this process runs on."""

    @activity.defn(name="verify_devices")
    def verify_devices(self, check: DeviceCheck) -> list[str]:
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NotReadyYet(f"NVML on {check.node} does not answer: {error}") from error
        try:
            return [complaint for ordinal in check.ordinals for complaint in _complaints(ordinal)]
        finally:
            pynvml.nvmlShutdown()


def _complaints(ordinal: int) -> list[str]:
    """Why this GPU is not free, as far as it can be read."""
    try:
        device = pynvml.nvmlDeviceGetHandleByIndex(ordinal)
        processes = len(pynvml.nvmlDeviceGetComputeRunningProcesses(device))
        used_mib = pynvml.nvmlDeviceGetMemoryInfo(device).used // _MIB
    except pynvml.NVMLError as error:
        return [f"GPU {ordinal} cannot be read: {error}"]
    complaints = [f"GPU {ordinal} has {processes} compute process(es)"] if processes else []
    if used_mib > MEMORY_FLOOR_MIB:
        complaints.append(f"GPU {ordinal} has {used_mib} MiB in use")
    return complaints
