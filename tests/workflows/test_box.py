"""The life of a box: a job's, with a disk that outlives it, and people who are told while it runs."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import pytest

from clusters.disks import delete_volume, snapshot_state, volume_left
from clusters.jobs import job_objects_left
from domain.box import HOME
from domain.disk import DiskAction, OperationStatus, SnapshotPhase
from domain.gpr import EndCause, Phase
from domain.job import JobState
from ledger import boxes, disks
from ledger import lifecycle as moves
from tests.builders import a_box, a_disk, now
from tests.stand_in import standing_in
from tests.workflows.disturbances import FOR_EVER, FailingStep, Recording
from tests.workflows.stage import KEY, Stage
from workflows.box import BoxWorkflow

if TYPE_CHECKING:
    from temporalio.testing import WorkflowEnvironment

    from clusters.connection import ClusterConnection
    from domain.disk import DiskOperation
    from domain.messages import Standing
    from ledger.connection import Ledger

OWN_STEPS = ["attach_volume", "fetch_keys", "tell_box", "list_files"]
JOB_STEPS = ["create_job", "keep_job", "delete_job", "await_job_gone"]
SHARED_STEPS = ["precheck_nodes", "write_tokens", "load_gpr", "activate_gpr", "expire_gpr", "deliver_notices"]
TEARDOWN_STEPS = ["fence_lease", "clear_pods", "await_free", "take_tokens", "finish_release"]


# --- its disk ---------------------------------------------------------------------------------------------------------


async def test_a_box_ends_with_its_lease_and_its_data_is_in_a_copy(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await a_disk(stage.ledger, workspace)
    box_id = await stage.a_granted_box(workspace, disk_id=disk_id)
    assert await (await stage.start_box(box_id)).result() == Phase.EXPIRED
    assert (await copied(stage, disk_id)).status is OperationStatus.COMPLETED
    await assert_gone(stage, workspace, box_id)
    disk, [snapshot] = await stage.disk(disk_id), await stage.snapshots(disk_id)
    assert (disk.volume, disk.restore_from, snapshot.phase) == ("", snapshot.id, SnapshotPhase.READY)


async def test_the_next_box_has_the_data_of_the_last_one(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await a_disk(stage.ledger, workspace)
    first = await stage.a_granted_box(workspace, disk_id=disk_id)
    await (await stage.start_box(first)).result()
    await copied(stage, disk_id)
    [snapshot] = await stage.snapshots(disk_id)
    second = await stage.a_granted_box(workspace, disk_id=disk_id)
    lifecycle = await running(stage, second)
    disk = await stage.disk(disk_id)
    claim = await asyncio.to_thread(stage.cluster.get, claim_path(disk.namespace, disk.volume))
    assert claim["spec"]["dataSource"]["name"] == snapshot.name
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert await mounted_at_home(stage, second) == disk.volume
    await lifecycle.signal(BoxWorkflow.release, await ended(stage, second))
    assert await lifecycle.result() == Phase.RELEASED


async def test_gpus_are_free_before_the_copy_is_and_the_next_box_waits_for_it(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("take_snapshot", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        workspace = await stage.a_workspace()
        disk_id = await a_disk(stage.ledger, workspace)
        box_id = await stage.a_granted_box(workspace, disk_id=disk_id)
        assert await (await stage.start_box(box_id)).result() == Phase.EXPIRED
        await assert_gone(stage, workspace, box_id)
        second = await stage.a_granted_box(workspace, disk_id=disk_id)
        assert (await stage.gpr(second)).phase is Phase.QUEUED
        failing.times = 0
        await copied(stage, disk_id)
        await stage.arbitrate()
        assert (await stage.gpr(second)).phase is not Phase.QUEUED


async def test_a_box_whose_volume_is_lost_fails_and_nothing_is_put_in_its_place(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await stage.a_used_disk(workspace)
    disk = await stage.disk(disk_id)
    await asyncio.to_thread(delete_volume, stage.cluster, disk.namespace, disk.volume)
    while await asyncio.to_thread(volume_left, stage.cluster, disk.namespace, disk.volume):
        await asyncio.sleep(0.05)
    box_id = await stage.a_granted_box(workspace, disk_id=disk_id, requeue_on_failure=False)
    assert await (await stage.start_box(box_id)).result() == Phase.FAILED
    assert disk.volume in (await stage.gpr(box_id)).failure
    assert await asyncio.to_thread(volume_left, stage.cluster, disk.namespace, disk.volume) == ""
    await assert_gone(stage, workspace, box_id)


async def test_a_box_whose_pods_were_never_made_leaves_its_disk_as_it_was(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("attach_volume", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        workspace = await stage.a_workspace()
        disk_id = await a_disk(stage.ledger, workspace)
        box_id = await stage.a_granted_box(workspace, disk_id=disk_id, requeue_on_failure=False)
        assert await (await stage.start_box(box_id)).result() == Phase.FAILED
        await assert_gone(stage, workspace, box_id)
        assert await operations(stage, disk_id) == []


async def test_a_box_of_two_nodes_has_its_disk_in_the_first_pod(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await a_disk(stage.ledger, workspace)
    box_id = await stage.a_granted_box(workspace, disk_id=disk_id, nodes=2, gpus_per_node=4)
    lifecycle = await running(stage, box_id)
    job = await stage.job(box_id)
    assert len({pod.node for pod in job.observed.pods}) == 2  # type: ignore[union-attr]
    assert await mounted_at_home(stage, box_id) == (await stage.disk(disk_id)).volume
    await lifecycle.signal(BoxWorkflow.release, await ended(stage, box_id))
    assert await lifecycle.result() == Phase.RELEASED
    await copied(stage, disk_id)
    await assert_gone(stage, workspace, box_id)


# --- what it is told --------------------------------------------------------------------------------------------------


async def test_a_box_is_told_who_may_enter_whether_jupyter_runs_and_when_it_ends(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    async with (
        standing_in() as github,
        Stage(skipping, ledger, cluster, github_url=github.url) as stage,
    ):
        github.says("/ada.keys", KEY)
        box_id = await stage.a_granted_box(await stage.a_workspace(), github_user="ada", keys=())
        lifecycle = await running(stage, box_id)
        await told(stage, box_id, "authorized_keys", KEY)
        github.says("/grace.keys", KEY.replace("AAAAIK", "AAAAIM"))
        await changed(stage, lifecycle, box_id, lambda connection: boxes.add_person(connection, box_id, "Grace", now()))
        await told(stage, box_id, "authorized_keys", "AAAAIM")
        while (await stage.box(box_id)).secondary_users != ("grace",):
            await asyncio.sleep(0.05)
        await changed(
            stage, lifecycle, box_id, lambda connection: boxes.want_jupyter(connection, box_id, True, "token", now())
        )
        await told(stage, box_id, "jupyter-token", "token")
        await changed(
            stage, lifecycle, box_id, lambda connection: boxes.want_jupyter(connection, box_id, False, "", now())
        )
        await told(stage, box_id, "jupyter-token", None)


async def test_every_notice_is_told_before_the_end_comes(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("Box")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        box_id = await stage.a_granted_box(await stage.a_workspace())
        assert await (await stage.start_box(box_id)).result() == Phase.EXPIRED
    own = [step for step in recording.steps if step in {"deliver_notices", "tell_box", "expire_gpr"}]
    assert own == ["tell_box", *["deliver_notices", "tell_box"] * 4, "expire_gpr"]


async def test_a_box_that_cannot_be_told_ends_when_it_is_to_end(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("tell_box", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        workspace = await stage.a_workspace()
        box_id = await stage.a_granted_box(workspace)
        await shortened(stage, box_id, seconds=600)
        lifecycle = await stage.start_box(box_id)
        assert await lifecycle.result() == Phase.EXPIRED
        async with ledger.reading() as connection:
            late = await connection.fetchval("select stopped_at - end_at from gpr where id = $1", box_id)
        assert late < timedelta(seconds=2)
        await assert_gone(stage, workspace, box_id)
    assert failing.failed > 10


async def test_a_telling_that_failed_is_tried_again_after_a_minute(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing, recording = FailingStep("tell_box", times=4), Recording("Box")
    async with Stage(skipping, ledger, cluster, interceptors=[recording, failing]) as stage:
        box_id = await stage.a_granted_box(await stage.a_workspace())
        assert await (await stage.start_box(box_id)).result() == Phase.EXPIRED
        assert (await stage.box(box_id)).people[0].told_at is not None
    assert recording.steps.count("tell_box") == 4 + 1 + 4  # failures, the first telling, four notices


async def test_a_box_whose_owner_github_does_not_know_says_why_and_lives_on(stage: Stage) -> None:
    box_id = await stage.a_granted_box(await stage.a_workspace(), github_user="ada", keys=())
    lifecycle = await running(stage, box_id)
    while not (owner := (await stage.box(box_id)).people[0]).failure:
        await asyncio.sleep(0.05)
    assert "GitHub does not answer" in owner.failure
    await lifecycle.signal(BoxWorkflow.release, await ended(stage, box_id))
    assert await lifecycle.result() == Phase.RELEASED


# --- its end ----------------------------------------------------------------------------------------------------------


async def test_a_box_that_is_cancelled_in_the_queue_has_touched_nothing(stage: Stage) -> None:
    workspace = await stage.a_workspace()
    disk_id = await a_disk(stage.ledger, workspace)
    box_id = await a_box(stage.ledger, workspace, disk_id=disk_id, gpus_per_node=64)
    lifecycle = await stage.start_box(box_id)
    await lifecycle.signal(BoxWorkflow.release, await ended(stage, box_id, EndCause.CANCELLED))
    assert await lifecycle.result() == Phase.CANCELLED
    assert (await stage.disk(disk_id)).volume == ""


async def test_files_that_cannot_be_listed_hold_up_nothing(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    failing = FailingStep("list_files", times=FOR_EVER)
    async with Stage(skipping, ledger, cluster, interceptors=[failing]) as stage:
        assert await lived(stage) is Phase.EXPIRED
    assert failing.failed == 1


# --- every step may fail ----------------------------------------------------------------------------------------------


async def lived(stage: Stage) -> Phase:
    """The phase in which an hour's box with a disk ends, on two nodes."""
    workspace = await stage.a_workspace()
    disk_id = await a_disk(stage.ledger, workspace)
    box_id = await stage.a_granted_box(workspace, disk_id=disk_id, nodes=2)
    lifecycle = await stage.start_box(box_id)
    while not await stage.is_over(lifecycle):
        await stage.grant_again(box_id, lifecycle)
    await at_rest(stage, disk_id)
    await assert_gone(stage, workspace, box_id)
    return (await stage.gpr(box_id)).phase


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", [*OWN_STEPS, "create_job", "finish_release"])
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


