"""The planner beside other policies on the same work: `python -m bench.simulator [day|kueue|philly]`.

`philly` reads a folder with the trace's `cluster_machine_list` and `cluster_job_log`, or makes up a small one.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench.simulator.bound import Bound
from bench.simulator.day import synthetic_day
from bench.simulator.engine import Simulation
from bench.simulator.figures import Figures, figures
from bench.simulator.kueue import QUEUES, QUOTA, in_bands, kueue_baseline
from bench.simulator.philly import philly_trace
from bench.simulator.philly_sample import write_sample
from bench.simulator.policies import BERTH, BERTH_GRANTS, OTHERS, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bench.simulator.work import Workload

HOUR = 3600


def main() -> None:
    """Prints a table for each workload."""
    asked = _arguments()
    if asked.workload in ("day", "all"):
        day = synthetic_day(nodes=asked.nodes, seed=asked.seed)
        _compare(day, (BERTH, *OTHERS))
    if asked.workload in ("kueue", "all"):
        shape = kueue_baseline(cohorts=1)
        _compare(shape, (BERTH_GRANTS, *OTHERS))
        _compare(in_bands(shape), (BERTH_GRANTS._replace(name="Berth with preemption"),), preempts=True)
        _print_bounds(shape)
    if asked.workload in ("philly", "all"):
        _compare(_philly(asked.folder), (BERTH, *OTHERS))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.simulator", description=__doc__)
    parser.add_argument("workload", nargs="?", choices=("day", "kueue", "philly", "all"), default="all")
    parser.add_argument("--nodes", type=int, default=48, help="of the day, with 8 GPUs each")
    parser.add_argument("--seed", type=int, default=1, help="of the day")
    parser.add_argument("--folder", type=Path, help="with the files of a Philly trace")
    return parser.parse_args()


def _philly(folder: Path | None) -> Workload:
    if folder:
        return philly_trace(folder)
    with TemporaryDirectory() as made_up:
        write_sample(Path(made_up))
        return philly_trace(Path(made_up))


def _compare(workload: Workload, policies: Iterable[Policy], *, preempts: bool = False) -> None:
    print(f"\n{workload.name}: {len(workload.requests)} requests, {workload.gpus} GPUs on {len(workload.nodes)} nodes")
    for policy in policies:
        begin = time.process_time()
        stays = Simulation(workload, policy, preempts=preempts).run()
        _print(policy, figures(workload, stays), time.process_time() - begin)


def _print(policy: Policy, found: Figures, seconds: float) -> None:
    print(
        f"  {policy.name}: makespan {found.makespan:.1f} s, utilisation {found.utilisation:.1%} ({seconds:.0f} s of processor)"
    )
    for size, waits in found.waits.items():
        print(f"    {size}: waited {waits.mean:.1f} s on average, {waits.worst:.1f} s at most")
    if found.told:
        kept = f"{found.promises - found.slipped} of {found.promises} promises kept"
        print(f"    {found.told} were told a start, {found.inside:.1%} of them came inside the interval; {kept}")
    if found.unserved:
        print(f"    {found.unserved} never began")


def _print_bounds(shape: Workload) -> None:
    for preempts in (False, True):
        bound = Bound(QUEUES * QUOTA, preempts=preempts).run(shape.requests)
        sizes: Sequence[str] = list(dict.fromkeys(request.size for request in shape.requests))
        waits = {size: bound.mean_wait(shape.requests, size) / shape.ticks_per_second for size in sizes}
        spoken = ", ".join(f"{size} {wait:.2f} s" for size, wait in waits.items())
        label = "with preemption" if preempts else "without preemption"
        print(f"  bound {label}: makespan {bound.end / shape.ticks_per_second:.1f} s; waited on average {spoken}")


if __name__ == "__main__":
    main()
