"""GPRs as EGS clients see them: created, shown in every phase, changed, withdrawn, released; every refusal in its words."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from domain.gpr import EndCause, Phase
from ledger import gprs, lifecycle
from tests.api.api_kit import a_gpr_body

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import Someone, TheApi

PATH = "/api/v1/gpr"
ITEM_KEYS = {
    *(
        "gprId",
        "sliceName",
        "clusterName",
        "numberOfGPUs",
        "numberOfGPUNodes",
        "instanceType",
        "memoryPerGPU",
        "priority",
    ),
    *(
        "gpuSharingMode",
        "estimatedStartTime",
        "estimatedWaitTime",
        "exitDuration",
        "earlyRelease",
        "gprName",
        "gpuShape",
    ),
    *("multiNode", "dedicatedNodes", "enableRDMA", "enableSecondaryNetwork", "status"),
    *("idleTimeOutDuration", "enforceIdleTimeOut", "enableEviction", "requeueOnFailure"),
    *("preferredClusters", "enableAutoClusterSelection", "enableAutoGpuSelection"),
}
STATUS_KEYS = {
    *(
        "provisioningStatus",
        "failureReason",
        "numGpusAllocated",
        "startTimestamp",
        "completionTimestamp",
        "cost",
        "nodes",
    ),
    *("internalState", "retryCount", "delayedCount"),
}


def sentence(answer: httpx.Response) -> str:
    told: str = json.loads(answer.json()["error"]["data"])["error"]["DetailedError"]["Errormessage"]
    return told


async def item_of(api: TheApi, who: Someone, gpr: str) -> dict[str, Any]:
    item: dict[str, Any] = (await api.call("GET", PATH, who, params={"gprId": gpr})).json()["data"]
    return item


# --- created ----------------------------------------------------------------------------------------------------------


async def test_the_documents_own_request_is_queued(api: TheApi) -> None:
    me = await api.someone()
    answer = await api.call("POST", PATH, me, json=a_gpr_body(await api.workspace(me)))
    assert answer.status_code == 200
    assert answer.json()["data"].keys() == {"gprId"}
    item = await item_of(api, me, answer.json()["data"]["gprId"])
    assert item["status"]["provisioningStatus"] == item["status"]["internalState"] == "Queued"


async def test_a_gpr_starts_its_workflow_and_kicks_the_arbiter(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    api.courier.delivered.clear()
    await api.gpr(me, workspace)
    async with api.ledger.reading() as connection:
        rows = await connection.fetch(
            "select workflow_type from outbox where id = any($1::bigint[])", api.courier.delivered
        )
    assert {row["workflow_type"] for row in rows} == {"Gpr", "Arbiter"}


async def test_its_id_is_as_clients_expect_it(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    assert [len(part) for part in gpr.split("-")] == [3, 8, 4]
    assert int(gpr.removeprefix("gpr-").replace("-", ""), 16) >= 0


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0d0h5m", "0h5m0s"),
        ("1d2h3m", "26h3m0s"),
        ("26h3m0s", "26h3m0s"),
        ("90m", "1h30m0s"),
        ("1H15M", "1h15m0s"),
        (" 5m ", "0h5m0s"),
        ("45s", "0h0m45s"),
        ("366d", "8784h0m0s"),
    ],
)
async def test_a_duration_is_shown_in_its_normal_form(api: TheApi, text: str, shown: str) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), exitDuration=text)
    assert (await item_of(api, me, gpr))["exitDuration"] == shown


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"exitDuration": ""}, '"exitDuration" is not allowed to be empty'),
        ({"exitDuration": ...}, '"exitDuration" is required'),
        ({"exitDuration": "0d0h0m"}, "a duration must be longer than zero"),
        ({"exitDuration": "5"}, "'5' is not a duration"),
        ({"exitDuration": "m5"}, "is not a duration"),
        ({"exitDuration": "5m1h"}, "is not a duration"),
        ({"exitDuration": "-5m"}, "is not a duration"),
        ({"exitDuration": "1.5h"}, "is not a duration"),
        ({"exitDuration": "\u0665m"}, "is not a duration"),
        ({"exitDuration": "367d"}, "longer than the longest duration"),
        ({"exitDuration": "999999999d"}, "longer than the longest duration"),
        ({"exitDuration": 300}, '"exitDuration"'),
        ({"priority": -1}, '"priority"'),
        ({"priority": 301}, '"priority"'),
        ({"priority": 1.5}, '"priority"'),
        ({"priority": "high"}, '"priority"'),
        ({"priority": True}, '"priority"'),
        ({"gprName": ...}, '"gprName" is required'),
        ({"gprName": ""}, '"gprName" is not allowed to be empty'),
        ({"gprName": "x" * 41}, "the name of a GPR must be"),
        ({"gprName": "two words"}, "the name of a GPR must be"),
        ({"gprName": "\u540d\u524d"}, "the name of a GPR must be"),
        ({"gprName": ["a"]}, '"gprName"'),
        ({"sliceName": ...}, '"sliceName" is required'),
        ({"numberOfGPUs": 0}, '"numberOfGPUs"'),
        ({"numberOfGPUs": -1}, '"numberOfGPUs"'),
        ({"numberOfGPUs": 65}, '"numberOfGPUs"'),
        ({"numberOfGPUs": 2**70}, '"numberOfGPUs"'),
        ({"numberOfGPUs": ""}, '"numberOfGPUs"'),
        ({"numberOfGPUs": ...}, '"numberOfGPUs" is required'),
        ({"numberOfGPUNodes": 0}, '"numberOfGPUNodes"'),
        ({"memoryPerGPU": -1}, '"memoryPerGPU"'),
        ({"memoryPerGPU": "15"}, '"memoryPerGPU"'),
        ({"clusterName": "worker-9"}, "is not on cluster 'worker-9'; it is on: worker-1"),
        ({"clusterName": "worker-2"}, "is not on cluster 'worker-2'; it is on: worker-1"),
        ({"preferredClusters": ["worker-2"]}, "is not on cluster 'worker-2'"),
        ({"multiNode": "yes"}, '"multiNode"'),
        ({"idleTimeOutDuration": "soon"}, "'soon' is not a duration"),
    ],
)
async def test_what_is_not_valid_is_refused_by_name(api: TheApi, changes: dict[str, Any], told: str) -> None:
    me = await api.someone()
    answer = await api.call("POST", PATH, me, json=a_gpr_body(await api.workspace(me), **changes))
    assert (answer.status_code, answer.json()["message"]) == (422, "Bad Request")
    assert told in sentence(answer)


@pytest.mark.parametrize(("given", "taken"), [(0, 0), (300, 300), (101, 101), (None, 101), ("", 101), (..., 101)])
async def test_a_priority_from_0_to_300_is_taken_and_absent_means_101(api: TheApi, given: Any, taken: int) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), priority=given)
    assert (await item_of(api, me, gpr))["priority"] == taken


async def test_only_what_has_no_sensible_default_is_required(api: TheApi) -> None:
    me = await api.someone()
    body = {"gprName": "g", "workspaceName": await api.workspace(me), "exitDuration": "5m", "numberOfGPUs": 2}
    gpr = (await api.call("POST", PATH, me, json=body)).json()["data"]["gprId"]
    item = await item_of(api, me, gpr)
    assert (item["numberOfGPUNodes"], item["gpuShape"], item["instanceType"], item["memoryPerGPU"]) == (1, "", "", 0)


@pytest.mark.parametrize("spelling", ["memoryPerGPU", "memoryPerGpu"])
async def test_memory_is_read_in_both_spellings_and_rounded_up(api: TheApi, spelling: str) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), **{"memoryPerGPU": ..., spelling: 14.5})
    assert (await item_of(api, me, gpr))["memoryPerGPU"] == 15


@pytest.mark.parametrize(
    ("sent", "shape", "instance_type"),
    [
        ({"gpuShape": "Tesla-T4", "instanceType": "n1-standard-8"}, "Tesla-T4", "n1-standard-8"),
        ({"gpuShape": "tesla-t4", "instanceType": ""}, "Tesla-T4", ""),
        ({"gpuShape": "n1-standard-8", "instanceType": ""}, "", "n1-standard-8"),
        ({"gpuShape": "n1-standard-8", "instanceType": "n1-standard-8"}, "", "n1-standard-8"),
        ({"gpuShape": "B300", "instanceType": ""}, "B300", ""),
        ({"gpuShape": "Tesla-T4", "instanceType": "x", "enableAutoGpuSelection": True}, "", ""),
    ],
)
async def test_hardware_is_understood_in_the_inventorys_words(
    api: TheApi, sent: dict[str, Any], shape: str, instance_type: str
) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), **sent)
    view = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()
    assert (view["shape"], view["instance_type"]) == (shape, instance_type)
    assert (await item_of(api, me, gpr))["gpuShape"] == sent["gpuShape"]


async def test_hardware_that_nobody_has_waits_in_the_queue(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), numberOfGPUs=64, numberOfGPUNodes=4096, gpuShape="B300")
    assert (await item_of(api, me, gpr))["status"]["provisioningStatus"] == "Queued"


async def test_automatic_cluster_selection_prefers_what_was_named(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me, "worker-1", "worker-2")
    gpr = await api.gpr(me, workspace, clusterName="", preferredClusters=["worker-2"], enableAutoClusterSelection=True)
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["clusters"] == ["worker-2", "worker-1"]


async def test_what_clients_send_beyond_the_document_is_echoed(api: TheApi) -> None:
    me = await api.someone()
    beyond = {"idleTimeOutDuration": "0d0h30m", "enforceIdleTimeOut": True, "enableRDMA": True, "gpuSharingMode": "MIG"}
    item = await item_of(api, me, await api.gpr(me, await api.workspace(me), **beyond, enableEviction=True))
    assert (item["idleTimeOutDuration"], item["enforceIdleTimeOut"]) == ("0h30m0s", True)
    assert (item["enableRDMA"], item["gpuSharingMode"], item["enableEviction"]) == (True, "MIG", True)


async def test_the_choice_of_clusters_and_gpus_is_kept_and_answered(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me, "worker-1", "worker-2")
    choice = {"preferredClusters": ["worker-2"], "enableAutoClusterSelection": True, "enableAutoGpuSelection": True}
    item = await item_of(api, me, await api.gpr(me, workspace, clusterName=..., **choice))
    assert {name: item[name] for name in choice} == choice
    assert (item["clusterName"], item["requeueOnFailure"]) == ("worker-2", True)


async def test_requeue_on_failure_takes_effect(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), requeueOnFailure=False)
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["requeue_on_failure"] is False


# --- shown ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "provisioning", "internal", "allocated"),
    [
        (Phase.QUEUED, "Queued", "Queued", 0),
        (Phase.PROVISIONING, "Queued", "Reserved", 1),
        (Phase.ACTIVE, "Provisioned", "", 1),
        (Phase.RELEASING, "Provisioned", "", 1),
        (Phase.RELEASED, "Complete", "Released", 0),
        (Phase.EXPIRED, "Complete", "Released", 0),
        (Phase.CANCELLED, "Complete", "Released", 0),
        (Phase.FAILED, "Error", "Released", 0),
    ],
)
async def test_every_phase_has_the_documents_word_and_every_key(
    api: TheApi, phase: Phase, provisioning: str, internal: str, allocated: int
) -> None:
    me = await api.someone()
    item = await item_of(api, me, await api.gpr(me, await api.workspace(me), phase))
    status = item["status"]
    assert (item.keys(), status.keys()) == (ITEM_KEYS, STATUS_KEYS)
    assert (status["provisioningStatus"], status["internalState"], status["numGpusAllocated"]) == (
        provisioning,
        internal,
        allocated,
    )
    assert bool(status["nodes"]) is (phase not in {Phase.QUEUED, Phase.CANCELLED})
    assert bool(status["completionTimestamp"]) is (provisioning in {"Complete", "Error"})


async def test_an_early_release_is_shown_as_such(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    early = await api.gpr(me, workspace, Phase.RELEASED)
    on_time = await api.gpr(me, workspace, Phase.EXPIRED)
    assert [(await item_of(api, me, gpr))["earlyRelease"] for gpr in (early, on_time)] == [True, False]


async def test_a_wait_counts_down_while_queued_and_stays_what_it_was_afterwards(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    starts_at = api.clock() + timedelta(minutes=20, seconds=30)
    async with api.ledger.transaction() as connection:
        await connection.execute("update gpr set starts_at = $2 where external_id = $1", gpr, starts_at)
    item = await item_of(api, me, gpr)
    assert item["estimatedStartTime"] == starts_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert item["estimatedWaitTime"].startswith("0h20m")
    api.clock.ahead = timedelta(minutes=30)
    assert (await item_of(api, me, gpr))["estimatedWaitTime"] == "0h0m0s"


async def test_the_list_is_newest_first_and_complete_however_long(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    gprs = [await api.gpr(me, workspace, gprName=f"g{number}") for number in range(3)]
    async with api.ledger.transaction() as connection:
        await connection.execute(MANY_MORE, gprs[0], 1100)
    answer = await api.call("GET", f"{PATH}/list", me, params={"sliceName": workspace})
    assert answer.json().keys() == {"statusCode", "status", "message", "data", "error"}
    names = [item["gprName"] for item in answer.json()["data"]["items"]]
    assert (len(names), names[0], names[-3:]) == (1103, "more1100", ["g2", "g1", "g0"])


MANY_MORE = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority,
                 exclusive, requeue_on_failure, phase, submitted_at)
select gen_random_uuid(), 'gpr-' || gen_random_uuid(), workspace_id, submitted_by, 'more' || n, 1, 1, 60, 101, true, true,
       'released', submitted_at
from gpr, generate_series(1, $2) n where external_id = $1
"""


