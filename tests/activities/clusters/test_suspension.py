from __future__ import annotations

import pytest

from clusters.capacity import remove_tokens, write_tokens
from clusters.connection import ClusterConnection
from clusters.suspension import suspend_workloads
from clusters.teardown import delete_gpu_pods, gpu_holders
from domain.identifiers import token_key
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import pods, running
from tests.builders_clusters import Json, a_template, eventually

APPS, BATCH = "apps/v1", "batch/v1"


def _collection(tenancy: Tenancy, kind: str) -> str:
    group = BATCH if kind in {"jobs", "cronjobs"} else APPS
    return f"/apis/{group}/namespaces/{tenancy.namespaces[0]}/{kind}"


def _scaled(*, gpus: int, replicas: int = 2) -> Json:
    return {"replicas": replicas, "selector": {"matchLabels": {"app": "it"}}, "template": a_template(gpus=gpus)}


def _create(connection: ClusterConnection, tenancy: Tenancy, kind: str, spec: Json) -> str:
    kinds = {"jobs": "Job", "cronjobs": "CronJob", "deployments": "Deployment", "statefulsets": "StatefulSet"}
    group = BATCH if kind in {"jobs", "cronjobs"} else APPS
    body = {"apiVersion": group, "kind": kinds.get(kind, "ReplicaSet"), "metadata": {"name": "it"}, "spec": spec}
    connection.create(_collection(tenancy, kind), body)
    return f"{_collection(tenancy, kind)}/it"


@pytest.fixture
def key(connection: ClusterConnection, workspace: Tenancy, node: str) -> str:
    key = token_key(workspace.tenant)
    write_tokens(connection, key, {node: 8})
    return key


def _end_lease(connection: ClusterConnection, tenancy: Tenancy, node: str) -> None:
    key = token_key(tenancy.tenant)
    remove_tokens(connection, key, [node])
    for _ in range(2):
        suspend_workloads(connection, key, tenancy.namespaces)
    delete_gpu_pods(connection, key, [node], 5)


@pytest.mark.parametrize("kind", ["deployments", "statefulsets", "replicasets"])
def test_scaled_workloads_go_to_nothing_remember_their_count_and_stay_there(
    kind: str, connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    path = _create(connection, workspace, kind, _scaled(gpus=1))
    assert eventually(lambda: running(connection, workspace) == 2)
    _end_lease(connection, workspace, node)
    assert eventually(lambda: pods(connection, workspace) == [])
    kept = connection.get(path)
    assert kept["spec"]["replicas"] == 0
    assert kept["metadata"]["annotations"]["berth.io/replicas"] == "2"
    write_tokens(connection, key, {node: 8})
    assert not eventually(lambda: pods(connection, workspace) != [], seconds=1)


def test_a_job_is_suspended_and_does_not_come_back_with_the_next_lease(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    path = _create(connection, workspace, "jobs", {"template": a_template(restart="Never"), "parallelism": 2})
    assert eventually(lambda: running(connection, workspace) == 2)
    _end_lease(connection, workspace, node)
    assert eventually(lambda: gpu_holders(connection, key, [node]) == {})
    write_tokens(connection, key, {node: 8})
    assert not eventually(lambda: running(connection, workspace) > 0, seconds=1)
    assert connection.get(path)["spec"]["suspend"] is True


def test_a_cron_job_starts_no_more_jobs(connection: ClusterConnection, workspace: Tenancy, key: str, node: str) -> None:
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": a_template(restart="Never")}}}
    path = _create(connection, workspace, "cronjobs", spec)
    suspend_workloads(connection, key, workspace.namespaces)
    assert connection.get(path)["spec"]["suspend"] is True


def test_workloads_without_gpus_go_on(connection: ClusterConnection, workspace: Tenancy, key: str, node: str) -> None:
    path = _create(connection, workspace, "deployments", _scaled(gpus=0))
    suspend_workloads(connection, key, workspace.namespaces)
    assert connection.get(path)["spec"]["replicas"] == 2


def test_a_job_that_is_over_is_left_as_it_is(
    connection: ClusterConnection, workspace: Tenancy, key: str, node: str
) -> None:
    template = a_template(restart="Never")
    template["metadata"]["annotations"] = {"kwok.berth.io/run": "0s"}
    path = _create(connection, workspace, "jobs", {"template": template})
    assert eventually(lambda: bool(connection.get(path)["status"].get("succeeded")))
    assert eventually(lambda: "conditions" in connection.get(path)["status"])
    suspend_workloads(connection, key, workspace.namespaces)
    assert not connection.get(path)["spec"].get("suspend")


def test_suspending_in_a_namespace_that_is_gone_is_nothing(connection: ClusterConnection) -> None:
    suspend_workloads(connection, "gone-1.berth.io/gpu", ["never-there"])
