"""A disk on a cluster: the claim that is its volume, and the snapshots that are its copies.

Names come from the ledger, so that making a thing twice is making it once. Whose turn it is, in which order things are
made and taken away, and how long anything may take, is the caller's; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from clusters.connection import ClusterConnection
from clusters.disk_manifests import (
    BYTES_PER_GB,
    CLAIM,
    SNAPSHOT,
    SNAPSHOTS,
    all_labels,
    claim_manifest,
    claimed_bytes,
    default_storage_class,
    disk_labels,
    path_of_disk_part,
    quantity_bytes,
    size_change,
    snapshot_class,
    snapshot_manifest,
    uses_claim,
)
from clusters.failures import ObjectConflict, ObjectMissing
from clusters.holders import has_ended
from domain.disk import VolumeOrder
from domain.failures import AlreadyExists, ClusterRefused, DataMissing, NotFound, NotReadyYet
from domain.identifiers import DISK_LABEL

__all__ = [
    "CLAIM",
    "SNAPSHOT",
    "SnapshotState",
    "delete_snapshot",
    "delete_volume",
    "disk_labels",
    "grow_volume",
    "label",
    "make_snapshot",
    "make_volume",
    "snapshot_left",
    "snapshot_state",
    "takes_snapshots",
    "volume_left",
    "volume_users",
]

Json = dict[str, Any]

_STORAGE_CLASSES: Final = "/apis/storage.k8s.io/v1/storageclasses"


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """How a snapshot is."""

    is_ready: bool
    failure: str
    """What the cluster says is wrong with it for now; it may try again by itself, or never."""
    size_bytes: int
    """How much room its data needs; 0 until that is known."""


def make_volume(connection: ClusterConnection, order: VolumeOrder, *, namespace: str, storage_class: str = "") -> None:
    """Make the disk's claim, or see that it is there. Whether it gets its volume now or with its first pod is its class's.

    DataMissing where it should be there and is not, or what it is to be made from is not; NotReadyYet where that is not
    ready, or an earlier claim by this name is going; AlreadyExists where the name belongs to something else.
    """
    path = path_of_disk_part(CLAIM, namespace, order.volume)
    existing = connection.find(path)
    if existing is None:
        if not order.is_new:
            raise _missing(connection, order, f"volume {namespace}/{order.volume}")
        manifest = claim_manifest(order, namespace, storage_class, _copy_bytes(connection, namespace, order))
        existing = _create(connection, path, manifest)
    _check_same_disk(connection, existing, str(order.disk_id))
    if (existing.get("status") or {}).get("phase") == "Lost":
        raise DataMissing(f"what was behind {_place(connection, existing)} is lost", disk=order.disk_name)


def volume_users(connection: ClusterConnection, namespace: str, volume: str) -> list[str]:
    """The pods that may use this volume now or will: all that mount it and have not ended, by name."""
    pods = connection.items(f"/api/v1/namespaces/{namespace}/pods")
    return [pod["metadata"]["name"] for pod in pods if uses_claim(pod, volume) and not has_ended(pod)]


def volume_left(connection: ClusterConnection, namespace: str, volume: str) -> str:
    """Why a volume's claim is still there; "" where it has gone."""
    return _why_left(connection.find(path_of_disk_part(CLAIM, namespace, volume)))


def grow_volume(connection: ClusterConnection, namespace: str, volume: str, size_gb: int) -> None:
    """Make a volume this large, unless it is. NotFound where it is gone; ClusterRefused where its class cannot grow."""
    path = path_of_disk_part(CLAIM, namespace, volume)
    claim = _found(connection, path)
    if claimed_bytes(claim) < size_gb * BYTES_PER_GB:
        connection.merge(path, size_change(size_gb))


def delete_volume(connection: ClusterConnection, namespace: str, volume: str) -> None:
    """Begin to delete a volume with all that is in it. It goes once no pod uses it and no snapshot is being taken."""
    _delete(connection, path_of_disk_part(CLAIM, namespace, volume))


def takes_snapshots(connection: ClusterConnection, storage_class: str = "") -> bool:
    """Whether volumes of this class, by default the cluster's default one, can be copied."""
    driver = _driver(connection, storage_class)
    return bool(driver and _snapshot_class(connection, driver))


def make_snapshot(
    connection: ClusterConnection, namespace: str, name: str, volume: str, labels: Mapping[str, str]
) -> None:
    """Begin to copy a volume, or see that it was begun. NotFound where the volume is not there.

    ClusterRefused where volumes like this cannot be copied; AlreadyExists where the name belongs to something else.
    """
    path = path_of_disk_part(SNAPSHOT, namespace, name)
    existing = _find_snapshot(connection, namespace, name)
    if existing is None:
        claim = _found(connection, path_of_disk_part(CLAIM, namespace, volume))
        chosen = _class_for(connection, claim)
        existing = _create(connection, path, snapshot_manifest(namespace, name, volume, chosen, labels))
    _check_same_disk(connection, existing, labels[DISK_LABEL])


