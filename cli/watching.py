"""Follows one Gpr through its life by asking again: patient with a server that restarts, bounded where it was told to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from uuid import UUID

from cli.client import Away, BerthClient, Gpr
from cli.clock import Clock, looks

AWAY_SECONDS_MAX = 60.0
"""How long a server may be away before watching ends: every restart takes less."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A Gpr as it was last seen. `away` says why this is not what it looks like now."""

    gpr: Gpr
    away: str = ""


@dataclass(slots=True)
class Watch:
    """One Gpr, one watcher."""

    client: BerthClient
    clock: Clock
    gpr_id: UUID
    _last: Sight | None = field(default=None, init=False)
    _away_at: float | None = field(default=None, init=False)

    def sights(self, *, what: str = "its end", seconds_max: float | None = None) -> Iterator[Sight]:
        """One sight for each look, until it has ended or is late; the caller may leave before."""
        for sight in looks(self._look, self.clock, what=what, seconds_max=seconds_max):
            yield sight
            if sight.gpr.ended and not sight.away:
                return

    def _look(self) -> Sight:
        try:
            self._last = Sight(self.client.gpr(self.gpr_id))
            self._away_at = None
        except Away as failure:
            self._last = self._without_answer(failure)
        return self._last

    def _without_answer(self, failure: Away) -> Sight:
        now = self.clock.monotonic()
        self._away_at = self._away_at or now
        if self._last is None or now - self._away_at > AWAY_SECONDS_MAX:
            raise failure
        return replace(self._last, away=failure.message)
