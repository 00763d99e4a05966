"""The short form of the simulator: the planner in virtual time, beside what others do. Deterministic, so exact."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from bench.simulator.bound import Bound
from bench.simulator.day import LARGEST, synthetic_day
from bench.simulator.engine import Simulation, Stay
from bench.simulator.figures import Figures, figures
from bench.simulator.kueue import QUEUES, QUOTA, SIZES, in_bands, kueue_baseline
from bench.simulator.philly import philly_trace
from bench.simulator.philly_sample import write_sample
from bench.simulator.policies import BERTH, BERTH_GRANTS, EASY, FIFO, GREEDY, OTHERS, STRICT, Policy
from bench.simulator.work import Workload

WORSE_THAN_THE_BOUND_MAX = 1.2


@cache
def _day() -> Workload:
    return synthetic_day(nodes=12)


@cache
def _on_the_day(policy: Policy) -> list[Stay]:
    return Simulation(_day(), policy).run()


def _figures(policy: Policy) -> Figures:
    return figures(_day(), _on_the_day(policy))


@cache
def _shape() -> Workload:
    return kueue_baseline(cohorts=1)


def test_no_promise_of_the_day_slips() -> None:
    found = _figures(BERTH)
    assert found.promises > 5
    assert found.slipped == 0


def test_four_of_five_starts_of_the_day_lie_inside_the_interval_that_was_said() -> None:
    found = _figures(BERTH)
    assert found.told > 50
    assert found.inside >= 0.8


def test_the_largest_class_waits_less_at_worst_than_under_easy_and_nodes_are_as_full() -> None:
    ours, theirs = _figures(BERTH), _figures(EASY)
    assert ours.waits[LARGEST].worst < theirs.waits[LARGEST].worst
    assert ours.utilisation >= theirs.utilisation


@pytest.mark.parametrize("policy", [BERTH, *OTHERS], ids=lambda policy: policy.name)
def test_everybody_is_served_and_no_gpu_is_given_twice(policy: Policy) -> None:
    stays = _on_the_day(policy)
    assert _figures(policy).unserved == 0
    moments = sorted({stay.start for stay in stays})
    busy = [sum(stay.request.gpus for stay in stays if stay.start <= moment < stay.end) for moment in moments]
    assert max(busy) <= _day().gpus


def test_the_shape_of_kueues_benchmark_takes_little_longer_than_any_policy_must() -> None:
    shape = _shape()
    bound = Bound(QUEUES * QUOTA).run(shape.requests)
    found = figures(shape, Simulation(shape, BERTH_GRANTS).run())
    assert found.makespan <= WORSE_THAN_THE_BOUND_MAX * bound.end / shape.ticks_per_second
    for size in SIZES:
        least = bound.mean_wait(shape.requests, size.name) / shape.ticks_per_second
        assert found.waits[size.name].mean <= WORSE_THAN_THE_BOUND_MAX * least, size.name


def test_with_preemption_too_it_takes_little_longer_than_any_policy_must_and_the_strongest_wait_for_nobody() -> None:
    shape = in_bands(kueue_baseline(cohorts=1, part=0.2))
    bound = Bound(QUEUES * QUOTA, preempts=True).run(shape.requests)
    found = figures(shape, Simulation(shape, BERTH_GRANTS, preempts=True).run())
    assert found.unserved == 0
    assert found.makespan <= WORSE_THAN_THE_BOUND_MAX * bound.end / shape.ticks_per_second
    for size in ("medium", "small"):
        least = bound.mean_wait(shape.requests, size) / shape.ticks_per_second
        assert found.waits[size].mean <= WORSE_THAN_THE_BOUND_MAX * least, size
    assert found.waits["large"].worst * shape.ticks_per_second <= 1


def test_the_bound_leaves_no_unit_idle_while_anything_that_fits_waits() -> None:
    shape = _shape()
    work = sum(request.gpus * request.runs_seconds for request in shape.requests)
    least = work / (QUEUES * QUOTA)
    assert (
        least
        <= Bound(QUEUES * QUOTA).run(shape.requests).end
        <= least + 1 + max(r.runs_seconds for r in shape.requests)
    )


def test_the_bound_of_the_whole_shape_with_preemption_is_the_known_one() -> None:
    shape = kueue_baseline(cohorts=1)
    assert Bound(QUEUES * QUOTA, preempts=True).run(shape.requests).end == 75.9 * shape.ticks_per_second


def test_the_bound_with_preemption_never_lets_the_strongest_wait_for_weaker_ones() -> None:
    shape = _shape()
    bound = Bound(QUEUES * QUOTA, preempts=True).run(shape.requests)
    assert bound.mean_wait(shape.requests, "large") == 0


def test_a_trace_in_the_columns_of_philly_is_read_and_served(tmp_path: Path) -> None:
    write_sample(tmp_path, jobs=60)
    trace = philly_trace(tmp_path)
    assert (len(trace.nodes), trace.gpus) == (8, 52)
    assert {"one GPU", "gang"} <= {request.size for request in trace.requests}
    assert figures(trace, Simulation(trace, BERTH).run()).unserved == 0


def test_the_same_work_comes_out_the_same_twice() -> None:
    small = synthetic_day(nodes=8, load=0.3)
    assert Simulation(small, BERTH).run() == Simulation(small, BERTH).run()


def test_policies_differ_in_their_rule() -> None:
    waits = {policy.name: _figures(policy).waits[LARGEST].worst for policy in (BERTH, FIFO, STRICT, GREEDY, EASY)}
    assert len(set(waits.values())) == len(waits)