async def test_the_list_of_a_workspace_that_is_not_there_is_refused_in_its_own_words(api: TheApi) -> None:
    answer = await api.call("GET", f"{PATH}/list", await api.someone(), params={"sliceName": "evening-x"})
    body = answer.json()
    assert (answer.status_code, body["message"], body["error"]["message"]) == (404, *("Slice Workspace Not Found",) * 2)
    assert json.loads(body["error"]["data"])["error"]["Message"] == "Error in listing GPR's for slice evening-x"


async def test_an_empty_list_is_a_list(api: TheApi) -> None:
    me = await api.someone()
    answer = await api.call("GET", f"{PATH}/list", me, params={"sliceName": await api.workspace(me)})
    assert answer.json()["data"] == {"items": []}


@pytest.mark.parametrize(
    "gpr", ["gpr-00000000-0000", "nonsense", "gpr-\u0660", "x" * 200, "00000000-0000-0000-0000-000000000000"]
)
async def test_a_gpr_that_is_not_there_is_not_found_by_any_verb(api: TheApi, gpr: str) -> None:
    me = await api.someone()
    for method in ("GET", "PUT", "DELETE"):
        assert (await api.call(method, PATH, me, json={"gprId": gpr})).status_code == 404


# --- changed ----------------------------------------------------------------------------------------------------------


