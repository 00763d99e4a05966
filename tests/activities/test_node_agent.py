"""The agent of a node as a process of its own: what its GPUs do is in a real ledger, whatever happens to either."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from cli.stack.folders import REPOSITORY
from cli.stack.testing import running_postgres
from domain.devices import GpuIdentity, GpuReading, NodeReading
from ledger.connection import Ledger
from ledger.migrate import migrate
from tests.agent_kit import (
    DRIVER_NOT_LOADED,
    FUNCTION_NOT_FOUND,
    LOST,
    VERSION_MISMATCH,
    MockInstance,
    MockNode,
    RunningAgent,
    mock_node,
    running_agent,
)
from tests.pure.test_dcgm import TEXT
from tests.stand_in import standing_in
from worker.agent import AgentOptions, NodeAgent
from workflows.activity_options import on_node
from workflows.signatures.leases import DeviceCheck, Devices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from cli.stack.testing import Postgres, Temporal

CLUSTER = "worker-1"
SECONDS_MAX = 60
LAST = """select s.* from gpu_sample s join gpu g on g.id = s.gpu_id where g.node = $1 and g.uuid = $2
          order by s.at desc limit 1"""
FAULTS = """select f.kind, f.code, f.at, f.detail from gpu_fault f join gpu g on g.id = f.gpu_id
            where g.node = $1 and g.ordinal = $2 order by f.id"""
TIMES = "select s.at from gpu_sample s join gpu g on g.id = s.gpu_id where g.node = $1 order by s.at"
A_NODE = """with added as (insert into cluster (name, server, version, sufficient, registered_at, seen_at)
                           values ($1, '', '', true, now(), now()))
            insert into node (cluster, name, shape, instance_type, gpus, memory_mib, state, observed_at)
            values ($1, $2, 'H100', '', 2, 81559, 'ready', now())"""


class Watched:
    """An agent, its GPUs, and what the ledger holds of them."""

    def __init__(self, node: MockNode, agent: RunningAgent, ledger: Ledger) -> None:
        self.node = node
        self.agent = agent
        self.ledger = ledger

    async def rows(self, query: str, *arguments: object) -> list[Any]:
        async with self.ledger.reading() as connection:
            return list(await connection.fetch(query, self.node.name, *arguments))

    async def until_sampled(self, ordinal: int, **readings: object) -> None:
        """Until its newest sample says this."""
        uuid = self.node.gpus[ordinal].uuid
        await self.until(
            lambda row: all(row[name] == value for name, value in readings.items()), LAST, uuid, what=str(readings)
        )

    async def until(self, is_so: Callable[[Any], bool], query: str, *arguments: object, what: str = "") -> Any:
        """The first row, once it is so."""
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                rows = await self.rows(query, *arguments)
                if rows and is_so(rows[0]):
                    return rows[0]
                assert self.agent.is_running(), self.agent.log()
                await asyncio.sleep(0.1)
        raise AssertionError(what)

    async def until_faults(self, ordinal: int, count: int) -> list[Any]:
        async with asyncio.timeout(SECONDS_MAX):
            while len(found := await self.rows(FAULTS, ordinal)) < count:
                await asyncio.sleep(0.1)
        return found

    async def until_newer(self) -> None:
        """Until there is a sample of after now."""
        now = datetime.now(UTC)
        await self.until(lambda row: row["at"] > now, f"{TIMES} desc limit 1")


@contextmanager
def watched(ledger: Ledger, name: str, **more: Any) -> Iterator[Watched]:
    with mock_node(name, gpus=2) as node, running_agent(node, ledger.url, cluster=CLUSTER, **more) as agent:
        yield Watched(node, agent, ledger)


@pytest_asyncio.fixture(scope="module")
async def shared_ledger(postgres: Postgres, migrated_template: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(postgres.create_database(template=migrated_template))
    yield ledger
    await ledger.close()


@pytest.fixture(scope="module")
def lived(shared_ledger: Ledger) -> Iterator[Watched]:
    """One agent through everything that may befall its GPUs; each test leaves them well."""
    with watched(shared_ledger, "lived") as one:
        yield one


async def test_the_agent_is_seen_on_its_node(lived: Watched) -> None:
    async with lived.ledger.transaction() as connection:
        await connection.execute(A_NODE, CLUSTER, "lived")
    await lived.until(lambda row: row["agent_seen_at"] is not None, "select agent_seen_at from node where name = $1")


async def test_idle_and_busy_gpus_are_told_apart_live(lived: Watched) -> None:
    await lived.until_sampled(0, utilisation_percent=0, processes=0)
    lived.node.change(0, util=97, mem=40, used=60_000, power=512_000, temp=66, pids=2)
    await lived.until_sampled(0, utilisation_percent=97, memory_percent=40, memory_used_mib=60_000, power_watts=512)
    await lived.until_sampled(1, utilisation_percent=0)
    lived.node.change(0, util=0, mem=0, used=450, pids=0)
    await lived.until_sampled(0, utilisation_percent=0, temperature_celsius=66, processes=0)


async def test_what_a_driver_does_not_know_is_null_and_the_rest_is_there(lived: Watched) -> None:
    lived.node.driver(fail=f"nvmlDeviceGetPowerUsage:{FUNCTION_NOT_FOUND}")
    await lived.until_sampled(0, power_watts=None, utilisation_percent=0)
    lived.node.driver(fail="")
    await lived.until_sampled(0, power_watts=512)


async def test_each_xid_is_a_fault_once(lived: Watched) -> None:
    before = await lived.rows(FAULTS, 1)
    lived.node.xid(1, 94)
    lived.node.xid(1, 31)
    faults = (await lived.until_faults(1, len(before) + 2))[len(before) :]
    assert [(fault["kind"], fault["code"]) for fault in faults] == [("xid", 94), ("xid", 31)]
    await lived.until_newer()
    assert len(await lived.rows(FAULTS, 1)) == len(before) + 2


async def test_errors_and_rows_to_remap_are_faults(lived: Watched) -> None:
    before = await lived.rows(FAULTS, 1)
    lived.node.change(1, ecc=2, ecc_total=2, pending=1)
    found = {fault["kind"]: fault["detail"] for fault in (await lived.until_faults(1, len(before) + 2))[len(before) :]}
    assert found.keys() == {"ecc_uncorrected", "row_remap_pending"}
    assert found["ecc_uncorrected"]["grownBy"] == 2
    lived.node.change(1, ecc=0, pending=0)


async def test_a_gpu_that_is_lost_is_a_fault_and_the_other_goes_on(lived: Watched) -> None:
    before = await lived.rows(FAULTS, 0)
    lived.node.change(0, lost=LOST)
    [fault] = (await lived.until_faults(0, len(before) + 1))[len(before) :]
    assert fault["kind"] == "lost"
    lived.node.change(1, util=33)
    await lived.until_sampled(1, utilisation_percent=33)
    lived.node.change(0, lost=0, util=44)
    await lived.until_sampled(0, utilisation_percent=44)
    assert len(await lived.rows(FAULTS, 0)) == len(before) + 1


async def test_without_a_driver_there_are_no_samples_and_with_it_there_are_again(lived: Watched) -> None:
    lived.node.driver(init=DRIVER_NOT_LOADED)
    await until(lambda: "away" in lived.agent.log())
    lived.node.driver(init=0)
    lived.node.change(0, util=55)
    await lived.until_sampled(0, utilisation_percent=55)
    faults = await lived.rows(FAULTS, 0)
    await until(lambda: told_again(lived, 79))
    assert (await lived.until_faults(0, len(faults) + 1))[-1]["code"] == 79


async def test_a_device_that_hangs_stops_the_samples_of_its_node_and_nothing_else(lived: Watched) -> None:
    await lived.until_sampled(0, processes=0)
    lived.node.change(0, hang=1)
    await lived.until(lambda row: datetime.now(UTC) - row["at"] > timedelta(seconds=2), f"{TIMES} desc limit 1")
    assert lived.agent.program.ready(), "its metrics are there all the same"
    lived.node.change(0, hang=0, util=61)
    await lived.until_sampled(0, utilisation_percent=61)


async def test_a_gpu_that_is_cut_has_its_instances_beside_it(lived: Watched) -> None:
    instance = MockInstance(f"MIG-{uuid4()}", used=7_000, pids=1)
    lived.node.change(1, mig=1, instances=[instance])
    query = "select parent_uuid, mig_profile, ordinal, memory_mib from gpu where node = $1 and uuid = $2"
    row = await lived.until(lambda _: True, query, instance.uuid)
    assert tuple(row) == (lived.node.gpus[1].uuid, "1g.10gb", 1, 9_984)
    await lived.until(lambda row: row["memory_used_mib"] == 7_000, LAST, instance.uuid)
    assert (await lived.rows("select mig_enabled from gpu where node = $1 and uuid = $2", lived.node.gpus[1].uuid))[0][
        0
    ]
    lived.node.change(1, mig=0, instances=[])
    await lived.until_sampled(1, utilisation_percent=33)


async def test_an_agent_that_is_killed_goes_on_where_it_was(shared_ledger: Ledger) -> None:
    with watched(shared_ledger, "killed") as one:
        await one.until_sampled(0, utilisation_percent=0)
        one.node.change(0, pending=1)
        await one.until_faults(0, 1)
        one.agent.kill()
        one.agent.start()
        await one.until_newer()
        ids = await one.rows("select id from gpu where node = $1")
        assert len(ids) == 2
        faults = await one.until_faults(0, 2)
        assert [fault["detail"] for fault in faults] == [{}, {"sinceStart": True}]


async def test_an_agent_that_is_stopped_sends_what_it_has(shared_ledger: Ledger) -> None:
    with watched(shared_ledger, "stopped", BERTH_SEND_SECONDS="3600") as one:
        await one.until_sampled(0, utilisation_percent=0)
        one.node.change(0, util=88)
        await asyncio.sleep(1)  # nothing tells that it has been read: it is sent only at the end
        one.agent.stop()
        last = (await one.rows(LAST, one.node.gpus[0].uuid))[0]
        assert last["utilisation_percent"] == 88


async def test_samples_of_the_time_without_a_ledger_come_when_it_is_back() -> None:
    with running_postgres() as own:
        ledger = Ledger(own.create_database())
        await migrate(ledger)
        with watched(ledger, "alone") as one:
            await one.until_sampled(0, utilisation_percent=0)
            await ledger.close()
            own.stop()
            gone = datetime.now(UTC)
            await until(lambda: "ledger" in one.agent.log())
            one.node.xid(0, 79)
            one.node.change(0, util=77)
            await asyncio.sleep(2)  # the time that is missing otherwise
            own.start()
            one.ledger = ledger = Ledger(ledger.url)
            await one.until_sampled(0, utilisation_percent=77)
            assert [fault["code"] for fault in await one.until_faults(0, 1)] == [79]
            times = [row["at"] for row in await one.rows(TIMES)]
            between = {at for at in times if gone < at < gone + timedelta(seconds=2)}
            assert len(between) >= 5
            await ledger.close()


async def test_an_exporter_says_what_nvml_cannot(shared_ledger: Ledger) -> None:
    async with standing_in() as exporter:
        exporter.says("/metrics", TEXT)
        with watched(shared_ledger, "exported", BERTH_DCGM_URL=f"{exporter.url}/metrics") as one:
            one.node.driver(init=DRIVER_NOT_LOADED)
            row = await one.until(lambda row: row["utilisation_percent"] == 87, LAST, "GPU-a")
            assert (row["memory_used_mib"], row["power_watts"], row["processes"]) == (61_440, 512.25, None)


async def test_a_changed_driver_ends_the_process_so_that_a_new_one_loads_its_library(shared_ledger: Ledger) -> None:
    with watched(shared_ledger, "changed") as one:
        await one.until_sampled(0, utilisation_percent=0)
        one.node.driver(init=VERSION_MISMATCH)
        await until(lambda: not one.agent.is_running())
        assert "must begin anew" in one.agent.log()


async def test_devices_are_verified_by_the_agent_on_its_own_queue(shared_ledger: Ledger, temporal: Temporal) -> None:
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
    asking = Worker(client, task_queue="asking", workflows=[AskNode], workflow_runner=UnsandboxedWorkflowRunner())
    async with asking:
        with watched(shared_ledger, "asked", temporal_address=temporal.address) as one:
            one.node.change(1, pids=1, pending=1)
            complaints = await client.execute_workflow(AskNode.run, "asked", id=f"ask/{uuid4()}", task_queue="asking")
    assert complaints == ["GPU 1 has 1 compute process(es)", "GPU 1 has rows to remap and wants a reset"]


@workflow.defn
class AskNode:
    """As a teardown asks."""

    @workflow.run
    async def run(self, node: str) -> list[str]:
        check = DeviceCheck(node, [0, 1])
        return await workflow.execute_activity_method(Devices.verify_devices, check, **on_node(CLUSTER, node))


def test_when_more_waits_than_may_the_oldest_goes() -> None:
    agent = NodeAgent(Ledger("postgresql://127.0.0.1:1/none"), CLUSTER, "n", AgentOptions(1, buffer_seconds=5))
    reading = NodeReading((GpuIdentity("GPU-a", 0, "H100", 81_559),), (GpuReading("GPU-a", 50), GpuReading("GPU-a")))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for second in range(9):
        agent._take(reading, begin + timedelta(seconds=second))
    assert [one.at.second for one in agent._waiting] == [4, 5, 6, 7, 8], "and of what could not be read there is none"


def test_an_agent_that_does_not_know_its_node_says_so(database_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "node", "--cluster", CLUSTER],
        cwd=REPOSITORY,
        env={"DATABASE_URL": database_url, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "BERTH_NODE_NAME" in done.stderr


def told_again(one: Watched, code: int) -> bool:
    """Nothing says when the agent listens again; so it is told until it was heard."""
    one.node.xid(0, code)
    return f'"code": {code}' in one.agent.log()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not is_so():
            await asyncio.sleep(0.1)
