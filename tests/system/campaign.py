"""Many kills one after the other, watched from outside, and the verdict at the end: nothing lost, held twice or left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.system import rounds
from tests.system.freedom import until, workspace_namespaces
from tests.system.history import EVENTS, double_grants, writes_beside_leases
from tests.system.job_population import JOB_ROLES
from tests.system.population import FRESH, HELD, LEAVING, MEANWHILE, PASSING, QUEUED, STOPPED, Population
from tests.system.rounds import EVERYTHING, PARTS, Kill, Round
from tests.system.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from tests.system.installation import Installation

AWAY_SECONDS_RANGE: Final = (0.5, 20.0)
AFTER_SECONDS_RANGE: Final = (0.0, 2.5)
"""From the last submissions to the kill: long enough that it finds them in every step."""
CLOSED_SECONDS_MAX: Final = 30.0
CEILING: Final = "set the ceiling"
"""So a new quota comes to its cluster: nothing was left by anybody."""
STRAY: Final = "deleted pod"
"""Bound by a scheduler that was cut off from its cluster (`trail_rules.py`)."""

COLUMNS: Final = (FRESH, MEANWHILE, HELD, QUEUED, STOPPED, LEAVING, *PASSING, *JOB_ROLES)
HEAD: Final = (
    f"{'part':<24}{'killed at':>10}{'away s':>8}"
    + "".join(f"{column:>11}" for column in COLUMNS)
    + f"{'slowest':>9}  while it was away"
)
TELLS: Final = "seconds from the part's return (or from when it was due) until each had gone on:"


@dataclass(slots=True)
class Campaign:
    """What happened in all rounds, and what the books say afterwards."""

    played: list[Round] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Accepted by the API, and not in the ledger as ended; or there twice."""
    held_twice: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    looks: dict[str, int] = field(default_factory=dict)

    @property
    def complaints(self) -> list[str]:
        """Everything that was wrong."""
        by_round = [f"{done.kill.part}: {one}" for done in self.played for one in done.complaints]
        return [*by_round, *self.lost, *self.held_twice, *self.left]


def each_once() -> list[Kill]:
    """Every part, in order."""
    return [Kill(part) for part in PARTS]


def at_random(random: Random, times: int, parts: Iterable[str] = (*PARTS, EVERYTHING)) -> list[Kill]:
    """Every part so many times, each time in another order, at another moment, for another while."""
    turns = [random.sample(list(parts), len(list(parts))) for _ in range(times)]
    return [
        Kill(part, random.uniform(*AFTER_SECONDS_RANGE), random.uniform(*AWAY_SECONDS_RANGE))
        for turn in turns
        for part in turn
    ]


def wage(installation: Installation, kills: Iterable[Kill], say: Callable[[str], None]) -> Campaign:
    """Play all rounds, telling each as it ends, and read the books."""
    campaign, population = Campaign(), Population(installation)
    population.settle_in()
    say(TELLS)
    say(HEAD)
    with Witness(installation) as witness:
        for kill in kills:
            done = _played(installation, population, kill)
            campaign.played.append(done)
            for line in (line_of(done), *(f"    ! {one}" for one in done.complaints)):
                say(line)
    campaign.looks = dict(witness.looks)
    campaign.held_twice = [*witness.complaints, *double_grants(installation.tables.rows(EVENTS))]
    campaign.lost = [*_lost(installation, population), *unfinished(installation)]
    population.move_out()
    campaign.left = [*workspace_namespaces(installation), *writes_beside_leases(installation), *_drift(installation)]
    return campaign


def _played(installation: Installation, population: Population, kill: Kill) -> Round:
    try:
        return rounds.play(installation, population, kill)
    except AssertionError as error:
        error.add_note(f"{kill.part}: {population.described()}")
        raise


def line_of(done: Round) -> str:
    """One line of the table."""
    cells = "".join(f"{done.progress[role]:>11.1f}" if role in done.progress else f"{'never':>11}" for role in COLUMNS)
    head = f"{done.kill.part:<24}{done.killed_at:%H:%M:%S}{'':>2}{done.away_seconds:>8.1f}"
    return f"{head}{cells}{done.slowest:>9.1f}  {done.told}"


def _lost(installation: Installation, population: Population) -> list[str]:
    found = installation.tables.rows(f"select external_id, name, phase from gpr where name like '%-{population.run}-%'")
    phases = {row["external_id"]: row["phase"] for row in found}
    names = [row["name"] for row in found]
    missing = [f"{gpr_id} was accepted and is nowhere" for gpr_id in population.known if gpr_id not in phases]
    twice = [f"{name} is there {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1]
    failed = [f"{row['name']} failed" for row in found if row["phase"] == "failed"]
    return [*missing, *twice, *failed]


def unfinished(installation: Installation) -> list[str]:
    """Lifecycles that Temporal's own list does not show as completed."""
    window, query = installation.window, "BerthKind in ('gpr', 'job') and ExecutionStatus != 'Completed'"
    try:
        until(lambda: not window.listed(query), "the end of all lifecycles", CLOSED_SECONDS_MAX)
    except AssertionError:
        return [f"{one.workflow_id} is {one.status} in Temporal" for one in window.listed(query)]
    return []


def _drift(installation: Installation) -> list[str]:
    """What the reconciler had to mend had been left by somebody."""
    events = installation.tables.rows("select at, detail from event where kind = 'drift_mended' order by id")
    mended = [(event["at"], one) for event in events for one in event["detail"]["mended"]]
    return [f"{at} mended: {one}" for at, one in mended if not one.startswith((CEILING, STRAY))]
