"""Disks on a real API server, scheduler and snapshot-controller; the driver behind them is simulated."""

from __future__ import annotations

from uuid import uuid4

import pytest

from cli.stack.testing import running_cluster
from clusters.connection import ClusterConnection
from clusters.disks import (
    CLAIM,
    SNAPSHOT,
    delete_snapshot,
    delete_volume,
    disk_labels,
    grow_volume,
    label,
    make_snapshot,
    make_volume,
    snapshot_left,
    snapshot_state,
    takes_snapshots,
    volume_left,
    volume_users,
)
from clusters.tenancy import delete_tenancy, namespaces_left
from domain.disk import snapshot_name
from domain.failures import AlreadyExists, ClusterRefused, DataMissing, NotFound, NotReadyYet
from domain.identifiers import DISK_LABEL, DISK_NAME_LABEL
from domain.workspace import Tenancy
from tests.builders_clusters import Json, eventually
from tests.builders_disks import NEVER, SIMULATED, SNAPSHOTS, MadeDisk, NewDisk, storage_fares

DRIVER = "simulated.csi.berth.io"
PROTECTED_WHILE_COPIED = "snapshot.storage.kubernetes.io/pvc-as-source-protection"
STORAGE_CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@pytest.fixture
def new_disk(connection: ClusterConnection, workspace: Tenancy) -> NewDisk:
    return lambda name="data": MadeDisk(connection, workspace.namespaces[0], name)


@pytest.fixture
def disk(new_disk: NewDisk) -> MadeDisk:
    return new_disk()


# --- volumes ----------------------------------------------------------------------------------------------------------