def snapshot_state(connection: ClusterConnection, namespace: str, name: str) -> SnapshotState | None:
    """How a snapshot is, or None where there is none by this name."""
    snapshot = _find_snapshot(connection, namespace, name)
    if snapshot is None:
        return None
    status = snapshot.get("status") or {}
    is_ready = bool(status.get("readyToUse"))
    failure = "" if is_ready else str((status.get("error") or {}).get("message") or "")
    return SnapshotState(is_ready, failure, quantity_bytes(status.get("restoreSize")))


def snapshot_left(connection: ClusterConnection, namespace: str, name: str) -> str:
    """Why a snapshot is still there; "" where it has gone."""
    return _why_left(_find_snapshot(connection, namespace, name))


def delete_snapshot(connection: ClusterConnection, namespace: str, name: str) -> None:
    """Begin to delete a snapshot and its data, ready or not. A volume that is being copied is let go by this."""
    _delete(connection, path_of_disk_part(SNAPSHOT, namespace, name))


def label(connection: ClusterConnection, namespace: str, kind: str, name: str, labels: Mapping[str, str]) -> None:
    """Write labels on a claim (CLAIM) or a snapshot (SNAPSHOT), and leave its others as they are; or NotFound."""
    path = path_of_disk_part(kind, namespace, name)
    try:
        connection.merge(path, {"metadata": {"labels": all_labels(labels)}})
    except ObjectMissing as missing:
        raise NotFound(f"cluster {connection.name!r} has no {kind} {namespace}/{name}") from missing


def _copy_bytes(connection: ClusterConnection, namespace: str, order: VolumeOrder) -> int:
    """How large a volume from this copy must be at least. Kubernetes would wait for a copy that is not there."""
    if not order.restore_from:
        return 0
    copy = f"snapshot {namespace}/{order.restore_from}"
    state = snapshot_state(connection, namespace, order.restore_from)
    if state is None:
        raise _missing(connection, order, copy)
    if not state.is_ready:
        raise NotReadyYet(f"{copy} of disk {order.disk_name!r} is not ready: {state.failure or 'no reason given'}")
    return state.size_bytes


def _missing(connection: ClusterConnection, order: VolumeOrder, what: str) -> DataMissing:
    message = f"{what} of disk {order.disk_name!r} should be in cluster {connection.name!r} and is not"
    return DataMissing(message, disk=order.disk_name)


def _create(connection: ClusterConnection, path: str, manifest: Json) -> Json:
    try:
        return connection.create(path.rpartition("/")[0], manifest)
    except ObjectConflict:
        existing = connection.find(path)
        if existing is None:
            raise  # not the name: a quota was being counted, or it has gone meanwhile
        return existing


def _check_same_disk(connection: ClusterConnection, existing: Json, disk_id: str) -> None:
    metadata = existing["metadata"]
    if (metadata.get("labels") or {}).get(DISK_LABEL) != disk_id:
        raise AlreadyExists(f"{_place(connection, existing)} exists and is not disk {disk_id}'s")
    if "deletionTimestamp" in metadata:
        raise NotReadyYet(f"{_place(connection, existing)} is being deleted: {_why_left(existing)}")


def _find_snapshot(connection: ClusterConnection, namespace: str, name: str) -> Json | None:
    """None also where the cluster knows no snapshots at all."""
    return connection.find(path_of_disk_part(SNAPSHOT, namespace, name))


def _found(connection: ClusterConnection, path: str) -> Json:
    try:
        return connection.get(path)
    except ObjectMissing as missing:
        raise NotFound(f"cluster {connection.name!r} has no {path.rpartition('/')[2]}") from missing


def _class_for(connection: ClusterConnection, claim: Json) -> str:
    driver = _driver(connection, claim["spec"].get("storageClassName") or "")
    if chosen := driver and _snapshot_class(connection, driver):
        return chosen
    raise ClusterRefused(f"{_place(connection, claim)} cannot be copied: no VolumeSnapshotClass is for its driver")


def _driver(connection: ClusterConnection, storage_class: str) -> str:
    """The driver of a storage class, by default of the default one; "" where there is no such class."""
    found = (
        connection.find(f"{_STORAGE_CLASSES}/{storage_class}")
        if storage_class
        else default_storage_class(connection.items(_STORAGE_CLASSES))
    )
    return str(found["provisioner"]) if found else ""


def _snapshot_class(connection: ClusterConnection, driver: str) -> str:
    try:
        classes = connection.items(f"{SNAPSHOTS}/volumesnapshotclasses")
    except ObjectMissing:
        return ""  # the cluster knows no snapshots
    return snapshot_class(classes, driver)


def _delete(connection: ClusterConnection, path: str) -> None:
    thing = connection.find(path)
    if thing is None or "deletionTimestamp" in thing["metadata"]:
        return
    try:
        connection.delete(path, uid=thing["metadata"]["uid"])
    except (ObjectMissing, ObjectConflict):
        return  # gone, or another thing has its name by now: the next look will tell


def _why_left(thing: Json | None) -> str:
    if thing is None:
        return ""
    if "deletionTimestamp" not in thing["metadata"]:
        return "its deletion has not begun"
    held = ", ".join(thing["metadata"].get("finalizers") or [])
    return f"held by {held}" if held else "is going"


def _place(connection: ClusterConnection, thing: Json) -> str:
    metadata = thing["metadata"]
    return f"{thing['kind']} {metadata['namespace']}/{metadata['name']} of cluster {connection.name!r}"
