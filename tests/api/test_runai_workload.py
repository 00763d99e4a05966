"""One workload: why it waits, where it is reached, what it is made of; and only for those who may see it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from domain.gpr import Estimate, Phase, PlannedStart
from domain.identity import Role
from domain.job import JobState, ObservedPod
from ledger import arbitration
from tests.api.gpudev_kit import a_box, an_active_box, ask
from tests.api.runai_kit import a_workload, answered, job_id_of, refusal, seen

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

STARTS = datetime(2030, 1, 1, 12, tzinfo=UTC)
PARTS = ("", "/endpoints", "/elements", "/elements/count")


async def planned(api: TheApi, workload_id: str, code: str, reason: str, starts_at: datetime | None) -> None:
    start = PlannedStart(Estimate(starts_at, 1, code, reason), "worker-1", ())
    async with api.ledger.transaction() as connection:
        await arbitration.write_estimates(connection, {workload_id: start}, api.clock())


async def test_what_waits_says_why_and_until_when(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    await planned(api, one, "waiting_for_gpus", "waits for 1 x Tesla-T4", STARTS)
    found = await answered(api, me, f"/workloads/{one}")
    assert (found["phase"], found["phaseMessage"]) == ("Pending", "waits for 1 x Tesla-T4")
    assert found["additionalFields"] == {"estimatedStartAt": "2030-01-01T12:00:00Z"}
    assert ("phaseReason" in found, found["pendingSchedulingMessages"]) == (False, [])


@pytest.mark.parametrize(
    ("code", "preemptible", "word"),
    [
        ("quota_busy", False, "NonPreemptibleOverQuota"),
        ("quota_busy", True, "OverLimit"),
        ("larger_than_its_quota", False, "NonPreemptibleOverQuota"),
        ("workspace_busy", False, "OverLimit"),
    ],
)
async def test_what_waits_for_a_limit_says_which(api: TheApi, code: str, preemptible: bool, word: str) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), enableEviction=preemptible)
    await planned(api, one, code, "waits for 4 GPUs of namespace vision", STARTS)
    found = await answered(api, me, f"/workloads/{one}")
    assert found["phaseReason"] == word
    (message,) = found["pendingSchedulingMessages"]
    assert (message["reason"], message["phaseReason"], message["orgType"]) == (code, word, "PROJECT")
    told = "waits for 4 GPUs of namespace vision; expected to start at 2030-01-01T12:00:00Z"
    assert message["userMessage"] == told


@pytest.mark.parametrize("preemptible", [True, False])
async def test_what_may_be_preempted_says_so(api: TheApi, preemptible: bool) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), enableEviction=preemptible)
    assert (await answered(api, me, f"/workloads/{one}"))["preemptible"] is preemptible


@pytest.mark.parametrize(
    ("phase", "may"),
    [
        (Phase.QUEUED, True),
        (Phase.PROVISIONING, True),
        (Phase.ACTIVE, True),
        (Phase.EXPIRED, False),
        (Phase.FAILED, False),
    ],
)
async def test_what_lives_may_be_ended_and_suspended(api: TheApi, phase: Phase, may: bool) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), phase)
    assert (await answered(api, me, f"/workloads/{one}"))["actionsSupport"] == {"delete": may, "suspend": may}


async def test_what_is_reserved_may_be_ended_and_not_suspended(api: TheApi) -> None:
    me = await api.someone()
    await api.reservation(me, await api.workspace(me))
    (one,) = (await answered(api, me, "/workloads"))["workloads"]
    assert one["actionsSupport"] == {"delete": True, "suspend": False}
    assert one["source"] == "Control-plane"


async def test_a_workload_says_by_what_it_came(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    wish = {"workspace": workspace, "name": "native", "duration": "10m"}
    native = await api.call("POST", "/berth/v1/gprs", me, json=wish)
    ids = {
        await a_workload(api, me, workspace): "Control-plane",
        str(native.json()["id"]): "Other",
        await job_id_of(api, me, f"{workspace}-ns"): "CLI",
        await a_box(api, me): "CLI",
    }
    assert {one["id"]: one["source"] for one in (await answered(api, me, "/workloads"))["workloads"]} == ids


async def test_what_runs_waits_for_nothing(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), Phase.ACTIVE)
    found = await answered(api, me, f"/workloads/{one}")
    assert (found["phase"], found["pendingSchedulingMessages"]) == ("Running", [])


@pytest.mark.parametrize("part", PARTS)
async def test_anothers_workload_is_not_found_and_a_viewer_sees_it(api: TheApi, part: str) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    one = await a_workload(api, me, workspace)
    foreign = await refusal(api, await api.someone(), f"/workloads/{one}{part}", 404)
    missing = await refusal(api, me, f"/workloads/{uuid4()}{part}", 404)
    assert foreign["message"].replace(one, "") == missing["message"][:10] + missing["message"][46:]
    await answered(api, await api.member(workspace, Role.VIEWER), f"/workloads/{one}{part}")


@pytest.mark.parametrize("part", [*PARTS, "/metrics?metricType=GPU_ALLOCATION&start=2026-01-01&end=2026-01-02"])
@pytest.mark.parametrize("word", ["nonsense", "7", "gpr-00000000-0000", f"{{{UUID(int=1)}}}", UUID(int=1).hex, "%00"])
async def test_an_id_that_is_no_uuid_is_refused(api: TheApi, word: str, part: str) -> None:
    answer = await api.call("GET", f"/api/v1/workloads/{word}{part}", await api.someone())
    assert (answer.status_code, answer.json()["code"]) == (400, 400)


async def test_a_box_is_reached_by_ssh_and_by_jupyter_where_it_runs(api: TheApi) -> None:
    me = await api.someone()
    waiting = await a_box(api, me)
    box = await an_active_box(api, me)
    assert (await answered(api, me, f"/workloads/{waiting}/endpoints")) == {"endpoints": []}
    assert [one["url"] for one in (await answered(api, me, f"/workloads/{box}/endpoints"))["endpoints"]] == [
        "ssh://10.0.1.42:30022"
    ]
    await ask(api, me, "POST", f"/jobs/{box}/jupyter/enable")
    told = (await answered(api, me, f"/workloads/{box}/endpoints"))["endpoints"]
    assert [one["url"] for one in told] == ["http://10.0.1.42:30888/lab", "ssh://10.0.1.42:30022"]
    token = (await ask(api, me, "GET", f"/jobs/{box}"))["jupyter_token"]
    assert token
    assert token not in str(told)


async def a_running_job(api: TheApi, who: Someone) -> str:
    workspace = await api.workspace(who)
    one = await job_id_of(api, who, f"{workspace}-ns")
    async with api.ledger.reading() as connection:
        external = await connection.fetchval("select external_id from gpr where id = $1::text::uuid", one)
    await api.move(external, Phase.ACTIVE)
    return one


async def test_a_service_is_reached_at_its_node(api: TheApi) -> None:
    me = await api.someone()
    one = await a_running_job(api, me)
    pod = ObservedPod("p-0", "Running", "n", "10.9.9.9", node_address="10.0.0.7", is_ready=True)
    await seen(api, one, JobState.RUNNING, (pod,), node_port=30123)
    assert (await answered(api, me, f"/workloads/{one}/endpoints"))["endpoints"] == [
        {
            "host": "10.0.0.7",
            "port": 30123,
            "path": "/",
            "protocol": "HTTP",
            "tlsEnabled": False,
            "url": "http://10.0.0.7:30123/",
        }
    ]


async def test_a_workload_is_made_of_its_lease_its_nodes_and_its_pods(api: TheApi) -> None:
    me = await api.someone()
    one = await a_running_job(api, me)
    async with api.ledger.reading() as connection:
        node = await connection.fetchval(
            "select node from lease_gpu g join lease l on l.fence = g.fence where l.gpr_id = $1::text::uuid", one
        )
    here = ObservedPod("p-0", "Running", node, "10.9.9.9", created_at=STARTS, is_ready=True)
    nowhere = ObservedPod("p-1", "Pending", "", "", created_at=STARTS)
    await seen(api, one, JobState.PENDING, (here, nowhere))
    found = (await answered(api, me, f"/workloads/{one}/elements"))["elements"]
    lease, on_node, waiting, placed = found
    assert [one["hierarchyLevel"] for one in found] == [1, 2, 2, 3]
    assert (on_node["name"], waiting["name"], placed["name"]) == (node, "p-1", "p-0")
    assert (on_node["parentId"], waiting["parentId"], placed["parentId"]) == (lease["id"], lease["id"], on_node["id"])
    assert placed["kubernetesRef"] == {"name": "p-0", "gvk": {"group": "", "version": "v1", "kind": "Pod"}}
    assert (await answered(api, me, f"/workloads/{one}/elements/count")) == {
        "storedElementsCount": 4,
        "totalElementsCount": 4,
    }
    first = await answered(api, me, f"/workloads/{one}/elements", limit=3)
    rest = await answered(api, me, f"/workloads/{one}/elements", limit=3, offset=first["next"])
    assert first["elements"] + rest["elements"] == found
    assert "next" not in rest
    assert "next" not in await answered(api, me, f"/workloads/{one}/elements", limit=4)
    for limit in (0, 501):
        await refusal(api, me, f"/workloads/{one}/elements", limit=limit)


async def test_what_never_had_a_lease_is_made_of_nothing(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    assert (await answered(api, me, f"/workloads/{one}/elements")) == {"elements": []}
    assert (await answered(api, me, f"/workloads/{one}/elements/count"))["totalElementsCount"] == 0


async def test_the_values_of_variables_are_nowhere(api: TheApi) -> None:
    me = await api.someone()
    box = await a_box(api, me, env_vars={"WANDB_API_KEY": "very-secret-value"})
    assert "very-secret-value" not in str(await answered(api, me, f"/workloads/{box}"))
    assert "very-secret-value" not in str(await answered(api, me, "/workloads"))
