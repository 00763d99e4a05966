"""Jobs as gpuctl's clients see them: YAML in, a place in the queue at once, pods when there are any, the log to the end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from domain.failures import ClusterUnavailable
from domain.gpr import EndCause, Phase
from domain.identity import Role
from domain.job import JobEvent, JobState, ObservedJob, ObservedPod, status_of
from ledger import jobs, lifecycle
from ledger.sealing import KEYRING

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import Someone, TheApi

YAML = """
kind: {kind}
version: v0.1
job:
  name: {name}
  namespace: {namespace}
  priority: high
environment:
  image: pytorch:2
  command: [python, train.py]
  env: [{{name: TOKEN, value: secret}}]
resources: {{pool: {pool}, gpu: {gpu}, cpu: 2, memory: 4Gi{more}}}
"""
STARTED = datetime(2026, 6, 1, 12, tzinfo=UTC)


def a_name() -> str:
    return f"job-{uuid4().hex[:10]}"


def yaml_of(workspace: str, name: str = "", **changes: Any) -> str:
    fields = {"kind": "training", "pool": "default", "gpu": 1, "more": "", "namespace": f"{workspace}-ns"} | changes
    return YAML.format(name=name or a_name(), **fields)


async def submitted(api: TheApi, who: Someone, text: str, **body: Any) -> httpx.Response:
    return await api.call("POST", "/api/v1/jobs", who, json={"yamlContent": text, **body})


async def made(api: TheApi, who: Someone, workspace: str, name: str = "", **changes: Any) -> str:
    """The id of a new job."""
    answer = await submitted(api, who, yaml_of(workspace, name, **changes))
    assert answer.status_code == 201, answer.text
    job_id: str = answer.json()["jobId"]
    return job_id


async def id_of(api: TheApi, job: str) -> UUID:
    async with api.ledger.reading() as connection:
        found = await jobs.id_of(connection, None, job)
    assert found is not None
    return found


async def moved(api: TheApi, job: str, phase: Phase) -> UUID:
    job_id = await id_of(api, job)
    async with api.ledger.reading() as connection:
        external = (await jobs.find(connection, job_id)).gpr.external_id
    await api.move(external, phase)
    return job_id


async def seen(api: TheApi, job: str, state: JobState, *pods: str, reason: str = "") -> UUID:
    job_id = await id_of(api, job)
    found = tuple(
        ObservedPod(name, "Running", "worker-1-t4-1", "10.0.0.9", is_ready=True, reason=reason, created_at=STARTED)
        for name in pods
    )
    observed = ObservedJob(state, reason=reason, ready=len(pods), wanted=1, pods=found, service_node_port=30001)
    async with api.ledger.transaction() as connection:
        await jobs.observe(connection, job_id, observed, api.clock())
    return job_id


async def items(api: TheApi, who: Someone, **query: Any) -> list[dict[str, Any]]:
    answer = await api.call("GET", "/api/v1/jobs", who, params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    if "page" not in query:
        assert body["total"] == len(body["items"])
    found: list[dict[str, Any]] = body["items"]
    return found


async def detail(api: TheApi, who: Someone, job: str) -> dict[str, Any]:
    answer = await api.call("GET", f"/api/v1/jobs/{job}", who)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def lines(api: TheApi, who: Someone, job: str, **query: Any) -> list[str]:
    answer = await api.call("GET", f"/api/v1/jobs/{job}/logs", who, params=query)
    assert answer.status_code == 200, answer.text
    found: list[str] = answer.json()["logs"]
    return found


# --- submitting -------------------------------------------------------------------------------------------------------


async def test_a_job_is_taken_and_listed_before_it_has_a_pod(api: TheApi) -> None:
    owner = await api.someone()
    workspace, name = await api.workspace(owner), a_name()
    answer = await submitted(api, owner, yaml_of(workspace, name))
    assert answer.status_code == 201
    told = answer.json()
    assert {key: told[key] for key in ("jobId", "name", "kind", "status")} == {
        "jobId": name,
        "name": name,
        "kind": "training",
        "status": "pending",
    }
    (item,) = await items(api, owner)
    assert (item["jobId"], item["status"], item["ready"], item["node"]) == (name, "Pending", "0/1", "N/A")


async def test_what_was_asked_for_comes_back_without_the_values_of_variables(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    found = await detail(api, owner, await made(api, owner, workspace))
    content = found["yaml_content"]
    assert content["job"]["namespace"] == f"{workspace}-ns"
    assert content["environment"]["env"] == [{"name": "TOKEN", "value": "***"}]
    assert (found["resource_type"], found["priority"], found["pool"]) == ("Job", "high", "default")
    assert found["access_methods"] is None
    assert "secret" not in str(found)


async def test_a_dry_run_says_when_it_would_start_and_makes_nothing(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    answer = await submitted(api, owner, yaml_of(workspace), dryRun=True)
    assert answer.status_code == 200
    assert "would start at" in answer.json()["message"]
    assert await items(api, owner) == []


async def test_a_batch_takes_each_on_its_own(api: TheApi) -> None:
    owner = await api.someone()
    workspace, first, last = await api.workspace(owner), a_name(), a_name()
    texts = [yaml_of(workspace, first), "kind: unknown", yaml_of(workspace, first), yaml_of(workspace, last)]
    answer = await api.call("POST", "/api/v1/jobs/batch", owner, json={"yamlContents": texts})
    assert answer.status_code == 201
    assert [one["jobId"] for one in answer.json()["success"]] == [first, last]
    assert [one["index"] for one in answer.json()["failed"]] == [1, 2]
    assert len(await items(api, owner)) == 2


async def test_a_batch_may_be_much_larger_than_one_job_and_has_a_bound_of_its_own(api: TheApi) -> None:
    owner, padding = await api.someone(), "#" * 700
    for count, status in ((500, 201), (1001, 400), (3000, 413)):
        body = {"yamlContents": [f"kind: unknown\n{padding}"] * count}
        answer = await api.call("POST", "/api/v1/jobs/batch", owner, json=body)
        assert (answer.status_code, len(answer.json().get("failed", ()))) == (status, 500 if status == 201 else 0)
    assert "2048 KiB" in answer.json()["error"]


async def test_a_batch_makes_nothing_where_its_sender_may_not(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    for who in (await api.someone(), await api.member(workspace, Role.VIEWER)):
        answer = await api.call("POST", "/api/v1/jobs/batch", who, json={"yamlContents": [yaml_of(workspace)]})
        assert (answer.json()["success"], len(answer.json()["failed"])) == ([], 1)
    assert await items(api, owner) == []


async def test_the_only_namespace_of_a_caller_is_meant_when_none_is_named(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    text = yaml_of(workspace).replace(f"  namespace: {workspace}-ns\n", "")
    answer = await submitted(api, owner, text)
    assert answer.status_code == 201, answer.text
    assert (await items(api, owner))[0]["namespace"] == f"{workspace}-ns"


async def test_a_name_is_used_once_in_a_namespace_and_may_be_a_literal_path(api: TheApi) -> None:
    owner = await api.someone()
    here, there = await api.workspace(owner), await api.workspace(owner)
    await made(api, owner, here, "batch")
    assert (await submitted(api, owner, yaml_of(here, "batch"))).status_code == 409
    await made(api, owner, there, "batch")
    assert (await detail(api, owner, "batch"))["name"] == "batch"
    assert len(await items(api, owner, namespace=f"{there}-ns")) == 1


async def test_a_job_that_is_named_like_a_path_is_seen_and_ended_there(api: TheApi) -> None:
    owner = await api.someone()
    await made(api, owner, await api.workspace(owner), "batch")
    allowed = (await api.client.options("/api/v1/jobs/batch")).headers["allow"]
    assert allowed == "GET, HEAD, POST, DELETE, OPTIONS"
    for method in ("GET", "DELETE"):
        assert (await api.call(method, "/api/v1/jobs/batch", owner)).status_code == 200
    assert await items(api, owner) == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"namespace": "nobodys"}, 404),
        ({"pool": "not-there"}, 404),
        ({"kind": "unknown"}, 400),
        ({"gpu": "many"}, 400),
        ({"more": ", gpus: 2"}, 400),
        ({"name": "1job"}, 400),
        ({"name": "Not_A_Name"}, 400),
    ],
)
async def test_what_cannot_be_a_job_is_refused_in_the_dialects_shape(
    api: TheApi, changes: dict[str, Any], status: int
) -> None:
    owner = await api.someone()
    answer = await submitted(api, owner, yaml_of(await api.workspace(owner), **changes))
    assert (answer.status_code, set(answer.json())) == (status, {"error"}), answer.text
    assert await items(api, owner) == []


async def test_a_folder_of_the_host_is_mounted_only_where_an_administrator_allows_it(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    allowed = yaml_of(workspace) + "storage: {workdirs: [{path: /data/set}]}\n"
    assert (await submitted(api, owner, allowed)).status_code == 201
    for path in ("/etc", "/database", "/"):
        refused = yaml_of(workspace) + f"storage: {{workdirs: [{{path: {path}}}]}}\n"
        answer = await submitted(api, owner, refused)
        assert (answer.status_code, "/data" in answer.json()["error"]) == (400, True)


async def test_a_repeat_under_the_same_key_makes_one_job(api: TheApi) -> None:
    owner = await api.someone()
    text, headers = yaml_of(await api.workspace(owner)), {"Idempotency-Key": uuid4().hex}
    for _ in range(2):
        answer = await api.call("POST", "/api/v1/jobs", owner, json={"yamlContent": text}, headers=headers)
        assert answer.status_code == 201
    assert len(await items(api, owner)) == 1


async def test_a_job_counts_against_the_quota_of_its_namespace(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    await api.quota(f"{workspace}-ns", gpus=8, memory_mib=2048)
    answer = await submitted(api, owner, yaml_of(workspace), dryRun=True)
    assert "2 GiB of memory" in answer.json()["message"]


# --- seen -------------------------------------------------------------------------------------------------------------


async def test_pods_are_listed_each_by_itself_and_lead_to_their_job(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner), kind="inference")
    await moved(api, name, Phase.ACTIVE)
    await seen(api, name, JobState.RUNNING, f"{name}-a", f"{name}-b")
    assert [item["jobId"] for item in await items(api, owner)] == [f"{name}-a", f"{name}-b"]
    by_pod = await detail(api, owner, f"{name}-b")
    assert (by_pod["job_id"], by_pod["status"]) == (f"{name}-b", "Running")
    assert by_pod["access_methods"]["pod_ip_access"]["url"] == "http://10.0.0.9:8000"
    assert by_pod["access_methods"]["node_port_access"]["node_port"] == 30001


async def test_a_pod_that_waits_says_why(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    await moved(api, name, Phase.ACTIVE)
    await seen(api, name, JobState.PENDING, f"{name}-0", reason="ImagePullBackOff")
    assert (await items(api, owner))[0]["status"] == "ImagePullBackOff"
    assert (await detail(api, owner, name))["status"] == "Pending (ImagePullBackOff)"


async def test_the_list_is_filtered_and_paged(api: TheApi) -> None:
    owner = await api.someone()
    workspace, pool = await api.workspace(owner), await api.pool("worker-1-t4-9")
    first, second = await made(api, owner, workspace), await made(api, owner, workspace, kind="notebook", pool=pool)
    await moved(api, first, Phase.ACTIVE)
    await seen(api, first, JobState.RUNNING, f"{first}-0")

    async def names(**query: Any) -> list[str]:
        return [item["name"] for item in await items(api, owner, **query)]

    assert await names() == [second, first]
    assert await names(kind="notebook") == [second]
    assert await names(pool=pool) == [second]
    assert await names(pool="default") == [first]
    for word in ("Running", "running", "RUNNING"):
        assert await names(status=word) == [first]
    assert await names(status="") == [second, first]
    assert await names(status="failed") == []
    assert await names(page=2, pageSize=1) == [first]
    for bad in ({"page": 0}, {"pageSize": 101}, {"status": "dancing"}, {"kind": "party"}):
        answer = await api.call("GET", "/api/v1/jobs", owner, params=bad)
        assert (answer.status_code, set(answer.json())) == (400, {"error"})


async def test_the_ledger_filters_by_the_same_status_that_is_shown(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await id_of(api, name)
    for phase, state, suspended in product(Phase, [None, *JobState], [False, True]):
        async with api.ledger.transaction() as connection:
            since = api.clock() if suspended else None
            await connection.execute("update gpr set phase = $2, suspended_at = $3 where id = $1", job_id, phase, since)
            await connection.execute("update job set state = $2 where gpr_id = $1", job_id, state or "")
        shown = status_of(phase, state, is_suspended=suspended)
        assert len(await items(api, owner, status=shown)) == 1, (phase, state, shown)


async def test_events_are_live_while_it_runs_and_nothing_breaks_while_the_cluster_is_away(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await moved(api, name, Phase.ACTIVE)
    told = JobEvent("u", "Pod", f"{name}-0", is_warning=True, reason="BackOff", message="again", count=3, at=STARTED)
    api.logs.told[str(job_id)] = [told]
    (event,) = (await detail(api, owner, name))["events"]
    assert (event["type"], event["reason"], event["object"]) == ("Warning", "BackOff", f"Pod/{name}-0")
    assert "from" in event
    api.logs.failure = ClusterUnavailable("away")
    assert (await detail(api, owner, name))["events"] == []


async def test_a_job_is_a_gpr_to_the_other_dialects(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    name = await made(api, owner, workspace)
    (gpr,) = (await api.call("GET", f"/api/v1/gpr/list?sliceName={workspace}", owner)).json()["data"]["items"]
    assert (gpr["gprName"], gpr["exitDuration"], gpr["priority"]) == (name, "", 250)
    (native,) = (await api.call("GET", f"/berth/v1/gprs?workspace={workspace}", owner)).json()["items"]
    assert (native["name"], native["duration_seconds"]) == (name, None)


# --- ending -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE])
async def test_a_job_is_ended_in_whatever_phase_and_twice_is_once(api: TheApi, phase: Phase) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await moved(api, name, phase)
    for _ in range(2):
        answer = await api.call("DELETE", f"/api/v1/jobs/{name}?force=true", owner)
        assert (answer.status_code, answer.json()["status"]) == (200, "terminating")
    if phase is not Phase.QUEUED:
        assert [item["status"] for item in await items(api, owner)] == ["Terminating"]
        await api.come_to_rest(job_id)
    assert await items(api, owner) == []
    async with api.ledger.reading() as connection:
        job = await jobs.find(connection, job_id)
    assert job.is_forced
    await made(api, owner, job.gpr.workspace, name)


async def test_what_ended_by_itself_is_shown_for_a_day_with_its_log(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await moved(api, name, Phase.ACTIVE)
    await seen(api, name, JobState.SUCCEEDED, f"{name}-0")
    async with api.ledger.transaction() as connection:
        await jobs.keep(connection, job_id, {f"{name}-0": [f"{STARTED:%Y-%m-%dT%H:%M:%S}.5Z done"]}, [])
    await api.come_to_rest(job_id)
    assert [item["jobId"] for item in await items(api, owner, status="succeeded")] == [f"{name}-0"]
    assert await lines(api, owner, name) == ["done"]
    api.clock.ahead = timedelta(days=2)
    assert await items(api, owner) == []


async def test_a_job_that_failed_says_why_to_everybody(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    name = await made(api, owner, workspace)
    job_id = await moved(api, name, Phase.ACTIVE)
    await seen(api, name, JobState.FAILED, f"{name}-0", reason="OOMKilled")
    await api.come_to_rest(job_id)
    assert (await detail(api, owner, name))["status"] == "Failed (OOMKilled)"
    (gpr,) = (await api.call("GET", f"/api/v1/gpr/list?sliceName={workspace}", owner)).json()["data"]["items"]
    assert (gpr["status"]["provisioningStatus"], "OOMKilled" in gpr["status"]["failureReason"]) == ("Error", True)


# --- logs -------------------------------------------------------------------------------------------------------------


async def test_who_wants_to_follow_a_log_is_told_where(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    answer = await api.call("GET", f"/api/v1/jobs/{name}/logs", owner, params={"follow": True})
    assert (answer.status_code, "/logs/ws" in answer.json()["error"]) == (400, True)


async def test_there_is_no_log_before_the_first_pod(api: TheApi) -> None:
    owner = await api.someone()
    assert await lines(api, owner, await made(api, owner, await api.workspace(owner))) == []


async def test_the_log_of_the_first_pod_or_of_the_one_that_is_named(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    await moved(api, name, Phase.ACTIVE)
    await seen(api, name, JobState.RUNNING, f"{name}-0", f"{name}-1")
    stamp = f"{STARTED:%Y-%m-%dT%H:%M:%S}.123456789Z"
    api.logs.lines = {f"{name}-0": [f"{stamp} one", f"{stamp} two"], f"{name}-1": [f"{stamp} other"]}
    assert await lines(api, owner, name) == ["one", "two"]
    assert await lines(api, owner, name, tail=1) == ["two"]
    assert await lines(api, owner, name, pod=f"{name}-1") == ["other"]
    assert await lines(api, owner, f"{name}-1") == ["other"]
    assert await lines(api, owner, name, timestamps=True, tail=1) == [f"{stamp} two"]
    last = (await api.call("GET", f"/api/v1/jobs/{name}/logs", owner)).json()["lastTimestamp"]
    assert last.startswith(f"{STARTED:%Y-%m-%dT%H:%M:%S}.123456")
    for query, status in (({"follow": True}, 400), ({"pod": "not-mine"}, 404), ({"tail": 0}, 400)):
        answer = await api.call("GET", f"/api/v1/jobs/{name}/logs", owner, params=query)
        assert (answer.status_code, set(answer.json())) == (status, {"error"})
    api.logs.failure = ClusterUnavailable("away")
    assert (await api.call("GET", f"/api/v1/jobs/{name}/logs", owner)).status_code == 503


# --- who may ----------------------------------------------------------------------------------------------------------


async def test_another_tenants_job_does_not_exist(api: TheApi) -> None:
    owner, stranger = await api.someone(), await api.someone()
    workspace = await api.workspace(owner)
    name = await made(api, owner, workspace)
    for method, path in (("GET", name), ("DELETE", name), ("GET", f"{name}/logs")):
        assert (await api.call(method, f"/api/v1/jobs/{path}", stranger)).status_code == 404
    assert (await submitted(api, stranger, yaml_of(workspace))).status_code == 404
    assert await items(api, stranger) == []


async def test_a_viewer_sees_and_changes_nothing(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    name, viewer = await made(api, owner, workspace), await api.member(workspace, Role.VIEWER)
    assert (await detail(api, viewer, name))["name"] == name
    assert (await submitted(api, viewer, yaml_of(workspace))).status_code == 403
    assert (await api.call("DELETE", f"/api/v1/jobs/{name}", viewer)).status_code == 403


async def test_a_job_that_a_training_lost_its_try_at_is_pending_again(api: TheApi) -> None:
    owner = await api.someone()
    name = await made(api, owner, await api.workspace(owner))
    job_id = await moved(api, name, Phase.PROVISIONING)
    await seen(api, name, JobState.PENDING, f"{name}-0", reason="Unschedulable")
    async with api.ledger.transaction() as connection:
        await lifecycle.begin_release(connection, job_id, EndCause.PROVISIONING_FAILED, api.clock())
    await api.come_to_rest(job_id)
    (item,) = await items(api, owner)
    assert (item["jobId"], item["status"]) == (name, "Pending")


async def test_the_default_namespace_is_made_for_the_first_administrator_that_means_it(api: TheApi) -> None:
    administrator = await api.someone(administrator=True)
    await api.workspace(administrator)
    await api.workspace(administrator)
    name = a_name()
    text = yaml_of("", name).replace("  namespace: -ns\n", "")
    assert (await submitted(api, administrator, text)).status_code == 201
    found = await detail(api, administrator, name)
    assert (found["namespace"], found["yaml_content"]["job"]["namespace"]) == ("default", "default")
    assert [item["name"] for item in await items(api, administrator, namespace="default")] == [name]
    seen_too = await api.call("GET", "/api/v1/namespaces/default", administrator)
    assert (seen_too.status_code, seen_too.json()["name"]) == (200, "default")
    stranger = await submitted(api, await api.someone(), yaml_of("", namespace="default"))
    assert stranger.status_code == 404


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_process_without_a_key_for_secrets_says_so_and_stores_none(api: TheApi, *, dry_run: bool) -> None:
    owner = await api.someone()
    usual, workspace = KEYRING._held, await api.workspace(owner)
    KEYRING.use("")
    try:
        refused = await submitted(api, owner, yaml_of(workspace), dryRun=dry_run)
    finally:
        KEYRING._held = usual
    assert refused.status_code == 503
    assert "BERTH_SECRETS_KEYS" in refused.json()["error"]
    assert await items(api, owner) == []
