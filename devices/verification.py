"""Whether GPUs of this node are free and whole: asked before others get them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pynvml

from devices.nvml import MIB, ask, nvml
from domain.devices import MEMORY_FLOOR_MIB

if TYPE_CHECKING:
    from collections.abc import Sequence


def complaints(ordinals: Sequence[int]) -> list[str]:
    """Why these GPUs are not free, one sentence each. Raises DevicesUnavailable when there is no driver."""
    with nvml():
        return [complaint for ordinal in ordinals for complaint in _complaints(ordinal)]


def too_few_at_rest(count: int) -> list[str]:
    """Why fewer GPUs of this node than that are free and whole, one sentence each; nothing when enough are.

    Which of a node's GPUs the pods of a lease will get is the device plugin's choice, so the node is judged as a whole; where
    one of them is cut there is no such judgement. Raises DevicesUnavailable when there is no driver.
    """
    with nvml():
        ordinals = range(pynvml.nvmlDeviceGetCount())
        if any(_is_cut(ordinal) for ordinal in ordinals):
            return []
        each = [_complaints(ordinal) for ordinal in ordinals]
    at_rest = sum(not found for found in each)
    if at_rest >= count:
        return []
    return [f"{at_rest} of its {len(each)} GPUs are at rest, not {count}", *(one for found in each for one in found)]


def _is_cut(ordinal: int) -> bool:
    with suppress(pynvml.NVMLError):
        device = pynvml.nvmlDeviceGetHandleByIndex(ordinal)
        return bool(pynvml.nvmlDeviceGetMigMode(device)[0] == pynvml.NVML_DEVICE_MIG_ENABLE)
    return False


def _complaints(ordinal: int) -> list[str]:
    """Processes and memory must be readable to be believed; whether it wants a reset is asked of those that know."""
    try:
        device = pynvml.nvmlDeviceGetHandleByIndex(ordinal)
        processes = len(pynvml.nvmlDeviceGetComputeRunningProcesses(device))
        used_mib = pynvml.nvmlDeviceGetMemoryInfo(device).used // MIB
        rows = ask(lambda: pynvml.nvmlDeviceGetRemappedRows(device))
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError) as error:
        return [f"GPU {ordinal} cannot be read: {error}"]
    found = [f"GPU {ordinal} has {processes} compute process(es)"] if processes else []
    if used_mib > MEMORY_FLOOR_MIB:
        found.append(f"GPU {ordinal} has {used_mib} MiB in use")
    if rows and rows[2]:
        found.append(f"GPU {ordinal} has rows to remap and wants a reset")
    if rows and rows[3]:
        found.append(f"GPU {ordinal} has no spare rows left")
    return found
