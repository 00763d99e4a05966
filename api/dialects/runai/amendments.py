"""Where what we serve says something else than the document that clients were written against, and why.

One list; a test holds that there is no difference beside it, and that docs/runai.md tells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Amendment:
    """`place`: of the document, for people. `differences`: the same for a test; empty where no schema can say it."""

    place: str
    change: str
    reason: str
    differences: frozenset[str] = frozenset()


_LEFT_OUT: Final = (
    *("aiApplicationId", "aiApplicationName", "childrenIds", "datasources", "distributedFramework", "endpoints"),
    *(
        "environmentVariables",
        "environments",
        "externalConnections",
        "guaranteedRuntimeEndsAt",
        "sourceApi",
        "topology",
    ),
    "urls",
)

AMENDMENTS: Final = (
    Amendment(
        "every operation",
        "400 and 429 are among the answers",
        "nonsense is refused rather than read as something else; whoever asks too often is told so, with `Retry-After`",
        frozenset({"400 added", "429 added"}),
    ),
    Amendment(
        "`GET …/telemetry`",
        "404 is not among them",
        "a filter that fits nothing counts nothing",
        frozenset({"/api/v1/workloads/telemetry 404 gone"}),
    ),
    Amendment("`filterBy`", "50 terms rather than 10", "known clients send 11", frozenset({"filterBy.maxItems"})),
    Amendment(
        "`filterBy`, `groupBy`, `filterByPhases`, `metricType`",
        "comma-joined or repeated",
        "clients send both, of which a schema can say one: so bounds on their number are held, and not in it",
        frozenset({"groupBy.maxItems", "metricType.minItems"}),
    ),
    Amendment(
        "`metricType`, `filterByPhases`",
        "as many as there are, rather than 10",
        "there are 23, and 14",
        frozenset({"metricType.maxItems", "filterByPhases.maxItems"}),
    ),
    Amendment(
        "`offset`",
        "from 0 to 2147483147",
        "there is nothing before the first, and `next` is to be an int32, too",
        frozenset({"offset.minimum", "offset.maximum"}),
    ),
    Amendment(
        "`search`, `nodepoolName`, `departmentId`, `start`, `end`",
        "have a greatest length",
        "longer ones mean nothing",
        frozenset(
            {
                "search.maxLength",
                "nodepoolName.maxLength",
                "departmentId.maxLength",
                "start.maxLength",
                "end.maxLength",
            }
        ),
    ),
    Amendment(
        "`Workload`",
        "fields that nothing of Berth has are left out",
        "an empty one would say that it is known to be empty; where a workload is reached is at `…/endpoints`",
        frozenset(f"Workload.{name}" for name in _LEFT_OUT),
    ),
    Amendment(
        "`Workload`, fields that may be null",
        "left out where nothing is known, but for `deletedAt`",
        "strict clients read `deletedAt` even when it is null; the others are optional",
    ),
    Amendment("`Workload.priority`", "never null", "every request has one"),
    Amendment(
        "`pendingSchedulingMessages`",
        "only where a limit is the reason: `NonPreemptibleOverQuota` of what must not be preempted and waits for a quota or "
        "a ceiling, `OverLimit` of what may be, and of what waits for its workspace",
        "the document has no word for what waits for GPUs",
    ),
    Amendment(
        "`TelemetryResponse`, groups",
        "up to 3 rather than 2",
        "with two groupings, the bucket of `PENDING_TIME_DISTRIBUTION` is a third",
    ),
    Amendment("`GET …/metrics`, 207", "also as CSV", "whoever asks for a table gets one"),
    Amendment(
        "tokens, categories, types, priorities",
        "added",
        "they stand in the summary and in the clients, and not in the document",
        frozenset(
            {
                "/api/v1/token",
                "/api/v2/token",
                "/api/v1/workload-categories",
                "/api/v1/workload-categories/{categoryId}",
                "/api/v1/workload-types",
                "/api/v1/workload-types/{workloadTypeId}",
                "/api/v1/workload-priorities",
            }
        ),
    ),
)
