"""The keys of every answer are those that clients read, in the spelling in which they read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.dialects.gpuctl import schemas
from api.dialects.gpuctl.schemas import Answer

JOB_DETAIL = (
    "job_id name namespace kind resource_type status age started completed priority pool resources metrics "
    "yaml_content events access_methods"
)
KEYS: list[tuple[type[Answer], str]] = [
    (schemas.Failure, "error"),
    (schemas.JobCreated, "jobId name kind status createdAt message"),
    (schemas.BatchResult, "success failed"),
    (schemas.BatchSuccess, "jobId name"),
    (schemas.BatchFailure, "index error"),
    (schemas.JobPage, "total items"),
    (schemas.JobItem, "jobId name namespace kind status ready node ip age"),
    (schemas.JobDetail, JOB_DETAIL),
    (schemas.JobResources, "cpu memory gpu"),
    (schemas.JobEvent, "age type reason from object message"),
    (schemas.AccessMethods, "pod_ip_access node_port_access"),
    (schemas.PodAccess, "pod_ip port url"),
    (schemas.NodePortAccess, "node_ip node_port url"),
    (schemas.JobDeleted, "jobId status message"),
    (schemas.Logs, "logs lastTimestamp"),
    (schemas.LogFrame, "type data"),
    (schemas.PoolItem, "name description gpuTotal gpuUsed gpuFree gpuType status"),
    (schemas.PoolDetail, "name description nodes gpu_total gpu_used gpu_free gpu_types status"),
    (schemas.PoolChanged, "name status message"),
    (schemas.NodeItem, "nodeName status gpuTotal gpuUsed gpuFree boundPools cpu memory gpuType createdAt"),
    (schemas.NodeDetail, "nodeName status resources labels boundPools createdAt lastUpdatedAt"),
    (schemas.NodePage, "total items"),
    (schemas.GpuDetail, "nodeName gpuCount gpus"),
    (schemas.GpuItem, "gpuId type status utilization memoryUsage"),
    (schemas.NodePoolChanged, "node pool message"),
    (schemas.NodeLabels, "node labels"),
    (schemas.NodeLabel, "nodeName label"),
    (schemas.LabelAdded, "nodeName label message"),
    (schemas.LabelChanged, "node label message"),
    (schemas.LabelBatchResult, "success failed message"),
    (schemas.LabelFailure, "nodeName error"),
    (schemas.LabelMatch, "nodeName labelKey labelValue"),
    (schemas.GpuLabels, "nodeName gpuLabels boundPools"),
    (schemas.Quota, "name namespace hard used status"),
    (schemas.QuotasCreated, "message name created"),
    (schemas.QuotaDeleted, "jobId status message"),
    (schemas.NamespaceDetail, "name status age labels quota"),
    (schemas.NamespaceDeleted, "name status message"),
]


@pytest.mark.parametrize(("answer", "keys"), KEYS, ids=lambda value: value.__name__ if isinstance(value, type) else "")
def test_an_answer_has_the_keys_that_clients_read(answer: type[Answer], keys: str) -> None:
    assert list(answer.model_json_schema(mode="serialization")["properties"]) == keys.split()


def test_what_has_its_own_word_for_from_says_from() -> None:
    event = schemas.JobEvent(age="1m", type="Normal", reason="Started", source="kubelet", object="Pod/a", message="x")
    assert '"from":"kubelet"' in event.model_dump_json()


def test_a_job_that_was_taken_is_pending() -> None:
    taken = schemas.JobCreated(
        jobId="a", name="a", kind="training", createdAt=datetime(2026, 1, 1, tzinfo=UTC), message=""
    )
    assert taken.model_dump(mode="json") == {
        "jobId": "a",
        "name": "a",
        "kind": "training",
        "status": "pending",
        "createdAt": "2026-01-01T00:00:00Z",
        "message": "",
    }
