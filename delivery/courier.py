"""Takes messages from the outbox to Temporal and marks them delivered.

A row is claimed with `skip locked` inside a transaction that stays open while the message is sent: a process that dies
on the way loses its connection, its claim goes with it, and the next one delivers at once. So a message may arrive
twice, never not at all. Messages that say the same thing to the same workflow (kicks) collapse into one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from delivery.temporal import TemporalUnavailable
from domain.failures import Unavailable
from domain.identifiers import CORE_TASK_QUEUE
from ledger import outbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from temporalio.client import Client

    from delivery.temporal import TemporalDoor
    from domain.messages import OutboxMessage
    from ledger.connection import Connection, Ledger
    from ledger.outbox import StoredMessage

log = structlog.get_logger()

SEND_SECONDS_MAX = 5.0
BATCH_MAX = 200
SENDING_MAX = 32
"""Messages on their way at once, so that the time of each is not spent waiting behind the others."""
GRACE_SECONDS = 0.25
"""How long a fresh row is left to the process that wrote it before the relay takes it."""
GATHER_SECONDS = 0.003
"""How long a process gathers the messages of concurrent requests before it takes them along together."""


@dataclass(slots=True)
class _Group:
    """Rows that one message serves: the newest of those that tell one workflow the same kind of thing."""

    message: OutboxMessage
    ids: list[int]


class Courier:
    """Delivers messages for one process."""

    def __init__(self, ledger: Ledger, temporal: TemporalDoor) -> None:
        self._ledger = ledger
        self._temporal = temporal
        self._sending = asyncio.Semaphore(SENDING_MAX)
        self._waiting: list[int] = []
        self._round: asyncio.Task[None] | None = None

    def deliver_soon(self, ids: Sequence[int]) -> None:
        """Deliver these without making the caller wait; what fails stays for the relay."""
        self._waiting += ids
        if ids and (self._round is None or self._round.done()):
            self._round = asyncio.get_running_loop().create_task(self._deliver_waiting(), name="courier")

    async def drain(self) -> None:
        """Wait until what was handed in has been tried."""
        if self._round is not None:
            await self._round

    async def ping(self) -> None:
        """Return if Temporal serves, else raise TemporalUnavailable."""
        await self._temporal.ping()

    async def deliver_open(self, *, grace_seconds: float = GRACE_SECONDS) -> int:
        """Deliver the oldest open messages, of whichever process; how many arrived. For the relay."""
        return await self._deliver(
            lambda connection: outbox.claim_open(connection, limit=BATCH_MAX, grace_seconds=grace_seconds)
        )

    async def _deliver_waiting(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        while self._waiting:
            ids, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
            try:
                await self._deliver(lambda connection, ids=ids: outbox.claim(connection, ids))  # type: ignore[misc]
            except Unavailable as failure:
                log.warning("delivery left to the relay", messages=len(ids), failure=str(failure))

    async def _deliver(self, claim: Callable[[Connection], Awaitable[list[StoredMessage]]]) -> int:
        client = await self._temporal.client()
        async with self._ledger.transaction() as connection:
            groups = _same_messages(await claim(connection))
            failures = await asyncio.gather(*(self._try_send(client, group.message) for group in groups))
            arrived: list[int] = []
            for group, failure in zip(groups, failures, strict=True):
                if failure is None:
                    arrived += group.ids
                else:
                    log.warning("message not delivered", workflow=group.message.workflow_id, failure=failure)
                    await outbox.mark_failed(connection, group.ids, failure)
            await outbox.mark_delivered(connection, arrived)
            return len(arrived)

    async def _try_send(self, client: Client, message: OutboxMessage) -> str | None:
        try:
            async with self._sending, asyncio.timeout(SEND_SECONDS_MAX):
                await send(client, message)
        except (RPCError, TimeoutError, TemporalUnavailable) as error:
            return f"{type(error).__name__}: {error}"
        return None


def _same_messages(stored: Sequence[StoredMessage]) -> list[_Group]:
    groups: dict[tuple[str, str | None], _Group] = {}
    for row in stored:
        message = row.message
        group = groups.setdefault((message.workflow_id, message.signal), _Group(message, []))
        group.message = message
        group.ids.append(row.id)
    return list(groups.values())


async def send(client: Client, message: OutboxMessage) -> None:
    """Start the workflow unless it runs, and signal it if there is a signal.

    A lifecycle that has ended may be started once more by a repeat: it reads in the ledger that it is over, and ends.
    """
    await client.start_workflow(
        message.workflow_type,
        message.argument,
        id=message.workflow_id,
        task_queue=CORE_TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=message.signal,
        start_signal_args=[] if message.standing is None else [message.standing],
    )
