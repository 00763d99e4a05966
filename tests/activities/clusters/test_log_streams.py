"""Logs on the event loop as a real API server passes them on: read once for all, over cuts, to the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from api.operations.job_logs import ClusterLogs
from api.operations.log_streams import LogStreams, PodAddress
from api.operations.pod_stream import PodStream
from cli.stack.cluster import Cluster
from clusters.connection import ClusterConnection
from domain.failures import ClusterUnavailable
from domain.job import JobState, LogLine
from domain.workspace import Tenancy
from tests.activities.clusters.job_kit import MadeJob, make_job
from tests.builders_jobs import a_job

Say = Callable[..., None]


@pytest.fixture
def say(kube_cluster: Cluster) -> Iterator[Say]:
    """Makes every simulated pod say something more."""
    path = kube_cluster.plane.folder / "pod.log"
    before = path.read_text()

    def append(*texts: str) -> None:
        with path.open("a") as file:
            file.writelines(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z stdout F {text}\n" for text in texts)

    yield append
    path.write_text(before)


@pytest.fixture
def job(connection: ClusterConnection, workspace: Tenancy, node: str) -> MadeJob:
    made = make_job(connection, workspace, a_job(gpus_per_replica=1), node)
    assert made.comes_to(JobState.RUNNING)
    return made


@pytest_asyncio.fixture
async def logs(connection: ClusterConnection, say: Say) -> AsyncIterator[ClusterLogs]:
    opened = ClusterLogs({connection.name: connection})
    yield opened
    opened.close()
    say("nobody listens any more")  # a thread sees at the next line that nobody takes it
    async with asyncio.timeout(20):
        while opened._followers[connection.name].running:
            await asyncio.sleep(0.05)


def address(connection: ClusterConnection, job: MadeJob) -> PodAddress:
    return PodAddress(connection.name, job.namespace, job.seen.pods[0].name)


async def listen(stream: PodStream, heard: list[LogLine]) -> None:
    number = 0
    while lines := await stream.read(number):
        number += len(lines)
        heard += lines


def texts(heard: list[LogLine]) -> list[str]:
    return [line.text for line in heard if line.text.startswith("line")]


async def comes(heard: list[LogLine], wanted: list[str], seconds: float = 30) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while texts(heard) != wanted:
                await asyncio.sleep(0.05)
    assert texts(heard) == wanted


async def test_many_hear_each_line_once_by_one_thread_over_a_cut_and_to_the_end(
    connection: ClusterConnection, kube_cluster: Cluster, logs: ClusterLogs, job: MadeJob, say: Say
) -> None:
    streams, where = LogStreams(logs, linger_seconds=0), address(connection, job)
    say("line 0", "line 1")
    async with streams.of_pod(where) as stream, streams.of_pod(where) as same:
        assert stream is same
        early: list[LogLine] = []
        late: list[LogLine] = []
        listening = [asyncio.create_task(listen(stream, early))]
        await comes(early, ["line 0", "line 1"])
        say("line 2")
        await comes(early, ["line 0", "line 1", "line 2"])
        listening.append(asyncio.create_task(listen(stream, late)))
        assert logs._followers[connection.name].running == 1
        await asyncio.to_thread(kube_cluster.kill, "kube-apiserver")
        say("line 3")
        await asyncio.to_thread(kube_cluster.start_component, "kube-apiserver")
        wanted = [f"line {number}" for number in range(4)]
        for heard in (early, late):
            await comes(heard, wanted)
        path = f"/api/v1/namespaces/{where.namespace}/pods/{where.pod}"
        connection.merge(path, {"metadata": {"annotations": {"kwok.berth.io/run": "0s"}}})
        assert await asyncio.to_thread(job.comes_to, JobState.SUCCEEDED)
        async with asyncio.timeout(30):
            await asyncio.gather(*listening)
    assert texts(early) == texts(late) == wanted
    assert streams.open_streams == 0


async def test_one_who_is_far_behind_reads_by_himself_up_to_what_the_others_hear(
    connection: ClusterConnection, logs: ClusterLogs, job: MadeJob, say: Say
) -> None:
    streams, where = LogStreams(logs, linger_seconds=0), address(connection, job)
    say(*[f"line {number}" for number in range(1500)])
    heard: list[LogLine] = []
    async with streams.of_pod(where) as stream:
        assert stream.number_after(None) is None
        async with aclosing(streams.alone(where, None)) as batches:
            async for batch in batches:
                heard += batch
                if len(texts(heard)) >= 1500:
                    break
        assert texts(heard) == [f"line {number}" for number in range(1500)]


async def test_a_cluster_without_a_kubeconfig_is_away(logs: ClusterLogs) -> None:
    streams = LogStreams(logs)
    async with streams.of_pod(PodAddress("elsewhere", "ns", "pod")) as stream:
        with pytest.raises(ClusterUnavailable):
            await stream.read(0)
