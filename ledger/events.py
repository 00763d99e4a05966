"""The append-only history of what was decided, for people, for dialects and for checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection

_SQL = load("events")


async def record(  # noqa: PLR0913 - the columns of one row
    connection: Connection,
    at: datetime,
    kind: str,
    *,
    gpr_id: UUID | None = None,
    workspace_id: UUID | None = None,
    fence: int | None = None,
    actor: str = "",
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write one event in the transaction that made it true."""
    await connection.execute(_SQL["record"], at, kind, gpr_id, workspace_id, fence, actor, dict(detail or {}))