async def test_a_queued_gpr_takes_a_new_priority_and_name(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    wish = {"gprId": gpr, "priority": 250, "gprName": "renamed", "earlyRelease": False}
    assert (await api.call("PUT", PATH, me, json=wish)).json()["data"] == {}
    item = await item_of(api, me, gpr)
    assert (item["priority"], item["gprName"]) == (250, "renamed")


@pytest.mark.parametrize("phase", [Phase.PROVISIONING, Phase.ACTIVE, Phase.RELEASING, Phase.RELEASED, Phase.FAILED])
async def test_a_priority_counts_only_in_the_queue_but_an_unchanged_one_is_no_change(api: TheApi, phase: Phase) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), phase)
    same = {"gprId": gpr, "priority": 201, "gprName": "gpr1", "earlyRelease": False}
    assert (await api.call("PUT", PATH, me, json=same)).status_code == 200
    answer = await api.call("PUT", PATH, me, json={"gprId": gpr, "priority": 1, "gprName": "not-taken"})
    assert answer.status_code == 409
    assert (await item_of(api, me, gpr))["gprName"] == "gpr1"


@pytest.mark.parametrize(
    "wish", [{"priority": 301}, {"priority": -1}, {"gprName": "x" * 41}, {"gprName": "a b"}, {"earlyRelease": "yes"}]
)
async def test_a_change_that_is_not_valid_is_refused(api: TheApi, wish: dict[str, Any]) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    assert (await api.call("PUT", PATH, me, json={"gprId": gpr, **wish})).status_code == 422