def test_a_volume_is_made_once_by_its_driver_and_says_whose_it_is(disk: MadeDisk) -> None:
    disk.make(size_gb=12)
    before = disk.claim()
    disk.make(size_gb=12)
    assert disk.claim()["metadata"]["uid"] == before["metadata"]["uid"]
    labels = before["metadata"]["labels"]
    assert (labels[DISK_LABEL], labels[DISK_NAME_LABEL]) == (str(disk.id), "data")
    assert labels["app.kubernetes.io/managed-by"] == "berth"
    assert before["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert before["status"]["capacity"]["storage"] == "12Gi"
    assert disk.stored()["spec"]["csi"]["driver"] == DRIVER


def test_a_pod_waits_for_a_volume_that_takes_its_time(connection: ClusterConnection, disk: MadeDisk) -> None:
    storage_fares(connection, disk.namespace, volume_delay="1s")
    make_volume(connection, disk.order(), namespace=disk.namespace)
    disk.use("box")
    assert eventually(lambda: "unbound immediate PersistentVolumeClaims" in _why_it_waits(disk.pod("box")))
    assert eventually(lambda: disk.pod("box")["status"]["phase"] == "Running")


def test_a_second_pod_waits_for_the_first_and_both_are_users(connection: ClusterConnection, disk: MadeDisk) -> None:
    volume = disk.make()
    disk.use("first")
    assert eventually(lambda: disk.pod("first")["status"]["phase"] == "Running")
    disk.use("second")
    assert eventually(lambda: "ReadWriteOncePod" in _why_it_waits(disk.pod("second")))
    assert volume_users(connection, disk.namespace, volume) == ["first", "second"]
    connection.delete(f"{disk.pods}/first")
    assert eventually(lambda: disk.pod("second")["status"]["phase"] == "Running")
    assert volume_users(connection, disk.namespace, volume) == ["second"]


def test_a_pod_that_has_ended_uses_nothing_and_one_that_lingers_does(
    connection: ClusterConnection, disk: MadeDisk
) -> None:
    volume = disk.make()
    disk.use("over", annotations={f"{SIMULATED}/run": "0s"})
    assert eventually(lambda: volume_users(connection, disk.namespace, volume) == [])
    disk.use("lingers", annotations={f"{SIMULATED}/hold-delete": "true"})
    assert eventually(lambda: disk.pod("lingers")["status"]["phase"] == "Running")
    connection.delete(f"{disk.pods}/lingers")
    assert volume_users(connection, disk.namespace, volume) == ["lingers"]
    connection.merge(f"{disk.pods}/lingers", {"metadata": {"annotations": {f"{SIMULATED}/hold-delete": None}}})
    assert eventually(lambda: volume_users(connection, disk.namespace, volume) == [])


def test_a_pod_beside_it_is_no_user(connection: ClusterConnection, disk: MadeDisk, new_disk: NewDisk) -> None:
    other = new_disk("other")
    disk.make()
    other.make()
    other.use("theirs")
    assert volume_users(connection, disk.namespace, disk.volume()) == []


def test_a_volume_goes_when_its_last_pod_has(connection: ClusterConnection, disk: MadeDisk) -> None:
    volume = disk.make()
    disk.use("box")
    assert eventually(lambda: disk.pod("box")["status"]["phase"] == "Running")
    stored = disk.stored()["metadata"]["name"]
    assert volume_left(connection, disk.namespace, volume) == "its deletion has not begun"
    for _ in range(2):
        delete_volume(connection, disk.namespace, volume)
    assert volume_left(connection, disk.namespace, volume) == "held by kubernetes.io/pvc-protection"
    with pytest.raises(NotReadyYet, match=r"is being deleted: held by kubernetes\.io/pvc-protection"):
        make_volume(connection, disk.order(), namespace=disk.namespace)
    connection.delete(f"{disk.pods}/box")
    assert eventually(lambda: volume_left(connection, disk.namespace, volume) == "")
    assert eventually(lambda: connection.find(f"/api/v1/persistentvolumes/{stored}") is None)
    delete_volume(connection, disk.namespace, volume)


def test_a_volume_is_made_anew_only_where_it_may_be(connection: ClusterConnection, disk: MadeDisk) -> None:
    make_volume(connection, disk.order(), namespace=disk.namespace)
    make_volume(connection, disk.order(is_new=False), namespace=disk.namespace)
    with pytest.raises(DataMissing, match=f"{disk.volume(2)} of disk 'data' should be in cluster"):
        make_volume(connection, disk.order(2, is_new=False), namespace=disk.namespace)
    assert volume_left(connection, disk.namespace, disk.volume(2)) == ""


def test_a_volume_whose_storage_is_lost_is_not_handed_out(connection: ClusterConnection, disk: MadeDisk) -> None:
    disk.make()
    stored = f"/api/v1/persistentvolumes/{disk.stored()['metadata']['name']}"
    connection.delete(stored)
    connection.merge(stored, {"metadata": {"finalizers": None}})
    assert eventually(lambda: disk.claim()["status"]["phase"] == "Lost")
    with pytest.raises(DataMissing, match="is lost"):
        make_volume(connection, disk.order(), namespace=disk.namespace)


def test_a_name_that_is_something_elses_is_said_to_be(connection: ClusterConnection, disk: MadeDisk) -> None:
    volume = disk.make()
    label(connection, disk.namespace, CLAIM, volume, disk_labels(uuid4(), "theirs"))
    with pytest.raises(AlreadyExists, match=f"{volume} .* exists and is not disk {disk.id}'s"):
        make_volume(connection, disk.order(), namespace=disk.namespace)


def test_a_volume_grows_and_never_shrinks(connection: ClusterConnection, disk: MadeDisk) -> None:
    volume = disk.make(size_gb=10)
    for size_gb in (20, 20, 15):
        grow_volume(connection, disk.namespace, volume, size_gb)
    assert eventually(lambda: disk.claim()["status"]["capacity"]["storage"] == "20Gi")
    with pytest.raises(NotFound, match=disk.volume(2)):
        grow_volume(connection, disk.namespace, disk.volume(2), 30)


def test_a_volume_that_cannot_grow_says_so(connection: ClusterConnection, disk: MadeDisk) -> None:
    rigid = _storage_class(connection)
    make_volume(connection, disk.order(), namespace=disk.namespace, storage_class=rigid)
    assert eventually(lambda: disk.claim()["status"].get("phase") == "Bound")
    with pytest.raises(ClusterRefused, match="resize"):
        grow_volume(connection, disk.namespace, disk.volume(), 20)


# --- copies -----------------------------------------------------------------------------------------------------------


def test_a_copy_is_ready_lets_its_volume_go_and_becomes_the_next_one(
    connection: ClusterConnection, disk: MadeDisk
) -> None:
    volume = disk.make(1)
    snapshot = disk.ready_copy(1)
    for _ in range(2):
        make_snapshot(connection, disk.namespace, snapshot, volume, disk.labels)
    assert disk.state(snapshot).size_bytes > 0
    assert eventually(lambda: disk.claim()["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"])
    delete_volume(connection, disk.namespace, volume)
    assert eventually(lambda: volume_left(connection, disk.namespace, volume) == "")
    make_snapshot(connection, disk.namespace, snapshot, volume, disk.labels)
    assert disk.state(snapshot).is_ready
    disk.make(2, restore_from=snapshot)
    assert disk.stored(2)["spec"]["csi"]["volumeAttributes"]["made-from"] == snapshot


def test_a_clone_is_made_from_the_same_copy_and_outlives_it(
    connection: ClusterConnection, disk: MadeDisk, new_disk: NewDisk
) -> None:
    disk.make()
    snapshot = disk.ready_copy()
    clone = new_disk("clone")
    clone.make(restore_from=snapshot, size_gb=20)
    assert clone.claim()["metadata"]["labels"][DISK_LABEL] == str(clone.id)
    for _ in range(2):
        delete_snapshot(connection, disk.namespace, snapshot)
    assert eventually(lambda: snapshot_left(connection, disk.namespace, snapshot) == "")
    assert clone.claim()["status"]["phase"] == "Bound"


def test_nothing_is_left_of_a_copy_that_was_deleted(connection: ClusterConnection, disk: MadeDisk) -> None:
    disk.make()
    snapshot = disk.ready_copy()
    content = f"{SNAPSHOTS}/volumesnapshotcontents/{_content_of(disk, snapshot)}"
    connection.merge(content, {"metadata": {"annotations": {f"{SIMULATED}/hold-delete": "true"}}})
    delete_snapshot(connection, disk.namespace, snapshot)
    assert eventually(lambda: "volumesnapshot-bound-protection" in snapshot_left(connection, disk.namespace, snapshot))
    with pytest.raises(NotReadyYet, match="is being deleted"):
        make_snapshot(connection, disk.namespace, snapshot, disk.volume(), disk.labels)
    connection.merge(content, {"metadata": {"annotations": {f"{SIMULATED}/hold-delete": None}}})
    assert eventually(lambda: snapshot_left(connection, disk.namespace, snapshot) == "")
    assert connection.find(content) is None
    assert snapshot_state(connection, disk.namespace, snapshot) is None
    delete_snapshot(connection, disk.namespace, snapshot)


def test_a_copy_that_fails_says_why_and_is_ready_once_it_can_be(connection: ClusterConnection, disk: MadeDisk) -> None:
    disk.make()
    storage_fares(connection, disk.namespace, snapshot_error="no room")
    snapshot = disk.copy()
    assert eventually(lambda: disk.state(snapshot).failure == "no room")
    assert not disk.state(snapshot).is_ready
    path = f"{disk.snapshots}/{snapshot}"
    connection.merge(path, {"metadata": {"annotations": {f"{SIMULATED}/snapshot-error": None}}})
    assert eventually(lambda: disk.state(snapshot).is_ready)
    assert disk.state(snapshot).failure == ""


def test_a_copy_that_is_never_ready_holds_its_volume_until_it_is_given_up(
    connection: ClusterConnection, disk: MadeDisk
) -> None:
    volume = disk.make()
    storage_fares(connection, disk.namespace, snapshot_delay=NEVER)
    snapshot = disk.copy()
    assert eventually(lambda: PROTECTED_WHILE_COPIED in disk.claim()["metadata"]["finalizers"])
    delete_volume(connection, disk.namespace, volume)
    assert eventually(lambda: volume_left(connection, disk.namespace, volume) == f"held by {PROTECTED_WHILE_COPIED}")
    assert (disk.state(snapshot).is_ready, disk.state(snapshot).failure) == (False, "")
    delete_snapshot(connection, disk.namespace, snapshot)
    assert eventually(lambda: snapshot_left(connection, disk.namespace, snapshot) == "")
    assert eventually(lambda: volume_left(connection, disk.namespace, volume) == "")


def test_a_slow_copy_is_ready_in_its_time(connection: ClusterConnection, disk: MadeDisk) -> None:
    disk.make()
    storage_fares(connection, disk.namespace, snapshot_delay="1s")
    snapshot = disk.copy()
    assert eventually(lambda: _content_of(disk, snapshot) != "")
    assert not disk.state(snapshot).is_ready
    assert eventually(lambda: disk.state(snapshot).is_ready)


def test_a_volume_that_no_pod_ever_had_is_copied_once_it_is_there(
    connection: ClusterConnection, disk: MadeDisk
) -> None:
    late = _storage_class(connection, volumeBindingMode="WaitForFirstConsumer")
    make_volume(connection, disk.order(), namespace=disk.namespace, storage_class=late)
    snapshot = disk.copy()
    assert eventually(lambda: "not yet bound" in disk.state(snapshot).failure)
    disk.use("box")
    assert eventually(lambda: disk.state(snapshot).is_ready, seconds=30)


def test_only_what_is_there_is_copied(connection: ClusterConnection, disk: MadeDisk) -> None:
    with pytest.raises(NotFound, match=disk.volume()):
        disk.copy()


def test_a_volume_is_made_from_a_copy_that_is_there_and_ready(connection: ClusterConnection, disk: MadeDisk) -> None:
    disk.make(1)
    with pytest.raises(DataMissing, match=r"snapshot .*berth-snap-gone of disk 'data' should be in cluster"):
        make_volume(connection, disk.order(2, restore_from="berth-snap-gone"), namespace=disk.namespace)
    storage_fares(connection, disk.namespace, snapshot_error="no room")
    snapshot = disk.copy(1)
    assert eventually(lambda: disk.state(snapshot).failure != "")
    with pytest.raises(NotReadyYet, match="is not ready: no room"):
        make_volume(connection, disk.order(2, restore_from=snapshot), namespace=disk.namespace)


def test_a_volume_has_room_for_what_is_copied_into_it(connection: ClusterConnection, disk: MadeDisk) -> None:
    disk.make(1)
    snapshot = disk.ready_copy(1)
    connection.merge(f"{disk.snapshots}/{snapshot}/status", {"status": {"restoreSize": "12500M"}})
    disk.make(2, restore_from=snapshot, size_gb=10)
    assert disk.claim(2)["status"]["capacity"]["storage"] == "12Gi"


def test_a_copys_name_that_is_something_elses_is_said_to_be(
    connection: ClusterConnection, disk: MadeDisk, new_disk: NewDisk
) -> None:
    disk.make()
    snapshot, other = disk.ready_copy(), new_disk()
    with pytest.raises(AlreadyExists, match=f"{snapshot} .* exists and is not disk {other.id}'s"):
        make_snapshot(connection, disk.namespace, snapshot, disk.volume(), other.labels)


def test_a_namespace_goes_with_all_that_is_in_it(
    connection: ClusterConnection, workspace: Tenancy, disk: MadeDisk, new_disk: NewDisk
) -> None:
    disk.make()
    disk.ready_copy()
    storage_fares(connection, disk.namespace, snapshot_delay=NEVER)
    other = new_disk()
    other.make()
    other.copy()
    delete_tenancy(connection, workspace.tenant, workspace.namespaces)
    assert eventually(lambda: namespaces_left(connection, workspace.tenant) == [], seconds=60)


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_disks_new_name_is_written_on_all_that_it_is_made_of(connection: ClusterConnection, disk: MadeDisk) -> None:
    volume = disk.make()
    snapshot = disk.ready_copy()
    for kind, name in ((CLAIM, volume), (SNAPSHOT, snapshot)) * 2:
        label(connection, disk.namespace, kind, name, disk_labels(disk.id, "_better-"))
    for found in (disk.claim(), connection.get(f"{disk.snapshots}/{snapshot}")):
        labels = found["metadata"]["labels"]
        assert (labels[DISK_LABEL], labels[DISK_NAME_LABEL]) == (str(disk.id), "better")
        assert labels["app.kubernetes.io/managed-by"] == "berth"


@pytest.mark.parametrize("kind", [CLAIM, SNAPSHOT])
def test_what_is_gone_cannot_be_labelled(kind: str, connection: ClusterConnection, disk: MadeDisk) -> None:
    with pytest.raises(NotFound, match=f"has no {kind} {disk.namespace}/gone"):
        label(connection, disk.namespace, kind, "gone", disk.labels)


# --- what a cluster can do --------------------------------------------------------------------------------------------


def test_volumes_can_be_copied_where_a_class_is_for_their_driver(connection: ClusterConnection) -> None:
    assert takes_snapshots(connection)
    assert takes_snapshots(connection, _storage_class(connection))
    assert not takes_snapshots(connection, _storage_class(connection, provisioner="other.example.com"))
    assert not takes_snapshots(connection, "there-is-none")


def test_a_volume_of_a_driver_without_copies_is_not_copied(connection: ClusterConnection, disk: MadeDisk) -> None:
    other = _storage_class(connection, provisioner="other.example.com")
    make_volume(connection, disk.order(), namespace=disk.namespace, storage_class=other)
    with pytest.raises(ClusterRefused, match="cannot be copied"):
        disk.copy()


def test_a_cluster_that_knows_no_copies_keeps_volumes() -> None:
    with running_cluster([], name="bare") as part:
        bare = ClusterConnection.from_kubeconfig("bare", part.kubeconfig_path)
        disk, snapshot = MadeDisk(bare, "default"), snapshot_name(uuid4())
        for kind in ("volumesnapshots", "volumesnapshotcontents", "volumesnapshotclasses"):
            bare.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind}.snapshot.storage.k8s.io")
        assert eventually(lambda: not takes_snapshots(bare))
        disk.make()
        assert eventually(lambda: snapshot_state(bare, "default", snapshot) is None)
        assert snapshot_left(bare, "default", snapshot) == ""
        delete_snapshot(bare, "default", snapshot)
        with pytest.raises(ClusterRefused, match="cannot be copied"):
            make_snapshot(bare, "default", snapshot, disk.volume(), disk.labels)
        delete_volume(bare, "default", disk.volume())
        assert eventually(lambda: volume_left(bare, "default", disk.volume()) == "")
        bare.close()


def _storage_class(connection: ClusterConnection, **more: Json | str) -> str:
    """A class of this test's own, of the simulated driver where nothing else is said."""
    name = f"class-{uuid4().hex[:8]}"
    body = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    connection.create(STORAGE_CLASSES, {**body, "provisioner": DRIVER, **more})
    return name


def _content_of(disk: MadeDisk, snapshot: str) -> str:
    found = disk.connection.get(f"{disk.snapshots}/{snapshot}")
    return str((found.get("status") or {}).get("boundVolumeSnapshotContentName", ""))


def _why_it_waits(pod: Json) -> str:
    conditions = pod["status"].get("conditions", [])
    return " ".join(each.get("message", "") for each in conditions if each["type"] == "PodScheduled")
