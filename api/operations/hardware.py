"""Single GPUs: what each does and has reported, and setting them aside. Everybody sees hardware, administrators set it aside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from api.operations.permission import require_administrator
from domain.failures import NotFound
from ledger import health, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.operations.call import Call
    from domain.health import GpuFault, GpuNow, Quarantine
    from ledger.connection import Connection

QUARANTINES_MAX: Final = 50


@dataclass(frozen=True, slots=True)
class GpuHistory:
    """What a GPU has reported, and when it was set aside; newest first."""

    faults: Sequence[GpuFault]
    quarantines: Sequence[Quarantine]


async def gpus(call: Call, cluster: str | None = None, node: str | None = None) -> list[GpuNow]:
    """GPUs, with the holders that the caller may know of."""
    async with call.backends.ledger.reading() as connection:
        found = await health.gpus(connection, call.now, cluster=cluster, node=node)
        return await _seen(connection, call, found)


async def history(call: Call, gpu_id: int, *, limit: int, before: int | None) -> GpuHistory:
    """What one GPU has reported; `before`: id of the last fault seen."""
    async with call.backends.ledger.reading() as connection:
        place = await health.place_of(connection, gpu_id)
        faults = await health.faults_of(connection, gpu_id, limit=limit, before=before or health.NEWEST)
        return GpuHistory(faults, await health.quarantines_of(connection, place, limit=QUARANTINES_MAX))


async def quarantine(call: Call, gpu_id: int, reason: str, *, whole_node: bool) -> GpuNow:
    """Place nothing more on a GPU, or on its node, until somebody releases it. What runs there goes on."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        place = await health.place_of(connection, gpu_id)
        place = replace(place, ordinal=None) if whole_node else place
        messages = await health.quarantine(connection, place, reason, call.actor, call.now)
        after = await _one(connection, call, gpu_id)
    call.deliver(messages)
    return after


async def release(call: Call, gpu_id: int) -> GpuNow:
    """Let a GPU be used again, and its node if that is set aside as a whole. Repeating it changes nothing."""
    require_administrator(call)
    async with call.backends.ledger.transaction() as connection:
        place = await health.place_of(connection, gpu_id)
        messages = await health.lift(connection, place, call.actor, call.now)
        after = await _one(connection, call, gpu_id)
    call.deliver(messages)
    return after


async def _one(connection: Connection, call: Call, gpu_id: int) -> GpuNow:
    found = await _seen(connection, call, await health.gpus(connection, call.now, gpu_id=gpu_id))
    if not found:
        raise NotFound(f"there is no GPU {gpu_id}")
    return found[0]


async def _seen(connection: Connection, call: Call, found: list[GpuNow]) -> list[GpuNow]:
    """Without the names of holders that are not the caller's to know."""
    if call.caller.administrator:
        return found
    names = await reading.workspace_names_of(connection, call.principal_id)
    confined = call.caller.workspace_name
    known = names if confined is None else names & {confined}
    return [one if one.holder_workspace in known else replace(one, holder_gpr="", holder_workspace="") for one in found]
