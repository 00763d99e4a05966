"""Virtual time: every arrival and every freed GPU is an event, and after each the policy is asked who starts.

A lease is given back when its request really ends, which a plan does not know before; then the teardown takes its
turnaround, and only then others can have the GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from bench.simulator.work import Request, at, seconds_of
from planner.intervals import Interval, Intervals
from planner.snapshot import Claim, LeaseView, Snapshot

if TYPE_CHECKING:
    from bench.simulator.policies import Policy
    from bench.simulator.work import Workload
    from planner.plan import Forecast, Grant
    from planner.preemption import Preemption


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request was told first. Seconds of the simulation."""

    at: int
    starts: float
    interval: Interval


@dataclass(slots=True)
class Stay:
    """What became of a request. Times are seconds of the simulation."""

    request: Request
    began: int | None = None
    """None: not in this simulation."""
    shown: Shown | None = None
    """None: it began at once, or was told no time."""

    @property
    def start(self) -> int:
        """Of what began."""
        assert self.began is not None
        return self.began

    @property
    def waited(self) -> int:
        """From submission."""
        return self.start - self.request.submitted

    @property
    def end(self) -> int:
        """When it gives its GPUs back."""
        return self.start + self.request.runs_seconds

    @property
    def promised(self) -> float | None:
        """The start that it was promised."""
        return self.shown.starts if self.shown and self.request.wants_promise else None


@dataclass
class Simulation:
    """One workload under one policy."""

    workload: Workload
    policy: Policy
    preempts: bool = False
    """Every lease may be ended early, at any time and without notice."""
    stays: dict[str, Stay] = field(default_factory=dict)
    intervals: Intervals = field(default_factory=Intervals)
    _queue: dict[str, Claim] = field(default_factory=dict)
    _leases: dict[str, LeaseView] = field(default_factory=dict)
    _cut: dict[str, int] = field(default_factory=dict)
    """When leases end that end early."""
    _claims: dict[str, Claim] = field(default_factory=dict)

    def run(self) -> list[Stay]:
        """To the end; the stays in order of submission."""
        arrivals = list(enumerate(self.workload.requests, start=1))[::-1]
        looks = [request.submitted for request in self.workload.requests]
        heapify(looks)
        while looks:
            now = heappop(looks)
            while looks and looks[0] == now:
                heappop(looks)
            self._free(now)
            while arrivals and arrivals[-1][1].submitted <= now:
                self._arrive(*arrivals.pop())
            for look in self._decide(now):
                heappush(looks, look)
        return list(self.stays.values())

    def _free(self, now: int) -> None:
        for name, lease in list(self._leases.items()):
            end = self.stays[name].end
            if name in self._cut and self._cut[name] < end:
                if self._cut[name] + self._rest <= now:
                    self._queue_again(name)
            elif end + self.workload.turnaround_seconds <= now:
                del self._leases[name]
                self._cut.pop(name, None)
            elif end <= now:
                self._leases[name] = replace(lease, until=at(end))

    def _arrive(self, sequence: int, request: Request) -> None:
        self._queue[request.name] = self._claims[request.name] = request.claim(sequence)
        self.stays[request.name] = Stay(request)

    def _queue_again(self, name: str) -> None:
        del self._leases[name], self._cut[name]
        self.stays[name].began = None
        self._queue[name] = replace(self._claims[name], was_preempted=True)

    def _decide(self, now: int) -> list[int]:
        """When to look again."""
        if not self._queue:
            return []
        decided = self.policy.decide(self._snapshot(now))
        for forecast in decided.forecasts:
            self._show(forecast, now)
        begun = [self._begin(grant, now) for grant in decided.grants]
        for preemption in decided.preemptions:
            self._preempt(preemption)
        freed = [end + self._rest for end in self._cut.values()]
        return [*(stay.end + self.workload.turnaround_seconds for stay in begun), *freed]

    def _preempt(self, one: Preemption) -> None:
        """These end when it says so, and what they free is kept for their claimant."""
        for name, lease in self._leases.items():
            if lease.fence in one.fences:
                self._cut[name] = round(seconds_of(one.ends_at))
                self._leases[name] = replace(lease, until=one.ends_at, preempted=True)
        claim = replace(self._queue[one.gpr_id], planned_cluster=one.cluster, planned_nodes=one.nodes)
        self._queue[one.gpr_id] = replace(claim, pinned_start=one.starts_at, has_preempted=True)

    @property
    def _rest(self) -> int:
        """From the end of a lease that ends early to the next start, as the planner expects it."""
        return max(self.workload.turnaround_seconds, 1)

    def _snapshot(self, now: int) -> Snapshot:
        return Snapshot(
            now=at(now),
            nodes=self.workload.nodes,
            leases=tuple(self._leases.values()),
            queue=tuple(self._queue.values()),
            turnaround_seconds=self.workload.turnaround_seconds,
            notice_seconds=0,
        )

    def _show(self, forecast: Forecast, now: int) -> None:
        stay, claim = self.stays[forecast.gpr_id], self._queue[forecast.gpr_id]
        if stay.shown is None and forecast.starts_at:
            starts = seconds_of(forecast.starts_at)
            stay.shown = Shown(now, starts, self.intervals.around(starts - now))
        self._queue[forecast.gpr_id] = replace(
            claim,
            planned_cluster=forecast.cluster or "",
            planned_nodes=forecast.nodes,
            pinned_start=forecast.starts_at if stay.request.wants_promise else None,
        )

    def _begin(self, grant: Grant, now: int) -> Stay:
        claim, stay = self._queue.pop(grant.gpr_id), self.stays[grant.gpr_id]
        stay.began = now
        if stay.shown:
            self.intervals.learn(stay.shown.starts - stay.shown.at, now - stay.shown.at)
        self._leases[grant.gpr_id] = LeaseView(
            fence=claim.sequence,
            gpr_id=claim.gpr_id,
            gpr_name=claim.gpr_name,
            workspace=claim.workspace,
            exclusive=claim.exclusive,
            until=at(now + stay.request.asked_seconds),
            gpus=grant.gpus,
            uses=claim.uses,
            preemptible=self.preempts,
            priority=claim.priority,
            begun_at=at(now),
        )
        return stay
