"""Simulated GPU nodes as Kubernetes objects: what the fleet file says, in the labels that real GPU nodes carry.

Pure but for reading the file; `cluster` creates them, kwok plays them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from cli.stack.folders import DEVCLUSTER

if TYPE_CHECKING:
    from pathlib import Path

FLEET = DEVCLUSTER / "nodes.yaml"
SIMULATED = {"kwok.x-k8s.io/node": "fake"}
"""The annotation by which kwok knows its nodes; a real node may stand beside them."""
NOT_READY = "kwok.berth.io/not-ready"
"""The annotation that keeps a simulated node NotReady."""
PODS_MAX = 110


@dataclass(frozen=True, slots=True)
class GpuNode:
    """One simulated node; the defaults are the smallest GPU node one can rent."""

    name: str
    gpus: int = 1
    product: str = "Tesla-T4"
    gpu_memory_mib: int = 15_360
    instance_type: str = "n1-standard-8"
    region: str = "us-east-1"
    cpu: str = "8"
    memory: str = "30Gi"
    family: str = "turing"
    compute: str = "7.5"

    @property
    def manifest(self) -> dict[str, Any]:
        """The Node object, status included."""
        resources = {
            "cpu": self.cpu,
            "memory": self.memory,
            "ephemeral-storage": "1Ti",
            "pods": str(PODS_MAX),
            "nvidia.com/gpu": str(self.gpus),
        }
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "annotations": SIMULATED, "labels": self._labels()},
            "status": {"capacity": resources, "allocatable": resources},
        }

    def _labels(self) -> dict[str, str]:
        major, minor = self.compute.split(".")
        return {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "node.kubernetes.io/instance-type": self.instance_type,
            "topology.kubernetes.io/region": self.region,
            "topology.kubernetes.io/zone": f"{self.region}a",
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.count": str(self.gpus),
            "nvidia.com/gpu.product": self.product,
            "nvidia.com/gpu.memory": str(self.gpu_memory_mib),
            "nvidia.com/gpu.family": self.family,
            "nvidia.com/gpu.machine": self.instance_type,
            "nvidia.com/gpu.replicas": "1",
            "nvidia.com/gpu.sharing-strategy": "none",
            "nvidia.com/gpu.mode": "compute",
            "nvidia.com/gpu.compute.major": major,
            "nvidia.com/gpu.compute.minor": minor,
            "nvidia.com/mig.capable": "false" if self.family == "turing" else "true",
        }


def clusters(file: Path = FLEET) -> list[str]:
    """The names of the local stack's clusters."""
    return list(_read(file)["clusters"])


def fleet(cluster: str, file: Path = FLEET) -> list[GpuNode]:
    """The nodes of one cluster of the local stack."""
    whole = _read(file)
    part = whole["clusters"][cluster]
    return [of_instance(name, instance, part["region"], file) for name, instance in part["nodes"].items()]


def of_instance(name: str, instance: str, region: str = "us-east-1", file: Path = FLEET) -> GpuNode:
    """A node of an instance type that the fleet file knows."""
    whole = _read(file)
    machine = whole["instances"][instance]
    shape = whole["shapes"][machine["shape"]]
    return GpuNode(
        name=name,
        gpus=machine["gpus"],
        product=shape["product"],
        gpu_memory_mib=shape["memory"],
        instance_type=instance,
        region=region,
        cpu=machine["cpu"],
        memory=machine["memory"],
        family=shape["family"],
        compute=shape["compute"],
    )


@cache
def _read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content
