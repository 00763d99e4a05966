"""Between the native dialect's words for maintenance and Berth's own. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.dialects.native import maintenance_schemas as schemas
from domain.maintenance import Maintenance, MaintenanceWish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def wish_of(body: schemas.MaintenanceAnnouncement) -> MaintenanceWish:
    """What is to be announced."""
    return MaintenanceWish(
        name=body.name,
        begins_at=body.begin,
        ends_at=body.end,
        description=body.description,
        nodes=tuple(dict.fromkeys(body.nodes)),
        clusters=tuple(dict.fromkeys(body.clusters)),
        pools=tuple(dict.fromkeys(body.pools)),
    )


def maintenance_view(found: Maintenance, now: datetime, staying: Sequence[str] = ()) -> schemas.MaintenanceView:
    """One announcement."""
    return schemas.MaintenanceView(
        id=found.id,
        name=found.name,
        state=found.state(now),
        begin=found.begins_at,
        end=found.ends_at,
        places=[schemas.MaintenancePlace(cluster=one.cluster, node=one.node) for one in found.places],
        description=found.description,
        created_by=found.created_by,
        created_at=found.created_at,
        ended_at=found.ended_at,
        staying=list(staying),
    )


def maintenance_list(found: Sequence[Maintenance], now: datetime) -> schemas.MaintenanceList:
    """Many of them."""
    return schemas.MaintenanceList(items=[maintenance_view(one, now) for one in found])
