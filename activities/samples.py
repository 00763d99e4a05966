"""Keeps what the GPUs did: rolled up, and as long as it is worth. A repeat finds nothing to do."""

from datetime import datetime

import structlog
from prometheus_client import Counter
from temporalio import activity

from ledger import sample_upkeep
from ledger.connection import Ledger
from workflows.signatures.hardware import SampleKeeping
from workflows.signatures.reconciling import Repairs

log = structlog.get_logger()

BUCKETS = Counter("berth_sample_buckets_total", "Buckets of samples that were made, or made again.")


class LedgerSamples(SampleKeeping):
    """Samples in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @activity.defn(name="roll_up_samples")
    async def roll_up_samples(self, now: datetime) -> int:
        made = await sample_upkeep.roll_up(self._ledger, now)
        BUCKETS.inc(made)
        return made

    @activity.defn(name="make_sample_partitions")
    async def make_sample_partitions(self, now: datetime) -> Repairs:
        made = await sample_upkeep.make_partitions_ahead(self._ledger, now)
        return _said([f"made {name}" for name in made])

    @activity.defn(name="drop_sample_partitions")
    async def drop_sample_partitions(self, now: datetime) -> Repairs:
        dropped = await sample_upkeep.drop_partitions(self._ledger, now)
        forgotten = await sample_upkeep.forget_agents(self._ledger, now)
        return _said([*(f"dropped {name}" for name in dropped), *(f"forgot the agent of {one}" for one in forgotten)])


def _said(done: list[str]) -> Repairs:
    if done:
        log.info("samples kept", done=done)
    return Repairs(done)