async def test_a_change_of_nothing_is_fine(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    assert (await api.call("PUT", PATH, me, json={"gprId": gpr})).status_code == 200


# --- released early ---------------------------------------------------------------------------------------------------


async def test_an_active_gpr_is_released_early_and_repeating_it_is_fine(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.ACTIVE)
    wish = {"gprId": gpr, "earlyRelease": True, "priority": 7}
    for _ in range(2):
        assert (await api.call("PUT", PATH, me, json=wish)).status_code == 200
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["phase"] == "releasing"


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.QUEUED, "Queued"),
        (Phase.PROVISIONING, "Queued"),
        (Phase.RELEASED, "Complete"),
        (Phase.EXPIRED, "Complete"),
        (Phase.CANCELLED, "Complete"),
        (Phase.FAILED, "Error"),
    ],
)
async def test_what_is_not_provisioned_cannot_be_released_early(api: TheApi, phase: Phase, state: str) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), phase)
    answer = await api.call("PUT", PATH, me, json={"gprId": gpr, "earlyRelease": True})
    body = answer.json()
    assert (answer.status_code, body["message"], body["error"]["message"]) == (500, *("Unable to Early Release",) * 2)
    assert sentence(answer) == f"Cannot update early release of GPR in {state} state"
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["phase"] == phase


