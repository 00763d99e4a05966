"""A small world that runs: leases end exactly on time, every event is planned anew, nothing else happens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given

from planner.plan import Forecast, Grant, plan
from planner.snapshot import Claim, LeaseView, Snapshot
from tests.builders_planner import a_claim, a_node, a_snapshot, at
from tests.pure.planner.chance import Chance, drawn
from tests.pure.planner.worlds import law, snapshot

ON_TIME = (None, 1, 2, 4, 7, 12)


@dataclass
class Run:
    world: Snapshot
    promised: dict[str, datetime | None] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)

    def to_the_end(self, idle_looks: list[int]) -> None:
        """Looks also at instants at which nothing happens: forecasts may not drift."""
        looks = {self.world.now + timedelta(seconds=seconds) for seconds in idle_looks}
        while True:
            self._step()
            ahead = [instant for instant in {*looks, *self._events()} if instant > self.world.now]
            if not ahead:
                return
            self._advance(min(ahead))

    def _step(self) -> None:
        found = plan(self.world)
        for grant in found.grants:
            self._start(grant)
        for forecast in found.forecasts:
            self.promised.setdefault(forecast.gpr_id, forecast.starts_at)
            self._remember(forecast)

    def _start(self, grant: Grant) -> None:
        claim = next(claim for claim in self.world.queue if claim.gpr_id == grant.gpr_id)
        self.started[grant.gpr_id] = self.world.now
        lasts = claim.duration_seconds
        lease = LeaseView(
            fence=100 + len(self.started),
            gpr_id=claim.gpr_id,
            gpr_name=claim.gpr_name,
            workspace=claim.workspace,
            exclusive=claim.exclusive,
            until=None if lasts is None else self.world.now + timedelta(seconds=lasts),
            gpus=grant.gpus,
            uses=claim.uses,
        )
        queue = tuple(other for other in self.world.queue if other is not claim)
        self.world = replace(self.world, leases=(*self.world.leases, lease), queue=queue)

    def _remember(self, forecast: Forecast) -> None:
        queue = (_planned(claim, forecast) if claim.gpr_id == forecast.gpr_id else claim for claim in self.world.queue)
        self.world = replace(self.world, queue=tuple(queue))

    def _events(self) -> list[datetime]:
        waits = [claim.not_before for claim in self.world.queue if claim.not_before]
        waits += [closure.ends_at for closure in self.world.closures]
        waits += [instant for limit in self.world.limits for instant, _ in limit.changes]
        return waits + [end for lease in self.world.leases if (end := self._free_again(lease))]

    def _free_again(self, lease: LeaseView) -> datetime | None:
        return lease.until and lease.until + timedelta(seconds=self.world.turnaround_seconds)

    def _advance(self, now: datetime) -> None:
        ended = {lease.fence for lease in self.world.leases if (end := self._free_again(lease)) and end <= now}
        leases = tuple(lease for lease in self.world.leases if lease.fence not in ended)
        self.world = replace(self.world, now=now, leases=leases)


def _planned(claim: Claim, forecast: Forecast) -> Claim:
    return replace(claim, planned_cluster=forecast.cluster or "", planned_nodes=forecast.nodes)


def world_and_looks(chance: Chance) -> tuple[Snapshot, list[int]]:
    return snapshot(chance, ON_TIME), [chance.number(0, 40) for _ in range(chance.number(0, 4))]


@law(100)
@given(drawn(world_and_looks))
def test_every_claim_starts_exactly_when_its_first_forecast_said(begin: tuple[Snapshot, list[int]]) -> None:
    world, idle_looks = begin
    run = Run(world)
    run.to_the_end(idle_looks)
    assert {name: run.started.get(name) for name in run.promised} == run.promised


def test_a_forecast_survives_a_weaker_grant_that_makes_another_node_tighter() -> None:
    nodes = [a_node("x", gpus=2, shape="T4"), a_node("y", gpus=2, shape="A100")]
    strong = a_claim("strong", priority=250, not_before=at(600))
    filler = a_claim("filler", shape="A100")
    late = a_claim("late", shape="A100", not_before=at(600))
    run = Run(a_snapshot(*nodes, strong, filler, late))
    run.to_the_end([300])
    assert run.started == {"filler": at(0), "strong": at(600), "late": at(600)}
