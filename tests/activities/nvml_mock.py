"""A stand-in for NVIDIA's shared library under the real pynvml: its own marshalling runs, only the driver is missing."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pynvml

if TYPE_CHECKING:
    from collections.abc import Sequence

MIB = 1024 * 1024


@dataclass(slots=True)
class MockGpu:
    used_mib: int = 450
    processes: int = 0
    lost: bool = False


class MockNvml:
    """Answers the calls that Berth makes; any other is missing, as in an old driver."""

    def __init__(self, gpus: Sequence[MockGpu], *, initialises: bool = True) -> None:
        self._gpus = gpus
        self._initialises = initialises

    def nvmlInitWithFlags(self, _flags: int) -> int:  # noqa: N802 - the driver's names
        return int(pynvml.NVML_SUCCESS if self._initialises else pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    def nvmlShutdown(self) -> int:  # noqa: N802
        return int(pynvml.NVML_SUCCESS)

    def nvmlErrorString(self, _code: int) -> bytes:  # noqa: N802
        return b"mock error"

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:  # noqa: N802
        place = ctypes.cast(ctypes.pointer(handle._obj), ctypes.POINTER(ctypes.c_void_p))
        place[0] = index.value + 1
        return int(pynvml.NVML_SUCCESS if index.value < len(self._gpus) else pynvml.NVML_ERROR_INVALID_ARGUMENT)

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any, count: Any, infos: Any) -> int:  # noqa: N802
        gpu = self._gpu(handle)
        if gpu.lost:
            return int(pynvml.NVML_ERROR_GPU_IS_LOST)
        count._obj.value = gpu.processes
        if gpu.processes and not infos:
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        return int(pynvml.NVML_SUCCESS)

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: N802
        memory._obj.used = self._gpu(handle).used_mib * MIB
        return int(pynvml.NVML_SUCCESS)

    def _gpu(self, handle: Any) -> MockGpu:
        return self._gpus[ctypes.cast(handle, ctypes.c_void_p).value - 1]  # type: ignore[operator]


def install(nvml: MockNvml) -> None:
    pynvml.nvmlLib = nvml
    pynvml._nvmlGetFunctionPointer_cache.clear()
