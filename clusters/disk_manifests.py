"""A disk's claims and snapshots as they go over the wire, and what of them is read. Pure: no calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from kubernetes.utils.quantity import parse_quantity

from clusters.manifests import MANAGED_BY
from domain.disk import VolumeOrder
from domain.identifiers import DISK_LABEL, DISK_NAME_LABEL

Json = dict[str, Any]

CLAIM: Final = "PersistentVolumeClaim"
SNAPSHOT: Final = "VolumeSnapshot"
SNAPSHOT_GROUP: Final = "snapshot.storage.k8s.io"
SNAPSHOTS: Final = f"/apis/{SNAPSHOT_GROUP}/v1"
ACCESS: Final = "ReadWriteOncePod"
"""One pod at a time, wherever it stands: the second lock behind the lease."""
BYTES_PER_GB: Final = 1024**3
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_SNAPSHOT_CLASS: Final = "snapshot.storage.kubernetes.io/is-default-class"


def disk_labels(disk_id: UUID | str, disk_name: str) -> dict[str, str]:
    """What everything of a disk is known by, and what people call it."""
    return {DISK_LABEL: str(disk_id), DISK_NAME_LABEL: disk_name}


def all_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The same as Kubernetes takes them, as Berth's. A label begins and ends with a letter or digit; a name need not."""
    return {**MANAGED_BY, **{key: value.strip("-_") for key, value in labels.items()}}


def path_of_disk_part(kind: str, namespace: str, name: str) -> str:
    """Where a claim or a snapshot lives."""
    collection = {
        CLAIM: f"/api/v1/namespaces/{namespace}/persistentvolumeclaims",
        SNAPSHOT: f"{SNAPSHOTS}/namespaces/{namespace}/volumesnapshots",
    }[kind]
    return f"{collection}/{name}"


def claim_manifest(order: VolumeOrder, namespace: str, storage_class: str, copy_bytes: int) -> Json:
    """The claim for a volume, as large as was ordered, or as the copy that it is made from where that is larger."""
    size = max(order.size_gb * BYTES_PER_GB, copy_bytes)
    spec: Json = {"accessModes": [ACCESS], "resources": {"requests": {"storage": _quantity(size)}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    if order.restore_from:
        spec["dataSource"] = {"apiGroup": SNAPSHOT_GROUP, "kind": SNAPSHOT, "name": order.restore_from}
    labels = all_labels(disk_labels(order.disk_id, order.disk_name))
    metadata = {"name": order.volume, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": CLAIM, "metadata": metadata, "spec": spec}


def snapshot_manifest(namespace: str, name: str, volume: str, snapshot_class: str, labels: Mapping[str, str]) -> Json:
    """The snapshot of a volume."""
    source = {"persistentVolumeClaimName": volume}
    metadata = {"name": name, "namespace": namespace, "labels": all_labels(labels)}
    spec = {"volumeSnapshotClassName": snapshot_class, "source": source}
    return {"apiVersion": f"{SNAPSHOT_GROUP}/v1", "kind": SNAPSHOT, "metadata": metadata, "spec": spec}


def size_change(size_gb: int) -> Json:
    """What is written to make a claim larger."""
    return {"spec": {"resources": {"requests": {"storage": _quantity(size_gb * BYTES_PER_GB)}}}}


def claimed_bytes(claim: Json) -> int:
    """How much a claim asks for."""
    return quantity_bytes(claim["spec"]["resources"]["requests"].get("storage"))


def uses_claim(pod: Json, volume: str) -> bool:
    """Whether a pod mounts this claim."""
    mounted = [each.get("persistentVolumeClaim") or {} for each in pod["spec"].get("volumes") or []]
    return any(claim.get("claimName") == volume for claim in mounted)


def default_storage_class(classes: Collection[Json]) -> Json | None:
    """The class of claims that name none: of several defaults the newest, as Kubernetes has it."""
    defaults = [each for each in classes if _is_marked(each, _DEFAULT_CLASS)]
    return max(defaults, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)


def snapshot_class(classes: Collection[Json], driver: str) -> str:
    """The class to copy volumes of this driver by, its default one first; "" where there is none."""
    fitting = [each for each in classes if each["driver"] == driver]
    fitting.sort(key=lambda each: (not _is_marked(each, _DEFAULT_SNAPSHOT_CLASS), each["metadata"]["name"]))
    return str(fitting[0]["metadata"]["name"]) if fitting else ""


def quantity_bytes(quantity: object) -> int:
    """`10Gi` in bytes; 0 where nothing is said."""
    size: Decimal = parse_quantity(quantity or 0)  # type: ignore[no-untyped-call]
    return int(size)


def _quantity(size_bytes: int) -> str:
    """In whole GiB, rounded up: not every driver takes less."""
    return f"{-(-size_bytes // BYTES_PER_GB)}Gi"


def _is_marked(thing: Json, annotation: str) -> bool:
    return (thing["metadata"].get("annotations") or {}).get(annotation) == "true"
