"""What happened, and what people are told before it happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was decided. Ids grow."""

    id: int
    at: datetime
    kind: str
    gpr_id: UUID | None
    workspace_id: UUID | None
    fence: int | None
    actor: str
    detail: dict[str, object]


@dataclass(frozen=True, slots=True)
class Notice:
    """What the people of a Gpr should know, when, and whether it still counts."""

    kind: str
    due_at: datetime
    message: str
    delivered_at: datetime | None
    withdrawn_at: datetime | None
