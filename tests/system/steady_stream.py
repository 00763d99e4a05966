"""A gang of several GPUs on two nodes against a steady stream of stronger requests for one, by what each is shown.

    python -m tests.system.steady_stream --minutes 5                # the long form: one gang after the other, each with a promise
    python -m tests.system.steady_stream --minutes 5 --gang 8x8     # 64 GPUs on eight nodes that are made for it

In the small form all but two GPUs of each of two nodes are behind a wall, so that few requests make a crowd.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from dataclasses import field as default
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from arbitration.promising import LOST_AFTER
from cli.client import ApiFailure, NewGpr, NewPool, NewWorkspace
from cli.client.foresight import ExtensionWish, WhatIf
from cli.stack.nodes import of_instance
from domain.gpr import Phase
from domain.workspace import WorkspacePhase
from tests.system.freedom import left_in_ledger, left_on_nodes, until
from tests.system.installation import running_installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from cli.client import BerthClient, Gpr
    from cli.client.foresight import Foreseen
    from tests.system.installation import Installation

CLUSTER: Final = "worker-1"
SHAPE: Final = "NVIDIA-H100-80GB-HBM3"
NODES, FREE_GPUS = 2, 2
"""Nodes of that kind there, and how many GPUs of each are outside the wall."""
STREAMS: Final = 7
"""Workspaces that ask for one GPU each, again and again: more than there are GPUs."""
STRONG, WEAK = 150, 101
PERIOD_SECONDS: Final = 1.0
STEP_SECONDS_MAX: Final = 90.0
BUSY_MAX: Final = LOST_AFTER


INSTANCE: Final = "p5.48xlarge"
CROWD: Final = 1.25
"""So many times as many workspaces as there are GPUs ask for one."""
MAKERS: Final = 8
"""Workspaces that are made at once."""


@dataclass(frozen=True, slots=True)
class Field:
    """What they all want, and how fast the stream flows."""

    nodes: int = NODES
    gpus: int = FREE_GPUS
    """Of each node."""
    streams: int = STREAMS
    drop_seconds: int = 5
    """How long a request of the stream keeps its GPU."""
    period_seconds: float = PERIOD_SECONDS
    gang_seconds: int = 4
    pool: str = ""

    @property
    def crowd(self) -> int:
        """Requests of the stream after which no GPU is free."""
        return 2 * self.nodes * self.gpus if not self.pool else self.streams


SMALL: Final = Field()


@dataclass(slots=True)
class Kept:
    """A gang with a promise, and what became of it."""

    first_promised: datetime
    gpr: Gpr
    granted_at: datetime
    came_later: int
    """Requests of the stream that were submitted after the promise."""
    waited_longer: int
    """Of those, how many still waited when the gang had started."""

    @property
    def is_kept(self) -> bool:
        """Nothing moved the promise, and it started by it, give or take what a busy machine takes longer for a teardown."""
        promise = self.gpr.promise
        same = promise is not None and (promise.starts_at, promise.moves) == (self.first_promised, 0)
        return same and self.granted_at <= self.first_promised + BUSY_MAX

    @property
    def is_kept_to_the_second(self) -> bool:
        """As it is on a machine that has time."""
        return self.is_kept and self.granted_at <= self.first_promised

    def __str__(self) -> str:
        early = (self.first_promised - self.granted_at) / timedelta(seconds=1)
        crowd = f"{self.came_later} stronger requests came later, {self.waited_longer} of them still waited"
        when = f"{early:.1f} s before" if early >= 0 else f"{-early:.1f} s after"
        return f"started {when} its first promised time; {crowd}"


@dataclass
class Town:
    """Workspaces, a wall, and requests of one kind of GPU."""

    installation: Installation
    spaces: list[str] = default(default_factory=list)
    field: Field = SMALL
    _numbers: Iterator[int] = default(default_factory=itertools.count)

    @property
    def native(self) -> BerthClient:
        return self.installation.native

    def workspace(self) -> str:
        """Name of a new one, ready."""
        name = f"axis-{next(self._numbers)}"
        self.spaces.append(name)
        self.native.create_workspace(NewWorkspace(name=name, clusters=[CLUSTER], namespaces=[name]))
        ready = lambda: self.native.workspace(name).phase is WorkspacePhase.READY  # noqa: E731
        until(ready, f"workspace {name}", STEP_SECONDS_MAX)
        return name

    def workspaces(self, count: int) -> list[str]:
        """So many, several at a time."""
        with ThreadPoolExecutor(MAKERS) as makers:
            return list(makers.map(lambda _: self.workspace(), range(count)))

    def submit(self, workspace: str, name: str, duration: str, **wish: Any) -> Gpr:
        """A new request."""
        fields = {
            "workspace": workspace,
            "name": name,
            "duration": duration,
            "shape": SHAPE,
            "pool": self.field.pool,
            **wish,
        }
        return self.native.submit(NewGpr.model_validate(fields))

    def wall(self) -> Gpr:
        """All GPUs but a few are held by one request."""
        there = lambda: sum(node.shape == SHAPE and node.cluster == CLUSTER for node in self.native.nodes()) == NODES  # noqa: E731
        until(there, "the nodes", STEP_SECONDS_MAX)
        gpr = self.submit(self.workspace(), "wall", "30m", nodes=NODES, gpus_per_node=8 - FREE_GPUS, priority=300)
        return self.reached(gpr.id, Phase.ACTIVE)

    def reached(self, gpr_id: UUID, phase: Phase, seconds_max: float = STEP_SECONDS_MAX) -> Gpr:
        """It, once it is in this phase."""
        until(lambda: self.native.gpr(gpr_id).phase is phase, f"{gpr_id} {phase}", seconds_max)
        return self.native.gpr(gpr_id)

    def estimated(self, gpr_id: UUID) -> Gpr:
        """It, once it is shown a start."""

        def shown() -> bool:
            estimate = self.native.gpr(gpr_id).estimate
            return estimate is None or estimate.starts_at is not None

        until(shown, f"an estimate of {gpr_id}", STEP_SECONDS_MAX)
        return self.native.gpr(gpr_id)

    def what_if(self, *wishes: dict[str, Any]) -> list[Foreseen]:
        """What would become of these."""
        return self.native.what_if([WhatIf.model_validate({"shape": SHAPE, **wish}) for wish in wishes])

    def extend(self, gpr_id: UUID, seconds: int, *, or_longest: bool = False) -> Any:
        """A lease that lasts longer."""
        return self.native.extend(gpr_id, ExtensionWish(seconds=seconds, or_longest=or_longest))

    def granted_at(self, gpr_id: UUID) -> datetime:
        """When it was given its GPUs."""
        return next(event.at for event in self.native.events(gpr_id) if event.kind == "granted")

    def leave(self) -> None:
        """End everything, and delete what was made."""
        live = (Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE)
        for space in self.spaces:
            for gpr in list(self.native.gprs(workspace=space, phases=live)):
                self.native.release(gpr.id)
        until(lambda: not left_in_ledger(self.installation), "an empty ledger", STEP_SECONDS_MAX)
        for space in self.spaces:
            self.native.delete_workspace(space)
        if self.field.pool:
            self.native.delete_pool(self.field.pool)
        assert left_on_nodes(self.installation) == []


class Stream:
    """Asks for one GPU for a few seconds, again and again, in one workspace after the other."""

    def __init__(self, town: Town, spaces: list[str]) -> None:
        self._town = town
        self._spaces = itertools.cycle(spaces)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._flow, name="stream", daemon=True)
        self._seconds = f"{town.field.drop_seconds}s"
        self.submitted: list[tuple[datetime, UUID]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def since(self, instant: datetime) -> list[UUID]:
        """What was submitted after that."""
        return [gpr_id for at, gpr_id in self.submitted if at > instant]

    def _flow(self) -> None:
        for number in itertools.count():
            if self._over.wait(self._town.field.period_seconds):
                return
            with suppress(ApiFailure):
                gpr = self._town.submit(next(self._spaces), f"drop-{number}", self._seconds, priority=STRONG)
                self.submitted.append((datetime.now(UTC), gpr.id))


def play(town: Town, spaces: list[str], gangs: str, seconds: float) -> list[Kept]:
    """One gang after the other against the stream, until the time is over; at least one."""
    kept, deadline = list[Kept](), time.monotonic() + seconds
    with Stream(town, spaces) as stream:
        until(lambda: len(stream.submitted) > town.field.crowd, "a crowd", 4 * STEP_SECONDS_MAX)
        while not kept or time.monotonic() < deadline:
            kept.append(_one(town, stream, gangs))
    drops = [gpr_id for _, gpr_id in stream.submitted]
    for gpr_id in drops:
        if not town.native.gpr(gpr_id).ended:
            town.native.release(gpr_id)
    for gpr_id in drops:
        until(lambda gpr_id=gpr_id: town.native.gpr(gpr_id).ended, "the end of the stream", STEP_SECONDS_MAX)  # type: ignore[misc]
    return kept


def _one(town: Town, stream: Stream, workspace: str) -> Kept:
    wish = {"nodes": town.field.nodes, "gpus_per_node": town.field.gpus, "priority": WEAK}
    gang = town.submit(workspace, "gang", f"{town.field.gang_seconds}s", **wish)
    town.estimated(gang.id)
    promised = town.native.promise(gang.id)
    assert promised.promise
    first = promised.promise.starts_at
    assert first
    made_at = datetime.now(UTC)
    until(lambda: town.native.gpr(gang.id).phase is not Phase.QUEUED, "the gang's start", 4 * STEP_SECONDS_MAX)
    later = stream.since(made_at)
    waiting = sum(town.native.gpr(one).phase is Phase.QUEUED for one in later)
    found = town.native.gpr(gang.id)
    granted_at = town.granted_at(gang.id)
    town.reached(gang.id, Phase.EXPIRED)
    return Kept(first, found, granted_at, len(later), waiting)


def large_town(installation: Installation, nodes: int, gpus: int, drop_seconds: int) -> Town:
    """With nodes of its own, in a pool, each with so many GPUs; the stream keeps all of them busy."""
    made = [f"gang-{number}" for number in range(nodes)]
    for name in made:
        node = replace(of_instance(name, INSTANCE), gpus=gpus)
        installation.cluster(CLUSTER).create("/api/v1/nodes", node.manifest)
    native, streams = installation.native, round(nodes * gpus * CROWD)
    until(lambda: set(made) <= {node.name for node in native.nodes()}, "the nodes", STEP_SECONDS_MAX)
    native.create_pool(NewPool(name="gang", nodes=[f"{CLUSTER}/{name}" for name in made]))
    period = drop_seconds / streams
    return Town(installation, field=Field(nodes, gpus, streams, drop_seconds, period, gang_seconds=10, pool="gang"))


def main() -> int:
    """The long form; 1 when a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.steady_stream", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument(
        "--gang", default="", help="nodes x GPUs of each, as in 8x8; absent: two GPUs on each of two nodes"
    )
    parser.add_argument(
        "--drop-seconds", type=int, default=40, help="with --gang: how long each of the stream keeps its GPU"
    )
    arguments = parser.parse_args()
    with running_installation() as installation:
        if arguments.gang:
            nodes, gpus = (int(part) for part in arguments.gang.split("x"))
            town = large_town(installation, nodes, gpus, arguments.drop_seconds)
        else:
            town = Town(installation)
            town.wall()
        kept = play(town, town.workspaces(town.field.streams), town.workspace(), arguments.minutes * 60)
        town.leave()
    for one in kept:
        sys.stdout.write(f"{one}\n")
    to_the_second = sum(one.is_kept_to_the_second for one in kept)
    sys.stdout.write(
        f"{sum(one.is_kept for one in kept)} of {len(kept)} promises kept, {to_the_second} to the second\n"
    )
    return 0 if all(one.is_kept for one in kept) else 1


if __name__ == "__main__":
    sys.exit(main())
