"""Boxes on a real API server, scheduler and controllers, with pods that are simulated: made, told, seen, gone."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from clusters.box_pods import box_name
from clusters.boxes import list_files, write_orders
from clusters.capacity import write_tokens
from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from clusters.job_manifests import manifests
from clusters.job_views import observe_jobs
from clusters.jobs import create_job_objects, delete_job_objects, job_objects_left
from clusters.teardown import gpu_holders
from domain.box import HOME, BoxOrders
from domain.failures import ClusterRefused, NotReadyYet, Unavailable
from domain.job import EnvironmentVariable, JobKind, JobSpec, JobState
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import AsTenant, NewNodes, NewWorkspace, pods_path
from tests.activities.clusters.job_kit import MadeJob, make_job
from tests.builders_clusters import Json, eventually
from tests.builders_jobs import a_job

NO_JUPYTER = BoxOrders(("ssh-ed25519 AAAA ada",), "", ())


def _box(**more: Any) -> JobSpec:
    return a_job(JobKind.BOX, **{"gpus_per_replica": 1, **more})


def _secret(box: MadeJob) -> Json:
    return box.connection.get(f"/api/v1/namespaces/{box.namespace}/secrets/{box_name(box.id)}")


def _says(box: MadeJob) -> dict[str, str]:
    """The orders in its Secret."""
    data = _secret(box)["data"]
    return {key: base64.b64decode(text).decode() for key, text in data.items() if key != "berth-box"}


def test_a_box_runs_and_is_reached_by_its_nodes_address_and_ports(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(), node)
    assert box.comes_to(JobState.RUNNING, ready=1)
    entrance = box.seen.entrance
    assert entrance
    assert set(entrance.node_ports) == {"ssh", "jupyter"}
    assert all(30_000 <= port < 32_768 for port in entrance.node_ports.values())
    addresses = connection.get(f"/api/v1/nodes/{node}")["status"]["addresses"]
    assert entrance.node_address in {address["address"] for address in addresses}


def test_a_box_on_several_nodes_runs_when_all_of_it_does_and_is_entered_at_its_first_pod(
    connection: ClusterConnection, workspace: Tenancy, new_nodes: NewNodes
) -> None:
    one, two = new_nodes(2, gpus=8)
    box = make_job(connection, workspace, _box(replicas=2, gpus_per_replica=8), name="gpu-dev-1")
    assert box.comes_to(JobState.PENDING, "Unschedulable")
    write_tokens(connection, box.key, {one: 8})
    assert eventually(lambda: box.seen.ready == 1)
    assert box.seen.state is JobState.PENDING
    write_tokens(connection, box.key, {two: 8})
    assert box.comes_to(JobState.RUNNING, ready=2)
    assert {pod.node for pod in box.seen.pods} == {one, two}
    entrance = box.seen.entrance
    assert entrance
    assert entrance.name == "gpu-dev-1"
    connection.delete(f"{pods_path(workspace)}/gpu-dev-1-1", grace_seconds=1)
    assert box.comes_to(JobState.DEGRADED, "PodMissing")


def test_a_box_whose_pod_ended_has_failed_for_it_does_not_come_back(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(), node, {"kwok.berth.io/fail": "Evicted"})
    assert box.comes_to(JobState.FAILED, "Evicted")


def test_a_box_goes_whole_but_for_its_disk(connection: ClusterConnection, workspace: Tenancy, node: str) -> None:
    claims = f"/api/v1/namespaces/{workspace.namespaces[0]}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "berth-disk-1", "labels": {"berth.io/disk": "1"}}
    connection.create(claims, {"metadata": metadata, "spec": spec})
    variables = (EnvironmentVariable("KEY", "value"),)
    box = make_job(connection, workspace, _box(environment=variables), node, volume="berth-disk-1")
    assert box.comes_to(JobState.RUNNING)
    kinds = {one.kind for one in job_objects_left(connection, box.namespace, box.id)}
    assert kinds == {"pods", "services", "secrets", "networkpolicies"}
    for _ in range(2):
        delete_job_objects(connection, box.namespace, box.id)
    assert eventually(lambda: job_objects_left(connection, box.namespace, box.id) == [])
    assert eventually(lambda: gpu_holders(connection, box.key, [node]) == {})
    assert "deletionTimestamp" not in connection.get(f"{claims}/berth-disk-1")["metadata"]


def test_two_pods_are_never_on_one_disk(connection: ClusterConnection, workspace: Tenancy, node: str) -> None:
    claims = f"/api/v1/namespaces/{workspace.namespaces[0]}/persistentvolumeclaims"
    spec = {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Gi"}}}
    connection.create(claims, {"metadata": {"name": "berth-disk-1"}, "spec": spec})
    first = make_job(connection, workspace, _box(), node, volume="berth-disk-1")
    assert first.comes_to(JobState.RUNNING)
    second = make_job(connection, workspace, _box(), node, volume="berth-disk-1", name="gpu-dev-2")
    assert second.comes_to(JobState.PENDING, "Unschedulable")
    assert "already in-use" in second.seen.message


def test_making_a_box_twice_is_making_it_once_and_takes_no_order_back(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(), node)
    write_orders(connection, box.namespace, box.id, NO_JUPYTER, 1)
    create_job_objects(connection, manifests(box.spec, box.place))
    assert _says(box) == {"authorized_keys": "ssh-ed25519 AAAA ada\n"}


def test_a_box_is_told_all_of_it_each_time_and_its_pods_are_poked(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(replicas=2), node)
    assert _says(box) == {}
    write_orders(connection, box.namespace, box.id, BoxOrders(("a", "b"), "t0ken", ("soon\nover",)), 3)
    assert _says(box) == {"authorized_keys": "a\nb\n", "jupyter-token": "t0ken", "notices": "soon over\n"}
    first = _told(box)
    write_orders(connection, box.namespace, box.id, BoxOrders(("b",), "", ("soon over", "over")), 3)
    assert _says(box) == {"authorized_keys": "b\n", "notices": "soon over\nover\n"}
    assert len(set(first)) == len(set(_told(box))) == 1
    assert set(first).isdisjoint(_told(box))
    assert "#!/bin/sh" in base64.b64decode(_secret(box)["data"]["berth-box"]).decode()


def test_telling_a_box_the_same_twice_changes_nothing(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(), node)
    write_orders(connection, box.namespace, box.id, NO_JUPYTER, 1)
    before = _secret(box)["metadata"]["resourceVersion"], _told(box)
    write_orders(connection, box.namespace, box.id, NO_JUPYTER, 1)
    assert (_secret(box)["metadata"]["resourceVersion"], _told(box)) == before


def test_an_older_telling_that_comes_late_is_left_out(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(), node)
    write_orders(connection, box.namespace, box.id, BoxOrders(("new",), "", ()), 8)
    write_orders(connection, box.namespace, box.id, BoxOrders(("old",), "", ()), 7)
    assert _says(box) == {"authorized_keys": "new\n"}


def test_a_box_that_is_not_there_is_not_made_by_telling_it(connection: ClusterConnection, workspace: Tenancy) -> None:
    namespace = workspace.namespaces[0]
    with pytest.raises(NotReadyYet, match="not there"):
        write_orders(connection, namespace, "never-there", NO_JUPYTER, 1)
    assert connection.find(f"/api/v1/namespaces/{namespace}/secrets/{box_name('never-there')}") is None


def test_what_a_box_is_told_is_for_its_own_workspace_to_read_and_for_nobody_there_to_write(
    connection: ClusterConnection, new_workspace: NewWorkspace, as_tenant: AsTenant
) -> None:
    own, other = new_workspace("own"), new_workspace("other")
    box = make_job(connection, own, _box())
    path = f"/api/v1/namespaces/{box.namespace}/secrets/{box_name(box.id)}"
    with pytest.raises(ClusterRefused, match="403"):
        as_tenant(other).get(path)
    tenant = as_tenant(own)
    for change in (lambda: tenant.merge(path, {"data": {"authorized_keys": "bXkga2V5"}}), lambda: tenant.delete(path)):
        with pytest.raises(ClusterRefused, match="Berth's"):
            change()


def test_a_service_of_somebody_elses_leads_nobody_astray(
    connection: ClusterConnection, new_workspace: NewWorkspace, as_tenant: AsTenant, node: str
) -> None:
    own, other = new_workspace("own"), new_workspace("other")
    box = make_job(connection, own, _box(), node)
    assert box.comes_to(JobState.RUNNING)
    true = box.seen.entrance
    forged = {"selector": {}, "type": "NodePort", "ports": [{"name": "ssh", "port": 22}]}
    metadata = {"name": "mine", "labels": {"berth.io/job": box.id}}
    services = f"/api/v1/namespaces/{other.namespaces[0]}/services"
    as_tenant(other).create(services, {"metadata": metadata, "spec": forged})
    assert observe_jobs(connection, [box.id])[box.id].entrance == true


def test_files_are_not_to_be_had_where_nothing_runs(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    box = make_job(connection, workspace, _box(), node)
    assert box.comes_to(JobState.RUNNING)
    with pytest.raises(Unavailable):
        list_files(connection, box.namespace, box.seen.pods[0].name, HOME, 5)
    with pytest.raises(ObjectMissing):
        list_files(connection, box.namespace, "never-there", HOME, 5)


def _told(box: MadeJob) -> list[str]:
    return [pod["metadata"]["annotations"]["berth.io/told"] for pod in box.pods()]
