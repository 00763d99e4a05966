"""Random parts of a stack are killed with SIGKILL and come back, one after the other, while somebody else does the work."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tests.system.book_rules import Outage, Outages
from tests.system.obstacles import Gate
from tests.system.population import CLUSTER, GATED_NODE
from tests.system.rounds import EVERYTHING, PARTS, dead_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from tests.system.installation import Installation

GATE: Final = "gate"
"""Not a kill: a webhook that does not answer stands before a node for a while."""
QUIET_SECONDS_RANGE: Final = (3.0, 12.0)
AWAY_SECONDS_RANGE: Final = (0.2, 6.0)
LATE_MAX: Final = timedelta(seconds=5)
"""Parts that start again, and everybody who comes back to them, take the processors from the others."""
SHUT_SECONDS_RANGE: Final = (3.0, 10.0)
USUAL: Final = (
    *PARTS,
    "cluster-worker-2",
    "worker-2.kube-apiserver",
    "worker-1.kube-scheduler",
    "worker-1.kwok",
    "worker-1.snapshot-controller",
    GATE,
)


@dataclass(slots=True)
class Disturbances:
    """What was done to a stack, and what ended without our doing."""

    installation: Installation
    random: Random
    say: Callable[[str], None]
    outages: list[Outage] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go_on(self, seconds: float, *, with_everything: bool, least: int = 0) -> None:
        """Disturb for so long, and at `least` so often, where it takes that long; at the end all parts run."""
        over_at = time.monotonic() + seconds
        deck: list[str] = []
        while time.monotonic() < over_at or len(self.done) < least:
            time.sleep(self.random.uniform(*QUIET_SECONDS_RANGE))
            deck = deck or self._shuffled(with_everything=with_everything)
            if time.monotonic() < over_at or len(self.done) < least:
                self._disturb(deck.pop())
        self.complaints += dead_parts(self.installation)

    def known(self, others: Iterable[Outage] = ()) -> Outages:
        """The outages, for the judge, with those that were not our doing."""
        return Outages([*self.outages, *others], LATE_MAX)

    def _shuffled(self, *, with_everything: bool) -> list[str]:
        """Each once before any comes again."""
        parts = [*USUAL, *([EVERYTHING] if with_everything else [])]
        return self.random.sample(parts, len(parts))

    def _disturb(self, part: str) -> None:
        began = datetime.now(UTC)
        if part == GATE:
            self._shut_gate()
        else:
            self._kill(part)
        self.done.append(part)
        self.say(f"{began:%H:%M:%S} {part} away for {(datetime.now(UTC) - began).total_seconds():.1f} s")

    def _kill(self, part: str) -> None:
        """The complaint about what ended by itself comes first: afterwards nobody could tell."""
        stack = self.installation.stack
        self.complaints += dead_parts(self.installation)
        names = [each.name for each in stack.parts()] if part == EVERYTHING else [part]
        began = datetime.now(UTC)
        for name in names:
            stack.kill(name)
        time.sleep(self.random.uniform(*AWAY_SECONDS_RANGE))
        if part == EVERYTHING:
            stack.up()
        else:
            stack.start(part)
        self.outages += [Outage(name, began, datetime.now(UTC)) for name in names]

    def _shut_gate(self) -> None:
        gate = Gate(self.installation.cluster(CLUSTER), GATED_NODE)
        gate.shut()
        try:
            time.sleep(self.random.uniform(*SHUT_SECONDS_RANGE))
        finally:
            gate.open()
