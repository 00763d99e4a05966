"""Counts over many workloads and series of one: as JSON and as CSV, of what can be known here, and of nobody else's."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from api.dialects.runai.words import METRICS
from domain.devices import GpuIdentity, GpuSample
from domain.gpr import Phase
from domain.job import JobState, ObservedPod
from ledger import sample_upkeep, telemetry
from tests.api.runai_kit import a_workload, answered, at, job_id_of, refusal, seen, stable_id, workload_of

if TYPE_CHECKING:
    from datetime import datetime

    from tests.api.api_kit import Someone, TheApi

KNOWN_OF_A_JOB = [word for word, metric in METRICS.items() if metric is not None]
NOT_KNOWN = [word for word, metric in METRICS.items() if metric is None]


async def counted(api: TheApi, who: Someone, kind: str, **params: Any) -> dict[tuple[str, ...], str]:
    told = await answered(api, who, "/workloads/telemetry", telemetryType=kind, **params)
    assert told["type"] == kind
    return {tuple(group["value"] for group in one.get("groups", ())): one["value"] for one in told["values"]}


async def a_town(api: TheApi) -> tuple[Someone, str]:
    """One that waits, one that runs, one that is deleted, and a job that waits."""
    me = await api.someone()
    workspace = await api.workspace(me)
    await a_workload(api, me, workspace)
    await a_workload(api, me, workspace, Phase.RELEASED)
    await a_workload(api, me, workspace, Phase.ACTIVE)
    await job_id_of(api, me, f"{workspace}-ns")
    return me, workspace


async def test_what_is_not_deleted_is_counted_with_what_it_holds(api: TheApi) -> None:
    me, _ = await a_town(api)
    assert await counted(api, me, "WORKLOADS_COUNT") == {(): "3"}
    assert await counted(api, me, "GPU_ALLOCATION") == {(): "1"}
    assert await counted(api, me, "IDLE_ALLOCATED_GPUS") == {(): "0"}
    assert await counted(api, me, "WORKLOADS_COUNT", filterByPhases="Pending,Failed") == {(): "2"}
    assert await counted(api, me, "WORKLOADS_COUNT", clusterId=stable_id("cluster", "worker-1")) == {(): "3"}
    assert await counted(api, me, "WORKLOADS_COUNT", clusterId=str(UUID(int=1))) == {(): "0"}
    assert await counted(api, me, "WORKLOADS_COUNT", nodepoolName="default", departmentId="none") == {(): "0"}
    assert await counted(api, await api.someone(), "WORKLOADS_COUNT") == {(): "0"}


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("Type", {("Reservation",): "2", ("Training",): "1"}),
        ("Category", {("Build",): "2", ("Train",): "1"}),
        ("Phase", {("Pending",): "2", ("Running",): "1"}),
        ("RequestedNodepools", {("default",): "3"}),
        ("CurrentNodepools", {("",): "2", ("default",): "1"}),
        ("ClusterId", {(stable_id("cluster", "worker-1"),): "3"}),
        ("DepartmentId", {(stable_id("department", "default"),): "3"}),
        (
            "Type,Phase",
            {("Reservation", "Pending"): "1", ("Reservation", "Running"): "1", ("Training", "Pending"): "1"},
        ),
    ],
)
async def test_counts_are_told_by_every_grouping(api: TheApi, by: str, told: dict[tuple[str, ...], str]) -> None:
    me, _ = await a_town(api)
    assert await counted(api, me, "WORKLOADS_COUNT", groupBy=by) == told
    assert await counted(api, me, "WORKLOADS_COUNT", groupBy=by.split(",")) == told


async def test_groups_that_are_ids_have_names(api: TheApi) -> None:
    me, workspace = await a_town(api)
    told = await answered(
        api, me, "/workloads/telemetry", telemetryType="GPU_ALLOCATION", groupBy="ProjectId,ClusterId"
    )
    (value,) = told["values"]
    assert value == {
        "value": "1",
        "groups": [
            {"key": "ProjectId", "value": str(await api.workspace_id(workspace)), "name": workspace},
            {"key": "ClusterId", "value": stable_id("cluster", "worker-1"), "name": "worker-1"},
        ],
    }


async def test_waits_are_told_in_four_buckets(api: TheApi) -> None:
    me, _ = await a_town(api)
    empty = {("5m to 1h",): "0", ("1h to 24h",): "0", ("24h and more",): "0"}
    assert await counted(api, me, "PENDING_TIME_DISTRIBUTION") == {("under 5m",): "2", **empty}
    api.clock.ahead = timedelta(hours=2)
    assert (await counted(api, me, "PENDING_TIME_DISTRIBUTION"))[("1h to 24h",)] == "2"
    by_type = await counted(api, me, "PENDING_TIME_DISTRIBUTION", groupBy="Type")
    assert by_type == {("1h to 24h", "Reservation"): "1", ("1h to 24h", "Training"): "1"}
    answer = await api.call(
        "GET",
        "/api/v1/workloads/telemetry",
        me,
        params={"telemetryType": "PENDING_TIME_DISTRIBUTION", "groupBy": "Type,Phase"},
    )
    assert [[group["key"] for group in one["groups"]] for one in answer.json()["values"]] == [
        ["PendingTime", "Type", "Phase"]
    ] * 2


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"telemetryType": "NOTHING"},
        {"telemetryType": "WORKLOADS_COUNT", "groupBy": "Nothing"},
        {"telemetryType": "WORKLOADS_COUNT", "groupBy": "Type,Phase,Category"},
        {"telemetryType": "WORKLOADS_COUNT", "filterByPhases": "Sleeping"},
        {"telemetryType": "WORKLOADS_COUNT", "clusterId": "worker-1"},
        {"telemetryType": "WORKLOADS_COUNT", "nodepoolName": "\0"},
    ],
)
async def test_counts_that_make_no_sense_are_refused(api: TheApi, params: dict[str, Any]) -> None:
    await refusal(api, await api.someone(), "/workloads/telemetry", **params)


async def test_counts_are_a_table_for_those_who_ask_for_one(api: TheApi) -> None:
    me, _ = await a_town(api)
    params = {"telemetryType": "WORKLOADS_COUNT", "groupBy": "Type"}
    rows = await table(api, me, "/workloads/telemetry", params)
    assert rows[0] == ["type", "Type", "value", "timestamp"]
    assert [row[:3] for row in rows[1:]] == [
        ["WORKLOADS_COUNT", "Reservation", "2"],
        ["WORKLOADS_COUNT", "Training", "1"],
    ]
    for accept in ("application/json, text/csv", "*/*", "text/csv;q=0.1, application/json", "text/csv;q=x", ""):
        answer = await api.call("GET", "/api/v1/workloads/telemetry", me, params=params, headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json"


async def table(api: TheApi, who: Someone, path: str, params: Any, status: int = 200) -> list[list[str]]:
    answer = await api.call("GET", f"/api/v1{path}", who, params=params, headers={"Accept": "text/csv"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.reader(io.StringIO(answer.text)))


# --- series -----------------------------------------------------------------------------------------------------------


async def measured(
    api: TheApi, who: Someone, one: str, metrics: list[str] | str, status: int = 200, **params: Any
) -> dict[str, list[str]]:
    now = api.clock()
    span = {"start": at(now - timedelta(minutes=10)), "end": at(now), **params}
    told = await answered(api, who, f"/workloads/{one}/metrics", status, metricType=metrics, **span)
    return {series["type"]: [value["value"] for value in series["values"]] for series in told["measurements"]}


async def sampled(api: TheApi, workload_id: str, begin: datetime, utilisation: list[int]) -> None:
    """A reading every ten seconds of the GPU that a workload holds."""
    async with api.ledger.transaction() as connection:
        row = await connection.fetchrow(
            "select node, ordinal from lease_gpu g join lease l on l.fence = g.fence where l.gpr_id = $1::text::uuid",
            workload_id,
        )
        assert row is not None
        gpu = GpuIdentity(ordinal=row["ordinal"], uuid=f"GPU-{workload_id}", product="Tesla-T4", memory_mib=15360)
        ids = await telemetry.write_gpus(connection, "worker-1", row["node"], [gpu], begin)
        await sample_upkeep.make_partitions(connection, sample_upkeep.RAW, begin, begin + timedelta(days=1))
        samples = [
            GpuSample(begin + timedelta(seconds=10 * place), ids[gpu.uuid], value, 10, 50, 1024, 70.0, 1)
            for place, value in enumerate(utilisation)
        ]
        await telemetry.write_samples(connection, samples)


async def held_since(api: TheApi, external: str, minutes: int) -> str:
    """Id of a workload whose lease began so many minutes ago."""
    one = await workload_of(api, external)
    async with api.ledger.transaction() as connection:
        await connection.execute(
            "update lease set granted_at = $2 where gpr_id = $1::text::uuid",
            one,
            api.clock() - timedelta(minutes=minutes),
        )
    return one


async def test_readings_are_told_as_they_were(api: TheApi) -> None:
    me = await api.someone()
    one = await held_since(api, await api.gpr(me, await api.workspace(me), Phase.ACTIVE), 20)
    now = api.clock()
    await sampled(api, one, now - timedelta(minutes=10), [0] * 30 + [100] * 30)
    told = await measured(
        api,
        me,
        one,
        "GPU_UTILIZATION,GPU_MEMORY_USAGE_BYTES",
        numberOfSamples=2,
        start=at(now - timedelta(minutes=10)),
        end=at(now),
    )
    assert told == {"GPU_UTILIZATION": ["0", "100"], "GPU_MEMORY_USAGE_BYTES": [str(1024 * 1024**2)] * 2}
    whole = await measured(
        api, me, one, "GPU_UTILIZATION", numberOfSamples=1, start=at(now - timedelta(minutes=10)), end=at(now)
    )
    assert whole == {"GPU_UTILIZATION": ["50"]}


async def test_readings_from_before_it_held_the_gpu_are_not_its_own(api: TheApi) -> None:
    me = await api.someone()
    one = await held_since(api, await api.gpr(me, await api.workspace(me), Phase.ACTIVE), 5)
    now = api.clock()
    await sampled(api, one, now - timedelta(minutes=10), [90] * 30 + [10] * 30)
    told = await measured(
        api, me, one, "GPU_UTILIZATION", numberOfSamples=2, start=at(now - timedelta(minutes=10)), end=at(now)
    )
    assert told == {"GPU_UTILIZATION": ["10"]}


async def test_what_it_held_is_told_at_each_instant(api: TheApi) -> None:
    me = await api.someone()
    one = await held_since(api, await api.gpr(me, await api.workspace(me), Phase.ACTIVE), 5)
    told = await measured(api, me, one, ["GPU_ALLOCATION", "GPU_MEMORY_REQUEST_BYTES"], numberOfSamples=4)
    assert told["GPU_ALLOCATION"] == ["0", "0", "1", "1"] or told["GPU_ALLOCATION"] == ["0", "0", "0", "1"]
    assert set(told["GPU_MEMORY_REQUEST_BYTES"]) == {"0", str(15360 * 1024**2)}


async def test_what_cannot_be_known_is_an_empty_series_and_said_so(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me), Phase.ACTIVE)
    told = await measured(api, me, one, [*NOT_KNOWN[:3], "GPU_ALLOCATION"], 207)
    assert [len(told[word]) for word in NOT_KNOWN[:3]] == [0, 0, 0]
    assert len(told["GPU_ALLOCATION"]) == 20
    assert await measured(api, me, one, "POD_COUNT", 207) == {"POD_COUNT": []}
    every = await measured(api, me, one, list(METRICS), 207)
    assert list(every) == list(METRICS)


async def test_everything_that_can_be_known_is_known_of_a_job(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me)
    one = await job_id_of(api, me, f"{workspace}-ns")
    async with api.ledger.reading() as connection:
        external = await connection.fetchval("select external_id from gpr where id = $1::text::uuid", one)
    await api.move(external, Phase.ACTIVE)
    now = api.clock()
    pod = ObservedPod(
        "p-0", "Running", "n", created_at=now - timedelta(minutes=5), started_at=now - timedelta(minutes=2)
    )
    await seen(api, one, JobState.RUNNING, (pod,))
    told = await measured(api, me, one, KNOWN_OF_A_JOB, numberOfSamples=10)
    assert told["POD_COUNT"].count("1") in {5, 6}
    assert told["RUNNING_POD_COUNT"].count("1") in {2, 3}
    assert len(told["CPU_REQUEST_CORES"]) == 10


@pytest.mark.parametrize(("number", "values"), [(0, 0), (1, 1), (1000, 1000)])
async def test_as_many_samples_as_are_asked_for(api: TheApi, number: int, values: int) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    told = await measured(api, me, one, "GPU_ALLOCATION", numberOfSamples=number)
    assert len(told["GPU_ALLOCATION"]) == values


async def test_nothing_is_told_of_what_is_still_to_come(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    later = api.clock() + timedelta(hours=1)
    told = await measured(api, me, one, "GPU_ALLOCATION", start=at(later), end=at(later + timedelta(hours=1)))
    assert told == {"GPU_ALLOCATION": []}


@pytest.mark.parametrize(
    "params",
    [
        {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        {"start": "yesterday"},
        {"end": "2026-02-30T00:00:00Z"},
        {"numberOfSamples": 1001},
        {"numberOfSamples": -1},
        {"numberOfSamples": "x"},
        {"metricType": "NOTHING"},
        {"metricType": ""},
    ],
)
async def test_series_that_make_no_sense_are_refused(api: TheApi, params: dict[str, Any]) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    span = {"metricType": "GPU_ALLOCATION", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    await refusal(api, me, f"/workloads/{one}/metrics", **{**span, **params})
    await refusal(api, me, f"/workloads/{one}/metrics", metricType="GPU_ALLOCATION")


async def test_series_are_a_table_for_those_who_ask_for_one(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    span = {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "numberOfSamples": 2}
    rows = await table(api, me, f"/workloads/{one}/metrics", {"metricType": "GPU_ALLOCATION", **span})
    assert rows == [
        ["type", "timestamp", "value"],
        ["GPU_ALLOCATION", "2026-01-01T00:00:00Z", "0"],
        ["GPU_ALLOCATION", "2026-01-01T12:00:00Z", "0"],
    ]
    partly = {"metricType": "GPU_ALLOCATION,NVLINK_BANDWIDTH_TOTAL", **span}
    assert await table(api, me, f"/workloads/{one}/metrics", partly, 207) == rows


async def test_anothers_series_are_not_found(api: TheApi) -> None:
    me = await api.someone()
    one = await a_workload(api, me, await api.workspace(me))
    span = {"metricType": "GPU_ALLOCATION", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    await refusal(api, await api.someone(), f"/workloads/{one}/metrics", 404, **span)
