"""When GPUs count as idle, and what follows. Pure: readings in, a step out.

A lease is idle by a rule if for the whole window none of its GPUs did more than the threshold, none took more memory, and
there are readings for nearly all of that time; or if for the whole window no pod was on it, and no reading says otherwise.
What was not seen is not idle. First its people are warned; whoever uses the GPUs again has objected, and nothing more follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

THRESHOLD_PERCENT: Final = 2
"""Of utilisation: the share of a reading's time in which any kernel ran."""
COVERAGE_MIN: Final = 0.9
"""Of the window, with readings."""
FRESH_SECONDS: Final = 60
"""How old the newest reading may be: between it and now anything may have happened."""
LOOKS_APART_SECONDS_MAX: Final = 150.0
"""Between two looks at the pods of a lease, and from the last one to now: they come every minute, and one may fail."""
MEMORY_NOISE_MIB: Final = 16
"""Growth that drivers cause by themselves."""
WINDOW_SECONDS_MIN: Final = 30
"""Agents send every 30 s unless they are told otherwise: windows under five minutes are then rarely covered."""
WINDOW_SECONDS_MAX: Final = 6 * 86_400
"""Minutes are kept for a week."""
WARNING_SECONDS: Final = 300
"""From the warning to the release, where no rule says otherwise."""


class Source(StrEnum):
    """Whose rule it is."""

    INSTALLATION = "installation"
    WORKSPACE = "workspace"
    OWNER = "owner"


@dataclass(frozen=True, slots=True)
class IdleRule:
    """Idle for so long at no more than so much; not enforced: people are told, and nothing ends."""

    source: Source
    window_seconds: int
    enforced: bool
    threshold_percent: int = THRESHOLD_PERCENT
    warning_seconds: int = WARNING_SECONDS


@dataclass(frozen=True, slots=True)
class SetRule:
    """A rule of an administrator, for one workspace or, without one, for all that have none of their own."""

    rule: IdleRule
    workspace_id: UUID | None
    workspace: str
    set_by: str
    set_at: datetime


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What was seen of one GPU within a window; None: nothing could be read."""

    node: str
    ordinal: int
    covered_seconds: float = 0.0
    """Of the window, with readings of both utilisation and memory."""
    newest_at: datetime | None = None
    utilisation_max: int | None = None
    memory_growth_mib: int | None = None
    processes_max: int | None = None


@dataclass(frozen=True, slots=True)
class PodsSeen:
    """What looks at the pods of a lease have shown, each soon after the one before."""

    empty_since: datetime
    """From then until the last look no pod was on it; as late as that look where one was."""
    looked_at: datetime


class Use(StrEnum):
    """What is known of a window."""

    IN_USE = "in_use"
    UNKNOWN = "unknown"
    """Too little was seen, or the lease is younger than the window."""
    IDLE = "idle"
    UNTOUCHED = "untouched"
    """Idle, and there was not even a process on any of its GPUs."""
    NO_POD = "no_pod"
    """Nobody ran a pod on it, whatever is or is not known of its GPUs."""


IS_IDLE: Final = frozenset({Use.IDLE, Use.UNTOUCHED, Use.NO_POD})


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule makes of a lease."""

    rule: IdleRule
    use: Use
    known_to: datetime | None = None
    """Up to when that is known; None: up to now."""


@dataclass(frozen=True, slots=True)
class Warned:
    """Its people have been warned. `release_at` None: nobody ends it."""

    warned_at: datetime
    release_at: datetime | None


class Move(StrEnum):
    """What is to be done about a lease."""

    NOTHING = "nothing"
    WARN = "warn"
    """Also again, when a release has been decided on, or is off, since the last warning."""
    WITHDRAW = "withdraw"
    """It is not idle any more, or nobody knows."""
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Step:
    """A move, and why: the finding that it rests on."""

    move: Move
    release_at: datetime | None = None
    finding: Finding | None = None


def judge(
    rule: IdleRule, uses: Sequence[GpuUse], active_at: datetime, now: datetime, pods: PodsSeen | None = None
) -> Finding:
    """What is known of all GPUs of a lease, and of its pods, by a rule's window and threshold. `pods` None: nobody looked."""
    if any(_was_used(use, rule) for use in uses):
        return Finding(rule, Use.IN_USE)
    if pods is not None and _was_empty(pods, rule, active_at, now):
        return Finding(rule, Use.NO_POD, pods.looked_at)
    is_old_enough = active_at + timedelta(seconds=rule.window_seconds) <= now
    if not uses or not is_old_enough or not all(_was_seen(use, rule, now) for use in uses):
        return Finding(rule, Use.UNKNOWN)
    return Finding(rule, Use.UNTOUCHED if all(use.processes_max == 0 for use in uses) else Use.IDLE)


def next_step(findings: Sequence[Finding], warned: Warned | None, now: datetime) -> Step:
    """What follows from the findings of all rules that count for a lease. Each rule counts by itself: the strictest wins."""
    idle = [finding for finding in findings if finding.use in IS_IDLE]
    if not idle:
        return Step(Move.WITHDRAW if warned else Move.NOTHING)
    enforcing = [finding for finding in idle if finding.rule.enforced]
    if not enforcing:
        news = warned is None or warned.release_at is not None
        return Step(Move.WARN if news else Move.NOTHING, None, idle[0])
    if warned is None or warned.release_at is None:
        first = min(enforcing, key=lambda finding: finding.rule.warning_seconds)
        return Step(Move.WARN, now + timedelta(seconds=first.rule.warning_seconds), first)
    if now < warned.release_at:
        return Step(Move.NOTHING)
    sure = [finding for finding in enforcing if _covers(finding, warned.release_at)]
    return Step(Move.RELEASE, warned.release_at, sure[0]) if sure else Step(Move.NOTHING)


def _covers(finding: Finding, release_at: datetime) -> bool:
    """A pod may have come since the last look: nothing ends before a look that is as late as it was warned of."""
    return finding.known_to is None or finding.known_to >= release_at


def _was_used(use: GpuUse, rule: IdleRule) -> bool:
    busy = use.utilisation_max is not None and use.utilisation_max > rule.threshold_percent
    return busy or (use.memory_growth_mib is not None and use.memory_growth_mib > MEMORY_NOISE_MIB)


def _was_empty(pods: PodsSeen, rule: IdleRule, active_at: datetime, now: datetime) -> bool:
    known = pods.looked_at - max(pods.empty_since, active_at)
    is_fresh = now - pods.looked_at <= timedelta(seconds=LOOKS_APART_SECONDS_MAX)
    return is_fresh and known >= timedelta(seconds=rule.window_seconds)


def _was_seen(use: GpuUse, rule: IdleRule, now: datetime) -> bool:
    covered = use.covered_seconds >= COVERAGE_MIN * rule.window_seconds
    return covered and use.newest_at is not None and now - use.newest_at <= timedelta(seconds=FRESH_SECONDS)
