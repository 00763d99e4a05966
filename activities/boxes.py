"""What a box is told, and what is kept of it: through its Secret on the cluster, never by a hand inside its pod.

The orders are read anew and written whole each time, so that a telling that comes late or twice says nothing old.
"""

import asyncio
from typing import Final
from uuid import UUID

from temporalio import activity

from clusters.boxes import list_files, write_orders
from clusters.connection import ClusterConnection
from domain.box import HOME, pod_name
from domain.job import Job
from ledger import boxes, disks, jobs
from ledger.connection import Ledger
from workflows.signatures.jobs import Boxes, BoxTelling, JobStop

LISTING_SECONDS_MAX: Final = 10.0


class ClusterBoxes(Boxes):
    """Boxes on one real cluster."""

    def __init__(self, cluster: ClusterConnection, ledger: Ledger) -> None:
        self._cluster = cluster
        self._ledger = ledger

    @activity.defn(name="tell_box")
    async def tell_box(self, telling: BoxTelling) -> None:
        """What is read here may be newer than the standing; it then is told once more, which changes nothing."""
        standing, gpr_id = telling.standing, UUID(telling.standing.gpr_id)
        async with self._ledger.reading() as connection:
            namespace = (await jobs.spec_of(connection, gpr_id)).namespace
            orders = await boxes.orders(connection, gpr_id, telling.now)
        await asyncio.to_thread(write_orders, self._cluster, namespace, standing.gpr_id, orders, standing.version)
        async with self._ledger.transaction() as connection:
            await boxes.told(connection, gpr_id, standing.version, telling.now)

    @activity.defn(name="list_files")
    async def list_files(self, stop: JobStop) -> None:
        async with self._ledger.reading() as connection:
            job = await jobs.find(connection, UUID(stop.standing.gpr_id))
        if not _has_run(job):
            return
        pod = pod_name(job.gpr.id)
        listing = await asyncio.to_thread(list_files, self._cluster, job.spec.namespace, pod, HOME, LISTING_SECONDS_MAX)
        async with self._ledger.transaction() as connection:
            await disks.keep_content(connection, UUID(stop.standing.disk_id), listing)


def _has_run(job: Job) -> bool:
    """Whether its first pod was seen to run: before, there is nobody to ask for a listing."""
    return job.observed is not None and any(pod.started_at for pod in job.observed.pods)
