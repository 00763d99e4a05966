"""The paths of disks: parse, call one operation, render."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from api.calls import CreatingCall, CurrentCall
from api.dialects.gpudev import disk_translation as gpudev
from api.dialects.gpudev import envelopes, schemas
from api.dialects.gpudev.paths import CHANGE, LIST, LOOK, PathWord, new_router
from api.operations import disks
from api.payloads import body_of, payload

router = new_router()

NewName = Annotated[schemas.NewDiskName, payload(schemas.NewDiskName)]


@router.post(
    "/disks",
    tags=["Disks"],
    response_model=schemas.DiskRequested,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NewDisk),
)
async def create_disk(call: CreatingCall, body: Annotated[schemas.NewDisk, payload(schemas.NewDisk)]) -> Response:
    """Make a disk. It is there when answered; space on a cluster it gets with its first box."""
    made = await disks.create(call, body.disk_name, body.size_gb)
    return envelopes.success(gpudev.requested(made, "Disk creation request queued successfully"))


@router.get("/disks", tags=["Disks"], response_model=schemas.DiskList, responses=LIST)
async def list_disks(call: CurrentCall) -> Response:
    """One's own disks, newest first, without the deleted ones."""
    return envelopes.success(gpudev.disk_list(await disks.listing(call)))


@router.get("/disks/{disk_name}", tags=["Disks"], response_model=schemas.Disk, responses=LOOK)
async def get_disk(call: CurrentCall, disk_name: PathWord) -> Response:
    """One of one's own disks; a deleted one until it goes for good, unless another has its name."""
    return envelopes.success(gpudev.disk(await disks.find(call, disk_name)))


@router.delete("/disks/{disk_name}", tags=["Disks"], response_model=schemas.DiskRequested, responses=CHANGE)
async def delete_disk(call: CreatingCall, disk_name: PathWord) -> Response:
    """Delete a disk. It can be had back for 30 days. Refused while a box has it or waits for it."""
    return envelopes.success(gpudev.deleted(await disks.delete(call, disk_name)))


@router.post("/disks/{disk_name}/undelete", tags=["Disks"], response_model=schemas.DiskRequested, responses=CHANGE)
async def undelete_disk(call: CreatingCall, disk_name: PathWord) -> Response:
    """Have a deleted disk back, with all that was on it."""
    back = await disks.undelete(call, disk_name)
    return envelopes.success(gpudev.requested(back, f"Disk '{back.disk.name}' is no longer to be deleted"))


@router.post(
    "/disks/{disk_name}/rename",
    tags=["Disks"],
    response_model=schemas.DiskRenamed,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NewDiskName),
)
async def rename_disk(call: CreatingCall, disk_name: PathWord, body: NewName) -> Response:
    """Give a disk another name, and its snapshots with it. Refused while a box has it or waits for it."""
    outcome = await disks.rename(call, disk_name, body.new_name)
    return envelopes.success(gpudev.renamed(disk_name, body.new_name, outcome), exclude_none=True)


@router.post(
    "/disks/{disk_name}/resize",
    tags=["Disks"],
    response_model=schemas.DiskRequested,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NewDiskSize),
)
async def resize_disk(
    call: CreatingCall, disk_name: PathWord, body: Annotated[schemas.NewDiskSize, payload(schemas.NewDiskSize)]
) -> Response:
    """Make a disk larger. Refused while a box has it or waits for it."""
    change = await disks.resize(call, disk_name, body.size_gb)
    return envelopes.success(gpudev.requested(change, f"Disk resize to {body.size_gb} GB queued successfully"))


@router.post(
    "/disks/{disk_name}/clone",
    tags=["Disks"],
    response_model=schemas.DiskRequested,
    responses=CHANGE,
    openapi_extra=body_of(schemas.NewDiskName),
)
async def clone_disk(call: CreatingCall, disk_name: PathWord, body: NewName) -> Response:
    """Make another disk with what this one held when it was last backed up."""
    made = await disks.clone(call, disk_name, body.new_name)
    return envelopes.success(gpudev.requested(made, f"Disk clone of '{disk_name}' queued successfully"))


@router.get("/disks/{disk_name}/content", tags=["Disks"], response_model=schemas.DiskContent, responses=LOOK)
async def get_disk_content(call: CurrentCall, disk_name: PathWord) -> Response:
    """A listing of the files, as it was when the last box with this disk ended."""
    return envelopes.success(gpudev.content(await disks.content(call, disk_name)))


@router.get("/disks/{disk_name}/operations", tags=["Disks"], response_model=schemas.DiskOperationList, responses=LOOK)
async def list_disk_operations(call: CurrentCall, disk_name: PathWord) -> Response:
    """What was done with a disk, and is to be done, newest first."""
    return envelopes.success(gpudev.operation_list(await disks.operations(call, disk_name)))


@router.get(
    "/disks/{disk_name}/operations/{operation_id}",
    tags=["Disks"],
    response_model=schemas.DiskOperation,
    responses=LOOK,
)
async def get_disk_operation(call: CurrentCall, disk_name: PathWord, operation_id: PathWord) -> Response:
    """How far an operation is."""
    change = await disks.operation(call, disk_name, gpudev.operation_id_of(disk_name, operation_id))
    return envelopes.success(gpudev.operation(change))
