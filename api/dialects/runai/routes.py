"""The dialect as a whole: its routes, and the paths that are its own."""

from __future__ import annotations

from typing import Final

from api.dialect import Dialect
from api.dialects.runai import envelopes, figure_routes, schemas, token_routes, type_routes, workload_routes
from api.dialects.runai.paths import PREFIX, PREFIX_2, new_router

router = new_router()
# literal paths before those with parameters
for part in (
    token_routes.router,
    token_routes.router_2,
    figure_routes.router,
    workload_routes.router,
    type_routes.router,
):
    router.routes.extend(part.routes)

RUNAI: Final = Dialect(
    name="runai",
    title="Run:ai Workloads",
    prefix=PREFIX,
    further_prefix=PREFIX_2,
    router=router,
    render=envelopes.failure,
    requests=(*token_routes.REQUESTS, schemas.TypeChange),
    open_paths=token_routes.OPEN_PATHS,
    segments=frozenset({"workload*", "token"}),
)
