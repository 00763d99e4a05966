"""A job's pods on its cluster: made, kept in mind, taken away. A repeat finds what is there, or gone, already."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import activity

from clusters.connection import ClusterConnection
from clusters.failures import ObjectMissing
from clusters.job_logs import log_tail
from clusters.job_manifests import manifests
from clusters.job_pods import JobPlace
from clusters.job_views import job_events, observe_job, observe_jobs
from clusters.jobs import create_job_objects, delete_job_objects, job_objects_left
from delivery.courier import Courier
from domain.gpr import Phase
from domain.job import JobSpec
from domain.messages import Standing
from domain.priority import band_of
from ledger import disks, gprs, jobs
from ledger.connection import Ledger
from workflows.signatures.jobs import Jobs, JobStop

SAFETY_NET = timedelta(seconds=60)
"""How much later than the lease's own end Kubernetes ends a training job by itself."""
KEPT_LINES = 200
KEPT_PODS_MAX = 32
LOOK_SECONDS = 0.25


class ClusterJobs(Jobs):
    """Jobs on one real cluster. `patience_seconds`: how long their objects may take to go before teardown goes on."""

    def __init__(
        self, cluster: ClusterConnection, ledger: Ledger, courier: Courier, *, patience_seconds: float = 60
    ) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._courier = courier
        self._patience_seconds = patience_seconds

    @activity.defn(name="create_job")
    async def create_job(self, standing: Standing) -> None:
        async with self._ledger.reading() as connection:
            spec = await jobs.spec_of(connection, UUID(standing.gpr_id))
            gpr = await gprs.find(connection, UUID(standing.gpr_id))
            disk = await disks.find(connection, UUID(standing.disk_id)) if standing.disk_id else None
        lasts = gpr.request.duration_seconds
        deadline = None if lasts is None else round(lasts + SAFETY_NET.total_seconds())
        place = _place(standing, spec, deadline, gpr.request.pool, disk.volume if disk else "")
        await asyncio.to_thread(create_job_objects, self._cluster, manifests(spec, place))

    @activity.defn(name="keep_job")
    async def keep_job(self, stop: JobStop) -> None:
        gpr_id, namespace = await self._where(stop)
        observed = await asyncio.to_thread(observe_job, self._cluster, namespace, str(gpr_id))
        if observed is None:
            return
        pods = [pod.name for pod in observed.pods[:KEPT_PODS_MAX]]
        logs = {pod: await asyncio.to_thread(self._last_lines, namespace, pod) for pod in pods}
        happenings = await asyncio.to_thread(job_events, self._cluster, namespace, str(gpr_id))
        async with self._ledger.transaction() as connection:
            await jobs.observe(connection, gpr_id, observed, stop.now)
            await jobs.keep(connection, gpr_id, logs, happenings)

    @activity.defn(name="delete_job")
    async def delete_job(self, stop: JobStop) -> None:
        gpr_id, namespace = await self._where(stop)
        async with self._ledger.reading() as connection:
            job = await jobs.find(connection, gpr_id)
        await asyncio.to_thread(delete_job_objects, self._cluster, namespace, str(gpr_id), force=job.is_forced)

    @activity.defn(name="await_job_gone")
    async def await_job_gone(self, stop: JobStop) -> list[str]:
        gpr_id, namespace = await self._where(stop)
        give_up_at = time.monotonic() + self._patience_seconds
        while left := await asyncio.to_thread(job_objects_left, self._cluster, namespace, str(gpr_id)):
            if time.monotonic() >= give_up_at:
                return [str(one) for one in left]
            await self.delete_job(stop)
            await asyncio.sleep(LOOK_SECONDS)
        return []

    async def observe(self, changed: Collection[str], now: datetime) -> None:
        """Write what is seen of these jobs, as far as they should have pods. For the watch, not a step of any lifecycle."""
        async with self._ledger.reading() as connection:
            running = await jobs.running(connection, self._cluster.name)
        asked = sorted(running.keys() & set(changed))
        seen = await asyncio.to_thread(observe_jobs, self._cluster, asked)
        for job_id in asked:
            if job_id in seen:
                await self._write(jobs.observe, UUID(job_id), seen[job_id], now)
            elif running[job_id] is Phase.ACTIVE:  # read before the look: what it is made of was made by then
                await self._write(jobs.vanish, UUID(job_id), now)

    async def running(self) -> list[str]:
        """Ids of the jobs that should have pods here."""
        async with self._ledger.reading() as connection:
            return list(await jobs.running(connection, self._cluster.name))

    async def _write(self, write: Callable[..., Awaitable[list[int]]], *what: object) -> None:
        async with self._ledger.transaction() as connection:
            messages = await write(connection, *what)
        self._courier.deliver_soon(messages)

    async def _where(self, stop: JobStop) -> tuple[UUID, str]:
        gpr_id = UUID(stop.standing.gpr_id)
        async with self._ledger.reading() as connection:
            return gpr_id, (await jobs.spec_of(connection, gpr_id)).namespace

    def _last_lines(self, namespace: str, pod: str) -> list[str]:
        try:
            return log_tail(self._cluster, namespace, pod, KEPT_LINES, timestamps=True)
        except ObjectMissing:
            return []


def _place(standing: Standing, spec: JobSpec, deadline_seconds: int | None, pool: str, volume: str) -> JobPlace:
    return JobPlace(
        namespace=spec.namespace,
        job_id=standing.gpr_id,
        name=spec.name,
        fence=standing.fence if spec.gpus_per_replica else None,
        nodes=tuple(part.host for part in standing.gpus),
        deadline_seconds=deadline_seconds,
        priority=band_of(standing.priority),
        pool=pool,
        volume=volume,
        resource=standing.resource,
    )
