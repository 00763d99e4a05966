"""`python -m tests.system.soak --minutes 10 --seed 7`: every EGS call in a random mix, by several tenants, under random kills.

Beside them somebody works with jobs, which end, fail, are suspended, resumed and deleted, and somebody plans ahead: has starts
promised, and reserves.

A stack of its own is disturbed all the time. When all has come to rest, everything that anybody was told is held against the
ledger's history, and that history and the clusters' audit logs against the rules. The exit code is 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

from cli.client import ApiFailure
from domain.gpr import TERMINAL, Phase
from tests.system.campaign import STRAY, unfinished
from tests.system.checker import Records, complaints_about
from tests.system.disturbances import Disturbances
from tests.system.egs import Egs, NoAnswer, Refusal
from tests.system.fates import let_fates_count
from tests.system.freedom import left_in_ledger, left_of_jobs, left_on_nodes, until, workspace_namespaces
from tests.system.installation import running_installation
from tests.system.job_person import JobPerson
from tests.system.knocking import NO_ANSWER
from tests.system.population import A100, H100
from tests.system.stories import told
from tests.system.strain import strain
from tests.system.tenants import Tenant
from tests.system.time_person import TimePerson
from tests.system.town import Operator, Town
from tests.system.users import Replies
from tests.system.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.book_rules import Outage
    from tests.system.installation import Installation
    from tests.system.stories import Lease

Json = dict[str, Any]

TENANTS: Final = 5
REST_SECONDS_MAX: Final = 180.0
NODES_SECONDS_MAX: Final = 60.0
BACK_MAX: Final = timedelta(seconds=20)
"""From the return of a part until nobody may be told any more that it is away."""
EARLY: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Verdict:
    """What happened, and what was wrong with it."""

    replies: Replies = field(default_factory=Replies)
    disturbed: Counter[str] = field(default_factory=Counter)
    looks: Counter[str] = field(default_factory=Counter)
    events: list[Json] = field(default_factory=list)
    writes: int = 0
    strained: list[Outage] = field(default_factory=list)
    """When Temporal could not keep up, by its own log."""
    untrue: list[str] = field(default_factory=list)
    """Answers that were not so, or that nobody should get."""
    broken: list[str] = field(default_factory=list)
    """Rules of the checker."""
    left: list[str] = field(default_factory=list)
    """Behind, or undone, or ended by itself."""

    @property
    def complaints(self) -> list[str]:
        """Everything that was wrong."""
        return [*self.untrue, *self.broken, *self.left]

    @property
    def leases(self) -> list[Lease]:
        """All that were granted."""
        return list(told(self.events).leases.values())


class Soak:
    """Once through it, on a stack that is at rest."""

    def __init__(self, installation: Installation, seed: int, say: Callable[[str], None]) -> None:
        self._installation = installation
        self._seed = seed
        self._say = say
        self._run = f"soak-{token_hex(3)}"
        self._town = Town()
        self._verdict = Verdict()

    def go_through(self, seconds: float, *, with_everything: bool = False, kills_least: int = 0) -> Verdict:
        """Disturb people at their work for so long, let all come to rest, and judge."""
        verdict, installation = self._verdict, self._installation
        self._await_nodes()
        for cluster in installation.clusters():
            let_fates_count(cluster)
        records = Records(installation, datetime.now(UTC))
        disturbances = Disturbances(installation, Random(f"{self._seed}/disturbances"), self._say)
        with Witness(installation) as witness:
            self._work(lambda: disturbances.go_on(seconds, with_everything=with_everything, least=kills_least))
            self._say("everybody goes home; what is held is released")
            self._rest()
        verdict.strained = strain(installation.stack.roster.log("temporal").read_text(errors="replace").splitlines())
        verdict.events, writes, known = records.events(), records.writes(), disturbances.known(verdict.strained)
        verdict.writes, verdict.looks = len(writes), witness.looks
        verdict.disturbed = Counter(disturbances.done)
        away = [one for one in verdict.replies.away if not _was_away(one[0], disturbances)]
        verdict.untrue = [
            *verdict.replies.strange,
            *(f"{at:%H:%M:%S} {what}, and nothing was away" for at, what in away),
            *verdict.replies.claims.untrue(told(verdict.events).stories.values()),
        ]
        verdict.broken = [*witness.complaints, *complaints_about(verdict.events, writes, known)]
        verdict.left += [*disturbances.complaints, *_mended(verdict.events)]
        return verdict

    def _await_nodes(self) -> None:
        until(self._knows_nodes, "the nodes", NODES_SECONDS_MAX)

    def _knows_nodes(self) -> bool:
        return {H100, A100} <= {one["gpuModelName"] for one in self._installation.egs.inventory()}

    def _work(self, meanwhile: Callable[[], None]) -> None:
        installation, over, url = self._installation, threading.Event(), self._installation.url
        tenants = [self._tenant(f"{self._run}-{number}") for number in range(TENANTS)]
        operator_egs = Egs(url, installation.key)
        operator = Operator(operator_egs, self._verdict.replies, self._town, Random(f"{self._seed}/operator"))
        job_person = self._job_person(f"{self._run}-jobs")
        time_person = self._time_person(f"{self._run}-time")
        with ThreadPoolExecutor(len(tenants) + 3) as threads:
            lives = [threads.submit(tenant.live, over, url, installation.folder) for tenant in tenants]
            lives += [threads.submit(one.live, over) for one in (operator, job_person, time_person)]
            try:
                meanwhile()
            finally:
                over.set()
        for life in lives:
            life.result()

    def _tenant(self, name: str) -> Tenant:
        key = self._installation.egs.create_key(name, userName=name)
        egs = Egs(self._installation.url, key)
        return Tenant(name, egs, self._verdict.replies, self._town, Random(f"{self._seed}/{name[-1]}"))

    def _job_person(self, name: str) -> JobPerson:
        key, url = self._installation.egs.create_key(name, userName=name), self._installation.url
        random = Random(f"{self._seed}/jobs")
        return JobPerson(name, Egs(url, key), url, key, self._verdict.replies, random)

    def _time_person(self, name: str) -> TimePerson:
        key, url = self._installation.egs.create_key(name, userName=name), self._installation.url
        return TimePerson(name, Egs(url, key), url, key, self._verdict.replies, Random(f"{self._seed}/time"))

    def _rest(self) -> None:
        """End what lives, delete the workspaces, and see that nothing is left; what is, is a complaint."""
        installation, left = self._installation, self._verdict.left
        for claim, what in (
            (self._is_released, "an empty ledger"),
            (self._is_deserted, "the end of the workspaces"),
        ):
            try:
                until(claim, what, REST_SECONDS_MAX)
            except AssertionError as late:
                left.append(str(late))
        left += [*left_in_ledger(installation), *left_on_nodes(installation), *unfinished(installation)]
        left += left_of_jobs(installation)
        left += [one for one in workspace_namespaces(installation) if self._run in one]

    def _is_released(self) -> bool:
        native = self._installation.native
        live = [phase for phase in Phase if phase not in TERMINAL and phase is not Phase.RELEASING]
        try:
            for gpr in native.gprs(phases=live):
                native.release(gpr.external_id)
        except ApiFailure:
            return False
        return not left_in_ledger(self._installation)

    def _is_deserted(self) -> bool:
        egs = self._installation.egs
        try:
            ours = [name for name in egs.workspaces() if name.startswith(self._run)]
            for name in ours:
                egs.delete_workspace(name)
        except (NoAnswer, Refusal):
            return False
        return not ours


def _was_away(at: datetime, disturbances: Disturbances) -> bool:
    return any(one.began - EARLY <= at <= one.ended + BACK_MAX for one in disturbances.outages)


def _mended(events: list[Json]) -> list[str]:
    """What the reconciler had to mend had been left by somebody."""
    drifts = [event for event in events if event["kind"] == "drift_mended"]
    mended = [(event["at"], one) for event in drifts for one in event["detail"]["mended"]]
    return [f"{at} mended: {one}" for at, one in mended if not one.startswith(STRAY)]


# --- what is said of it -----------------------------------------------------------------------------------------------


def figures(verdict: Verdict, seconds: float) -> list[str]:
    """The run in a few lines, and each question with how often it was answered how."""
    leases, counts = verdict.leases, verdict.replies.counts
    causes = Counter(lease.cause for lease in leases)
    late = sorted(
        (lease.releasing_at - lease.ends[-1]).total_seconds()
        for lease in leases
        if lease.cause == "expired" and lease.releasing_at
    )
    by_question: dict[str, Counter[int]] = {}
    for (what, status), count in counts.items():
        by_question.setdefault("bad input" if what.startswith("bad ") else what, Counter())[status] += count
    replies = verdict.replies
    strained = sum((one.ended - one.began).total_seconds() for one in verdict.strained)
    asked = f"{sum(counts.values())} questions in {seconds:.0f} s, {len(replies.claims.claims)} claims"
    late_words = f"latest {late[-1]:.2f} s, median {late[len(late) // 2]:.2f} s" if late else "none"
    return [
        f"{asked} about {len(replies.claims.submitted)} Gprs; {len(leases)} leases, ended by {dict(causes)}",
        f"{len(verdict.events)} events and {verdict.writes} writes judged, looks of the witness {dict(verdict.looks)}",
        f"from the end of a lease to its expiry: {late_words}",
        f"Temporal could not keep up, by its own log, for {strained:.0f} s",
        f"disturbed: {dict(sorted(verdict.disturbed.items()))}",
        *(
            f"  {what:<28} {', '.join(f'{count} x {status or NO_ANSWER}' for status, count in sorted(answers.items()))}"
            for what, answers in sorted(by_question.items())
        ),
    ]


def say(line: str) -> None:
    """At once, also into a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _load_average() -> str:
    """Lateness says nothing without it."""
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def main() -> int:
    """Run for as long as asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long people work and parts are killed")
    parser.add_argument("--seed", type=int, default=1, help="of what is asked and what is killed")
    arguments = parser.parse_args()
    say(f"{arguments.minutes:g} minutes, seed {arguments.seed}; load average {_load_average()}")
    with running_installation() as installation:
        began = time.monotonic()
        verdict = Soak(installation, arguments.seed, say).go_through(arguments.minutes * 60, with_everything=True)
        for line in (*figures(verdict, time.monotonic() - began), *(f"! {one}" for one in verdict.complaints)):
            say(line)
        if verdict.complaints:
            kept = installation.keep_logs()
            (kept / "events.json").write_text(json.dumps(verdict.events, indent=1))
            say(f"the logs of all parts, and the ledger's events, are kept in {kept}")
    say(f"load average at the end {_load_average()}")
    say("nothing was wrong" if not verdict.complaints else "NOT AS IT SHOULD BE")
    return 1 if verdict.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
