"""Counts over many workloads, and series of one: parse, call one operation, render as JSON or, where that is asked for, as CSV."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Header, Query, Response

from api.calls import CurrentCall
from api.dialects.runai import envelopes, figures, schemas
from api.dialects.runai.filters import instant_of, without_nul, words_of
from api.dialects.runai.paths import LIST, LOOK, TABLE, WorkloadId, at_most, new_router
from api.dialects.runai.words import GROUPINGS, MEASURES, METRICS, PHASE_OF_WORD, WAITS, TelemetryWord
from api.operations import workload_metrics, workloads
from api.operations.workloads import TelemetryQuery
from domain.failures import InvalidRequest
from domain.workload import Condition, Field, Operator, WorkloadFilter

GROUPS_MAX: Final = 2
SAMPLES_MAX: Final = workload_metrics.PARTS_MAX

router = new_router()

Accept = Annotated[str, Header(include_in_schema=False)]
TelemetryType = Annotated[TelemetryWord, Query(alias="telemetryType", description="What is counted.")]
ClusterId = Annotated[
    str | None,
    Query(alias="clusterId", pattern=schemas.UUID_PATTERN, json_schema_extra={"format": "uuid"}),
]
PoolName = Annotated[str | None, Query(alias="nodepoolName", max_length=253)]
DepartmentId = Annotated[str | None, Query(alias="departmentId", max_length=253)]


def _words(known: Any) -> dict[str, Any]:
    """Comma-joined or repeated: of both, the document can only say the second."""
    return {"items": {"type": "string", "enum": list(known)}}


GroupBy = Annotated[
    list[str] | None,
    Query(alias="groupBy", description="Up to two, comma-joined or repeated.", json_schema_extra=_words(GROUPINGS)),
]
Phases = Annotated[
    list[str] | None,
    Query(alias="filterByPhases", description="Comma-joined or repeated.", json_schema_extra=_words(PHASE_OF_WORD)),
]
MetricTypes = Annotated[
    list[str],
    Query(alias="metricType", description="Comma-joined or repeated.", json_schema_extra=_words(METRICS)),
]
_INSTANT: Final = {"format": "date-time"}
Begin = Annotated[str, Query(alias="start", max_length=64, json_schema_extra=_INSTANT)]
End = Annotated[str, Query(alias="end", max_length=64, json_schema_extra=_INSTANT)]
Samples = Annotated[int, Query(alias="numberOfSamples", ge=0, le=SAMPLES_MAX)]


@router.get(
    "/workloads/telemetry",
    tags=["Workloads"],
    response_model=schemas.Telemetry,
    responses={**LIST, 200: {"content": TABLE}},
)
async def get_telemetry(  # noqa: PLR0913 - one for each parameter of the document
    call: CurrentCall,
    telemetry_type: TelemetryType,
    *,
    group_by: GroupBy = None,
    phases: Phases = None,
    cluster_id: ClusterId = None,
    pool_name: PoolName = None,
    department_id: DepartmentId = None,
    accept: Accept = "",
) -> Response:
    """Counts of what is not deleted."""
    by = at_most([meant for _, meant in words_of(group_by, GROUPINGS, "groupBy")], GROUPS_MAX, "groupBy")
    wanted = _filter(phases, cluster_id, pool_name, department_id)
    query = TelemetryQuery(MEASURES[telemetry_type], tuple(by), wanted)
    count = workloads.waits if telemetry_type == WAITS else workloads.telemetry
    told = figures.telemetry(telemetry_type, await count(call, query), call.now)
    if figures.wants_csv(accept):
        return Response(figures.telemetry_table(told), media_type=figures.CSV)
    return envelopes.success(told)


@router.get(
    "/workloads/{workloadId}/metrics",
    tags=["Workloads"],
    response_model=schemas.Metrics,
    responses={
        **LOOK,
        200: {"content": TABLE},
        207: {"model": schemas.Metrics, "description": "Some of it cannot be known here.", "content": TABLE},
    },
)
async def get_metrics(  # noqa: PLR0913 - one for each parameter of the document
    call: CurrentCall,
    workload_id: WorkloadId,
    metric_type: MetricTypes,
    start: Begin,
    end: End,
    number_of_samples: Samples = 20,
    accept: Accept = "",
) -> Response:
    """Series of one workload. 207 where one of those that are asked for cannot be known here: that one is empty."""
    words = words_of(metric_type, METRICS, "metricType")
    if not words:
        raise InvalidRequest("metricType names no metric")
    wanted = [meant for _, meant in words if meant is not None]
    begin, until = instant_of(start, "start"), instant_of(end, "end")
    found = await workload_metrics.series(call, workload_id, wanted, begin, until, number_of_samples)
    series = {word: None if meant is None else found[meant] for word, meant in words}
    told = schemas.Metrics(measurements=[figures.measurement(word, points) for word, points in series.items()])
    status = HTTPStatus.MULTI_STATUS if None in series.values() else HTTPStatus.OK
    if figures.wants_csv(accept):
        return Response(figures.metrics_table(told), status, media_type=figures.CSV)
    return envelopes.success(told, status)


def _filter(
    phases: list[str] | None, cluster_id: str | None, pool_name: str | None, department_id: str | None
) -> WorkloadFilter:
    conditions = [
        Condition(field, Operator.IS, without_nul(value, what))
        for field, value, what in (
            (Field.CLUSTER_ID, cluster_id.lower() if cluster_id else None, "clusterId"),
            (Field.POOL, pool_name, "nodepoolName"),
            (Field.DEPARTMENT_ID, department_id, "departmentId"),
        )
        if value
    ]
    meant = words_of(phases, PHASE_OF_WORD, "phase")
    if meant:
        conditions.append(Condition(Field.PHASE, Operator.ONE_OF, tuple(phase.value for _, phase in meant)))
    return WorkloadFilter(conditions=tuple(conditions))
