"""Says when something has changed about a job, to as many as wait: the ledger is asked once for all of them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.failures import Unavailable
from ledger import jobs

if TYPE_CHECKING:
    from uuid import UUID

    from domain.job import Job
    from ledger.connection import Ledger
    from ledger.jobs import JobMark

LOOK_SECONDS: Final = 0.5


@dataclass(eq=False, slots=True)
class _Waiting:
    job_id: UUID
    seen: JobMark
    news: asyncio.Event


class JobNews:
    """What waits for news of jobs in this process."""

    def __init__(self, ledger: Ledger, look_seconds: float = LOOK_SECONDS) -> None:
        self._ledger = ledger
        self._look_seconds = look_seconds
        self._waiting: set[_Waiting] = set()
        self._task: asyncio.Task[None] | None = None

    async def of(self, job: Job) -> None:
        """Return when the ledger holds something newer of this job."""
        waiting = _Waiting(job.gpr.id, (job.gpr.phase, job.observed_at), asyncio.Event())
        self._waiting.add(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            await waiting.news.wait()
        finally:
            self._waiting.discard(waiting)

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._look_seconds)
            with suppress(Unavailable):
                await self._look_once()

    async def _look_once(self) -> None:
        waiting = list(self._waiting)
        async with self._ledger.reading() as connection:
            marks = await jobs.marks(connection, {one.job_id for one in waiting})
        for one in waiting:
            if marks.get(one.job_id) != one.seen:
                one.news.set()
