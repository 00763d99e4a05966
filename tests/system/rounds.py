"""One part of the stack killed with SIGKILL under a population of Gprs, started again, and how the work went on.

A round writes down what was wrong instead of stopping at it, so that one bad round does not hide the others.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cli.stack.parts import PartState
from domain.gpr import TERMINAL, EndCause, Phase
from tests.system import population as roles
from tests.system.egs import NoAnswer, Refusal
from tests.system.freedom import left_in_ledger, left_in_namespaces, left_of_jobs, left_on_nodes, until
from tests.system.job_population import ENDS, RUNNING, RUNS, STOPS, WAITS
from tests.system.knocking import NO_ANSWER, Knocking
from tests.system.population import CLUSTER, FAR, FRESH, HELD, LEAVING, MEANWHILE, PASSING, QUEUED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.client import Gpr
    from tests.system.installation import Installation
    from tests.system.population import Population

API: Final = "api"
API_SERVER: Final = f"{CLUSTER}.kube-apiserver"
PARTS: Final = ("core", f"cluster-{CLUSTER}", API, "relay", "temporal", "postgres", API_SERVER)
EVERYTHING: Final = "everything"
"""All processes of the stack, as when the machine goes down; `berth up` brings them back."""
PROGRESS_SECONDS_MAX: Final = 15.0
"""From a part's return, or from when the thing was due, until it has happened."""
PATIENCE_SECONDS: Final = 60.0
"""How long a round waits for what is late already, to say how late."""
REST_SECONDS_MAX: Final = 60.0
LOOK_SECONDS: Final = 0.25
KNOCK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Kill:
    """Which part, how long after the last submissions, and for how long it stays away before it is started again."""

    part: str
    after_seconds: float = 0.3
    away_seconds: float = 3.0


@dataclass(slots=True)
class Round:
    """What happened."""

    kill: Kill
    killed_at: datetime
    back_at: datetime
    told: str
    progress: dict[str, float] = field(default_factory=dict)
    """Seconds from the part's return, or from when it was due, until each Gpr had gone on."""
    complaints: list[str] = field(default_factory=list)

    @property
    def away_seconds(self) -> float:
        return (self.back_at - self.killed_at).total_seconds()

    @property
    def slowest(self) -> float:
        return max(self.progress.values(), default=0.0)


def play(installation: Installation, population: Population, kill: Kill) -> Round:
    """One round, from a full population to nothing."""
    population.fill()
    population.pass_through()
    time.sleep(kill.after_seconds)
    knocking, killed_at = Knocking(population), datetime.now(UTC)
    _kill(installation, kill.part)
    far = _while_away(population, knocking, kill)
    _start(installation, kill.part)
    done = Round(kill, killed_at, datetime.now(UTC), knocking.told)
    done.complaints += [*_dishonest(knocking, kill), *far]
    _go_on(population)
    _watch(population, done)
    _rest(installation, population, done)
    return done


def _kill(installation: Installation, part: str) -> None:
    names = [each.name for each in installation.stack.parts()] if part == EVERYTHING else [part]
    for name in names:
        installation.stack.kill(name)


def _start(installation: Installation, part: str) -> None:
    if part == EVERYTHING:
        installation.stack.up()
    else:
        installation.stack.start(part)


def _while_away(population: Population, knocking: Knocking, kill: Kill) -> list[str]:
    """Knock all the time; a cluster that is away stops only itself."""
    until_at = time.monotonic() + kill.away_seconds
    far = _far_goes_on(population) if kill.part == API_SERVER else []
    knocking.knock()
    while time.monotonic() < until_at:
        time.sleep(KNOCK_SECONDS)
        knocking.knock()
    return far


def _far_goes_on(population: Population) -> list[str]:
    gpr_id = population.submit(FAR)
    native = population.installation.native
    try:
        until(lambda: native.gpr(gpr_id).phase is Phase.ACTIVE, f"{FAR} active", PROGRESS_SECONDS_MAX)
    except AssertionError as late:
        return [f"while {API_SERVER} was away: {late}"]
    return []


def _dishonest(knocking: Knocking, kill: Kill) -> list[str]:
    silent = [
        what
        for what, answers in knocking.answers.items()
        if NO_ANSWER in answers and kill.part not in {API, EVERYTHING}
    ]
    return [*knocking.dishonest, *(f"{what} was not answered" for what in silent)]


