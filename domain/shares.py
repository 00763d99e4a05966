"""Who may hold how many GPUs: workspaces, the departments above them, people; and for a while more or less than usual."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final, NamedTuple
from uuid import UUID

from domain.failures import InvalidRequest

DEPARTMENT_DEFAULT: Final = "default"
"""Of workspaces that nobody assigned to another."""


class Scope(StrEnum):
    """Whose limit it is."""

    NAMESPACE = "namespace"
    WORKSPACE = "workspace"
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Allowance:
    """GPUs at once; None: as many as there are."""

    gpus: int | None = None
    """Guaranteed: at most so many for work that cannot be preempted."""
    ceiling: int | None = None
    """At most so many in all, with what is borrowed."""

    def check(self) -> None:
        """InvalidRequest where less may be held in all than is guaranteed."""
        if self.gpus is not None and self.ceiling is not None and self.ceiling < self.gpus:
            raise InvalidRequest(f"a ceiling of {self.ceiling} GPUs is less than the {self.gpus} that are guaranteed")


@dataclass(frozen=True, slots=True)
class Held:
    """GPUs that are held now."""

    guaranteed: int = 0
    """By work that cannot be preempted."""
    preemptible: int = 0

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.guaranteed + self.preemptible


@dataclass(frozen=True, slots=True)
class Override:
    """What counts from an instant until another instead of what is set else. Of two at one instant: that set later."""

    id: UUID
    scope: Scope
    name: str
    """Of the namespace, workspace or department."""
    workspace_id: UUID | None
    workspace: str
    allowance: Allowance
    """None: what counts else stays."""
    begins_at: datetime
    ends_at: datetime
    description: str
    set_by: str
    set_at: datetime
    withdrawn_by: str = ""
    withdrawn_at: datetime | None = None
    """It was taken back then, and ended, or never began."""

    @property
    def owner(self) -> tuple[str, str, str]:
        """What tells limits apart: scope, workspace, name; of a workspace its id, whatever it is called."""
        name = "" if self.scope is Scope.WORKSPACE else self.name
        return (self.scope, str(self.workspace_id or ""), name)


@dataclass(frozen=True, slots=True)
class Department:
    """Workspaces that share what is theirs."""

    name: str
    description: str
    allowance: Allowance
    held: Held
    workspaces: tuple[str, ...]
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WorkspaceQuota:
    """What a workspace may hold, and what it holds."""

    workspace_id: UUID
    workspace: str
    department: str
    allowance: Allowance
    held: Held


@dataclass(frozen=True, slots=True)
class UserCeiling:
    """How many GPUs a person may hold at once."""

    user: str
    """Empty: everybody for whom nothing else is set."""
    gpus: int | None
    """None: as many as there are."""
    held: int
    set_by: str
    set_at: datetime


class Spell(NamedTuple):
    """An amount that counts from an instant until another."""

    amount: int
    begins_at: datetime
    ends_at: datetime


class OverTime(NamedTuple):
    """An amount now, and from which instants on another; None: no limit."""

    now: int | None
    changes: tuple[tuple[datetime, int | None], ...] = ()

    @property
    def is_limited(self) -> bool:
        """Now or at some time."""
        return self.now is not None or bool(self.changes)


def over_time(usual: int | None, spells: Iterable[Spell], now: datetime) -> OverTime:
    """What counts from now on. Of two spells at one instant the later one of the sequence counts."""
    known = [spell for spell in spells if spell.ends_at > now and spell.ends_at > spell.begins_at]

    def amount(instant: datetime) -> int | None:
        counting = [one.amount for one in known if one.begins_at <= instant < one.ends_at]
        return counting[-1] if counting else usual

    marks = sorted({now} | {mark for one in known for mark in (one.begins_at, one.ends_at) if mark > now})
    changes = ((mark, amount(mark)) for before, mark in pairwise(marks) if amount(mark) != amount(before))
    return OverTime(amount(now), tuple(changes))


def allowed_now(allowance: Allowance, overrides: Iterable[Override], now: datetime) -> Allowance:
    """What counts at that instant."""
    found = list(overrides)
    return Allowance(over_time(allowance.gpus, gpu_spells(found), now).now, _ceiling_now(allowance, found, now))


def gpu_spells(overrides: Iterable[Override]) -> list[Spell]:
    """Of what is guaranteed."""
    return [
        Spell(one.allowance.gpus, one.begins_at, one.ends_at) for one in overrides if one.allowance.gpus is not None
    ]


def ceiling_spells(overrides: Iterable[Override]) -> list[Spell]:
    """Of the ceiling."""
    return [
        Spell(one.allowance.ceiling, one.begins_at, one.ends_at)
        for one in overrides
        if one.allowance.ceiling is not None
    ]


def _ceiling_now(allowance: Allowance, overrides: list[Override], now: datetime) -> int | None:
    return over_time(allowance.ceiling, ceiling_spells(overrides), now).now
