"""A DCGM exporter as a second source: what it says of GPUs where NVML could not be asked, or had no answer.

Its text is Prometheus' format; each figure bears its GPU's number and UUID, and a MIG instance's also its profile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from devices.nvml import DevicesUnavailable
from domain.devices import GpuHealth, GpuIdentity, GpuReading, NodeReading, filled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.samples import Sample

SECONDS_MAX: Final = 5.0
BYTES_MAX: Final = 8 * 1024 * 1024
PERCENT_MAX: Final = 100
NOT_KNOWN_FROM: Final = 0x7FFFFFF0
"""DCGM writes "blank" as numbers from here on."""


@dataclass(slots=True)
class _Figures:
    """All figures of one GPU or instance, by metric, and what it is."""

    labels: Mapping[str, str]
    values: dict[str, float] = field(default_factory=dict)

    def whole(self, name: str) -> int | None:
        value = self.values.get(name)
        return None if value is None else round(value)

    def mark(self, name: str) -> bool | None:
        value = self.values.get(name)
        return None if value is None else value > 0


async def read_exporter(url: str) -> NodeReading:
    """What the exporter at this URL (its `/metrics`) says now. Raises DevicesUnavailable."""
    try:
        async with httpx.AsyncClient(timeout=SECONDS_MAX, trust_env=False) as client:
            answer = await client.get(url)
            answer.raise_for_status()
    except httpx.HTTPError as error:
        raise DevicesUnavailable(f"the DCGM exporter does not answer: {error}") from error
    return parsed(answer.text[:BYTES_MAX])


def parsed(text: str) -> NodeReading:
    """The reading that a text of the exporter is. Raises DevicesUnavailable when it is none."""
    try:
        families = list(text_string_to_metric_families(text))
    except ValueError as error:
        raise DevicesUnavailable(f"what the DCGM exporter says is no Prometheus text: {error}") from error
    gpus = _by_gpu(sample for family in families for sample in family.samples)
    cut = {figures.labels["UUID"] for key, figures in gpus.items() if key[1]}
    return NodeReading(
        gpus=tuple(_identity(key, figures, cut) for key, figures in gpus.items()),
        readings=tuple(_reading(key, figures) for key, figures in gpus.items() if figures.values),
        health=tuple(_health(key[0], figures) for key, figures in gpus.items() if not key[1]),
    )


def completed(reading: NodeReading, other: NodeReading) -> NodeReading:
    """A reading with what only the other source knows: GPUs, and figures of a GPU that are missing."""
    known = {gpu.uuid for gpu in reading.gpus}
    lost = set(reading.lost)
    more = {
        gpu.uuid for gpu in other.gpus if gpu.uuid not in known and gpu.ordinal not in lost and not _is_cut(gpu, known)
    }
    readings = {each.uuid: each for each in other.readings}
    health = {each.uuid: each for each in other.health}
    return NodeReading(
        gpus=(*reading.gpus, *(gpu for gpu in other.gpus if gpu.uuid in more)),
        readings=(
            *(filled(each, readings.get(each.uuid)) for each in reading.readings),
            *(each for each in other.readings if each.uuid in more),
        ),
        health=(
            *(filled(each, health.get(each.uuid)) for each in reading.health),
            *(each for each in other.health if each.uuid in more),
        ),
        lost=reading.lost,
    )


def _is_cut(gpu: GpuIdentity, known: set[str]) -> bool:
    """An instance of a GPU that NVML knows is known to it, too, by a name of its own."""
    return gpu.parent_uuid in known


def _by_gpu(samples: Iterable[Sample]) -> dict[tuple[str, str], _Figures]:
    """By uuid and, of a MIG instance, its number on the GPU."""
    gpus: dict[tuple[str, str], _Figures] = {}
    for sample in samples:
        uuid = sample.labels.get("UUID", "")
        if uuid and sample.name.startswith("DCGM_FI_") and 0 <= sample.value < NOT_KNOWN_FROM:
            key = (uuid, sample.labels.get("GPU_I_ID", ""))
            gpus.setdefault((uuid, ""), _Figures(sample.labels))  # of a GPU that is cut, nothing is said of itself
            gpus.setdefault(key, _Figures(sample.labels)).values[sample.name] = sample.value
    return gpus


def _uuid(key: tuple[str, str]) -> str:
    return f"{key[0]}/{key[1]}" if key[1] else key[0]


def _identity(key: tuple[str, str], figures: _Figures, cut: set[str]) -> GpuIdentity:
    parts = (figures.whole(f"DCGM_FI_DEV_FB_{part}") or 0 for part in ("USED", "FREE", "RESERVED"))
    ordinal = figures.labels.get("gpu", "")
    return GpuIdentity(
        uuid=_uuid(key),
        ordinal=int(ordinal) if ordinal.isdecimal() else 0,
        product=figures.labels.get("modelName", ""),
        memory_mib=sum(parts),
        parent_uuid=key[0] if key[1] else "",
        mig_profile=figures.labels.get("GPU_I_PROFILE", "") if key[1] else "",
        mig_enabled=not key[1] and key[0] in cut,
    )


def _reading(key: tuple[str, str], figures: _Figures) -> GpuReading:
    return GpuReading(
        uuid=_uuid(key),
        utilisation_percent=_utilisation(figures),
        memory_percent=_at_most(figures.whole("DCGM_FI_DEV_MEM_COPY_UTIL"), PERCENT_MAX),
        temperature_celsius=figures.whole("DCGM_FI_DEV_GPU_TEMP"),
        memory_used_mib=figures.whole("DCGM_FI_DEV_FB_USED"),
        power_watts=figures.values.get("DCGM_FI_DEV_POWER_USAGE"),
    )


def _utilisation(figures: _Figures) -> int | None:
    """Of a MIG instance only the profiling figure is known, a share of 1."""
    percent = figures.whole("DCGM_FI_DEV_GPU_UTIL")
    share = figures.values.get("DCGM_FI_PROF_GR_ENGINE_ACTIVE")
    if percent is None and share is not None:
        percent = round(share * PERCENT_MAX)
    return _at_most(percent, PERCENT_MAX)


def _health(uuid: str, figures: _Figures) -> GpuHealth:
    return GpuHealth(
        uuid=uuid,
        ecc_corrected_volatile=figures.whole("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"),
        ecc_uncorrected_volatile=figures.whole("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"),
        ecc_corrected_aggregate=figures.whole("DCGM_FI_DEV_ECC_SBE_AGG_TOTAL"),
        ecc_uncorrected_aggregate=figures.whole("DCGM_FI_DEV_ECC_DBE_AGG_TOTAL"),
        rows_remapped_corrected=figures.whole("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS"),
        rows_remapped_uncorrected=figures.whole("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS"),
        row_remap_pending=figures.mark("DCGM_FI_DEV_ROW_REMAP_PENDING"),
        row_remap_failed=figures.mark("DCGM_FI_DEV_ROW_REMAP_FAILURE"),
    )


def _at_most(value: int | None, most: int) -> int | None:
    return None if value is None else min(value, most)
