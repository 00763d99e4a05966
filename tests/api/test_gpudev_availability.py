"""What there is of each GPU type, and when 1, 2, 4, 8 and 16 of it are free: one plan for all who ask, never an old one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest_asyncio

from api.dialects.gpudev.gpu_types import KINDS
from api.operations.availability import AvailabilityBoard
from domain.failures import LedgerUnavailable
from domain.gpr import Phase
from domain.hardware import Gpu
from ledger import gprs, inventory, leases, lifecycle
from ledger.connection import Ledger
from tests.api.api_kit import a_node, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ledger.connection import Connection
    from tests.api.api_kit import Someone, TheApi

DOCUMENTED = {"gpu_type", "total", "available", "in_use", "queued", "max_per_node"}
H100 = {"instanceType": "p5.48xlarge", "gpuShape": "NVIDIA-H100-80GB-HBM3", "memoryPerGPU": 79, "numberOfGPUs": 8}


@pytest_asyncio.fixture
async def api(database_url: str) -> AsyncIterator[TheApi]:
    """One of its own: every GPU counts."""
    async with opened(database_url) as the_api:
        await the_api.register_clusters("worker-1", "worker-2")
        yield the_api


async def availability(api: TheApi, who: Someone | None = None) -> dict[str, Any]:
    api.clock.ahead += timedelta(seconds=3)  # what was told before is too old
    answer = await api.call("GET", "/v1/gpu/availability", who or await api.someone())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["availability"]
    return found


async def a_lease(api: TheApi, owner: Someone, cluster: str, gpus: int, duration: str) -> None:
    """So many GPUs of the cluster's H100 node are held."""
    workspace = await api.workspace(owner, cluster)
    changes = {**H100, "numberOfGPUs": gpus, "clusterName": cluster, "exitDuration": duration}
    external_id = await api.gpr(owner, workspace, **changes)
    async with api.ledger.transaction() as connection:
        gpr_id = await gprs.id_of_external(connection, external_id)
        assert gpr_id is not None
        held = [Gpu(f"{cluster}-h100", ordinal) for ordinal in range(gpus)]
        fence = await leases.grant(connection, gpr_id, cluster, held, api.clock())
        assert fence is not None
        await lifecycle.activate(connection, gpr_id, fence, api.clock())


# --- what there is ----------------------------------------------------------------------------------------------------


async def test_every_type_of_the_document_is_told_of(api: TheApi) -> None:
    found = await availability(api)
    assert found.keys() == KINDS.keys()
    assert all(one.keys() > DOCUMENTED and one["gpu_type"] == name for name, one in found.items())
    assert {name: one["total"] for name, one in found.items() if one["total"]} == {"t4": 80, "t4-small": 80, "h100": 16}
    assert (found["h100"]["max_per_node"], found["t4"]["max_per_node"], found["b200"]["max_per_node"]) == (8, 1, 8)


async def test_what_is_held_by_anybody_is_in_use_and_what_waits_is_queued(api: TheApi) -> None:
    owner = await api.someone()
    await a_lease(api, owner, "worker-1", 3, "1h")
    await api.gpr(owner, await api.workspace(owner, "worker-2"), clusterName="worker-2", **H100)
    await api.gpr(owner, await api.workspace(owner), Phase.PROVISIONING)
    found = await availability(api)
    assert counts(found["h100"]) == {"total": 16, "available": 13, "in_use": 3, "queued": 8}
    assert counts(found["t4"]) == {"total": 80, "available": 79, "in_use": 1, "queued": 0}


async def test_nodes_that_are_out_of_use_in_a_pool_or_used_by_strangers_are_counted_as_what_they_are(
    api: TheApi,
) -> None:
    await api.pool("worker-2-h100")
    away = replace(a_node("worker-1-t4-0"), ready=False)
    strange = a_node("worker-1-h100", "NVIDIA-H100-80GB-HBM3", "p5.48xlarge", gpus=8, memory_mib=81559)
    async with api.ledger.transaction() as connection:
        await seen(connection, api, away, replace(strange, foreign_gpus=2))
    found = await availability(api)
    assert counts(found["h100"]) == {"total": 8, "available": 6, "in_use": 2, "queued": 0}
    assert found["t4"]["total"] == 79


async def test_the_cluster_as_a_whole_says_it_under_both_names(api: TheApi) -> None:
    owner = await api.someone()
    await a_lease(api, owner, "worker-1", 3, "1h")
    await api.gpr(owner, await api.workspace(owner))
    await api.gpr(owner, await api.workspace(owner), Phase.PROVISIONING)
    status = (await api.call("GET", "/v1/cluster/status", owner)).json()
    assert (status["total_gpus"], status["in_use_gpus"], status["available_gpus"], status["queued_gpus"]) == (
        96,
        4,
        92,
        1,
    )
    for word, number in (("active", 1), ("preparing", 1), ("queued", 1), ("pending", 0)):
        assert (status[f"{word}_reservations"], status[f"{word}_jobs"]) == (number, number), word
    assert counts(status["by_gpu_type"]["h100"]) == {"total": 16, "available": 13, "in_use": 3, "queued": 0}


# --- when so many are free --------------------------------------------------------------------------------------------


