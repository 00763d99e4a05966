"""Listens for Xids, which the driver tells each listener once and never again."""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pynvml

from devices.nvml import DevicesUnavailable, DriverChanged, nvml
from domain.devices import FaultKind, GpuFault

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_MILLISECONDS: Final = 1000
RETRY_SECONDS_FIRST: Final = 1.0
RETRY_SECONDS_MAX: Final = 30.0
NO_INSTANCE: Final = 0xFFFFFFFF


class XidListener:
    """A thread that listens and tells. It begins anew, ever more patiently, when the driver goes away under it.

    While it listens it keeps NVML open, which makes every other opening cheap.
    """

    def __init__(self, tell: Callable[[GpuFault], None]) -> None:
        self._tell = tell
        self._stop = threading.Event()
        self._anew = threading.Event()
        self._retry_seconds = RETRY_SECONDS_FIRST
        self._thread = threading.Thread(target=self._run, name="xids", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end, soon."""
        self._stop.set()
        self._anew.set()

    def listen_anew(self) -> None:
        """Other GPUs are there than before, or the driver is back."""
        self._anew.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._anew.clear()
            with suppress(DevicesUnavailable, DriverChanged), nvml():
                self._listen()
            if not self._anew.is_set():
                self._anew.wait(self._retry_seconds)
                self._retry_seconds = min(self._retry_seconds * 2, RETRY_SECONDS_MAX)

    def _listen(self) -> None:
        events = pynvml.nvmlEventSetCreate()
        try:
            gpus = _registered(events)
            while gpus and not self._anew.is_set():
                with suppress(pynvml.NVMLError_Timeout):
                    event = pynvml.nvmlEventSetWait_v2(events, WAIT_MILLISECONDS)
                    if event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                        self._tell(_fault(event, gpus))
                self._retry_seconds = RETRY_SECONDS_FIRST
        finally:
            with suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(events)


def _registered(events: Any) -> dict[int, tuple[int, str]]:
    """Ordinals and uuids by handle, of those GPUs that can be listened to: a lost one may tell neither later."""
    gpus = {}
    for ordinal in range(pynvml.nvmlDeviceGetCount()):
        with suppress(pynvml.NVMLError):
            handle = pynvml.nvmlDeviceGetHandleByIndex(ordinal)
            uuid = pynvml.nvmlDeviceGetUUID(handle)
            pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
            gpus[_address(handle)] = (ordinal, uuid)
    return gpus


def _fault(event: Any, gpus: dict[int, tuple[int, str]]) -> GpuFault:
    ordinal, uuid = gpus.get(_address(event.device), (-1, ""))
    detail = {} if event.gpuInstanceId in {0, NO_INSTANCE} else {"gpuInstance": event.gpuInstanceId}
    return GpuFault(ordinal, datetime.now(UTC), FaultKind.XID, uuid, int(event.eventData), detail)


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
