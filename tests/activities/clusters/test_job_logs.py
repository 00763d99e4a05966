"""Logs of pods, as a real API server passes them on from the nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.stack.cluster import Cluster
from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from clusters.job_logs import log_tail, stream_log
from domain.job import JobState, LogLine
from domain.workspace import Tenancy
from tests.activities.clusters.cluster_views import pods_path
from tests.activities.clusters.job_kit import MadeJob, make_job
from tests.builders_clusters import a_pod, eventually
from tests.builders_jobs import a_job

Say = Callable[..., None]


@pytest.fixture
def say(kube_cluster: Cluster) -> Iterator[Say]:
    """Makes every simulated pod say something more."""
    log = kube_cluster.plane.folder / "pod.log"
    before = log.read_text()

    def append(*texts: str) -> None:
        with log.open("a") as file:
            file.writelines(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z stdout F {text}\n" for text in texts)

    yield append
    _restore(log, before)


def _restore(log: Path, before: str) -> None:
    log.write_text(before)


@pytest.fixture
def job(connection: ClusterConnection, workspace: Tenancy, node: str) -> MadeJob:
    made = make_job(connection, workspace, a_job(gpus_per_replica=1), node)
    assert made.comes_to(JobState.RUNNING)
    return made


def _pod(job: MadeJob) -> str:
    return job.seen.pods[0].name


def test_the_last_lines_come_with_or_without_their_times(connection: ClusterConnection, job: MadeJob, say: Say) -> None:
    say("one", "two", "three")
    assert log_tail(connection, job.namespace, _pod(job), 2) == ["two", "three"]
    (line,) = log_tail(connection, job.namespace, _pod(job), 1, timestamps=True)
    at, _, text = line.partition(" ")
    assert text == "three"
    assert datetime.fromisoformat(at).tzinfo is not None


def test_a_pod_without_a_node_has_said_nothing(connection: ClusterConnection, workspace: Tenancy) -> None:
    connection.create(pods_path(workspace), a_pod())
    assert log_tail(connection, workspace.namespaces[0], "worker") == []


def test_a_pod_that_is_not_there_is_missing(connection: ClusterConnection, workspace: Tenancy) -> None:
    with pytest.raises(ObjectMissing):
        log_tail(connection, workspace.namespaces[0], "worker")


@pytest.fixture
def heard(connection: ClusterConnection, job: MadeJob, say: Say) -> Iterator[list[LogLine]]:
    """What a stream of the job's pod tells."""
    lines: list[LogLine] = []
    stop = threading.Event()

    def listen() -> None:
        tell = lines.append
        for line in stream_log(connection, job.namespace, _pod(job), stop):
            tell(line)

    with ThreadPoolExecutor(1) as thread:
        listening = thread.submit(listen)
        yield lines
        stop.set()
        say("nobody listens any more")
        listening.result(timeout=20)


def _texts(heard: list[LogLine]) -> list[str]:
    return [line.text for line in heard if line.text.startswith("line")]


def test_a_stream_tells_each_line_once_over_many_cuts_and_goes_on_after_an_api_server_died(
    kube_cluster: Cluster, heard: list[LogLine], say: Say
) -> None:
    wanted = [f"line {number}" for number in range(20)]
    for number in range(0, 20, 5):
        say(*wanted[number : number + 5])
        assert eventually(lambda so_far=number + 5: len(_texts(heard)) == so_far)
    assert eventually(lambda: _texts(heard) == wanted)
    kube_cluster.kill("kube-apiserver")
    say("line after")
    kube_cluster.start_component("kube-apiserver")
    assert eventually(lambda: _texts(heard) == [*wanted, "line after"])


def test_a_stream_ends_with_its_pod_and_tells_its_last_line(
    connection: ClusterConnection, job: MadeJob, say: Say
) -> None:
    pod = _pod(job)
    say("line at the end")
    path = f"/api/v1/namespaces/{job.namespace}/pods/{pod}"
    connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/run": "0s"}}})
    assert job.comes_to(JobState.SUCCEEDED)
    told = list(stream_log(connection, job.namespace, pod, threading.Event(), tail=1))
    assert [line.text for line in told] == ["line at the end"]


def test_a_stream_of_a_pod_that_is_gone_is_empty(connection: ClusterConnection, workspace: Tenancy) -> None:
    assert list(stream_log(connection, workspace.namespaces[0], "worker", threading.Event())) == []