def _go_on(population: Population) -> None:
    """Submit anew, repeat what was asked meanwhile, and take away what keeps the others."""
    held = population.ids[HELD]
    _insist(lambda: population.submit(FRESH), FRESH)
    _insist(lambda: population.submit(MEANWHILE), MEANWHILE)
    _insist(lambda: population.installation.egs.release_early(held), HELD)
    _insist(lambda: population.jobs.gpuctl.delete(population.jobs.names[RUNS]), RUNS)
    population.let_go()


def _insist(wish: Callable[[], object], role: str) -> None:
    """As a client does that is told 503, or nothing at all, for a moment."""
    until(lambda: _accepted(wish), f"the acceptance of what is asked for {role}", PROGRESS_SECONDS_MAX)


def _accepted(wish: Callable[[], object]) -> bool:
    try:
        wish()
    except (NoAnswer, Refusal):
        return False
    return True


# --- how each goes on -------------------------------------------------------------------------------------------------

GOES_ON: Final[dict[str, Callable[[Gpr], bool]]] = {
    FRESH: lambda gpr: gpr.phase is Phase.ACTIVE,
    MEANWHILE: lambda gpr: gpr.phase is Phase.ACTIVE,
    HELD: lambda gpr: gpr.phase is Phase.RELEASED,
    QUEUED: lambda gpr: gpr.phase is Phase.ACTIVE,
    STOPPED: lambda gpr: gpr.phase is Phase.ACTIVE,
    LEAVING: lambda gpr: gpr.phase is Phase.RELEASED,
    **dict.fromkeys(PASSING, lambda gpr: gpr.phase is Phase.EXPIRED),
    RUNS: lambda gpr: gpr.phase is Phase.RELEASED,
    ENDS: lambda gpr: (gpr.phase, gpr.end_cause) == (Phase.RELEASED, EndCause.COMPLETED),
    STOPS: lambda gpr: gpr.phase is Phase.RELEASED,
    WAITS: lambda gpr: gpr.phase is Phase.ACTIVE,
}


def _watch(population: Population, done: Round) -> None:
    """Note when each has gone on; say what is late, lost or somewhere else."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while (missing := GOES_ON.keys() - done.progress.keys()) and time.monotonic() < give_up_at:
        seen = population.seen()
        for role in missing & seen.keys():
            if GOES_ON[role](seen[role]):
                done.progress[role] = (datetime.now(UTC) - _due(seen[role], done.back_at)).total_seconds()
        time.sleep(LOOK_SECONDS)
    for role in sorted(GOES_ON.keys() - done.progress.keys()):
        gpr = population.seen().get(role)
        done.complaints.append(f"{role} is lost" if gpr is None else f"{role} is still {gpr.phase} {gpr.failure}")
    late = {role: seconds for role, seconds in done.progress.items() if seconds > PROGRESS_SECONDS_MAX}
    done.complaints += [f"{role} went on only {seconds:.1f} s later" for role, seconds in sorted(late.items())]
    done.complaints += _idle_jobs(population)


def _idle_jobs(population: Population) -> list[str]:
    """Pods are made by Kubernetes' own controllers, which take their time."""
    try:
        population.jobs.await_status(WAITS, RUNNING)
    except AssertionError as idle:
        return [str(idle)]
    return []


def _due(gpr: Gpr, back_at: datetime) -> datetime:
    """From when on it could go on: an expiry waits for the end of its lease."""
    passes = gpr.phase is Phase.EXPIRED and gpr.end_at is not None
    return max(back_at, gpr.end_at) if passes and gpr.end_at else back_at


def _rest(installation: Installation, population: Population, done: Round) -> None:
    """End all of it; then nothing may be left, and nothing may have been lost."""
    population.release_all()
    try:
        until(lambda: not left_in_ledger(installation), "an empty ledger", REST_SECONDS_MAX)
    except AssertionError:
        done.complaints += left_in_ledger(installation)
    done.complaints += left_on_nodes(installation)
    done.complaints += left_in_namespaces(installation, roles.NAMESPACES)
    done.complaints += left_of_jobs(installation)
    done.complaints += dead_parts(installation)
    alive = {role: gpr.phase for role, gpr in population.seen().items() if gpr.phase not in TERMINAL}
    done.complaints += [f"{role} rests as {phase}" for role, phase in alive.items()]


def dead_parts(installation: Installation) -> list[str]:
    """Parts that ended although nobody killed them; they are started again, for the sake of the next round."""
    dead = [part.name for part in installation.stack.parts() if part.state is not PartState.RUNNING]
    for part in dead:
        installation.stack.start(part)
    return [f"{part} ended by itself" for part in dead]
