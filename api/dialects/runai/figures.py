"""Counts and series in this API's words, as JSON and as tables. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from api.dialects.runai import schemas
from api.dialects.runai.translation import spoken
from api.dialects.runai.words import GROUPING_WORD, PHASES
from api.operations.workload_metrics import Point
from api.operations.workloads import WAIT_BOUNDS, Group, Grouping, Measured
from domain.workload import WorkloadPhase

BUCKET: Final = "PendingTime"
BUCKETS: Final = ("under 5m", "5m to 1h", "1h to 24h", "24h and more")
"""One more than there are bounds (`WAIT_BOUNDS`)."""
CSV: Final = "text/csv"
assert len(BUCKETS) == len(WAIT_BOUNDS) + 1


def telemetry(word: str, found: Sequence[Measured], at: datetime) -> schemas.Telemetry:
    """What was counted."""
    return schemas.Telemetry(type=word, timestamp=at, values=[_value(one) for one in found])


def telemetry_table(told: schemas.Telemetry) -> str:
    """The same as lines; what it is told by is the same in all of them."""
    keys = [group.key for group in told.values[0].groups or ()] if told.values else []
    rows = [
        [told.type, *(group.value for group in value.groups or ()), value.value, spoken(told.timestamp)]
        for value in told.values
    ]
    return _table(["type", *keys, "value", "timestamp"], rows)


def measurement(word: str, points: Sequence[Point] | None) -> schemas.Measurement:
    """A series; empty where nothing is known."""
    values = [schemas.MeasuredValue(value=_number(one.value), timestamp=one.at) for one in points or ()]
    return schemas.Measurement(type=word, values=values)


def metrics_table(told: schemas.Metrics) -> str:
    """The same as lines, series after series."""
    rows = [
        [series.type, spoken(value.timestamp), value.value] for series in told.measurements for value in series.values
    ]
    return _table(["type", "timestamp", "value"], rows)


def wants_csv(accept: str) -> bool:
    """Whether a table is wanted rather than JSON: where both are as welcome, JSON."""
    weights = {name: weight for name, weight in map(_weighed, accept.split(",")) if name}
    of_json = max((weights.get(name, 0.0) for name in ("application/json", "application/*", "*/*")), default=0.0)
    return weights.get(CSV, weights.get("text/*", 0.0)) > of_json


def _value(one: Measured) -> schemas.TelemetryValue:
    groups = [_group(group) for group in one.groups]
    if one.bucket is not None:
        groups.insert(0, schemas.TelemetryGroup(key=BUCKET, value=BUCKETS[one.bucket]))
    if groups:
        return schemas.TelemetryValue(value=str(one.value), groups=groups)
    return schemas.TelemetryValue(value=str(one.value))


def _group(group: Group) -> schemas.TelemetryGroup:
    key = GROUPING_WORD[group.by]
    if group.by is Grouping.PHASE:
        return schemas.TelemetryGroup(key=key, value=PHASES[WorkloadPhase(group.value)].word)
    if group.name:
        return schemas.TelemetryGroup(key=key, value=group.value, name=group.name)
    return schemas.TelemetryGroup(key=key, value=group.value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(round(value, 4))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _weighed(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip() for piece in part.lower().split(";"))
    weight = next((one.removeprefix("q=") for one in parameters if one.startswith("q=")), "1")
    try:
        return name, float(weight)
    except ValueError:
        return name, 0.0
