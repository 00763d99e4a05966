"""Messages for Temporal, written in the transaction that decided them and delivered at least once afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.gpr import Phase
from domain.messages import NodeGpus, OutboxMessage, Standing, kick_arbiter
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.connection import Connection, Ledger, Row

_SQL = load("outbox")
_STANDING: Final = frozenset(one.name for one in fields(Standing))
_NODE_GPUS: Final = frozenset(one.name for one in fields(NodeGpus))

KICKS_AFTER: Final = (timedelta(), timedelta(seconds=3))
"""From an instant at which something changes. Twice, since two clocks, that wake the arbiter and that it reads, may differ."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message and the row that remembers whether it was delivered."""

    id: int
    message: OutboxMessage


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not delivered yet."""

    waiting: int
    oldest_seconds: float


async def put(connection: Connection, message: OutboxMessage) -> int:
    """Write a message; the row's id."""
    return int(await connection.fetchval(_SQL["put"], *_columns(message)))


async def put_later(connection: Connection, message: OutboxMessage, due_at: datetime) -> int:
    """Write a message that the relay is to deliver at an instant, a second late at most; the row's id.

    Not to be handed to a courier before. Whoever gets it looks what is so by then: nothing takes it back.
    """
    return int(await connection.fetchval(_SQL["put_later"], *_columns(message), due_at))


async def kick_at(connection: Connection, instant: datetime) -> None:
    """Wake the arbiter when something changes that nobody else would notice."""
    for after in KICKS_AFTER:
        await put_later(connection, kick_arbiter(), instant + after)


async def put_all(connection: Connection, messages: Sequence[OutboxMessage]) -> list[int]:
    """Write messages; their rows' ids."""
    columns = zip(*(_columns(message) for message in messages), strict=True)
    return [row["id"] for row in await connection.fetch(_SQL["put_all"], *columns)]


async def claim(connection: Connection, ids: Sequence[int]) -> list[StoredMessage]:
    """These messages, as far as they are undelivered and nobody else is delivering them; held until the transaction ends."""
    return [_stored(row) for row in await connection.fetch(_SQL["claim_some"], list(ids))]


async def claim_open(connection: Connection, *, limit: int, grace_seconds: float) -> list[StoredMessage]:
    """The oldest undelivered messages, likewise."""
    return [_stored(row) for row in await connection.fetch(_SQL["claim_open"], limit, grace_seconds)]


async def mark_delivered(connection: Connection, ids: Sequence[int]) -> None:
    """They have arrived."""
    await connection.execute(_SQL["mark_delivered"], list(ids))


async def mark_failed(connection: Connection, ids: Sequence[int], failure: str) -> None:
    """They have not arrived; they will be tried again behind fresher ones."""
    await connection.execute(_SQL["mark_failed"], list(ids), failure[:500])


async def backlog(ledger: Ledger) -> Backlog:
    """How much is undelivered, and for how long."""
    async with ledger.reading() as connection:
        row = await connection.fetchrow(_SQL["backlog"])
    assert row is not None
    return Backlog(row["waiting"], row["oldest_seconds"])


async def forget_delivered(ledger: Ledger) -> None:
    """Drop what was delivered more than a week ago."""
    async with ledger.transaction() as connection:
        await connection.execute(_SQL["forget_delivered"])


def _columns(message: OutboxMessage) -> tuple[object, ...]:
    standing = None if message.standing is None else _standing_out(message.standing)
    return message.workflow_id, message.workflow_type, message.argument, message.signal, standing


def _stored(row: Row) -> StoredMessage:
    standing = row["signal_argument"]
    message = OutboxMessage(
        workflow_id=row["workflow_id"],
        workflow_type=row["workflow_type"],
        argument=row["argument"],
        signal=row["signal"],
        standing=None if standing is None else _standing_in(standing),
    )
    return StoredMessage(row["id"], message)


def _standing_out(standing: Standing) -> dict[str, object]:
    told = asdict(standing)
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in told.items()}


def _standing_in(given: dict[str, object]) -> Standing:
    # what a newer process wrote may say more than is known here, while a site is upgraded worker by worker
    known = {name: value for name, value in given.items() if name in _STANDING}
    known["phase"] = Phase(str(known["phase"]))
    known["gpus"] = [_node_gpus(part) for part in known["gpus"]]  # type: ignore[attr-defined]
    for key in ("end_at", "next_notice_at"):
        known[key] = None if known[key] is None else datetime.fromisoformat(str(known[key]))
    return Standing(**known)  # type: ignore[arg-type]


def _node_gpus(given: dict[str, Any]) -> NodeGpus:
    return NodeGpus(**{name: value for name, value in given.items() if name in _NODE_GPUS})
