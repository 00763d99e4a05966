"""Idle leases in the ledger: whose rules count, what the readings say, who was warned, who is released.

A decision holds the Gpr's row, as every other one does, and looks at the rules and the newest readings again before it
falls: use in the last moment, an extension, a release and the end of the lease have one order and one outcome.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain.durations import format_duration
from domain.failures import NotFound
from domain.gpr import EndCause, Phase
from domain.idleness import (
    LOOKS_APART_SECONDS_MAX,
    THRESHOLD_PERCENT,
    Finding,
    GpuUse,
    IdleRule,
    Move,
    PodsSeen,
    SetRule,
    Source,
    Step,
    Use,
    Warned,
    judge,
    next_step,
)
from domain.messages import RELEASE_SIGNAL, kick_arbiter, tell_gpr
from ledger import boxes, events, lifecycle, outbox
from ledger.statements import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from ledger.connection import Connection, Row

_SQL = load("idleness")
_GPRS = load("gprs")

ACTOR: Final = "berth: idle"
VOUCHED_SECONDS: Final = 15.0
"""For how long a reading speaks: one and a half times the agents' interval."""
RAW_WINDOW_SECONDS: Final = 7200
"""Longer windows are judged by the minute."""
LEASES_AT_ONCE: Final = 100
"""Asked about in one statement, which has a time-out."""
WARNED_NOTICE: Final = "idle"
WITHDRAWN_NOTICE: Final = "not_idle"
RELEASED_NOTICE: Final = "idle_released"


@dataclass(frozen=True, slots=True)
class Watched:
    """An active lease for which a rule counts."""

    gpr_id: UUID
    workspace_id: UUID
    fence: int
    active_at: datetime
    rules: tuple[IdleRule, ...]
    warned: Warned | None
    pods: PodsSeen | None
    """None: nobody has looked at its pods."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about a lease, and the ids of the messages to deliver after the commit."""

    move: Move
    messages: tuple[int, ...] = ()


async def rules(connection: Connection, workspace_ids: Collection[UUID] | None) -> list[SetRule]:
    """The installation's rule and those of these workspaces, or of all for None."""
    wanted = None if workspace_ids is None else list(workspace_ids)
    return [_set_rule(row, row["workspace"]) for row in await connection.fetch(_SQL["rules"], wanted)]


async def set_rule(
    connection: Connection, workspace_id: UUID | None, rule: IdleRule, actor: str, now: datetime
) -> None:
    """Let a rule count from now on, in place of the one that was."""
    row = (rule.window_seconds, rule.threshold_percent, rule.warning_seconds, rule.enforced, actor, now)
    await connection.execute(_SQL["set_rule"], workspace_id, *row)
    detail = {"window_seconds": rule.window_seconds, "enforced": rule.enforced}
    await events.record(connection, now, "idle_rule_set", workspace_id=workspace_id, actor=actor, detail=detail)


async def delete_rule(
    connection: Connection, workspace_id: UUID | None, workspace: str, actor: str, now: datetime
) -> SetRule:
    """Let a rule count no more; as it was. NotFound if there is none."""
    row = await connection.fetchrow(_SQL["delete_rule"], workspace_id)
    if row is None:
        whose = f"workspace {workspace!r}" if workspace else "the installation"
        raise NotFound(f"{whose} has no idle rule of its own")
    await events.record(connection, now, "idle_rule_deleted", workspace_id=workspace_id, actor=actor)
    return _set_rule(row, workspace)


async def to_settle(connection: Connection, now: datetime) -> list[UUID]:
    """Gprs about which something is to be done now, as far as one look tells."""
    watched = [_watched(row) for row in await connection.fetch(_SQL["watched"])]
    uses = await _uses(connection, watched, now)
    return [one.gpr_id for one in watched if _step(one, uses, now).move is not Move.NOTHING]


async def settle(connection: Connection, gpr_id: UUID, now: datetime) -> Outcome:
    """Do what is to be done about one Gpr, if it still is. Repeating it does nothing more."""
    row = await connection.fetchrow(_GPRS["lock"], gpr_id)
    found = await connection.fetchrow(_SQL["watched_one"], gpr_id)
    if row is None or found is None or Phase(row["phase"]) is not Phase.ACTIVE:
        return Outcome(Move.NOTHING)
    watched = _watched(found)
    step = _step(watched, await _uses(connection, [watched], now), now)
    if step.move is Move.NOTHING:
        return Outcome(Move.NOTHING)
    act = {Move.WARN: _warn, Move.WITHDRAW: _withdraw, Move.RELEASE: _release}[step.move]
    return Outcome(step.move, tuple(await act(connection, watched, step, now)))


async def count_idle(connection: Connection, now: datetime) -> None:
    """Bring up to date how many of its GPUs each active Gpr leaves unused now."""
    await connection.execute(_SQL["count_idle"], now, THRESHOLD_PERCENT, VOUCHED_SECONDS, LOOKS_APART_SECONDS_MAX)


async def forget_warnings(connection: Connection) -> None:
    """Drop the warnings of leases that have ended."""
    await connection.execute(_SQL["forget_warnings"])


async def tell(connection: Connection, gpr_id: UUID, kind: str, message: str, now: datetime) -> list[int]:
    """Write a notice that counts as told now; a box is told at once. The ids of the messages to deliver."""
    await connection.execute(_SQL["tell"], gpr_id, kind, now, message)
    await events.record(connection, now, "noticed", gpr_id=gpr_id, detail={"kind": kind})
    return await boxes.tell(connection, gpr_id)


