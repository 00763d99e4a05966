"""A small town that lives: requests come, leases are extended or end early, nodes are lost, and promises are kept.

Everything is planned anew after every event. Whatever else happens, a promised claim starts no later than it was told
and a reservation at its instant, unless a node that was kept for it is lost.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from planner.plan import Forecast, Grant, plan
from planner.snapshot import Claim, Closure, LeaseView, Snapshot
from planner.windows import fits, kept_during, longest_extension, nearest
from tests.pure.planner.chance import Chance, drawn
from tests.pure.planner.test_forecasts_come_true import ON_TIME
from tests.pure.planner.worlds import any_claim, kept_snapshot, law, snapshot

pytestmark = pytest.mark.usefixtures("small_pages")
PICK = st.integers(0, 50)
SECOND = timedelta(seconds=1)


def world_on_time(chance: Chance) -> Snapshot:
    return snapshot(chance, ON_TIME)


class Town(RuleBasedStateMachine):
    world: Snapshot
    number = 100

    @initialize(world=drawn(world_on_time), like=drawn(kept_snapshot))
    def begin(self, world: Snapshot, like: Snapshot) -> None:
        self.world = replace(world, standings=like.standings, ageing_seconds=like.ageing_seconds)
        self.promised: dict[str, datetime] = {}
        self.reserved: dict[str, datetime] = {}
        self.lost: set[str] = set()
        self.replan()

    @rule(data=st.data())
    def someone_comes(self, data: st.DataObject) -> None:
        self.number += 1
        claim = data.draw(drawn(lambda chance: any_claim(chance, self.number, self.world.nodes)))
        self.world = replace(self.world, queue=(*self.world.queue, replace(claim, submitted_at=self.world.now)))
        self.replan()

    @rule(pick=PICK)
    def someone_asks_for_a_promise(self, pick: int) -> None:
        waiting = [one for one in self.forecasts if one.starts_at and one.gpr_id not in self.promised | self.reserved]
        if waiting:
            forecast = waiting[pick % len(waiting)]
            assert forecast.starts_at
            self.promised[forecast.gpr_id] = forecast.starts_at
            self.replan()

    @rule(data=st.data(), ahead=st.integers(-1, 12))
    def someone_wants_to_reserve(self, data: st.DataObject, ahead: int) -> None:
        self.number += 1
        instant = self.world.now + ahead * SECOND
        claim = replace(
            data.draw(drawn(lambda chance: any_claim(chance, self.number, self.world.nodes))), fixed_start=instant
        )
        window = fits(self.world, claim)
        if window:
            assert nearest(self.world, claim, 1) == [instant]
            claim = replace(claim, planned_cluster=window.cluster, planned_nodes=window.nodes)
            self.reserved[claim.gpr_id] = instant
            self.world = replace(self.world, queue=(*self.world.queue, claim))
            self.replan()
        else:
            starts = nearest(self.world, claim)
            assert instant not in starts
            assert all(fits(self.world, replace(claim, fixed_start=start)) for start in starts)

    @precondition(lambda self: self.running)
    @rule(pick=PICK, wished=st.integers(0, 9))
    def someone_wants_to_stay_longer(self, pick: int, wished: int) -> None:
        lease = self.running[pick % len(self.running)]
        seconds, blocker = longest_extension(self.world, lease.gpr_id, wished)
        assert (blocker is None) == (seconds == wished)
        self._change(lease, replace(lease, until=lease.until and lease.until + seconds * SECOND))

    @precondition(lambda self: self.running)
    @rule(pick=PICK)
    def someone_ends_early(self, pick: int) -> None:
        lease = self.running[pick % len(self.running)]
        self._change(lease, replace(lease, until=self.world.now))

    @rule(pick=PICK)
    def a_node_is_lost_or_comes_back(self, pick: int) -> None:
        node = self.world.nodes[pick % len(self.world.nodes)]
        nodes = tuple(replace(one, usable=not one.usable) if one is node else one for one in self.world.nodes)
        for claim in self.world.queue:
            # A request for no GPUs needs a cluster with nodes, and any may have been its last.
            if node.usable and (node.name in claim.planned_nodes or not claim.gpus_per_node):
                if self.promised.pop(claim.gpr_id, None):
                    self.lost.add(claim.gpr_id)
                self.reserved.pop(claim.gpr_id, None)
        self.world = replace(self.world, nodes=nodes)
        self.replan()

    @rule(pick=PICK, ahead=st.integers(-1, 12), length=st.sampled_from([1, 3, 8]))
    def someone_announces_maintenance(self, pick: int, ahead: int, length: int) -> None:
        """Where it would take the room from what is kept, it is not announced."""
        node, begins_at = self.world.nodes[pick % len(self.world.nodes)], self.world.now + ahead * SECOND
        closure = Closure(node.cluster, node.name, begins_at, begins_at + length * SECOND, "upgrade")
        if not kept_during(self.world, [closure]):
            self.world = replace(self.world, closures=(*self.world.closures, closure))
            self.replan()

    @rule(seconds=st.integers(1, 12))
    def time_passes(self, seconds: int) -> None:
        until = self.world.now + seconds * SECOND
        while self.world.now < until:
            self.world = replace(self.world, now=min([until, *self._events()]))
            self._free_what_has_ended()
            self.replan()

    @invariant()
    def no_gpu_has_two_leases(self) -> None:
        held = [gpu for lease in self.world.leases for gpu in lease.gpus]
        assert len(held) == len(set(held))

    @property
    def running(self) -> list[LeaseView]:
        return [lease for lease in self.world.leases if lease.until is None or lease.until > self.world.now]

    def replan(self) -> None:
        found = plan(self.world)
        self.forecasts = found.forecasts
        for grant in found.grants:
            self._start(grant)
        for forecast in found.forecasts:
            assert forecast.starts_at or forecast.gpr_id not in self.promised | self.reserved, forecast
            if forecast.starts_at:
                self._check(forecast.gpr_id, forecast.starts_at)
        by_id = {forecast.gpr_id: forecast for forecast in found.forecasts}
        self._promise_anew(by_id)
        self.world = replace(
            self.world, queue=tuple(self._planned(claim, by_id[claim.gpr_id]) for claim in self.world.queue)
        )

    def _promise_anew(self, forecasts: dict[str, Forecast]) -> None:
        """What lost its hardware was planned before all that have no promise: what it is told then is promised."""
        for gpr_id in self.lost:
            if gpr_id in forecasts and (starts_at := forecasts[gpr_id].starts_at):
                self.promised[gpr_id] = starts_at
        self.lost.clear()

    def _check(self, gpr_id: str, starts: datetime) -> None:
        assert starts <= self.promised.get(gpr_id, starts), gpr_id
        assert starts == self.reserved.get(gpr_id, starts), gpr_id

    def _start(self, grant: Grant) -> None:
        self._check(grant.gpr_id, self.world.now)
        claim = next(claim for claim in self.world.queue if claim.gpr_id == grant.gpr_id)
        lasts = claim.duration_seconds
        self._check_is_not_in_maintenance(grant, lasts)
        lease = LeaseView(
            fence=claim.sequence,
            gpr_id=claim.gpr_id,
            gpr_name=claim.gpr_name,
            workspace=claim.workspace,
            exclusive=claim.exclusive,
            until=None if lasts is None else self.world.now + lasts * SECOND,
            gpus=grant.gpus,
            uses=claim.uses,
            pool=claim.pool,
        )
        queue = tuple(other for other in self.world.queue if other is not claim)
        self.world = replace(self.world, leases=(*self.world.leases, lease), queue=queue)

    def _check_is_not_in_maintenance(self, grant: Grant, lasts: int | None) -> None:
        free_at = None if lasts is None else self.world.now + lasts * SECOND + self._turnaround
        places = {(gpu.cluster, gpu.node) for gpu in grant.gpus}
        for closure in self.world.closures:
            is_over = closure.ends_at <= self.world.now
            is_later = free_at is not None and free_at <= closure.begins_at
            assert is_over or is_later or (closure.cluster, closure.node) not in places, grant

    def _planned(self, claim: Claim, forecast: Forecast) -> Claim:
        """As the ledger keeps it: a pin is always the start of the forecast that the nodes are of."""
        return replace(
            claim,
            planned_cluster=forecast.cluster or "",
            planned_nodes=forecast.nodes,
            pinned_start=forecast.starts_at if claim.gpr_id in self.promised else None,
        )

    def _change(self, lease: LeaseView, changed: LeaseView) -> None:
        leases = tuple(changed if one is lease else one for one in self.world.leases)
        self.world = replace(self.world, leases=leases)
        self._free_what_has_ended()
        self.replan()

    def _free_what_has_ended(self) -> None:
        leases = tuple(lease for lease in self.world.leases if not self._is_free(lease))
        self.world = replace(self.world, leases=leases)

    def _is_free(self, lease: LeaseView) -> bool:
        return lease.until is not None and lease.until + self._turnaround <= self.world.now

    def _events(self) -> list[datetime]:
        ends = [lease.until + self._turnaround for lease in self.world.leases if lease.until]
        waits = [moment for one in self.world.queue for moment in (one.not_before, one.fixed_start, one.pinned_start)]
        waits += [closure.ends_at for closure in self.world.closures]
        waits += [instant for limit in self.world.limits for instant, _ in limit.changes]
        return [instant for instant in (*ends, *waits) if instant and instant > self.world.now]

    @property
    def _turnaround(self) -> timedelta:
        return self.world.turnaround_seconds * SECOND


Town.TestCase.settings = settings(law(60), stateful_step_count=25)
TestTown = Town.TestCase
