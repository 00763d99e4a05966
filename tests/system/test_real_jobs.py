"""Jobs on a real kubelet: what containers, probes, folders and logs are really like, where other tests simulate them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.stack import node_requirements
from cli.stack.real_node import BUSYBOX, RealNode, running_real_node
from cli.stack.testing import running_cluster
from clusters.connection import ClusterConnection
from clusters.job_logs import log_tail, stream_log
from clusters.job_views import job_events
from clusters.jobs import delete_job_objects, job_objects_left
from clusters.registration import install
from domain.job import EnvironmentVariable, JobKind, JobState
from domain.workspace import Tenancy
from tests.activities.clusters.job_kit import MadeJob, make_job
from tests.builders_clusters import a_tenancy, eventually, make_tenancy
from tests.builders_jobs import a_job

SECONDS_MAX = 60.0
NODE = "real-1"


@pytest.fixture(scope="module")
def node() -> Iterator[RealNode]:
    if lack := node_requirements.lack():
        pytest.skip(lack)
    with running_cluster([]) as cluster, running_real_node(cluster) as running:
        yield running


@pytest.fixture(scope="module")
def real_cluster(node: RealNode) -> Iterator[ClusterConnection]:
    connection = ClusterConnection.from_kubeconfig(node.cluster.name, node.cluster.kubeconfig_path)
    install(connection)
    yield connection
    connection.close()


@pytest.fixture
def tenancy(real_cluster: ClusterConnection) -> Tenancy:
    made = a_tenancy()
    make_tenancy(real_cluster, made)
    return made


def _job(connection: ClusterConnection, tenancy: Tenancy, script: str, **more: Any) -> MadeJob:
    spec = a_job(**{"image": BUSYBOX, "gpus_per_replica": 1, "retries": 0, "command": ("sh", "-c", script), **more})
    return make_job(connection, tenancy, spec, NODE)


def _goes_whole(job: MadeJob) -> bool:
    delete_job_objects(job.connection, job.namespace, job.id, force=True)
    return eventually(lambda: job_objects_left(job.connection, job.namespace, job.id) == [], SECONDS_MAX)


def test_a_job_has_its_gpus_its_variables_and_its_folder_and_every_line_is_heard_once(
    real_cluster: ClusterConnection, tenancy: Tenancy, tmp_path: Path
) -> None:
    folder = tmp_path / "made-by-the-kubelet"
    script = f"echo $KEY $NVIDIA_VISIBLE_DEVICES | tee {folder}/kept; for i in 1 2 3 4 5; do echo $i; sleep 0.2; done"
    variables = (EnvironmentVariable("KEY", "value"),)
    job = _job(real_cluster, tenancy, script, gpus_per_replica=2, environment=variables, host_paths=(str(folder),))
    assert eventually(lambda: bool(job.seen.pods), SECONDS_MAX)
    first, *rest = stream_log(real_cluster, job.namespace, job.seen.pods[0].name, threading.Event())
    assert first.text.startswith("value GPU-")
    assert len(first.text.split(",")) == 2
    assert [line.text for line in rest] == ["1", "2", "3", "4", "5"]
    assert job.comes_to(JobState.SUCCEEDED, seconds=SECONDS_MAX)
    assert _goes_whole(job)
    assert (folder / "kept").read_text().strip() == first.text


@pytest.mark.parametrize(
    ("script", "memory", "says"),
    [("exit 3", "", "Error; exit code 3"), ("x=a; while true; do x=$x$x; done", "32Mi", "OOMKilled; exit code 137")],
)
def test_a_job_that_dies_says_what_of(
    script: str, memory: str, says: str, real_cluster: ClusterConnection, tenancy: Tenancy
) -> None:
    job = _job(real_cluster, tenancy, script, memory=memory)
    assert job.comes_to(JobState.FAILED, f"BackoffLimitExceeded: {says.partition(';')[0]}", seconds=SECONDS_MAX)
    assert says in job.seen.message
    assert _goes_whole(job)


def test_an_image_that_cannot_be_had_is_the_reason_and_there_is_no_log_yet(
    real_cluster: ClusterConnection, tenancy: Tenancy
) -> None:
    job = _job(real_cluster, tenancy, "true", image="127.0.0.1:1/never/there:1")
    assert eventually(lambda: job.seen.reason in {"ErrImagePull", "ImagePullBackOff"}, SECONDS_MAX)
    assert job.seen.state is JobState.PENDING
    assert log_tail(real_cluster, job.namespace, job.seen.pods[0].name) == []
    assert _goes_whole(job)


def test_a_pull_secret_that_is_not_there_is_told_beside_the_image_that_cannot_be_had(
    real_cluster: ClusterConnection, tenancy: Tenancy
) -> None:
    job = _job(real_cluster, tenancy, "true", image="127.0.0.1:1/never/there:1", image_pull_secret="nobody-made-it")
    assert eventually(lambda: job.seen.reason in {"ErrImagePull", "ImagePullBackOff"}, SECONDS_MAX)
    told = [one for one in job_events(real_cluster, job.namespace, job.id) if one.is_warning]
    assert "nobody-made-it" in next(one.message for one in told if one.reason == "FailedToRetrieveImagePullSecret")
    assert _goes_whole(job)


def test_a_service_runs_once_its_health_check_says_so(real_cluster: ClusterConnection, tenancy: Tenancy) -> None:
    script = "sleep 2; mkdir /w; echo well > /w/healthz; exec httpd -f -p 8080 -h /w"
    job = _job(real_cluster, tenancy, script, kind=JobKind.INFERENCE, port=8080, health_check="/healthz")
    assert eventually(lambda: bool(job.seen.pods) and job.seen.pods[0].phase == "Running", SECONDS_MAX)
    assert (job.seen.state, job.seen.reason) == (JobState.PENDING, "ContainersNotReady")
    assert job.comes_to(JobState.RUNNING, ready=1, seconds=SECONDS_MAX)
    assert _goes_whole(job)