async def test_each_size_has_its_own_time(api: TheApi) -> None:
    owner = await api.someone()
    await a_lease(api, owner, "worker-1", 6, "2h")
    await a_lease(api, owner, "worker-2", 8, "4h")
    nexts = (await availability(api))["h100"]["next_available"]
    assert [nexts[size]["wait_seconds"] for size in ("1", "2")] == [0, 0]
    assert [round(nexts[size]["wait_seconds"] / 3600) for size in ("4", "8")] == [2, 2]
    assert (nexts["1"]["reason"], nexts["8"]["reason"]) == ("", "waiting_for_gpus")
    assert (nexts["16"]["at"], nexts["16"]["wait_seconds"], nexts["16"]["nodes"]) == (None, None, 2)
    assert nexts["16"]["reason"] == "not_enough_nodes"


async def test_what_is_queued_goes_before_those_who_only_ask(api: TheApi) -> None:
    owner = await api.someone()
    for cluster in ("worker-1", "worker-2"):
        workspace = await api.workspace(owner, cluster)
        await api.gpr(owner, workspace, clusterName=cluster, priority=150, **{**H100, "exitDuration": "3h"})
    nexts = (await availability(api))["h100"]["next_available"]
    assert [round(nexts[size]["wait_seconds"] / 3600) for size in ("1", "8")] == [3, 3]
    assert nexts["1"]["reason"] == "behind_stronger_claims"


async def test_a_type_without_nodes_has_no_time_and_names_nobody(api: TheApi) -> None:
    found = await availability(api)
    assert counts(found["a100"]) == {"total": 0, "available": 0, "in_use": 0, "queued": 0}
    assert found["a100"]["next_available"]["1"] == {
        "at": None,
        "wait_seconds": None,
        "nodes": 1,
        "reason": "no_such_instance_type",
    }
    assert found["cpu-x86"]["next_available"] == {}


async def test_the_time_of_asking_is_told(api: TheApi) -> None:
    answer = (await api.call("GET", "/v1/gpu/availability", await api.someone())).json()
    assert abs(datetime.fromisoformat(answer["timestamp"]) - api.clock()) < timedelta(seconds=10)


async def test_others_tenants_are_counted_and_not_named(api: TheApi) -> None:
    owner = await api.someone()
    await a_lease(api, owner, "worker-1", 8, "2h")
    await a_lease(api, owner, "worker-2", 8, "2h")
    text = str(await availability(api, await api.someone()))
    assert "gpr1" not in text
    assert owner.principal.name not in text


# --- under load -------------------------------------------------------------------------------------------------------


class CountingLedger(Ledger):
    """Counts how often it is read; fails where a test says so."""

    reads = 0
    is_away = False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        self.reads += 1
        await asyncio.sleep(0.05)
        if self.is_away:
            raise LedgerUnavailable
        async with super().reading() as connection:
            yield connection


@pytest_asyncio.fixture
async def counted(api: TheApi, database_url: str) -> AsyncIterator[tuple[CountingLedger, AvailabilityBoard]]:
    ledger = CountingLedger(database_url)
    yield ledger, AvailabilityBoard(replace(api.app.state.backends, ledger=ledger), tuple(KINDS.values()))
    await ledger.close()


async def test_all_who_ask_meanwhile_share_one_answer_which_is_kept_for_two_seconds(
    api: TheApi, counted: tuple[CountingLedger, AvailabilityBoard]
) -> None:
    ledger, board = counted
    answers = await asyncio.gather(*(board.look() for _ in range(50)))
    assert (ledger.reads, len({id(answer) for answer in answers})) == (1, 1)
    api.clock.ahead += timedelta(seconds=1.5)
    await board.look()
    assert ledger.reads == 1
    api.clock.ahead += timedelta(seconds=1)
    assert (await board.look()).at > answers[0].at
    assert ledger.reads == 2


async def test_one_who_goes_away_takes_the_answer_from_nobody(
    counted: tuple[CountingLedger, AvailabilityBoard],
) -> None:
    ledger, board = counted
    first, second = asyncio.create_task(board.look()), asyncio.create_task(board.look())
    await asyncio.sleep(0.01)
    first.cancel()
    assert (await second).everything.total == 96
    assert ledger.reads == 1


async def test_a_failure_is_told_to_all_who_waited_and_not_kept(
    counted: tuple[CountingLedger, AvailabilityBoard],
) -> None:
    ledger, board = counted
    ledger.is_away = True
    outcomes = await asyncio.gather(*(board.look() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LedgerUnavailable] * 3
    ledger.is_away = False
    assert (await board.look()).everything.total == 96


async def test_a_request_does_not_wait_for_a_plan_that_takes_long(
    api: TheApi, counted: tuple[CountingLedger, AvailabilityBoard]
) -> None:
    _, board = counted
    choice = await board.choose(KINDS["h100"], 16)
    assert (choice.wish.shape, choice.wish.nodes, choice.wish.gpus_per_node) == ("NVIDIA-H100-80GB-HBM3", 2, 8)
    api.clock.ahead += timedelta(seconds=3)
    async with api.app.state.backends.planning:
        late = await board.choose(KINDS["h100"], 16)
    assert (late.wish, late.starts_at) == (choice.wish, None)


async def seen(connection: Connection, api: TheApi, *changed: Any) -> None:
    """What the first cluster reports, with some nodes changed."""
    names = {node.name for node in changed}
    others = [a_node(f"worker-1-t4-{number}") for number in range(40)]
    nodes = [*changed, *(node for node in others if node.name not in names)]
    await inventory.observe(connection, "worker-1", nodes, api.clock())
    assert len(nodes) == 41


def counts(one: dict[str, Any]) -> dict[str, int]:
    return {name: one[name] for name in ("total", "available", "in_use", "queued")}
