"""Twelve workspaces race for the last eight GPUs: 200 Gprs of one to four GPUs, released early, deleted and moved meanwhile.

Each workspace has an owner of its own, who submits and ends what was provisioned; two rivals with the administrator's key
meddle everywhere at the same moments. Everything that anybody was told is kept.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.system.checker import Records
from tests.system.egs import Egs
from tests.system.freedom import until
from tests.system.node_watch import NodeWatch
from tests.system.stories import told
from tests.system.users import Replies, User
from tests.system.witness import Witness

if TYPE_CHECKING:
    from tests.system.installation import Installation
    from tests.system.trail import Write

Json = dict[str, Any]

CLUSTER: Final = "worker-2"
NODE: Final = "worker-2-h100-1"
SHAPE: Final = "NVIDIA-H100-80GB-HBM3"
NODE_GPUS: Final = 8
WORKSPACES: Final = tuple(f"race-{number:02}" for number in range(1, 13))
GPRS: Final = 200
GPUS: Final = {1: 4, 2: 3, 3: 2, 4: 2}
"""How many GPUs are asked for, and how often."""
RIVALS: Final = 2
HOUR, SECONDS_FEW = "0d1h0m0s", "0d0h0m2s"
SHORT_SHARE: Final = 0.15
"""Of the Gprs whose lease ends by itself, at a moment when somebody may be about to end it."""
LOOK_SECONDS: Final = 0.8
PATIENCE_SECONDS: Final = 100.0
"""After that the owners withdraw what still waits, so that a slow machine only makes a shorter race."""
OVER_SECONDS_MAX: Final = 180.0
NODES_SECONDS_MAX: Final = 60.0
DONE: Final = frozenset({"Complete", "Error"})


@dataclass(slots=True)
class Outcome:
    """What is known when the race is over."""

    replies: Replies
    seconds: float
    events: list[Json]
    writes: list[Write]
    tokens_most: int
    versions: int
    """Of the node, that the watch saw."""
    sightings: int
    """Looks of the witness into the ledger."""
    seen: list[str]
    """What the witness had to say."""
    unfinished: list[str] = field(default_factory=list)

    @property
    def held_most(self) -> int:
        """GPUs of the node that were held at once, in the order of the books."""
        return most_held(self.events)

    @property
    def leases(self) -> int:
        """How many were granted."""
        return len(told(self.events).leases)

    def __str__(self) -> str:
        said = ", ".join(f"{count} x {what}" for what, count in sorted(self.replies.claims.counts.items()))
        most = f"{self.held_most} held, {self.tokens_most} tokens in {self.versions} versions of the node"
        return f"{self.leases} leases in {self.seconds:.0f} s, at most {most}; {said}"


class Race:
    """Run once."""

    def __init__(self, installation: Installation, seed: int) -> None:
        self._installation = installation
        self._replies = Replies()
        self._over = threading.Event()
        self._seed = seed
        self._ids: dict[str, list[str]] = {workspace: [] for workspace in WORKSPACES}

    def run(self) -> Outcome:
        """From twelve new workspaces to the last Gpr's end."""
        self._await_node()
        records = Records(self._installation, datetime.now(UTC))
        owners = [self._owner(workspace) for workspace in WORKSPACES]
        with Witness(self._installation) as witness, NodeWatch(self._installation.cluster(CLUSTER), NODE) as watch:
            began = time.monotonic()
            unfinished = self._play(owners)
            seconds = time.monotonic() - began
        return Outcome(
            replies=self._replies,
            seconds=seconds,
            events=records.events(),
            writes=records.writes(),
            tokens_most=watch.most,
            versions=watch.versions,
            sightings=witness.looks["ledger"],
            seen=witness.complaints,
            unfinished=unfinished,
        )

    def _await_node(self) -> None:
        until(self._knows_node, f"node {NODE} in the inventory", NODES_SECONDS_MAX)

    def _knows_node(self) -> bool:
        return NODE in [one["gpuNodeName"] for one in self._installation.egs.inventory()]

    def _owner(self, workspace: str) -> User:
        """A new principal with a key of its own makes the workspace."""
        url, administrator = self._installation.url, self._installation.egs
        user = User(Egs(url, administrator.create_key(workspace, userName=workspace)), self._replies)
        user.egs.create_workspace(workspace, CLUSTER)
        return user

    def _play(self, owners: list[User]) -> list[str]:
        shares = [GPRS // len(owners) + (place < GPRS % len(owners)) for place in range(len(owners))]
        with ThreadPoolExecutor(len(owners) + RIVALS) as threads:
            rivals = [threads.submit(self._meddle, Random(f"{self._seed}/{number}")) for number in range(RIVALS)]
            games = [
                threads.submit(self._game, user, workspace, share)
                for user, workspace, share in zip(owners, WORKSPACES, shares, strict=True)
            ]
            try:
                unfinished = [gpr_id for game in games for gpr_id in game.result()]
            finally:
                self._over.set()
            for rival in rivals:
                rival.result()
        for owner in owners:
            owner.egs.close()
        return unfinished

    def _game(self, user: User, workspace: str, share: int) -> list[str]:
        """Submit everything, end what is provisioned, until all is over; ids of what is not in time."""
        random, own = Random(f"{self._seed}/{workspace}"), self._ids[workspace]
        for number in range(share):
            gpr_id = user.submit(workspace, f"{workspace}-{number:02}", **_wish(random))
            assert gpr_id
            own.append(gpr_id)
        began = time.monotonic()
        while (spent := time.monotonic() - began) < OVER_SECONDS_MAX:
            items = user.look(workspace, own)
            live = [item for item in items if item["status"]["provisioningStatus"] not in DONE]
            if not live:
                return []
            _go_on(user, live, random, patient=spent < PATIENCE_SECONDS)
            time.sleep(LOOK_SECONDS)
        return [item["gprId"] for item in live]

    def _meddle(self, random: Random) -> None:
        """Do anything to anything, without looking first."""
        user = User(Egs(self._installation.url, self._installation.key), self._replies)
        while not self._over.wait(random.uniform(0.1, 0.4)):
            if own := self._ids[random.choice(WORKSPACES)]:
                _anything(user, random.choice(own), random)
        user.egs.close()


def most_held(events: list[Json]) -> int:
    """The most GPUs of the node that leases held at the same place of the books."""
    leases = [lease for lease in told(events).leases.values() if NODE in lease.nodes]
    steps = [(lease.numbers["granted"], lease.nodes[NODE]) for lease in leases]
    steps += [(lease.numbers["rested"], -lease.nodes[NODE]) for lease in leases if "rested" in lease.numbers]
    held = most = 0
    for _, change in sorted(steps):
        held += change
        most = max(most, held)
    return most


def _wish(random: Random) -> Json:
    duration = SECONDS_FEW if random.random() < SHORT_SHARE else HOUR
    gpus, priority = random.choices(list(GPUS), list(GPUS.values()))[0], random.choice((50, 101, 150, 250))
    return {
        "numberOfGPUs": gpus,
        "exitDuration": duration,
        "priority": priority,
        "gpuShape": SHAPE,
        "clusterName": CLUSTER,
    }


def _go_on(user: User, live: list[Json], random: Random, *, patient: bool) -> None:
    """End what is provisioned; now and then change one's mind about what waits, and in the end about all of it."""
    for item in live:
        if item["status"]["provisioningStatus"] == "Provisioned":
            _end(user, item["gprId"], random)
        elif not patient:
            user.delete(item["gprId"])
    _change_mind(user, random.choice(live)["gprId"], random)


def _end(user: User, gpr_id: str, random: Random) -> None:
    """What can be done with a provisioned one, and now and then what comes too late."""
    if random.random() < 0.1:
        user.delete(gpr_id)
    if random.random() < 0.9:
        user.release(gpr_id)


def _change_mind(user: User, gpr_id: str, random: Random) -> None:
    """What can be done with a queued one, and what comes too early."""
    chance = random.random()
    if chance < 0.015:
        user.delete(gpr_id)
    elif chance < 0.06:
        user.move(gpr_id, random.randint(0, 300))
    elif chance < 0.1:
        user.release(gpr_id)


def _anything(user: User, gpr_id: str, random: Random) -> None:
    chance = random.random()
    if chance < 0.4:
        user.get(gpr_id)
    elif chance < 0.7:
        user.release(gpr_id)
    elif chance < 0.99:
        user.move(gpr_id, random.randint(0, 300))
    else:
        user.delete(gpr_id)
