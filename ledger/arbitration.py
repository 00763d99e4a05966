"""What an arbiter's pass reads and writes in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from domain.gpr import Estimate, PlannedStart
from domain.promises import Promise
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ledger.connection import Connection, Row

_SQL = load("arbitration")

ESTIMATE_SLACK_SECONDS = 2
"""An estimate that moves by less is left as it is shown: writing it would be noise."""


@dataclass(frozen=True, slots=True)
class WantedDisk:
    """The disk that a queued Gpr waits for."""

    id: str
    name: str
    cluster: str
    """Where its data is; empty: nowhere yet."""
    busy_since: datetime | None
    """Something is done with it, and began, or was asked for, then."""


class QueuedGpr(NamedTuple):
    """A queued Gpr as a pass needs it, with the estimate that is shown for it now.

    A tuple, since a pass makes one of each that is queued, and a frozen dataclass of so many fields takes three times as long.
    """

    gpr_id: str
    name: str
    workspace: str
    workspace_name: str
    exclusive: bool
    sequence: int
    priority: int
    nodes: int
    gpus_per_node: int
    duration_seconds: int | None
    shape: str
    instance_type: str
    memory_gib: int
    clusters: tuple[str, ...]
    not_before: datetime | None
    excluded_nodes: frozenset[tuple[str, str]]
    shown: PlannedStart
    pool: str = ""
    spread: bool = True
    namespace: str = ""
    cpu_millis: int = 0
    memory_mib: int = 0
    disk: WantedDisk | None = None
    submitted_at: datetime | None = None
    promise: Promise | None = None
    fixed_start: datetime | None = None
    """It was reserved from then on."""
    submitter: str = ""
    """Id of who is limited by it; empty: nobody."""
    preemptible: bool = False
    was_preempted: bool = False
    """Its lease made room for a stronger request."""
    was_taken_back: bool = False
    """Its lease borrowed what is guaranteed to others, and gave it back."""
    has_preempted: bool = False
    """Leases are being ended early for it."""


async def lock(connection: Connection, scheduling_domain: str) -> None:
    """Hold the scheduling domain until the transaction ends."""
    await connection.execute(_SQL["lock"], scheduling_domain)


async def queue(connection: Connection, now: datetime) -> list[QueuedGpr]:
    """Every queued Gpr of a ready workspace, in order of submission."""
    return [
        QueuedGpr(
            gpr_id=row["gpr_id"],
            name=row["name"],
            workspace=row["workspace"],
            workspace_name=row["workspace_name"],
            exclusive=row["exclusive"],
            sequence=row["sequence"],
            priority=row["priority"],
            nodes=row["nodes"],
            gpus_per_node=row["gpus_per_node"],
            duration_seconds=row["duration_seconds"],
            shape=row["shape"],
            instance_type=row["instance_type"],
            memory_gib=row["memory_gib"],
            clusters=tuple(row["clusters"]),
            not_before=row["not_before"],
            excluded_nodes=frozenset(_node_key(text) for text in row["excluded_nodes"]),
            shown=PlannedStart(
                Estimate(row["starts_at"], row["position"] or 0, row["reason_code"], row["reason"]),
                row["planned_cluster"],
                tuple(row["planned_nodes"]),
            ),
            pool=row["pool"],
            spread=row["spread"],
            namespace=row["namespace"],
            cpu_millis=row["cpu_millis"],
            memory_mib=row["memory_mib"],
            disk=_disk(row) if row["disk_id"] else None,
            fixed_start=row["fixed_start"],
            submitted_at=row["submitted_at"],
            promise=promise_of(row),
            submitter=row["submitter"],
            preemptible=row["preemptible"],
            was_preempted=row["was_preempted"],
            was_taken_back=row["was_taken_back"],
            has_preempted=row["has_preempted"],
        )
        for row in await connection.fetch(_SQL["queue"], now)
    ]


async def write_estimates(connection: Connection, planned: Mapping[str, PlannedStart], now: datetime) -> None:
    """Show these estimates from now on, by Gpr."""
    starts = planned.values()
    await connection.execute(
        _SQL["write_estimates"],
        [UUID(gpr_id) for gpr_id in planned],
        [start.estimate.starts_at for start in starts],
        [start.estimate.position for start in starts],
        [start.estimate.reason_code for start in starts],
        [start.estimate.reason for start in starts],
        [start.cluster for start in starts],
        [" ".join(start.nodes) for start in starts],
        [start.estimate.earliest or start.estimate.starts_at for start in starts],
        [start.estimate.latest or start.estimate.starts_at for start in starts],
        now,
        ESTIMATE_SLACK_SECONDS,
    )


def promise_of(row: Row) -> Promise | None:
    """What was promised, from a row that has the columns of a Gpr."""
    if row["promised_at"] is None:
        return None
    return Promise(
        row["promised_at"],
        row["promised_start"],
        row["promised_cluster"],
        tuple(row["promised_nodes"]),
        row["promise_moves"],
    )


def _disk(row: Row) -> WantedDisk:
    return WantedDisk(row["disk_id"], row["disk_name"], row["disk_cluster"], row["disk_busy_since"])


def _node_key(text: str) -> tuple[str, str]:
    cluster, _, node = text.partition("/")
    return cluster, node
