"""The dialect as a whole: its routes, and the paths that are its own."""

from __future__ import annotations

from typing import Final

from api.dialect import Dialect
from api.dialects.gpudev import disk_routes, envelopes, gpu_routes, job_routes, login_routes, schemas
from api.dialects.gpudev.paths import PREFIX, new_router

router = new_router()
for part in (login_routes, job_routes, gpu_routes, disk_routes):
    router.routes.extend(part.router.routes)

GPUDEV: Final = Dialect(
    name="gpudev",
    title="GPU Dev",
    prefix=PREFIX,
    router=router,
    render=envelopes.failure,
    requests=(
        *login_routes.REQUESTS,
        schemas.JobSubmission,
        schemas.Extension,
        schemas.NewUser,
        schemas.NewDisk,
        schemas.NewDiskName,
        schemas.NewDiskSize,
    ),
    open_paths=login_routes.OPEN_PATHS,
)
