"""What looks at clusters show of the leases there: whether pods of the workspace are, or were, on their GPUs.

No sample is needed to know that there is no pod, so this tells of nodes without an agent, too. A hole between two looks is
a time of which nothing is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.idleness import LOOKS_APART_SECONDS_MAX
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ledger.connection import Connection

_SQL = load("pods_seen")


async def note(connection: Connection, last_used: Mapping[int, datetime | None], now: datetime) -> None:
    """Write what a look shows of leases, by fence: when a pod was last known to be on them; None: never.

    Leases that are not active, jobs, and what a later look has shown are left as they are.
    """
    await connection.execute(_SQL["forget"])
    fences = sorted(last_used)
    used_at = [last_used[fence] for fence in fences]
    await connection.execute(_SQL["note"], fences, now, used_at, LOOKS_APART_SECONDS_MAX)