@pytest.mark.parametrize("step", ["attach_volume", "create_job"])
async def test_what_cannot_be_provisioned_fails_in_the_end_and_leaves_nothing(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection, step: str
) -> None:
    async with Stage(skipping, ledger, cluster, interceptors=[FailingStep(step, times=FOR_EVER)]) as stage:
        assert await lived(stage) is Phase.FAILED


async def test_the_steps_above_are_all_the_steps_there_are(
    skipping: WorkflowEnvironment, ledger: Ledger, cluster: ClusterConnection
) -> None:
    recording = Recording("Box")
    async with Stage(skipping, ledger, cluster, interceptors=[recording]) as stage:
        await lived(stage)
    assert set(recording.steps) == {*OWN_STEPS, *JOB_STEPS, *SHARED_STEPS, *TEARDOWN_STEPS}


# --- what the tests above are made of ---------------------------------------------------------------------------------


async def running(stage: Stage, box_id: UUID) -> Any:
    """Its lifecycle in real time, with its pods running."""
    with stage.environment.with_time_skipping_disabled():
        lifecycle = await stage.start_box(box_id)
    while (await stage.gpr(box_id)).phase is not Phase.ACTIVE:
        await asyncio.sleep(0.05)
    for _ in range(400):
        await stage.observe_jobs()
        observed = (await stage.job(box_id)).observed
        if observed and observed.state is JobState.RUNNING:
            return lifecycle
        await asyncio.sleep(0.05)
    raise AssertionError(f"its pods do not run: {observed}")


