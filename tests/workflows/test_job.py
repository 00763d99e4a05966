"""The life of a job: queued and leased as a Gpr, with pods of its own, and nothing of it left at its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import pytest

from clusters.jobs import delete_job_objects, job_objects_left
from domain.gpr import EndCause, Phase
from domain.identifiers import lease_token_key
from domain.job import EnvironmentVariable, Job, JobKind, JobState, JobStatus
from domain.messages import Standing
from ledger import jobs, suspension
from ledger import lifecycle as moves
from tests.builders import a_job, now
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.stage import Stage
from workflows.job import JobWorkflow

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from ledger.connection import Ledger

OWN_STEPS = ["create_job", "keep_job", "delete_job", "await_job_gone"]
SHARED_STEPS = ["precheck_nodes", "write_tokens", "load_gpr", "activate_gpr", "expire_gpr", "deliver_notices"]
TEARDOWN_STEPS = ["fence_lease", "clear_pods", "await_free", "take_tokens", "finish_release"]
HOUR = 3600


async def ended(stage: Stage, job_id: UUID, cause: EndCause = EndCause.EARLY_RELEASE) -> Standing:
    async with stage.ledger.transaction() as connection:
        return await moves.begin_release(connection, job_id, cause, now())


async def seen(stage: Stage, job_id: UUID, state: JobState) -> Job:
    """The job once its pods show this."""
    for _ in range(400):
        await stage.observe_jobs()
        job = await stage.job(job_id)
        if job.observed and job.observed.state is state:
            return job
        await asyncio.sleep(0.05)
    raise AssertionError(f"not {state}: {job.observed}")


async def running(stage: Stage, job_id: UUID, state: JobState = JobState.RUNNING) -> Any:
    """Its lifecycle in real time, with its pods running."""
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_job(job_id)
    while (await stage.job(job_id)).gpr.phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    await seen(stage, job_id, state)
    return lifecycle


async def comes_to(stage: Stage, job_id: UUID, phase: Phase) -> None:
    for _ in range(400):
        if (await stage.job(job_id)).gpr.phase is phase:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not {phase}: {await stage.job(job_id)}")


def pods_of(stage: Stage, job: Job) -> list[dict[str, Any]]:
    return stage.cluster.items(
        f"/api/v1/namespaces/{job.spec.namespace}/pods", labelSelector=f"berth.io/job={job.gpr.id}"
    )


async def finish_pods(stage: Stage, job: Job, annotations: dict[str, str]) -> None:
    for pod in await asyncio.to_thread(pods_of, stage, job):
        path = f"/api/v1/namespaces/{job.spec.namespace}/pods/{pod['metadata']['name']}"
        await asyncio.to_thread(stage.cluster.merge, path, {"metadata": {"annotations": annotations}})


async def assert_gone(stage: Stage, workspace: UUID, job_id: UUID) -> None:
    job = await stage.job(job_id)
    assert await asyncio.to_thread(job_objects_left, stage.cluster, job.spec.namespace, str(job_id)) == []
    await stage.assert_nothing_left(workspace)


async def test_a_training_job_that_succeeds_gives_its_gpus_back_and_keeps_its_log(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, replicas=2, environment=(EnvironmentVariable("KEY", "secret"),))
    lifecycle = await running(stage, job_id)
    job = await stage.job(job_id)
    assert len({pod.node for pod in job.observed.pods}) == 2  # type: ignore[union-attr]
    await finish_pods(stage, job, {"kwok.berth.io/run": "0s"})
    await seen(stage, job_id, JobState.SUCCEEDED)
    assert await lifecycle.result() == Phase.RELEASED
    job = await stage.job(job_id)
    assert (job.status, job.gpr.end_cause) == (JobStatus.SUCCEEDED, EndCause.COMPLETED)
    assert sorted(job.logs) == sorted(pod.name for pod in job.observed.pods)  # type: ignore[union-attr]
    assert {one.kind for one in job.happenings} >= {"Pod"}
    await assert_gone(stage, workspace, job_id)


async def test_a_training_job_whose_pods_fail_for_good_fails_with_their_reason(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, retries=0)
    lifecycle = await running(stage, job_id)
    dies = {"kwok.berth.io/fail": "OOMKilled", "kwok.berth.io/exit-code": "137"}
    await finish_pods(stage, await stage.job(job_id), dies)
    await seen(stage, job_id, JobState.FAILED)
    assert await lifecycle.result() == Phase.FAILED
    job = await stage.job(job_id)
    assert "OOMKilled" in job.gpr.failure
    await assert_gone(stage, workspace, job_id)


@pytest.mark.parametrize("kind", [JobKind.INFERENCE, JobKind.NOTEBOOK, JobKind.COMPUTE])
async def test_a_job_that_somebody_took_away_on_its_cluster_has_failed_and_gives_its_gpus_back(
    stage: Stage, kind: JobKind
) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, kind=kind, port=8000, duration_seconds=None)
    lifecycle = await running(stage, job_id)
    job = await stage.job(job_id)
    await asyncio.to_thread(delete_job_objects, stage.cluster, job.spec.namespace, str(job_id))
    while (await stage.job(job_id)).gpr.phase is Phase.ACTIVE:
        await stage.observe_jobs()
    assert await lifecycle.result() == Phase.FAILED
    job = await stage.job(job_id)
    assert (job.status, job.gpr.end_cause, job.gpr.failure) == (JobStatus.FAILED, EndCause.JOB_FAILED, jobs.VANISHED)
    await assert_gone(stage, workspace, job_id)


async def test_a_suspended_job_gives_its_gpus_back_and_runs_again_once_it_is_resumed(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, kind=JobKind.COMPUTE, duration_seconds=None)
    lifecycle = await running(stage, job_id)
    first = (await stage.job(job_id)).gpr
    async with stage.ledger.transaction() as connection:
        messages = await suspension.suspend(connection, job_id, now(), "anna")
    stage.courier.deliver_soon(messages)
    await comes_to(stage, job_id, Phase.QUEUED)
    await assert_gone(stage, workspace, job_id)
    await stage.arbitrate()
    job = await stage.job(job_id)
    assert (job.gpr.phase, job.status, job.observed, job.gpr.retries) == (Phase.QUEUED, JobStatus.SUSPENDED, None, 0)
    async with stage.ledger.transaction() as connection:
        await suspension.resume(connection, job_id, now(), "anna")
    await stage.grant_again(job_id, lifecycle)
    await comes_to(stage, job_id, Phase.ACTIVE)
    await seen(stage, job_id, JobState.RUNNING)
    again = (await stage.job(job_id)).gpr
    assert (again.sequence, again.fence != first.fence) == (first.sequence, True)
    await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id))
    assert await lifecycle.result() == Phase.RELEASED
    await assert_gone(stage, workspace, job_id)


@pytest.mark.parametrize("step", [*OWN_STEPS[1:], *TEARDOWN_STEPS])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_suspension_one_of_whose_steps_fails_or_runs_twice_is_still_one(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        workspace = await stage.a_workspace()
        job_id = await stage.a_granted_job(workspace, kind=JobKind.COMPUTE, duration_seconds=None)
        lifecycle = await running(stage, job_id)
        async with ledger.transaction() as connection:
            messages = await suspension.suspend(connection, job_id, now(), "anna")
        stage.courier.deliver_soon(messages)
        await comes_to(stage, job_id, Phase.QUEUED)
        await assert_gone(stage, workspace, job_id)
        assert (await stage.job(job_id)).status is JobStatus.SUSPENDED
        await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id, EndCause.CANCELLED))
        assert await lifecycle.result() == Phase.CANCELLED
    assert failing.failed == 1


async def test_a_job_ends_with_its_lease(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, duration_seconds=HOUR)
    assert await (await stage.start_job(job_id)).result() == Phase.EXPIRED
    await assert_gone(stage, workspace, job_id)


@pytest.mark.parametrize("kind", [JobKind.INFERENCE, JobKind.NOTEBOOK, JobKind.COMPUTE])
async def test_what_serves_has_no_end_until_somebody_ends_it(stage: Stage, kind: JobKind) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, kind=kind, port=8000, duration_seconds=None)
    lifecycle = await running(stage, job_id)
    job = await stage.job(job_id)
    assert job.gpr.end_at is None
    assert job.observed.service_node_port  # type: ignore[union-attr]
    await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id))
    assert await lifecycle.result() == Phase.RELEASED
    await assert_gone(stage, workspace, job_id)


async def test_replicas_may_share_a_node_and_have_tokens_of_their_own_lease(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, kind=JobKind.INFERENCE, replicas=3, gpus_per_replica=2, port=80)
    lifecycle = await running(stage, job_id)
    job = await stage.job(job_id)
    assert len(job.gpr.gpus) == 6
    assert len({gpu.node for gpu in job.gpr.gpus}) == 1
    pods = await asyncio.to_thread(pods_of, stage, job)
    assert job.gpr.fence is not None
    assert all(lease_token_key(job.gpr.fence) in pod["spec"]["containers"][0]["resources"]["limits"] for pod in pods)
    await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id))
    await lifecycle.result()
    await assert_gone(stage, workspace, job_id)


async def test_a_job_without_gpus_starts_at_once_on_no_gpu_node_and_goes(stage: Stage) -> None:
    """Here every node is for GPUs, so its pod waits for one that is not."""
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, kind=JobKind.COMPUTE, gpus_per_replica=0, duration_seconds=None)
    lifecycle = await running(stage, job_id, JobState.PENDING)
    assert (await stage.job(job_id)).gpr.gpus == ()
    await lifecycle.signal(JobWorkflow.release, await ended(stage, job_id))
    assert await lifecycle.result() == Phase.RELEASED
    await assert_gone(stage, workspace, job_id)


async def test_the_name_of_a_job_is_free_when_it_rests(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    first = await a_job(stage.ledger, workspace, name="same", gpus_per_replica=64)
    lifecycle = await stage.start_job(first)
    await lifecycle.signal(JobWorkflow.release, await ended(stage, first, EndCause.CANCELLED))
    assert await lifecycle.result() == Phase.CANCELLED
    await a_job(stage.ledger, workspace, name="same")


async def lived(stage: Stage) -> Phase:
    """The phase in which an hour's job on two nodes ends."""
    workspace = await stage.a_workspace()
    job_id = await stage.a_granted_job(workspace, replicas=2, duration_seconds=HOUR)
    lifecycle = await stage.start_job(job_id)
    while not await stage.is_over(lifecycle):
        await stage.grant_again(job_id, lifecycle)
    await assert_gone(stage, workspace, job_id)
    return (await stage.job(job_id)).gpr.phase


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", OWN_STEPS)
async def test_a_step_that_fails_once_or_runs_twice_changes_nothing(
    skipping: WorkflowEnvironment,
    ledger: Ledger,
    cluster: ClusterConnection,
    step: str,
    when: Literal["before", "after"],
) -> None:
    failing = FailingStep(step, when=when)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert await lived(stage) is Phase.EXPIRED
    assert failing.failed == 1


async def test_pods_that_cannot_be_made_end_in_failure_and_leave_nothing(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    async with Stage(skipping, ledger, cluster, interceptors=[FailingStep("create_job", times=FOR_EVER)]) as stage:
        assert await lived(stage) is Phase.FAILED


@pytest.mark.parametrize("step", ["keep_job", "delete_job", "await_job_gone"])
async def test_a_step_that_must_succeed_is_tried_until_it_does_and_logs_are_not_worth_gpus(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, step: str
) -> None:
    async with Stage(skipping, ledger, cluster, interceptors=[FailingStep(step, times=25)]) as stage:
        assert await lived(stage) is Phase.EXPIRED


async def test_the_steps_above_are_all_the_steps_there_are(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("Job")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        await lived(stage)
    assert set(recording.steps) == {*OWN_STEPS, *SHARED_STEPS, *TEARDOWN_STEPS}
