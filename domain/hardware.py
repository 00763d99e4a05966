"""Clusters, nodes and GPUs as Berth sees them, and when one fits a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.slices import GPU_RESOURCE, Slicing, cut_of, host_of, part_name, uncut

MEBIBYTES_PER_GIBIBYTE = 1024


@dataclass(frozen=True, slots=True, order=True)
class Gpu:
    """One GPU: the node and its place on it, counted from 0."""

    node: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class ObservedPart:
    """Devices of a cut node that one resource counts, all alike. `memory_mib` is of each."""

    label: str
    resource: str
    shape: str
    slicing: Slicing
    count: int
    memory_mib: int
    foreign: int = 0
    """Used by pods outside Berth."""
    condition: str = ""
    """Why nothing new may be placed here, although the node would do."""

    def name_on(self, host: str) -> str:
        """What this part of that node is called."""
        return part_name(host, self.label)


@dataclass(frozen=True, slots=True)
class ObservedNode:
    """A GPU node as its cluster reports it. `memory_mib` is per GPU; `foreign_gpus` are used by pods outside Berth.

    A node that is cut has no GPUs in `gpus`: all of them, whole ones too, are in `parts`.
    """

    name: str
    shape: str
    instance_type: str
    gpus: int
    memory_mib: int
    ready: bool
    schedulable: bool
    condition: str = ""
    region: str = ""
    cloud_provider: str = ""
    foreign_gpus: int = 0
    tokens: dict[str, int] = field(default_factory=dict)
    parts: tuple[ObservedPart, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterCapabilities:
    """What a cluster can do for Berth, found out at registration. `lacks` says in words what is missing and what follows."""

    version: str
    server: str
    admission_policies: bool
    node_status_writable: bool
    token_requests: bool
    lacks: tuple[str, ...] = ()

    @property
    def sufficient(self) -> bool:
        """Whether exclusive leases can be kept on this cluster."""
        return self.admission_policies and self.node_status_writable and self.token_requests


class NodeState(StrEnum):
    """Whether new leases may be placed on a node."""

    READY = "ready"
    NOT_READY = "not_ready"
    CORDONED = "cordoned"
    QUARANTINED = "quarantined"
    GONE = "gone"


def memory_gib(memory_mib: int) -> int:
    """GiB as people say it: 15360 -> 15, 81559 -> 80, 143771 -> 140."""
    return round(memory_mib / MEBIBYTES_PER_GIBIBYTE)


@dataclass(frozen=True, slots=True)
class Node:
    """A GPU node as the ledger holds it. `free_gpus` is what a new lease could take right now."""

    cluster: str
    name: str
    shape: str
    instance_type: str
    gpus: int
    memory_mib: int
    region: str
    cloud_provider: str
    state: NodeState
    condition: str
    free_gpus: int
    foreign_gpus: int = 0
    holders: tuple[GpuHolder, ...] = ()
    set_aside: frozenset[int] = frozenset()
    """Places of GPUs that nothing new is placed on, for what they have reported or because somebody said so."""
    resource: str = GPU_RESOURCE
    """What Kubernetes counts its GPUs by."""
    slicing: Slicing = Slicing.NONE
    """What one of its GPUs is: whole, an instance, or a turn on one that others use as well."""

    @property
    def host(self) -> str:
        """The node that Kubernetes knows; its own name, but for a part of a node that is cut."""
        return host_of(self.name)


@dataclass(frozen=True, slots=True)
class GpuHolder:
    """Who holds GPUs of a node: one open lease."""

    gpr_name: str
    workspace: str
    gpus: int
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """A registered cluster. `away_since` is set while it does not answer."""

    name: str
    server: str
    version: str
    sufficient: bool
    lacks: tuple[str, ...]
    seen_at: datetime
    away_since: datetime | None


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What Kubernetes says of a node beside its GPUs. Memory is the node's own."""

    labels: Mapping[str, str]
    cpu_millis: int
    memory_mib: int
    created_at: datetime | None
    reported_at: datetime | None
    """When the node last reported how it is."""


@dataclass(frozen=True, slots=True)
class NodeUse:
    """What the pods on a node have asked for: what the scheduler takes to be in use."""

    cpu_millis: int
    memory_mib: int


_PART = re.compile(r"[a-z]+[0-9]*[a-z]*|[0-9]+[a-z]*", re.ASCII)
_MODEL = re.compile(r"[a-z]{1,3}[0-9]+[a-z]*", re.ASCII)


def means_shape(word: str, shape: str) -> bool:
    """Whether people who say this mean that shape: `a100`, `A100-80G` and `NVIDIA-A100-SXM4-80GB` are one model.

    What was cut or shared is meant only by who says so: `a100-mig-1g.5gb`.
    """
    if cut_of(word) != cut_of(shape):
        return False
    word, shape = uncut(word), uncut(shape)
    parts = _PART.findall(word.lower())
    of_shape = set(_PART.findall(shape.lower()))
    models = [part for part in parts if _MODEL.fullmatch(part)][:1]
    return word.lower() == shape.lower() or (bool(parts) and set(models or parts) <= of_shape)
