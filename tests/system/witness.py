"""An independent witness: looks at the ledger's tables and at the clusters all the time, and writes down what must not be.

It knows nothing of Berth's code but the names of its tables and the ending of its tokens. A part that is away leaves a
gap in what was seen, never a complaint.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Self

from domain.failures import BerthFailure
from tests.system.tables import TablesAway

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clusters.connection import ClusterConnection
    from tests.system.installation import Installation

Json = dict[str, Any]

LOOK_SECONDS = 0.5
GPU = "nvidia.com/gpu"
TOKEN_PART = ".berth.io/"
OPEN_GPUS = """
    select l.fence, l.workspace_id, l.exclusive, g.cluster, g.node, g.ordinal
    from lease l join lease_gpu g using (fence) where g.released_at is null
"""


class Witness:
    """Looks until it is told to stop. `complaints` says what was wrong, `looks` how often each truth was seen."""

    def __init__(self, installation: Installation) -> None:
        self.complaints: list[str] = []
        self.looks: Counter[str] = Counter()
        self.gaps: Counter[str] = Counter()
        self._installation = installation
        self._over = threading.Event()
        self._watching = threading.Thread(target=self._watch, name="witness", daemon=True)

    def __enter__(self) -> Self:
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watching.join()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look("ledger", self._look_at_ledger)
            for cluster in self._installation.clusters():
                self._look(cluster.name, lambda cluster=cluster: complaints_about(cluster))

    def _look(self, truth: str, look: Any) -> None:
        try:
            found = look()
        except (TablesAway, BerthFailure):
            self.gaps[truth] += 1
            return
        self.looks[truth] += 1
        self.complaints += [f"{time.strftime('%H:%M:%S')} {one}" for one in found]

    def _look_at_ledger(self) -> list[str]:
        return complaints_about_leases(self._installation.tables.rows(OPEN_GPUS))


def complaints_about_leases(held: Iterable[Json]) -> list[str]:
    """GPUs that two open leases hold, and workspaces with two exclusive leases."""
    fences: dict[Any, set[int]] = defaultdict(set)
    for row in held:
        fences[f"GPU {row['ordinal']} of {row['cluster']}/{row['node']}"].add(row["fence"])
        if row["exclusive"]:
            fences[f"workspace {row['workspace_id']}"].add(row["fence"])
    return [f"{what} is held by leases {sorted(both)}" for what, both in fences.items() if len(both) > 1]


def complaints_about(cluster: ClusterConnection) -> list[str]:
    """Nodes with more tokens, or more GPUs in use by pods, than they have GPUs."""
    nodes, pods = cluster.items("/api/v1/nodes"), cluster.items("/api/v1/pods")
    used = Counter[str]()
    for pod in pods:
        if pod["status"].get("phase") == "Running":
            used[pod["spec"]["nodeName"]] += gpus_of(pod)
    return [complaint for node in nodes for complaint in _complaints_about_node(cluster.name, node, used)]


def _complaints_about_node(cluster: str, node: Json, used: Counter[str]) -> list[str]:
    name, gpus, tokens = node["metadata"]["name"], int(node["status"]["capacity"].get(GPU, 0)), tokens_of(node)
    claims = {"tokens": sum(tokens.values()), "GPUs in use by pods": used[name]}
    return [f"{cluster}/{name} has {gpus} GPUs and {claim} {what}" for what, claim in claims.items() if claim > gpus]


def tokens_of(node: Json) -> dict[str, int]:
    """Capacity tokens in a node's status, by key; the larger where the two places differ."""
    status, tokens = node["status"], dict[str, int]()
    for place in ("capacity", "allocatable"):
        for key, count in (status.get(place) or {}).items():
            if TOKEN_PART in key:
                tokens[key] = max(tokens.get(key, 0), int(count))
    return tokens


def gpus_of(pod: Json) -> int:
    """GPUs that a pod's containers ask for."""
    limits = [(container.get("resources") or {}).get("limits") or {} for container in pod["spec"]["containers"]]
    return sum(int(limit.get(GPU, 0)) for limit in limits)
