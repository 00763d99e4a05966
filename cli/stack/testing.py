"""Real parts for tests, each alone and ready in seconds: PostgreSQL, Temporal, a Kubernetes cluster.

Each is a context manager on free ports and a folder of its own, so any number run at once and nothing is left behind.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from cli.stack import toolchain
from cli.stack.cluster import Cluster
from cli.stack.control_plane import ClusterPorts, ControlPlane
from cli.stack.guard import guarded
from cli.stack.nodes import GpuNode
from cli.stack.ports import free_anywhere
from cli.stack.postgres import Postgres
from cli.stack.temporal import Temporal, TemporalPorts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "A_NODE",
    "Cluster",
    "GpuNode",
    "Postgres",
    "Temporal",
    "running_cluster",
    "running_postgres",
    "running_temporal",
]

A_NODE = GpuNode("gpu-1", gpus=8, product="NVIDIA-H100-80GB-HBM3", gpu_memory_mib=81_559, instance_type="p5.48xlarge")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """PostgreSQL without fsync; `create_database()` gives each test its own."""
    with guarded() as roster:
        postgres = Postgres(roster, free_anywhere(1)[0], durable=False)
        postgres.start()
        yield postgres
        postgres.stop()


@contextmanager
def running_temporal() -> Iterator[Temporal]:
    """Temporal's server as the local stack runs it, with Berth's search attributes."""
    with guarded() as roster:
        temporal = Temporal(roster, TemporalPorts(*free_anywhere(4)))
        temporal.start()
        yield temporal


@contextmanager
def running_cluster(nodes: Sequence[GpuNode] = (A_NODE,), name: str = "worker-1") -> Iterator[Cluster]:
    """A real control plane with simulated GPU nodes."""
    binaries, snapshots = toolchain.binaries(), toolchain.SNAPSHOTS.place
    with guarded() as roster:
        ports = ClusterPorts(*free_anywhere(len(fields(ClusterPorts))))
        audit = roster.log(f"{name}.audit")
        plane = ControlPlane(name, roster.folder / name, binaries, snapshots, ports, audit, durable=False)
        cluster = Cluster(plane, roster, nodes)
        cluster.start()
        yield cluster