async def shortened(stage: Stage, box_id: UUID, seconds: int) -> None:
    """It lasts only so long, of which the grace is a part."""
    async with stage.ledger.transaction() as connection:
        await connection.execute("update gpr set duration_seconds = $2 where id = $1", box_id, seconds)


async def ended(stage: Stage, box_id: UUID, cause: EndCause = EndCause.CANCELLED) -> Standing:
    async with stage.ledger.transaction() as connection:
        return await moves.begin_release(connection, box_id, cause, now())


async def changed(stage: Stage, lifecycle: Any, box_id: UUID, change: Any) -> None:
    """A wish about a box, and what the courier then tells its lifecycle."""
    async with stage.ledger.transaction() as connection:
        await change(connection)
        standing = await moves.standing(connection, box_id)
    await lifecycle.signal(BoxWorkflow.changed, standing)


async def told(stage: Stage, box_id: UUID, name: str, text: str | None) -> None:
    """Wait until the box's Secret says this, or nothing of it for None."""
    path = f"/api/v1/namespaces/{(await stage.job(box_id)).spec.namespace}/secrets/berth-box-{box_id}"
    for _ in range(200):
        data = (await asyncio.to_thread(stage.cluster.get, path)).get("data") or {}
        said = base64.b64decode(data[name]).decode() if name in data else None
        if said == text or (text and said and text in said):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is {said!r}")


