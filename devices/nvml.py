"""NVML opened and closed, and single questions that may fail on their own."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

import pynvml

from domain.failures import BerthFailure, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB: Final = 1024 * 1024
Answer = TypeVar("Answer")

DRIVER_AWAY: Final = (
    pynvml.NVMLError_Uninitialized,
    pynvml.NVMLError_DriverNotLoaded,
    pynvml.NVMLError_LibraryNotFound,
)
GPU_AWAY: Final = (
    pynvml.NVMLError_GpuIsLost,
    pynvml.NVMLError_GpuNotFound,
    pynvml.NVMLError_ResetRequired,
)


class DevicesUnavailable(Unavailable):
    """NVML does not answer: no driver, or it is being loaded."""

    code = "devices_unavailable"


class DriverChanged(BerthFailure):
    """The driver is another one than the library in this process, which must begin anew to load the one that fits."""

    code = "driver_changed"


@contextmanager
def nvml() -> Iterator[None]:
    """While this lasts NVML is open; it counts how often, so that several may have it open.

    Raises DevicesUnavailable, or DriverChanged.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibRmVersionMismatch as error:
        raise DriverChanged(f"{DriverChanged.__doc__} ({error})") from error
    except pynvml.NVMLError as error:
        raise DevicesUnavailable(f"NVML does not answer: {error}") from error
    try:
        yield
    except pynvml.NVMLError as error:
        raise DevicesUnavailable(f"NVML does not answer any longer: {error}") from error
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def ask(question: Callable[[], Answer]) -> Answer | None:
    """The answer, or None where this device or driver has none. A lost GPU or driver is no answer: that is raised."""
    try:
        return question()
    except (*DRIVER_AWAY, *GPU_AWAY):
        raise
    except (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError):
        return None
