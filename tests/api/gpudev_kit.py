"""What the tests of the GPU Dev dialect share: boxes and disks asked for over HTTP, and moved on as their lifecycles would."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from domain.gpr import Phase
from domain.hardware import Gpu
from domain.job import JobState, ObservedJob, ObservedPod
from ledger import disks, gprs, inventory, jobs, leases, lifecycle

if TYPE_CHECKING:
    import httpx

    from domain.gpr import EndCause
    from tests.api.api_kit import Someone, TheApi

STARTED = datetime(2026, 6, 1, 12, tzinfo=UTC)
ADDRESS = "10.0.1.42"
PORTS = {"ssh": 30022, "jupyter": 30888}


async def submitted(api: TheApi, who: Someone, **wish: Any) -> httpx.Response:
    """`t4` and one GPU where nothing is said."""
    variables = {"GPU_TYPE": "t4", "GPU_COUNT": "1", **(wish.pop("env_vars", None) or {})}
    variables = {name: value for name, value in variables.items() if value is not ...}
    return await api.call("POST", "/v1/jobs/submit", who, json={"env_vars": variables, **wish})


async def a_box(api: TheApi, who: Someone, **wish: Any) -> str:
    """Id of a new box."""
    answer = await submitted(api, who, **wish)
    assert answer.status_code == 200, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


async def ask(api: TheApi, who: Someone, method: str, path: str, status: int = 200, **body: Any) -> Any:
    """What is answered, with this status."""
    answer = await api.call(method, f"/v1{path}", who, **({"json": body} if body else {}))
    assert answer.status_code == status, answer.text
    return answer.json()


async def detail_of(api: TheApi, who: Someone, method: str, path: str, status: int, **body: Any) -> str:
    """The sentence of a refusal."""
    told = await ask(api, who, method, path, status, **body)
    assert told.keys() == {"detail"}
    assert isinstance(told["detail"], str)
    sentence: str = told["detail"]
    return sentence


async def job(api: TheApi, who: Someone, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await ask(api, who, "GET", f"/jobs/{job_id}")
    return found


async def granted(api: TheApi, job_id: str) -> int:
    """The fence of the lease that it has now, on whichever nodes are free."""
    async with api.ledger.transaction() as connection:
        request = (await gprs.find(connection, UUID(job_id))).request
        free = [
            node
            for node in await inventory.nodes(connection, "worker-1")
            if node.free_gpus >= request.gpus_per_node and node.shape == (request.shape or node.shape)
        ]
        gpus = [Gpu(node.name, ordinal) for node in free[: request.nodes] for ordinal in range(request.gpus_per_node)]
        fence = await leases.grant(connection, UUID(job_id), "worker-1", gpus, api.clock())
    assert fence is not None
    return fence


async def activated(api: TheApi, job_id: str) -> int:
    """The same, once its time runs; its pods do not run yet."""
    fence = await granted(api, job_id)
    async with api.ledger.transaction() as connection:
        await lifecycle.activate(connection, UUID(job_id), fence, api.clock())
    return fence


async def entered(api: TheApi, job_id: str, state: JobState = JobState.RUNNING, reason: str = "") -> None:
    """Its pod is seen, and can be entered."""
    pod = ObservedPod(
        f"gpu-dev-{job_id[:8]}",
        "Running",
        "worker-1-t4-1",
        "10.9.9.9",
        is_ready=state is JobState.RUNNING,
        started_at=STARTED,
        node_address=ADDRESS,
        node_ports=PORTS,
    )
    observed = ObservedJob(state, reason=reason, ready=1, wanted=1, pods=(pod,))
    async with api.ledger.transaction() as connection:
        await jobs.observe(connection, UUID(job_id), observed, api.clock())


async def an_active_box(api: TheApi, who: Someone, **wish: Any) -> str:
    """Id of a box that can be entered."""
    job_id = await a_box(api, who, **wish)
    await activated(api, job_id)
    await entered(api, job_id)
    return job_id


async def ended(api: TheApi, job_id: str, cause: EndCause) -> None:
    """All that it held is free again."""
    async with api.ledger.transaction() as connection:
        fence = (await gprs.find(connection, UUID(job_id))).fence or 0
        await lifecycle.begin_release(connection, UUID(job_id), cause, api.clock())
        if (await gprs.find(connection, UUID(job_id))).phase is Phase.RELEASING:
            await lifecycle.finish_release(connection, UUID(job_id), fence, [], api.clock())


# --- disks ------------------------------------------------------------------------------------------------------------


async def a_disk(api: TheApi, who: Someone, name: str, size_gb: int = 10) -> UUID:
    """Id of a new disk, with which nothing is being done."""
    told = await ask(api, who, "POST", "/disks", disk_name=name, size_gb=size_gb)
    await settled(api, told["operation_id"])
    async with api.ledger.reading() as connection:
        return (await disks.operation(connection, UUID(told["operation_id"]))).disk_id


async def settled(api: TheApi, operation_id: str, error: str = "", **result: Any) -> None:
    """The operation has ended."""
    async with api.ledger.transaction() as connection:
        await disks.settle(connection, UUID(operation_id), error=error, result=result, now=api.clock())


async def running_operation(api: TheApi, action: str) -> str:
    """Id of the only operation of this kind that is under way, as soon as there is one."""
    query = "select id::text from disk_operation where action = $1 and status = 'running'"
    while True:
        async with api.ledger.reading() as connection:
            found = await connection.fetchval(query, action)
        if found is not None:
            return str(found)
        await asyncio.sleep(0.01)


async def used(api: TheApi, job_id: str, files: str = "") -> None:
    """The box has its disk's volume, and lists these files at its end."""
    async with api.ledger.transaction() as connection:
        box = await gprs.find(connection, UUID(job_id))
        disk_id = box.request.disk_id
        assert disk_id is not None
        order = await disks.volume_for(connection, box.id, box.fence or 0, box.cluster, "here", api.clock())
        await disks.volume_seen(connection, disk_id, order.volume)
        await disks.keep_content(connection, disk_id, files)


async def copied(api: TheApi) -> None:
    """The snapshot that the end of a box asked for is ready, and the volume has gone."""
    operation_id = UUID(await running_operation(api, "snapshot"))
    async with api.ledger.transaction() as connection:
        snapshot = await disks.snapshot_begun(connection, operation_id, api.clock())
        await disks.snapshot_ready(connection, snapshot.id, 1, api.clock())
        disk = await disks.find(connection, snapshot.disk_id)
        await disks.volume_gone(connection, disk.id, disk.volume, api.clock())
        await disks.settle(connection, operation_id, error="", result={}, now=api.clock())


async def a_box_and_a_disk(api: TheApi, who: Someone, *, deleted: bool = False) -> dict[str, str]:
    """A box that is being prepared, and another disk, by the names that their paths have for them."""
    job_id = await a_box(
        api, who, env_vars={"GPU_TYPE": "cpu-x86", "GPU_COUNT": "0"}, disk_name=f"h-{uuid4().hex[:10]}"
    )
    await activated(api, job_id)
    name = f"d-{uuid4().hex[:10]}"
    told = await ask(api, who, "POST", "/disks", disk_name=name, size_gb=10)
    await settled(api, told["operation_id"])
    if deleted:
        await settled(api, (await ask(api, who, "DELETE", f"/disks/{name}"))["operation_id"])
    return {"job_id": job_id, "disk_name": name, "operation_id": told["operation_id"]}
