"""Disks on the test cluster: what is ordered, what is there, and how the simulated storage is told to fare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from clusters.connection import ClusterConnection
from clusters.disks import SnapshotState, disk_labels, make_snapshot, make_volume, snapshot_state
from domain.disk import VolumeOrder, snapshot_name, volume_name
from domain.identifiers import JOB_LABEL
from tests.builders_clusters import Json, a_pod, eventually

NewDisk = Callable[..., "MadeDisk"]
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"
SIMULATED = "kwok.berth.io"
NEVER = "1000h"


@dataclass(frozen=True, slots=True)
class MadeDisk:
    """A disk of its own in a namespace."""

    connection: ClusterConnection
    namespace: str
    name: str = "data"
    id: UUID = field(default_factory=uuid4)

    @property
    def labels(self) -> dict[str, str]:
        return disk_labels(self.id, self.name)

    def volume(self, number: int = 1) -> str:
        return volume_name(self.id, number)

    def order(self, number: int = 1, *, size_gb: int = 10, restore_from: str = "", is_new: bool = True) -> VolumeOrder:
        return VolumeOrder(self.id, self.name, self.volume(number), size_gb, restore_from, is_new)

    def make(self, number: int = 1, *, size_gb: int = 10, restore_from: str = "") -> str:
        """Make a volume and wait until it is bound; its name."""
        order = self.order(number, size_gb=size_gb, restore_from=restore_from)
        make_volume(self.connection, order, namespace=self.namespace)
        assert eventually(lambda: self.claim(number)["status"].get("phase") == "Bound")
        return self.volume(number)

    def claim(self, number: int = 1) -> Json:
        return self.connection.get(f"{self.claims}/{self.volume(number)}")

    def stored(self, number: int = 1) -> Json:
        """The PersistentVolume behind a claim."""
        return self.connection.get(f"/api/v1/persistentvolumes/{self.claim(number)['spec']['volumeName']}")

    def copy(self, number: int = 1) -> str:
        """Begin to copy a volume; the snapshot's name."""
        name = snapshot_name(uuid4())
        make_snapshot(self.connection, self.namespace, name, self.volume(number), self.labels)
        return name

    def ready_copy(self, number: int = 1) -> str:
        name = self.copy(number)
        assert eventually(lambda: self.state(name).is_ready)
        return name

    def state(self, snapshot: str) -> SnapshotState:
        found = snapshot_state(self.connection, self.namespace, snapshot)
        assert found is not None
        return found

    def use(self, pod: str, number: int = 1, **metadata: Json) -> None:
        """Make a pod, as Berth would, that mounts a volume."""
        body = a_pod(
            pod, gpus=0, volumes=[{"name": "disk", "persistentVolumeClaim": {"claimName": self.volume(number)}}]
        )
        body["metadata"] = {**body["metadata"], "labels": {JOB_LABEL: str(uuid4())}, **metadata}
        self.connection.create(self.pods, body)

    def pod(self, name: str) -> Json:
        return self.connection.get(f"{self.pods}/{name}")

    @property
    def claims(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims"

    @property
    def snapshots(self) -> str:
        return f"{SNAPSHOTS}/namespaces/{self.namespace}/volumesnapshots"

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"


def storage_fares(connection: ClusterConnection, namespace: str, **annotations: str | None) -> None:
    """Tell the simulated storage how claims and snapshots fare that are made in this namespace from now on; None: well.

    `snapshot_error="no room"`, `snapshot_delay=NEVER`, `volume_delay="5s"`: see `deploy/devcluster/stages`.
    """
    said = {f"{SIMULATED}/{name.replace('_', '-')}": value for name, value in annotations.items()}
    connection.merge(f"/api/v1/namespaces/{namespace}", {"metadata": {"annotations": said}})
    assert eventually(lambda: said.items() <= _of_a_new_claim(connection, namespace, said).items())


def _of_a_new_claim(connection: ClusterConnection, namespace: str, wanted: Json) -> Json:
    """Its annotations, None for each that it lacks: admission learns a moment later what was said."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "try"}, "spec": spec}
    made = connection.create(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", claim, dryRun="All")
    return dict.fromkeys(wanted) | (made["metadata"].get("annotations") or {})
