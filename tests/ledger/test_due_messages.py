"""A message that is written for later: nobody delivers it before, and it is not late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from domain.messages import kick_arbiter
from ledger import outbox

if TYPE_CHECKING:
    from ledger.connection import Ledger


async def test_a_message_for_later_is_open_from_its_instant_on(ledger: Ledger) -> None:
    now = datetime.now(UTC)
    async with ledger.transaction() as connection:
        later = await outbox.put_later(connection, kick_arbiter(), now + timedelta(hours=1))
        due = await outbox.put_later(connection, kick_arbiter(), now - timedelta(seconds=5))
        found = await outbox.claim_open(connection, limit=10_000, grace_seconds=0.25)
    ids = {one.id for one in found}
    assert (due in ids, later in ids) == (True, False)


async def test_it_does_not_count_as_late_before(ledger: Ledger) -> None:
    before = await outbox.backlog(ledger)
    async with ledger.transaction() as connection:
        await outbox.put_later(connection, kick_arbiter(), datetime.now(UTC) + timedelta(hours=1))
    assert (await outbox.backlog(ledger)).waiting == before.waiting
