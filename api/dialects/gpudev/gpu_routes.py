"""The paths that tell what GPUs there are: parse, call one operation, render."""

from __future__ import annotations

from fastapi import Response

from api.calls import CurrentCall
from api.dialects.gpudev import envelopes, schemas
from api.dialects.gpudev import gpu_answers as gpudev
from api.dialects.gpudev.paths import Board, fails, new_router

router = new_router()


@router.get("/gpu/availability", tags=["GPUs"], response_model=schemas.Availability, responses=fails())
async def get_gpu_availability(_: CurrentCall, board: Board) -> Response:
    """What there is of each GPU type, and when 1, 2, 4, 8 and 16 of it are free. Kept for two seconds."""
    return envelopes.success(gpudev.availability(await board.look()))


@router.get("/cluster/status", tags=["GPUs"], response_model=schemas.ClusterStatus, responses=fails())
async def get_cluster_status(_: CurrentCall, board: Board) -> Response:
    """All GPUs, and how many requests of everybody wait for them and hold them."""
    return envelopes.success(gpudev.cluster_status(await board.look()))
