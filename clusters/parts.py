"""What the GPUs of a node were cut or shared into, as its device plugin and its labels say. Pure: no calls.

A GPU is called whole only where nothing speaks against it: neither the name of its resource, nor the labels of GPU feature
discovery, nor a count that is larger than the number of GPUs. Labels: `nvidia.com/gpu.product`, and under the mixed MIG
strategy `nvidia.com/mig-1g.5gb.product`; likewise `.memory`, `.replicas`, `.sharing-strategy` and `.count`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from clusters.holders import quantity_count
from domain.hardware import ObservedPart
from domain.slices import GPU_RESOURCE, Slicing, cut_of, uncut

Json = dict[str, Any]

UNKNOWN_PRODUCT: Final = "unknown"
_DEVICES = re.compile(r"nvidia\.com/(gpu|mig-[0-9A-Za-z.-]+?)(\.shared)?", re.ASCII)
_MPS: Final = "mps"


def device_counts(node: Json) -> dict[str, int]:
    """How many devices the node has of each kind, healthy or not, by resource."""
    capacity: Json = (node.get("status") or {}).get("capacity") or {}
    counts = {name: quantity_count(quantity) for name, quantity in capacity.items() if _DEVICES.fullmatch(name)}
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def is_device(resource: str) -> bool:
    """Whether this resource counts GPUs, or parts of such."""
    return bool(_DEVICES.fullmatch(resource))


def parts_of(node: Json, foreign: Mapping[str, int]) -> tuple[ObservedPart, ...]:
    """Everything that the node has, by resource. `foreign`: how many of each are used by pods outside Berth."""
    return tuple(_part(node, resource, count, foreign) for resource, count in device_counts(node).items())


def is_cut(parts: tuple[ObservedPart, ...]) -> bool:
    """Whether anything on the node is not a whole GPU."""
    return any(part.slicing is not Slicing.NONE for part in parts)


def contradiction(node: Json) -> str:
    """Why the GPUs of a node cannot be called whole although no label says that they are not, or ""."""
    counted = device_counts(node).get(GPU_RESOURCE, 0)
    said = _labels(node).get(f"{GPU_RESOURCE}.count", "")
    if not said.isdecimal() or counted <= int(said) or _read(node, GPU_RESOURCE).slicing is not Slicing.NONE:
        return ""
    return f"Kubernetes counts {counted} GPUs where it has {said}: they are shared or cut, and no label says how"


class _Read(NamedTuple):
    slicing: Slicing
    shape: str
    label: str
    memory_mib: int


def _part(node: Json, resource: str, count: int, foreign: Mapping[str, int]) -> ObservedPart:
    read = _read(node, resource)
    allocatable = quantity_count(((node.get("status") or {}).get("allocatable") or {}).get(resource))
    sick = f"{count - allocatable} of {count} {read.shape} are not healthy" if allocatable < count else ""
    return ObservedPart(
        label=read.label,
        resource=resource,
        shape=read.shape,
        slicing=read.slicing,
        count=count,
        memory_mib=read.memory_mib,
        foreign=foreign.get(resource, 0),
        condition=sick,
    )


def _read(node: Json, resource: str) -> _Read:
    found = _DEVICES.fullmatch(resource)
    assert found is not None
    kind, renamed = found.groups()
    labels, prefix = _labels(node), f"nvidia.com/{kind}."
    product = labels.get(f"{prefix}product") or labels.get(f"{GPU_RESOURCE}.product") or UNKNOWN_PRODUCT
    profile = kind.removeprefix("mig-") if kind != "gpu" else _profile_of(product)
    replicas = _whole_number(labels.get(f"{prefix}replicas"))
    strategy = labels.get(f"{prefix}sharing-strategy", "none")
    shared = bool(renamed) or replicas > 1 or strategy != "none" or cut_of(product).endswith("shared")
    memory = _whole_number(labels.get(f"{prefix}memory"))
    own = [f"mig-{profile}"] if profile and kind == "gpu" else []
    unnamed = ["replicas"] if shared and not renamed else []
    return _Read(
        slicing=Slicing.SHARED if shared else Slicing.MIG if profile else Slicing.NONE,
        shape=uncut(product) + (f"-MIG-{profile}" if profile else "") + ("-SHARED" if shared else ""),
        label=".".join([f"{kind}{renamed or ''}", *own, *unnamed]),
        # what is shared in turns has no memory of its own; under MPS the label says each one's part already
        memory_mib=memory // replicas if replicas > 1 and strategy != _MPS else memory,
    )


def _profile_of(product: str) -> str:
    """Under the single MIG strategy `nvidia.com/gpu` counts instances, and the product's name says so."""
    cut = cut_of(product)
    return cut.removeprefix("mig-").removesuffix("-shared") if cut.startswith("mig-") else ""


def _labels(node: Json) -> dict[str, str]:
    return node["metadata"].get("labels") or {}


def _whole_number(text: object) -> int:
    return int(str(text)) if str(text).isdecimal() else 0
