"""Keeping reservations, and seeing whether what was reserved is used."""

from uuid import UUID

from temporalio import activity

from arbitration.keeping import keep
from clusters.connection import ClusterConnection
from clusters.use import is_used
from delivery.courier import Courier
from domain.messages import Standing
from ledger.connection import Ledger
from workflows.signatures.reservations import ReservationKeeping, ReservationLook, ReservationStanding, UseWatching


class LedgerReservations(ReservationKeeping):
    """Reservations in the real ledger. What a look decides for others is delivered right after its commit."""

    def __init__(self, ledger: Ledger, courier: Courier) -> None:
        self._ledger = ledger
        self._courier = courier

    @activity.defn(name="keep_reservation")
    async def keep_reservation(self, look: ReservationLook) -> ReservationStanding:
        seen = {(UUID(one.gpr_id), one.fence): one.in_use for one in look.seen}
        kept = await keep(self._ledger, UUID(look.reservation_id), seen, look.now)
        self._courier.deliver_soon(kept.messages)
        return ReservationStanding(kept.name, kept.workspace, kept.wake_at, kept.looks)


class ClusterUse(UseWatching):
    """What runs on one real cluster."""

    def __init__(self, cluster: ClusterConnection) -> None:
        self._cluster = cluster

    @activity.defn(name="see_use")
    def see_use(self, standing: Standing) -> bool:
        return is_used(self._cluster, standing.token, [part.host for part in standing.gpus])