async def operations(stage: Stage, disk_id: UUID) -> list[DiskOperation]:
    async with stage.ledger.reading() as connection:
        return await disks.operations(connection, disk_id, 50)


async def at_rest(stage: Stage, disk_id: UUID) -> None:
    """Wait until nothing is done with the disk."""
    while any(one.status is OperationStatus.RUNNING for one in await operations(stage, disk_id)):
        await asyncio.sleep(0.05)


async def copied(stage: Stage, disk_id: UUID) -> DiskOperation:
    """The copy that the end of the last box asked for, once it has ended."""
    await at_rest(stage, disk_id)
    taken = (await operations(stage, disk_id))[0]
    assert taken.action is DiskAction.SNAPSHOT
    disk, snapshots = await stage.disk(disk_id), await stage.snapshots(disk_id)
    state = await asyncio.to_thread(snapshot_state, stage.cluster, disk.namespace, snapshots[0].name)
    assert state is not None
    assert state.is_ready
    return taken


def claim_path(namespace: str, volume: str) -> str:
    return f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{volume}"


async def mounted_at_home(stage: Stage, box_id: UUID) -> str:
    """The one claim that is mounted as a home in any of its pods; the first one has it."""
    spec = (await stage.job(box_id)).spec
    pods = await asyncio.to_thread(
        stage.cluster.items, f"/api/v1/namespaces/{spec.namespace}/pods", labelSelector=f"berth.io/job={box_id}"
    )
    claims = {
        pod["metadata"]["name"]: volume["persistentVolumeClaim"]["claimName"]
        for pod in pods
        for volume in pod["spec"]["volumes"]
        for mount in pod["spec"]["containers"][0]["volumeMounts"]
        if (mount["mountPath"], mount["name"]) == (HOME, volume["name"]) and "persistentVolumeClaim" in volume
    }
    assert list(claims) == [spec.name]
    return str(claims[spec.name])


async def assert_gone(stage: Stage, workspace: UUID, box_id: UUID) -> None:
    """Nothing of the box is left, and no GPU is held."""
    namespace = (await stage.job(box_id)).spec.namespace
    assert await asyncio.to_thread(job_objects_left, stage.cluster, namespace, str(box_id)) == []
    await stage.assert_nothing_left(workspace)
