from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from cli.stack.cluster import Cluster
from clusters.connection import ClusterConnection
from clusters.job_watch import GATHER_SECONDS, watch_jobs
from clusters.jobs import delete_job_objects
from domain.job import JobKind, JobState
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import pods_path
from tests.activities.clusters.job_kit import MadeJob, make_job
from tests.builders_clusters import a_pod, eventually
from tests.builders_jobs import a_job


class _Calls:
    """What a watch tells, call by call."""

    def __init__(self) -> None:
        self.told: list[frozenset[str]] = []

    def __call__(self, changed: frozenset[str]) -> None:
        self.told.append(changed)

    def of(self, job_id: str) -> int:
        return sum(job_id in changed for changed in self.told)

    def settled(self, job_id: str) -> int:
        while self._is_told_more(job_id, self.of(job_id)):
            continue
        return self.of(job_id)

    def _is_told_more(self, job_id: str, before: int) -> bool:
        return eventually(lambda: self.of(job_id) != before, seconds=1.2)


@pytest.fixture
def told(connection: ClusterConnection) -> Iterator[_Calls]:
    calls, stop = _Calls(), threading.Event()
    watch = threading.Thread(target=watch_jobs, args=(connection, calls, stop))
    watch.start()
    yield calls
    stop.set()
    watch.join(timeout=15)
    assert not watch.is_alive()


@pytest.fixture
def job(connection: ClusterConnection, workspace: Tenancy, node: str) -> MadeJob:
    made = make_job(connection, workspace, a_job(JobKind.INFERENCE, gpus_per_replica=1), node)
    assert made.comes_to(JobState.RUNNING)
    return made


def _is_told(calls: _Calls, job: MadeJob, of: Callable[[], object], seconds: float = 1) -> bool:
    before = calls.settled(job.id)
    of()
    return eventually(lambda: calls.of(job.id) > before, seconds)


def _touch(job: MadeJob) -> None:
    (pod,) = job.seen.pods
    path = f"/api/v1/namespaces/{job.namespace}/pods/{pod.name}"
    job.connection.merge(path, {"metadata": {"annotations": {"touched": str(uuid4())}}})


def test_jobs_that_are_there_already_are_told_at_the_begin(job: MadeJob, told: _Calls) -> None:
    assert eventually(lambda: told.of(job.id) > 0)


def test_a_change_of_a_pod_is_told_at_once(job: MadeJob, told: _Calls) -> None:
    assert _is_told(told, job, lambda: _touch(job))


def test_a_job_that_goes_is_told_until_its_last_pod_is_gone(
    connection: ClusterConnection, job: MadeJob, told: _Calls
) -> None:
    assert _is_told(told, job, lambda: delete_job_objects(connection, job.namespace, job.id))
    told.settled(job.id)
    assert job.pods() == []


def test_pods_that_are_nobodys_are_not_told(
    connection: ClusterConnection, workspace: Tenancy, job: MadeJob, told: _Calls
) -> None:
    assert not _is_told(told, job, lambda: connection.create(pods_path(workspace), a_pod("mine", gpus=0)), 1.5)


def test_many_changes_are_few_calls(connection: ClusterConnection, job: MadeJob, told: _Calls) -> None:
    before = told.settled(job.id)
    path = f"/api/v1/namespaces/{job.namespace}/pods/{job.seen.pods[0].name}"
    began = time.monotonic()
    for number in range(100):
        connection.merge(path, {"metadata": {"annotations": {"touched": str(number)}}})
    calls_max = (time.monotonic() - began) / GATHER_SECONDS + 2
    assert before < told.settled(job.id) <= before + calls_max


def test_a_watch_outlives_the_api_server(kube_cluster: Cluster, job: MadeJob, told: _Calls) -> None:
    assert eventually(lambda: told.of(job.id) > 0)
    kube_cluster.kill("kube-apiserver")
    kube_cluster.start_component("kube-apiserver")
    assert _is_told(told, job, lambda: _touch(job), seconds=15)
