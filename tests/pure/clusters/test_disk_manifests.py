from __future__ import annotations

from uuid import UUID

import pytest

from clusters.disk_manifests import (
    all_labels,
    claim_manifest,
    default_storage_class,
    disk_labels,
    quantity_bytes,
    snapshot_class,
    snapshot_manifest,
    uses_claim,
)
from domain.disk import VolumeOrder, checked_disk_name
from domain.identifiers import DISK_NAME_LABEL
from tests.builders_clusters import Json, a_pod

ID = UUID(int=7)
GIB = 1024**3


def _order(restore_from: str = "") -> VolumeOrder:
    return VolumeOrder(ID, "data", "berth-disk-1", 10, restore_from, is_new=True)


def _class(name: str, *, default: bool = False, made: str = "2026-01-01T00:00:00Z", driver: str = "a") -> Json:
    keys = ("storageclass.kubernetes.io/is-default-class", "snapshot.storage.kubernetes.io/is-default-class")
    metadata = {"name": name, "creationTimestamp": made, "annotations": dict.fromkeys(keys, str(default).lower())}
    return {"metadata": metadata, "provisioner": driver, "driver": driver}


def test_a_claim_is_for_one_pod_of_the_cluster() -> None:
    assert claim_manifest(_order(), "dev-ann", "", 0)["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "10Gi"}},
    }


def test_a_claim_names_its_class_and_what_it_is_made_from() -> None:
    spec = claim_manifest(_order("berth-snap-1"), "dev-ann", "fast", 0)["spec"]
    assert spec["storageClassName"] == "fast"
    assert spec["dataSource"] == {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": "berth-snap-1",
    }


@pytest.mark.parametrize(("copy_bytes", "size"), [(0, "10Gi"), (9 * GIB, "10Gi"), (10 * GIB + 1, "11Gi")])
def test_a_claim_has_room_for_what_it_is_made_from(copy_bytes: int, size: str) -> None:
    spec = claim_manifest(_order("berth-snap-1"), "dev-ann", "", copy_bytes)["spec"]
    assert spec["resources"]["requests"]["storage"] == size


@pytest.mark.parametrize("name", ["data", "my_disk-2", "-data-", "__", "a" * 63])
def test_any_disks_name_can_be_a_label(name: str) -> None:
    value = all_labels(disk_labels(ID, checked_disk_name(name)))[DISK_NAME_LABEL]
    assert value == name.strip("-_")


def test_everything_of_a_disk_is_berths() -> None:
    for made in (
        claim_manifest(_order(), "dev-ann", "", 0),
        snapshot_manifest("dev-ann", "berth-snap-1", "berth-disk-1", "fast", disk_labels(ID, "data")),
    ):
        assert made["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "berth",
            "berth.io/disk": str(ID),
            "berth.io/disk-name": "data",
        }


def test_of_several_default_storage_classes_the_newest_counts() -> None:
    classes = [_class("old", default=True), _class("new", default=True, made="2026-02-01T00:00:00Z"), _class("other")]
    found = default_storage_class(classes)
    assert found is not None
    assert found["metadata"]["name"] == "new"
    assert default_storage_class([_class("other")]) is None


def test_volumes_are_copied_by_the_default_class_of_their_driver_or_the_first() -> None:
    classes = [_class("b"), _class("a"), _class("c", default=True), _class("d", default=True, driver="other")]
    assert snapshot_class(classes, "a") == "c"
    assert snapshot_class(classes[:2], "a") == "a"
    assert snapshot_class(classes, "unknown") == ""


@pytest.mark.parametrize(
    ("quantity", "count"), [(None, 0), ("0", 0), ("10Gi", 10 * GIB), ("1.5Ki", 1536), ("3M", 3_000_000), (5, 5)]
)
def test_quantities_are_read(quantity: object, count: int) -> None:
    assert quantity_bytes(quantity) == count


def test_a_pod_uses_the_claims_that_it_mounts() -> None:
    volumes = [{"name": "shm", "emptyDir": {}}, {"name": "disk", "persistentVolumeClaim": {"claimName": "mine"}}]
    assert uses_claim(a_pod(volumes=volumes), "mine")
    assert not uses_claim(a_pod(volumes=volumes), "theirs")
    assert not uses_claim(a_pod(), "mine")
