"""Parts of a node: its whole GPUs, or what GPUs were cut or shared into, each counted by a resource of its own.

A node whose GPUs are all whole has one part, of its own name. One that is cut has a part for each resource, named
`host/label`; its own name then stands for no GPUs at all, so that a place of a part is never taken for a place of a GPU.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

GPU_RESOURCE: Final = "nvidia.com/gpu"
DEVICE_PREFIX: Final = "nvidia.com/"

_CUT = re.compile(r"-(mig-[0-9a-z.+]+(?:-shared)?|shared)$", re.ASCII | re.IGNORECASE)


class Slicing(StrEnum):
    """What one unit of a part is."""

    NONE = "none"
    """A whole GPU, which nobody else uses."""
    MIG = "mig"
    """An instance of a GPU, with memory and compute of its own: nobody else uses it."""
    SHARED = "shared"
    """A turn on a GPU, or on an instance, that others use at the same time."""


def host_of(node: str) -> str:
    """The node that Kubernetes knows, of a node or a part of one."""
    return node.partition("/")[0]


def part_name(host: str, label: str) -> str:
    """What a part of a node is called. No name of a Kubernetes node has a slash in it."""
    return f"{host}/{label}"


def cut_of(shape: str) -> str:
    """What the name of a shape says that its GPUs were cut or shared into, in lower case; "" for whole GPUs."""
    found = _CUT.search(shape)
    return found.group(1).lower() if found else ""


def uncut(shape: str) -> str:
    """The product that such a shape was made of."""
    return _CUT.sub("", shape)
