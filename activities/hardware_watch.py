"""Looks at what GPUs did and reported, and decides in the ledger. A repeat finds what is done already, and does the rest."""

from datetime import datetime
from uuid import UUID

import structlog
from prometheus_client import Counter
from temporalio import activity

from delivery.courier import Courier
from domain.idleness import Move
from ledger import health, idleness
from ledger.connection import Ledger
from ledger.health import Recovery
from workflows.signatures.hardware import HardwareWatching, Recovering, RecoveryLook, RecoveryStanding
from workflows.signatures.reconciling import Repairs

log = structlog.get_logger()

LOOK_SECONDS_MAX = 60.0
LOOK_SECONDS_MIN = 1.0
LOOKS_WHILE_CLEAN = 5
"""At least, before something is used again."""

IDLE = Counter("berth_idle_moves_total", "What was done about idle leases.", ["move"])
FAULTS = Counter("berth_quarantines_total", "GPUs and nodes that faults have set aside, or would have.")
_SPOKEN = {
    Move.WARN: "warned the people of an idle lease",
    Move.WITHDRAW: "withdrew a warning",
    Move.RELEASE: "released an idle lease",
}


class LedgerHardwareWatching(HardwareWatching):
    """The looks of every minute. Each lease is a transaction of its own: one that cannot be moved holds up no other."""

    def __init__(self, ledger: Ledger, courier: Courier, *, clean_seconds: int) -> None:
        self._ledger = ledger
        self._courier = courier
        self._clean_seconds = clean_seconds

    @activity.defn(name="judge_idleness")
    async def judge_idleness(self, now: datetime) -> Repairs:
        async with self._ledger.transaction() as connection:
            await idleness.forget_warnings(connection)
            await idleness.count_idle(connection, now)
        async with self._ledger.reading() as connection:
            waiting = await idleness.to_settle(connection, now)
        done = []
        for gpr_id in waiting:
            async with self._ledger.transaction() as connection:
                outcome = await idleness.settle(connection, gpr_id, now)
            self._courier.deliver_soon(outcome.messages)
            if outcome.move in _SPOKEN:
                IDLE.labels(outcome.move).inc()
                log.info("idle", gpr_id=str(gpr_id), move=outcome.move)
                done.append(f"{_SPOKEN[outcome.move]}: {gpr_id}")
        return Repairs(done)

    @activity.defn(name="judge_faults")
    async def judge_faults(self, now: datetime) -> Repairs:
        async with self._ledger.transaction() as connection:
            judged = await health.judge_faults(connection, now, clean_seconds=self._clean_seconds)
        self._courier.deliver_soon(judged.messages)
        if judged.said:
            FAULTS.inc(len(judged.said))
            log.warning("faults of GPUs", said=judged.said)
        return Repairs(list(judged.said))


class LedgerRecovering(Recovering):
    """The ledger's part in the way back."""

    def __init__(self, ledger: Ledger, courier: Courier) -> None:
        self._ledger = ledger
        self._courier = courier

    @activity.defn(name="load_recovery")
    async def load_recovery(self, quarantine_id: str) -> RecoveryStanding:
        async with self._ledger.reading() as connection:
            return _standing(await health.recovery(connection, UUID(quarantine_id)))

    @activity.defn(name="judge_recovery")
    async def judge_recovery(self, look: RecoveryLook) -> RecoveryStanding:
        async with self._ledger.transaction() as connection:
            after, messages = await health.look(connection, UUID(look.quarantine_id), look.complaints, look.now)
        self._courier.deliver_soon(messages)
        return _standing(after)


def _standing(found: Recovery) -> RecoveryStanding:
    looks_every = (found.clean_seconds or 0) / LOOKS_WHILE_CLEAN
    return RecoveryStanding(
        quarantine_id=str(found.id),
        cluster=found.place.cluster,
        node=found.place.node,
        ordinals=list(found.ordinals),
        is_open=found.is_open,
        is_held=found.is_held,
        has_agent=found.has_agent,
        look_seconds=min(LOOK_SECONDS_MAX, max(LOOK_SECONDS_MIN, looks_every)),
        waits_for=found.waits_for,
    )
