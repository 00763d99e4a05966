"""A small trace in the columns of Philly, made up: what the reader is tried on where the real one is not at hand."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.simulator.philly import JOBS_FILE, MACHINES_FILE

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = datetime(2017, 10, 3)  # noqa: DTZ001 - the trace has no zones
MINUTES_MEDIAN = 20
MINUTES_SPREAD = 1.6
"""Few run for days, most for minutes: the logarithm is spread so wide."""
GPUS = (1, 1, 1, 1, 1, 1, 2, 2, 4, 8, 16)
VIRTUAL_CLUSTERS = ("6214e9", "2869ce", "ee9e8c", "b436b2")
RETRIED = 0.1


class _Machine(NamedTuple):
    name: str
    gpus: int


def write_sample(folder: Path, jobs: int = 250, machines: int = 8, hours: int = 24, seed: int = 1) -> None:
    """Both files."""
    random = Random(seed)
    known = [_Machine(f"m{number}", 8 if number % 4 else 2) for number in range(machines)]
    rows = ["machineId, number of GPUs, single GPU mem", *(f"{one.name}, {one.gpus}, 24GB" for one in known)]
    (folder / MACHINES_FILE).write_text("\n".join(rows) + "\n")
    log = [_job(random, number, [one for one in known if one.gpus == 8], hours) for number in range(jobs)]
    (folder / JOBS_FILE).write_text(json.dumps(log))


def _job(random: Random, number: int, machines: list[_Machine], hours: int) -> dict[str, Any]:
    submitted = BEGIN + timedelta(seconds=random.randrange(hours * 3600))
    minutes = min(MINUTES_MEDIAN * random.lognormvariate(0, MINUTES_SPREAD), hours * 60)
    places = _places(random, random.choice(GPUS), machines)
    first = submitted + timedelta(minutes=random.randrange(10))
    attempts = [_attempt(first, minutes, places)]
    if random.random() < RETRIED:
        attempts.append(_attempt(first + timedelta(minutes=minutes), minutes / 2, places))
    return {
        "status": random.choice(("Pass", "Pass", "Killed", "Failed")),
        "vc": random.choice(VIRTUAL_CLUSTERS),
        "jobid": f"application_{number:05}",
        "attempts": attempts,
        "submitted_time": str(submitted),
        "user": f"u{random.randrange(40)}",
    }


def _attempt(begin: datetime, minutes: float, places: list[dict[str, Any]]) -> dict[str, Any]:
    times = {"start_time": begin, "end_time": begin + timedelta(minutes=minutes)}
    return {name: str(instant.replace(microsecond=0)) for name, instant in times.items()} | {"detail": places}


def _places(random: Random, gpus: int, machines: list[_Machine]) -> list[dict[str, Any]]:
    """Of one gang the same number on each machine."""
    count = -(-gpus // 8)
    return [
        {"ip": machine.name, "gpus": [f"gpu{ordinal}" for ordinal in range(gpus // count)]}
        for machine in random.sample(machines, count)
    ]
