"""The dialect as a whole: its routes, and which of the paths under `/api/v1` are its own."""

from __future__ import annotations

from typing import Final

from api.dialect import Dialect
from api.dialects.gpuctl import envelopes, job_routes, job_stream, node_routes, pool_routes, quota_routes, schemas
from api.dialects.gpuctl.paths import PREFIX, new_router

router = new_router()
for part in (job_routes, job_stream, pool_routes, node_routes, quota_routes):
    router.routes.extend(part.router.routes)

GPUCTL: Final = Dialect(
    name="gpuctl",
    title="gpuctl",
    prefix=PREFIX,
    router=router,
    render=envelopes.failure,
    requests=(
        schemas.JobSubmission,
        schemas.JobBatch,
        schemas.NewPool,
        schemas.ChangedPool,
        schemas.NodeToPool,
        schemas.AddLabel,
        schemas.UpdateLabel,
        schemas.QuotaSubmission,
    ),
    segments=frozenset({"jobs", "pools", "nodes", "labels", "quotas", "namespaces"}),
)
