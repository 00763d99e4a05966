"""When would it start? Asked before submitting, answered by the same plan that starts things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.gpr import Phase
from tests.api.api_kit import a_gpr_body

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

BIG = {
    "clusterName": "worker-2",
    "instanceType": "p5.48xlarge",
    "gpuShape": "NVIDIA-H100-80GB-HBM3",
    "memoryPerGPU": 79,
    "numberOfGPUs": 8,
}


async def waittime(api: TheApi, who: Someone, workspace: str, **changes: Any) -> dict[str, Any]:
    body = a_gpr_body(workspace, **changes)
    answer = await api.call("POST", "/api/v1/gpr/waittime", who, json=body)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_what_fits_now_would_start_at_once_and_nothing_is_kept(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    data = await waittime(api, owner, workspace, gprName=...)
    assert (data["estimatedWaitTime"], data["clusterName"], data["position"]) == ("0h0m0s", "worker-1", 0)
    assert len(data["nodes"]) == 1
    listed = await api.call("GET", f"/api/v1/gpr/list?sliceName={workspace}", owner)
    assert listed.json()["data"]["items"] == []


async def test_behind_a_lease_it_waits_until_that_ends(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    await api.gpr(owner, workspace, Phase.ACTIVE, exitDuration="1h")
    data = await waittime(api, owner, workspace)
    assert data["estimatedWaitTime"].startswith(("0h59m", "1h0m"))
    assert data["position"] == 1
    assert workspace in data["reason"]


async def test_a_stronger_wish_goes_before_what_is_queued(api: TheApi) -> None:
    owner = await api.someone()
    busy, other = await api.workspace(owner, "worker-2"), await api.workspace(owner, "worker-2")
    await api.gpr(owner, busy, priority=150, exitDuration="2h", **BIG)
    weak = await waittime(api, owner, other, priority=100, **BIG)
    strong = await waittime(api, owner, other, priority=250, **BIG)
    assert weak["estimatedWaitTime"].startswith("2h0m")
    assert strong["estimatedWaitTime"] == "0h0m0s"


async def test_what_can_never_start_has_no_time_but_a_reason(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    data = await waittime(api, owner, workspace, numberOfGPUs=64)
    assert (data["estimatedStartTime"], data["estimatedWaitTime"]) == ("", "")
    assert data["reason"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"exitDuration": ""}, 422),
        ({"exitDuration": ...}, 422),
        ({"clusterName": "worker-2"}, 422),
        ({"numberOfGPUs": 0}, 422),
        ({"sliceName": "not-there"}, 404),
    ],
)
async def test_a_wish_that_could_not_be_submitted_is_refused_alike(
    api: TheApi, changes: dict[str, Any], status: int
) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    body = a_gpr_body(workspace, **changes)
    for path in ("/api/v1/gpr/waittime", "/api/v1/gpr"):
        answer = await api.call("POST", path, owner, json=body)
        assert answer.status_code == status, (path, answer.text)