async def _warn(connection: Connection, watched: Watched, step: Step, now: datetime) -> list[int]:
    await connection.execute(_SQL["warn"], watched.fence, watched.gpr_id, now, step.release_at)
    why = spoken(step.finding)
    detail = {"why": why, "release_at": step.release_at.isoformat() if step.release_at else None}
    await events.record(
        connection, now, "idle_warned", gpr_id=watched.gpr_id, fence=watched.fence, actor=ACTOR, detail=detail
    )
    follows = (
        f"it is released at {step.release_at:%Y-%m-%d %H:%M:%S} UTC unless they are used before"
        if step.release_at
        else "it goes on; release it if nobody needs it"
    )
    return await tell(connection, watched.gpr_id, WARNED_NOTICE, f"{why}: {follows}", now)


async def _withdraw(connection: Connection, watched: Watched, _: Step, now: datetime) -> list[int]:
    await connection.execute(_SQL["withdraw"], watched.fence)
    await events.record(connection, now, "idle_withdrawn", gpr_id=watched.gpr_id, fence=watched.fence, actor=ACTOR)
    message = "the warning of idle GPUs is withdrawn: they are not known to be idle any more"
    return await tell(connection, watched.gpr_id, WITHDRAWN_NOTICE, message, now)


async def _release(connection: Connection, watched: Watched, step: Step, now: datetime) -> list[int]:
    why = spoken(step.finding)
    message = f"{why}, also after the warning: the lease ends now"
    told = await tell(connection, watched.gpr_id, RELEASED_NOTICE, message, now)
    after = await lifecycle.begin_release(connection, watched.gpr_id, EndCause.IDLE, now, failure=why)
    await connection.execute(_SQL["withdraw"], watched.fence)
    return [*told, *await outbox.put_all(connection, [tell_gpr(RELEASE_SIGNAL, after), kick_arbiter()])]


def spoken(finding: Finding | None) -> str:
    """What was found, in a sentence for people."""
    assert finding is not None
    rule = finding.rule
    window = format_duration(rule.window_seconds)
    if finding.use is Use.NO_POD:
        return f"nobody uses it: no pod was on its GPUs for {window}"
    if finding.use is Use.UNTOUCHED:
        return f"its GPUs had no process for {window}"
    return f"its GPUs were idle for {window} (never above {rule.threshold_percent} %, and no more memory taken)"


Uses = dict[tuple[int, int], list[GpuUse]]
"""By fence and window."""


def _step(watched: Watched, uses: Mapping[tuple[int, int], Sequence[GpuUse]], now: datetime) -> Step:
    findings = [
        judge(rule, uses.get((watched.fence, rule.window_seconds), ()), watched.active_at, now, watched.pods)
        for rule in watched.rules
    ]
    return next_step(findings, watched.warned, now)


async def _uses(connection: Connection, watched: Sequence[Watched], now: datetime) -> Uses:
    asked = sorted({(one.fence, rule.window_seconds) for one in watched for rule in one.rules})
    found: Uses = defaultdict(list)
    for statement, part in (
        ("use", [pair for pair in asked if pair[1] <= RAW_WINDOW_SECONDS]),
        ("long_use", [pair for pair in asked if pair[1] > RAW_WINDOW_SECONDS]),
    ):
        for first in range(0, len(part), LEASES_AT_ONCE):
            fences, windows = zip(*part[first : first + LEASES_AT_ONCE], strict=True)
            for row in await connection.fetch(_SQL[statement], fences, windows, now, VOUCHED_SECONDS):
                found[row["fence"], row["window_seconds"]].append(_use(row))
    return found


def _use(row: Row) -> GpuUse:
    return GpuUse(
        node=row["node"],
        ordinal=row["ordinal"],
        covered_seconds=row["covered_seconds"],
        newest_at=row["newest_at"],
        utilisation_max=row["utilisation_max"],
        memory_growth_mib=row["memory_growth_mib"],
        processes_max=row["processes_max"],
    )


def _watched(row: Row) -> Watched:
    own = [IdleRule(Source.OWNER, row["own_window_seconds"], row["own_enforced"])] if row["own_window_seconds"] else []
    source = Source.INSTALLATION if row["rule_workspace_id"] is None else Source.WORKSPACE
    theirs = [_rule(row, source)] if row["window_seconds"] else []
    return Watched(
        gpr_id=row["gpr_id"],
        workspace_id=row["workspace_id"],
        fence=row["fence"],
        active_at=row["active_at"],
        rules=(*theirs, *own),
        warned=Warned(row["warned_at"], row["release_at"]) if row["warned_at"] else None,
        pods=PodsSeen(row["empty_since"], row["looked_at"]) if row["looked_at"] else None,
    )


def _rule(row: Row, source: Source) -> IdleRule:
    return IdleRule(source, row["window_seconds"], row["enforced"], row["threshold_percent"], row["warning_seconds"])


def _set_rule(row: Row, workspace: str) -> SetRule:
    source = Source.INSTALLATION if row["workspace_id"] is None else Source.WORKSPACE
    return SetRule(_rule(row, source), row["workspace_id"], workspace, row["set_by"], row["set_at"])