async def test_a_lease_that_is_expiring_at_this_moment_is_over_and_not_released_early(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.ACTIVE)
    async with api.ledger.transaction() as connection:
        gpr_id = await gprs.id_of_external(connection, gpr)
        assert gpr_id
        await lifecycle.begin_release(connection, gpr_id, EndCause.EXPIRED, api.clock())
    answer = await api.call("PUT", PATH, me, json={"gprId": gpr, "earlyRelease": True})
    assert answer.status_code == 500
    assert sentence(answer) == "Cannot update early release of GPR in Complete state"


# --- deleted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["body", "query", "body without content type"])
async def test_a_queued_gpr_is_withdrawn_and_repeating_it_is_fine(api: TheApi, way: str) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    more: dict[str, Any] = {"params": {"gprId": gpr}} if way == "query" else {"content": json.dumps({"gprId": gpr})}
    for _ in range(2):
        answer = await api.call("DELETE", PATH, me, **more)
        assert (answer.status_code, answer.json()["data"]) == (200, {})
    assert (await item_of(api, me, gpr))["status"]["provisioningStatus"] == "Complete"


async def test_a_gpr_that_is_still_being_provisioned_is_withdrawn(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.PROVISIONING)
    assert (await api.call("DELETE", PATH, me, json={"gprId": gpr})).status_code == 200
    assert (await api.call("DELETE", PATH, me, json={"gprId": gpr})).status_code == 200
    status = (await item_of(api, me, gpr))["status"]
    assert (status["provisioningStatus"], status["internalState"]) == ("Queued", "Reserved")


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (Phase.ACTIVE, "Successful"),
        (Phase.RELEASING, "Successful"),
        (Phase.RELEASED, "Successful"),
        (Phase.EXPIRED, "Successful"),
        (Phase.FAILED, "Error"),
    ],
)
async def test_what_was_provisioned_cannot_be_deleted(api: TheApi, phase: Phase, state: str) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), phase)
    answer = await api.call("DELETE", PATH, me, json={"gprId": gpr})
    body = answer.json()
    assert (answer.status_code, body["message"], body["error"]["message"]) == (500, "Cannot delete", "UNKNOWN")
    assert sentence(answer) == f"Cannot delete GPR in {state} state"
    assert (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()["phase"] == phase


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/v1/gpr"), ("POST", "/berth/v1/gprs/{gpr}/release")])
async def test_what_is_withdrawn_while_its_provisioning_fails_does_not_come_back(
    api: TheApi, method: str, path: str
) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.PROVISIONING)
    view = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()
    gpr_id, fence = UUID(view["id"]), view["lease"]["fence"]
    async with api.ledger.transaction() as connection:
        await lifecycle.provisioning_failed(connection, gpr_id, fence, "no tokens", [], api.clock())
    for _ in range(2):
        answer = await api.call(method, path.format(gpr=gpr), me, json={"gprId": gpr})
        assert answer.status_code == 200
    assert await api.come_to_rest(gpr_id) is Phase.CANCELLED


async def test_what_went_with_its_workspace_is_deleted_already(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    gpr = await api.gpr(me, workspace)
    await api.call("DELETE", "/api/v1/slice-workspace", me, json={"workspaceName": workspace})
    assert (await api.call("DELETE", PATH, me, json={"gprId": gpr})).status_code == 200


async def test_withdrawing_and_changing_at_the_same_moment_have_one_outcome(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me))
    answers = await asyncio.gather(
        api.call("DELETE", PATH, me, json={"gprId": gpr}),
        *(api.call("PUT", PATH, me, json={"gprId": gpr, "priority": number}) for number in range(10)),
    )
    assert answers[0].status_code == 200
    assert {answer.status_code for answer in answers[1:]} <= {200, 409}
    assert (await item_of(api, me, gpr))["status"]["provisioningStatus"] == "Complete"
