"""Limits of CPU, memory and GPUs as pools and quotas write them."""

from __future__ import annotations

from dataclasses import dataclass

from api.dialects.gpuctl.field_types import CpuLimit, GpuLimit, MemoryLimit
from api.dialects.gpuctl.sections import Section


class LimitsSection(Section):
    """At most so much; what is absent is not limited."""

    cpu: CpuLimit | None = None
    memory: MemoryLimit | None = None
    gpu: GpuLimit | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so much, in Kubernetes' quantities. Empty, None: no limit."""

    cpu: str = ""
    memory: str = ""
    gpus: int | None = None

    @classmethod
    def of(cls, section: LimitsSection) -> Limits:
        """The limits of a section."""
        return cls(section.cpu or "", section.memory or "", section.gpu)

    def content(self) -> dict[str, object]:
        """The same as a section of a document."""
        named = {"cpu": self.cpu or None, "memory": self.memory or None, "gpu": self.gpus}
        return {name: value for name, value in named.items() if value is not None}
