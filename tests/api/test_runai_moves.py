"""Workloads as they move: found where they are now, in every phase, and deleted with their workspace."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.gpr import Phase
from domain.job import JobState
from tests.api.runai_kit import a_workload, answered, at, ids_of, seen, workload_of

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi


async def test_a_moving_workload_is_found_where_it_is_now(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    external = await api.gpr(me, workspace)
    one = await workload_of(api, external)
    assert await ids_of(api, me, filterBy="phase==Pending") == [one]
    await api.move(external, Phase.ACTIVE)
    assert await ids_of(api, me, filterBy="phase==Pending") == []
    assert await ids_of(
        api, me, filterBy=f"phase==Running,phaseUpdatedAt<={at(api.clock() + timedelta(seconds=1))}"
    ) == [one]
    await api.finish(external)
    assert await ids_of(api, me, deleted="true", filterBy="deletedAt>=2020-01-01T00:00:00Z") == [one]


async def test_what_was_in_a_workspace_that_is_gone_is_deleted(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    one = await a_workload(api, me, workspace, Phase.EXPIRED)
    assert await ids_of(api, me) == [one]
    async with api.ledger.transaction() as connection:
        await connection.execute(
            "update workspace set phase = 'deleted', ended_at = now() where id = $1", await api.workspace_id(workspace)
        )
    assert await ids_of(api, me) == []
    assert await ids_of(api, me, deleted="true") == [one]
    assert (await answered(api, me, "/workloads/count", deleted="true"))["count"] == 1


async def test_a_job_in_every_state_has_a_phase_and_conditions(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    told = {}
    for state in JobState:
        body = {
            "yamlContent": f"{{kind: inference, job: {{name: j-{state.value}, namespace: {workspace}-ns}}, "
            "environment: {image: x}, resources: {gpu: 1}}"
        }
        assert (await api.call("POST", "/api/v1/jobs", me, json=body)).status_code == 201
        async with api.ledger.reading() as connection:
            external = await connection.fetchval(
                "select external_id from gpr where name = $1 and workspace_id = $2",
                f"j-{state.value}",
                await api.workspace_id(workspace),
            )
        await api.move(external, Phase.ACTIVE)
        one = await workload_of(api, external)
        await seen(api, one, state)
        found = await answered(api, me, f"/workloads/{one}")
        told[state.value] = (found["phase"], found["conditions"][-1]["type"], found["conditions"][-1]["status"])
        assert [one["type"] for one in found["conditions"][:2]] == ["Scheduled", "Created"]
        await api.finish(external)
    assert told == {
        "pending": ("Initializing", "Initialized", "False"),
        "running": ("Running", "Available", "True"),
        "degraded": ("Degraded", "Degraded", "True"),
        "suspended": ("Stopping", "Suspended", "False"),
        "succeeded": ("Completed", "Completed", "True"),
        "failed": ("Failed", "Failed", "True"),
        "terminating": ("Terminating", "Terminating", "True"),
        "unknown": ("Unknown", "Available", "Unknown"),
    }


async def test_an_idle_workload_is_found_by_its_idle_gpus(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), Phase.ACTIVE)
    async with api.ledger.transaction() as connection:
        await connection.execute("update gpr set idle_gpus = 1 where id = $1::text::uuid", one)
    found = (await answered(api, me, "/workloads", filterBy="idleAllocatedGpus>=1", sortBy="idleGpus"))["workloads"]
    assert [(each["id"], each["idleGpus"], each["idleAllocatedGpus"]) for each in found] == [(one, 1, 1.0)]
    told = await answered(api, me, "/workloads/telemetry", telemetryType="IDLE_ALLOCATED_GPUS")
    assert [value["value"] for value in told["values"]] == ["1"]
