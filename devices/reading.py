"""Everything that NVML says about the GPUs of this node, at once. What cannot be read is None and keeps nothing else back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pynvml

from devices.nvml import DRIVER_AWAY, MIB, ask, nvml
from domain.devices import SMALLINT_MAX, GpuHealth, GpuIdentity, GpuReading, NodeReading

if TYPE_CHECKING:
    from collections.abc import Iterator

Handle = Any
EIGHTHS = 8
"""MIG cuts a GPU's memory into so many parts."""


def read_node() -> NodeReading:
    """What all GPUs say now. Raises DevicesUnavailable when there is no driver."""
    with nvml():
        return merged([_read_gpu(ordinal) for ordinal in range(pynvml.nvmlDeviceGetCount())])


def _read_gpu(ordinal: int) -> NodeReading:
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(ordinal)
        identity = _identity(handle, ordinal)
        instances = list(_instances(handle, identity)) if identity.mig_enabled else []
        return NodeReading(
            gpus=(identity, *(each for each, _ in instances)),
            readings=(_reading(handle, identity.uuid), *(reading for _, reading in instances)),
            health=(_health(handle, identity.uuid),),
        )
    except DRIVER_AWAY:
        raise
    except pynvml.NVMLError:
        return NodeReading(lost=(ordinal,))


def _identity(handle: Handle, ordinal: int) -> GpuIdentity:
    memory = _memory(handle)
    mode = ask(lambda: pynvml.nvmlDeviceGetMigMode(handle))
    return GpuIdentity(
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        ordinal=ordinal,
        product=ask(lambda: pynvml.nvmlDeviceGetName(handle)) or "",
        memory_mib=memory.total // MIB if memory else 0,
        mig_enabled=mode is not None and mode[0] == pynvml.NVML_DEVICE_MIG_ENABLE,
    )


def _instances(handle: Handle, parent: GpuIdentity) -> Iterator[tuple[GpuIdentity, GpuReading]]:
    """MIG instances, which have memory and processes of their own; heat and power are their GPU's."""
    for place in range(ask(lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0):
        instance = ask(lambda place=place: pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place))  # type: ignore[misc]
        uuid = ask(lambda instance=instance: pynvml.nvmlDeviceGetUUID(instance)) if instance else None  # type: ignore[misc]
        if uuid is None:
            continue
        memory = _memory(instance)
        identity = GpuIdentity(
            uuid=uuid,
            ordinal=parent.ordinal,
            product=parent.product,
            memory_mib=memory.total // MIB if memory else 0,
            parent_uuid=parent.uuid,
            mig_profile=_profile(instance, parent),
        )
        yield identity, _reading(instance, uuid)


def _profile(instance: Handle, parent: GpuIdentity) -> str:
    """`1g.10gb`, from its name or, where that does not say it, from what it has."""
    name = ask(lambda: pynvml.nvmlDeviceGetName(instance)) or ""
    if " MIG " in name:
        return str(name.rpartition(" MIG ")[2])
    attributes = ask(lambda: pynvml.nvmlDeviceGetAttributes_v2(instance))
    if attributes is None:
        return ""
    slices, computes = attributes.gpuInstanceSliceCount, attributes.computeInstanceSliceCount
    gigabytes = _gigabytes(attributes.memorySizeMB, parent.memory_mib)
    shape = f"{slices}g.{gigabytes}gb"
    return shape if computes == slices else f"{computes}c.{shape}"


def _gigabytes(memory_mib: int, of_mib: int) -> int:
    """As profiles are called: the next eighth of all that the GPU has."""
    if not of_mib:
        return math.ceil(memory_mib / 1024)
    return round(math.ceil(memory_mib / of_mib * EIGHTHS) / EIGHTHS * math.ceil(of_mib / 1024))


def _reading(handle: Handle, uuid: str) -> GpuReading:
    rates = ask(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    memory = _memory(handle)
    milliwatts = ask(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
    processes = ask(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return GpuReading(
        uuid=uuid,
        utilisation_percent=_percent(rates.gpu) if rates else None,
        memory_percent=_percent(rates.memory) if rates else None,
        temperature_celsius=_temperature(handle),
        memory_used_mib=memory.used // MIB if memory else None,
        power_watts=milliwatts / 1000 if milliwatts is not None else None,
        processes=min(len(processes), SMALLINT_MAX) if processes is not None else None,
    )


def _health(handle: Handle, uuid: str) -> GpuHealth:
    rows = ask(lambda: pynvml.nvmlDeviceGetRemappedRows(handle))
    corrected, uncorrected = pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    volatile, aggregate = pynvml.NVML_VOLATILE_ECC, pynvml.NVML_AGGREGATE_ECC
    return GpuHealth(
        uuid=uuid,
        ecc_corrected_volatile=ask(lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, corrected, volatile)),
        ecc_uncorrected_volatile=ask(lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, uncorrected, volatile)),
        ecc_corrected_aggregate=ask(lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, corrected, aggregate)),
        ecc_uncorrected_aggregate=ask(lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, uncorrected, aggregate)),
        rows_remapped_corrected=rows[0] if rows else None,
        rows_remapped_uncorrected=rows[1] if rows else None,
        row_remap_pending=bool(rows[2]) if rows else None,
        row_remap_failed=bool(rows[3]) if rows else None,
    )


def _memory(handle: Handle) -> Any:
    """What version 2 says, which does not count what the driver reserves for itself as used; an old driver's otherwise."""
    newer = ask(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2))
    return newer or ask(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))


def _temperature(handle: Handle) -> int | None:
    """The older call goes with CUDA 14, the newer one came with driver 570."""
    newer = ask(lambda: pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    return newer if newer is not None else ask(lambda: _older_temperature(handle))


def _older_temperature(handle: Handle) -> int:
    return int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _percent(value: int) -> int:
    return min(max(value, 0), 100)


def merged(parts: list[NodeReading]) -> NodeReading:
    """As one."""
    return NodeReading(
        gpus=tuple(gpu for part in parts for gpu in part.gpus),
        readings=tuple(reading for part in parts for reading in part.readings),
        health=tuple(health for part in parts for health in part.health),
        lost=tuple(ordinal for part in parts for ordinal in part.lost),
    )
