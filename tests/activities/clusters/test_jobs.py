"""Jobs on a real API server, scheduler and controllers: made, running, stopped, gone, each with its reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clusters.capacity import remove_tokens, write_tokens
from clusters.connection import ClusterConnection
from clusters.job_manifests import manifests
from clusters.job_views import job_events, observe_job, observe_jobs
from clusters.jobs import (
    create_job_objects,
    delete_job_objects,
    job_objects_left,
    move_job_deadline,
    resume_job,
    suspend_job,
)
from clusters.suspension import suspend_workloads
from clusters.teardown import delete_gpu_pods, gpu_holders
from domain.failures import AlreadyExists, ClusterRefused, NotReadyYet
from domain.identifiers import token_key
from domain.job import EnvironmentVariable, JobEvent, JobKind, JobState
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import NewNodes, pods_path, running
from tests.activities.clusters.job_kit import MadeJob, make_job
from tests.builders_clusters import Json, a_pod, a_template, eventually
from tests.builders_jobs import a_job, a_place

FULL = (EnvironmentVariable("KEY", "value"),)


@pytest.mark.parametrize("kind", JobKind)
def test_each_kind_runs_on_its_own_gpus_and_goes_whole(
    kind: JobKind, connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    spec = a_job(kind, gpus_per_replica=2, port=8080, environment=FULL, host_paths=("/srv/data",))
    job = make_job(connection, workspace, spec, node)
    assert job.comes_to(JobState.RUNNING, ready=1)
    (pod,) = job.seen.pods
    assert pod.node == node
    assert (job.seen.service_node_port > 0) == (kind is not JobKind.TRAINING)
    for _ in range(2):
        delete_job_objects(connection, job.namespace, job.id)
    assert eventually(lambda: job_objects_left(connection, job.namespace, job.id) == [])
    assert observe_job(connection, job.namespace, job.id) is None


def test_replicas_of_a_training_job_spread_over_their_nodes_and_finish(
    connection: ClusterConnection, workspace: Tenancy, new_nodes: NewNodes
) -> None:
    one, two = new_nodes(2, gpus=4)
    place = a_place(workspace.namespaces[0], nodes=(one, two))
    job = make_job(connection, workspace, a_job(replicas=2, gpus_per_replica=4), fence=place.fence, job_id=place.job_id)
    assert job.comes_to(JobState.PENDING, "Unschedulable")
    write_tokens(connection, job.key, {one: 4, two: 4})
    assert job.comes_to(JobState.RUNNING, ready=2)
    assert {pod.node for pod in job.seen.pods} == {one, two}
    for pod in job.pods():
        path = f"{pods_path(workspace)}/{pod['metadata']['name']}"
        connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/run": "0s"}}})
    assert job.comes_to(JobState.SUCCEEDED)


def test_making_a_job_twice_is_making_it_once(connection: ClusterConnection, workspace: Tenancy) -> None:
    spec, place = a_job(JobKind.COMPUTE, port=80, environment=FULL), a_place(workspace.namespaces[0])
    for _ in range(2):
        create_job_objects(connection, manifests(spec, place))
    left = job_objects_left(connection, place.namespace, place.job_id)
    assert {"deployments", "services", "secrets"} <= {one.kind for one in left}


@pytest.mark.parametrize("taken", ["Deployment", "Service"])
def test_a_name_that_is_somebody_elses_is_said_to_be(
    taken: str, connection: ClusterConnection, workspace: Tenancy
) -> None:
    theirs, ours = (a_place(workspace.namespaces[0]) for _ in range(2))
    spec = a_job(JobKind.COMPUTE, port=80)
    create_job_objects(connection, [one for one in manifests(spec, theirs) if one["kind"] == taken])
    with pytest.raises(AlreadyExists, match=f"{taken} (svc-)?it exists .* not this job's"):
        create_job_objects(connection, manifests(spec, ours))
    delete_job_objects(connection, ours.namespace, ours.job_id)
    assert eventually(lambda: job_objects_left(connection, ours.namespace, ours.job_id) == [])
    assert job_objects_left(connection, theirs.namespace, theirs.job_id) != []


def test_objects_of_an_earlier_lease_are_waited_for(connection: ClusterConnection, workspace: Tenancy) -> None:
    spec, first = a_job(), a_place(workspace.namespaces[0])
    create_job_objects(connection, manifests(spec, first))
    with pytest.raises(NotReadyYet, match="earlier try"):
        create_job_objects(connection, manifests(spec, a_place(first.namespace, job_id=first.job_id)))


FARES: dict[str, tuple[Json, JobState, str]] = {
    "no image": ({"kwok.berth.io/wait-reason": "ImagePullBackOff"}, JobState.PENDING, "ImagePullBackOff"),
    "no secret": (
        {"kwok.berth.io/wait-reason": "CreateContainerConfigError"},
        JobState.PENDING,
        "CreateContainerConfigError",
    ),
    "out of memory": (
        {"kwok.berth.io/fail": "OOMKilled", "kwok.berth.io/exit-code": "137"},
        JobState.FAILED,
        "BackoffLimitExceeded: OOMKilled",
    ),
    "done": ({"kwok.berth.io/run": "0s"}, JobState.SUCCEEDED, ""),
}


@pytest.mark.parametrize("how", FARES)
def test_how_a_training_job_fares(how: str, connection: ClusterConnection, workspace: Tenancy, node: str) -> None:
    annotations, state, reason = FARES[how]
    job = make_job(connection, workspace, a_job(gpus_per_replica=1, retries=0), node, annotations)
    assert job.comes_to(state, reason)


def test_a_failed_pod_is_tried_again_and_the_job_has_not_failed(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    dies = {"kwok.berth.io/fail": "OOMKilled", "kwok.berth.io/exit-code": "137"}
    job = make_job(connection, workspace, a_job(gpus_per_replica=1, retries=3), node, dies)
    assert job.comes_to(JobState.PENDING, "OOMKilled")
    assert "it is tried again" in job.seen.message


def test_the_safety_net_ends_a_job_and_can_be_moved(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(gpus_per_replica=1), node, deadline_seconds=3600)
    assert job.comes_to(JobState.RUNNING)
    move_job_deadline(connection, job.namespace, job.id, datetime.now(UTC) + timedelta(seconds=1))
    assert job.comes_to(JobState.FAILED, "DeadlineExceeded")


def test_a_node_that_does_not_answer_makes_its_job_unknown(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(JobKind.NOTEBOOK, gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING)
    connection.merge(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {"kwok.berth.io/not-ready": "no power"}}})
    assert job.comes_to(JobState.UNKNOWN, "NodeLost")
    assert "no power" in job.seen.message


def test_a_pod_that_admission_refuses_is_said_to_be(connection: ClusterConnection, workspace: Tenancy) -> None:
    place = a_place(workspace.namespaces[0])
    made = manifests(a_job(JobKind.COMPUTE), place)
    made[-1]["spec"]["template"]["spec"]["hostNetwork"] = True
    create_job_objects(connection, made)
    assert eventually(lambda: observe_jobs(connection, [place.job_id])[place.job_id].reason == "FailedCreate")


@pytest.mark.parametrize("kind", [kind for kind in JobKind if kind is not JobKind.BOX])
def test_a_suspended_job_has_no_pods_and_gets_them_back(
    kind: JobKind, connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(kind, gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING)
    for _ in range(2):
        suspend_job(connection, job.namespace, job.id)
    assert eventually(lambda: gpu_holders(connection, job.key, [node]) == {})
    assert (job.seen.state, job.seen.wanted) == (JobState.SUSPENDED, 1)
    for _ in range(2):
        resume_job(connection, job.namespace, job.id)
    assert job.comes_to(JobState.RUNNING)


def test_a_lease_is_torn_down_by_its_own_token_and_the_workspace_goes_on(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    own = token_key(workspace.tenant)
    write_tokens(connection, own, {node: 1})
    template = a_template(gpus=1)
    deployment = {"replicas": 1, "selector": {"matchLabels": {"app": "it"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "theirs"}, "spec": deployment}
    connection.create(f"/apis/apps/v1/namespaces/{workspace.namespaces[0]}/deployments", body)
    job = make_job(connection, workspace, a_job(JobKind.INFERENCE, replicas=2, gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING, ready=2)
    assert eventually(lambda: running(connection, workspace) == 3)
    remove_tokens(connection, job.key, [node])
    suspend_workloads(connection, job.key, workspace.namespaces)
    delete_gpu_pods(connection, job.key, [node], 5)
    assert eventually(lambda: gpu_holders(connection, job.key, [node]) == {})
    assert job.comes_to(JobState.SUSPENDED)
    assert running(connection, workspace) == 1
    suspend_workloads(connection, own, workspace.namespaces)
    assert eventually(lambda: gpu_holders(connection, own, [node]) == {})


def test_suspending_a_workspaces_lease_leaves_its_jobs(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(JobKind.INFERENCE, gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING)
    suspend_workloads(connection, token_key(workspace.tenant), workspace.namespaces)
    assert job.seen.state is JobState.RUNNING


def test_a_pod_that_does_not_go_is_named_and_forcing_cuts_its_grace_but_never_drops_it(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    holds = {"kwok.berth.io/hold-delete": "true"}
    job = make_job(connection, workspace, a_job(gpus_per_replica=1), node, holds)
    assert job.comes_to(JobState.RUNNING)
    delete_job_objects(connection, job.namespace, job.id)
    assert eventually(lambda: [one.kind for one in job_objects_left(connection, job.namespace, job.id)] == ["pods"])
    assert job.seen.state is JobState.TERMINATING
    delete_job_objects(connection, job.namespace, job.id, force=True)
    (pod,) = job.pods()
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 1
    assert len(gpu_holders(connection, job.key, [node])[node]) == 1
    path = f"{pods_path(workspace)}/{pod['metadata']['name']}"
    connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/hold-delete": None}}})
    assert eventually(lambda: job_objects_left(connection, job.namespace, job.id) == [])


def test_many_jobs_are_seen_in_one_look_each_with_its_own_pods(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    jobs = [
        make_job(connection, workspace, a_job(gpus_per_replica=1), node, name=f"it-{number}", priority="low")
        for number in range(3)
    ]
    ids = [job.id for job in jobs]
    assert eventually(lambda: [seen.ready for seen in observe_jobs(connection, ids).values()] == [1, 1, 1])
    assert set(observe_jobs(connection, [*ids, "never-there"])) == set(ids)


def test_what_the_cluster_says_of_a_job_and_its_pods_is_kept_in_order(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    job = make_job(connection, workspace, a_job(gpus_per_replica=1), node)
    assert job.comes_to(JobState.RUNNING)
    assert eventually(lambda: {"SuccessfulCreate", "Scheduled"} <= {one.reason for one in _events(job)})
    told = _events(job)
    assert {one.kind for one in told} == {"Job", "Pod"}
    assert sorted(one.at for one in told if one.at) == [one.at for one in told if one.at]


def _events(job: MadeJob) -> list[JobEvent]:
    return job_events(job.connection, job.namespace, job.id)


def test_a_folder_of_the_host_is_refused_to_a_pod_and_given_to_a_job(
    connection: ClusterConnection, workspace: Tenancy, node: str
) -> None:
    with pytest.raises(ClusterRefused, match="hostPath"):
        connection.create(pods_path(workspace), a_pod(volumes=[{"name": "d", "hostPath": {"path": "/srv"}}]))
    job = make_job(connection, workspace, a_job(gpus_per_replica=1, host_paths=("/srv/a", "/srv/b")), node)
    assert job.comes_to(JobState.RUNNING)
