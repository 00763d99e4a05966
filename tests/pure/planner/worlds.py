"""Small random worlds, crowded on purpose: few nodes, few instants, so that ties and conflicts are common."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings

from planner import promises, timeline
from planner.axis import SECOND
from planner.snapshot import Claim, Closure, HeldGpu, LeaseView, Limit, NodeView, Snapshot, Standing
from tests.builders_planner import NOON, at
from tests.pure.planner.chance import MUTATING, Chance, drawn

LONG = int(os.environ.get("BERTH_LAWS_EXAMPLES", "0"))
"""So many worlds for each law, for those who have the time; 0: a few."""
MANY_ARE_FULL = [HealthCheck.filter_too_much]
"""A law about a window needs a world that has room for one; most of these have not."""


def law(examples: int) -> settings:
    """So many worlds, the same each time, unless the long form is asked for: that one explores."""
    many = settings(
        max_examples=LONG or examples,
        deadline=None,
        derandomize=MUTATING or not LONG,
        suppress_health_check=MANY_ARE_FULL,
    )
    return settings(many, phases=(Phase.explicit, Phase.generate)) if MUTATING else many


LAW = law(75)
CLUSTERS = ("east", "west")
MODELS = (("T4", "g4dn", 16), ("A100", "p4d", 40), ("A100", "p4de", 79), ("A100-MIG-3g.20gb", "p4d", 20))
POOLS_OF_A_NODE = (frozenset[str](), frozenset[str](), frozenset[str](), frozenset({"gold", "old"}))
POOLS_OF_A_CLAIM = ("", "", "", "gold")
QUOTAS: tuple[tuple[str, ...], ...] = ((), (), (), ("q1",), ("q2",), ("q1", "q2"))
WORKSPACES = ("red", "green", "blue")
EITHER = (False, True)
ENDS = (None, -30, -2, 0, 1, 2, 4, 7, 12)
Ends = Sequence[int | None]


@contextmanager
def small_pages_patched() -> Iterator[None]:
    """Small worlds have few changes, and are to turn pages all the same; what is late is soon too late."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timeline, "PAGE_CHANGES_MAX", 3)
        patch.setattr(promises, "SLACK", 2 * SECOND)
        yield


def node_list(chance: Chance) -> tuple[NodeView, ...]:
    nodes = []
    for number in range(chance.number(1, 6)):
        shape, instance_type, memory = chance.pick(MODELS)
        gpus = chance.pick([1, 2, 4])
        blocked = frozenset(range(gpus)) & chance.pick([frozenset[int](), frozenset[int](), frozenset({1})])
        usable = chance.pick([True, True, True, False])
        cluster = chance.pick(CLUSTERS)
        nodes.append(
            NodeView(
                cluster,
                f"n{number}",
                shape,
                instance_type,
                memory,
                gpus,
                usable,
                "" if usable else "not ready",
                blocked,
                chance.pick(POOLS_OF_A_NODE),
                sliced="-MIG-" in shape,
            )
        )
    return tuple(nodes)


def lease_list(chance: Chance, nodes: tuple[NodeView, ...], ends: Ends) -> tuple[LeaseView, ...]:
    held = defaultdict(list)
    for node in nodes:
        for ordinal in range(node.gpus):
            held[chance.number(0, 5)].append(HeldGpu(node.cluster, node.name, ordinal))
    held.pop(0, None)  # these are free
    leases = []
    for fence, gpus in held.items():
        until = chance.pick(ends)
        leases.append(
            LeaseView(
                fence,
                f"lease-{fence}",
                f"run-{fence}",
                chance.pick(WORKSPACES),
                chance.pick(EITHER),
                None if until is None else at(until),
                tuple(gpus),
                tuple((key, len(gpus)) for key in chance.pick(QUOTAS)),
                pool=chance.pick(POOLS_OF_A_CLAIM),
            )
        )
    return tuple(leases)


def closure_list(chance: Chance, nodes: tuple[NodeView, ...]) -> tuple[Closure, ...]:
    """Mostly none; some are over, some overlap."""
    found = []
    for number in range(chance.pick([0, 0, 1, 2, 3])):
        node, begin = chance.pick(nodes), chance.number(-4, 12)
        length = chance.pick([1, 3, 3, 8])
        found.append(Closure(node.cluster, node.name, at(begin), at(begin + length), f"upgrade-{number}"))
    return tuple(found)


def any_claim(chance: Chance, sequence: int, nodes: tuple[NodeView, ...]) -> Claim:
    back_off = chance.pick([None, None, None, -1, 3, 8])
    places = [(node.cluster, node.name) for node in nodes]
    count, gpus = chance.pick([1, 1, 1, 2, 3]), chance.pick([1, 1, 1, 2, 2, 4, 0])
    return Claim(
        gpr_id=f"gpr-{sequence}",
        gpr_name=f"gpr-{sequence}",
        workspace=chance.pick(WORKSPACES),
        exclusive=chance.pick(EITHER),
        sequence=sequence,
        priority=chance.pick([50, 148, 150, 250]),
        nodes=count,
        gpus_per_node=gpus,
        duration_seconds=chance.pick([1, 2, 5, 9, 2, 5, 9, None]),
        clusters=chance.pick(WISHED_CLUSTERS),
        shape=chance.pick(["", "", "", "a100", "P4D", "a100-mig-3g.20gb"]),
        instance_type=chance.pick(["", "", "", "p4de"]),
        memory_gib=chance.pick([0, 0, 0, 16, 80]),
        not_before=None if back_off is None else at(back_off),
        excluded_nodes=chance.pick([frozenset[Place](), frozenset[Place](), frozenset(places[:1])]),
        pool=chance.pick(POOLS_OF_A_CLAIM),
        spread=chance.pick([True, True, False]),
        uses=tuple((key, count * gpus) for key in chance.pick(QUOTAS)),
        submitted_at=chance.pick([None, at(-10), at(-3), at(0)]),
    )


def planned_claim(chance: Chance, sequence: int, nodes: tuple[NodeView, ...]) -> Claim:
    """With a last forecast, which may be nonsense by now, and perhaps with a promise or a reservation on it."""
    claim = any_claim(chance, sequence, nodes)
    cluster = chance.pick(CLUSTERS)
    names = [node.name for node in nodes if node.cluster == cluster] or ["gone"]
    pinned, fixed = chance.pick(KEPT)
    return replace(
        claim,
        planned_cluster=cluster,
        planned_nodes=tuple(chance.pick(names) for _ in range(claim.nodes)),
        pinned_start=None if pinned is None else at(pinned),
        fixed_start=None if fixed is None else at(fixed),
    )


Place = tuple[str, str]
WISHED_CLUSTERS: tuple[tuple[str, ...], ...] = ((), (), ("east",), ("west", "east"), ("moon", "west"))
KEPT = (*[(None, None)] * 4, (0, None), (3, None), (6, None), (-2, None), (None, 2), (None, 7), (None, -1), (4, 5))
"""When a promise is pinned to, and a reservation."""
LIMITS = (Limit("q1", 4, "4 GPUs of one"), Limit("q2", 6, "6 GPUs of two"))


def changes(chance: Chance) -> list[tuple[int, int]]:
    """Of a limit: when, and to what."""
    return [(chance.number(-3, 14), chance.pick([0, 1, 2, 4, 6, 9])) for _ in range(chance.number(0, 4))]


def limits(chance: Chance) -> tuple[Limit, ...]:
    """Raised and lowered as time goes by, or not; one of them a guarantee."""
    found = [changes(chance) if chance.pick(EITHER) else [] for _ in LIMITS]
    over_time = [tuple((at(when), total) for when, total in sorted(each)) for each in found]
    return tuple(
        replace(limit, changes=each, guaranteed=limit.key == "q2")
        for limit, each in zip(LIMITS, over_time, strict=True)
    )


def standings(chance: Chance) -> tuple[Standing, ...]:
    found = {}
    for _ in range(chance.number(0, 4)):
        workspace, pool = chance.pick(WORKSPACES), chance.pick(["", "gold"])
        found[workspace, pool] = Standing(workspace, chance.pick([1, 2, 5]), chance.pick([0, 3, 20, 200]), pool)
    return tuple(found.values())


def snapshot(chance: Chance, ends: Ends = ENDS) -> Snapshot:
    """Nothing is planned before, nothing kept, and only strength and age count."""
    nodes = node_list(chance)
    leases = lease_list(chance, nodes, ends)
    queue = tuple(any_claim(chance, sequence, nodes) for sequence in range(chance.number(0, 10)))
    turnaround = chance.pick([0, 1, 5])
    return Snapshot(
        NOON, nodes, leases, queue, limits(chance), turnaround_seconds=turnaround, closures=closure_list(chance, nodes)
    )


def kept_snapshot(chance: Chance, ends: Ends = ENDS) -> Snapshot:
    """With promises, reservations, fair share and ageing."""
    plain = snapshot(chance, ends)
    queue = tuple(planned_claim(chance, claim.sequence, plain.nodes) for claim in plain.queue)
    return replace(plain, queue=queue, standings=standings(chance), ageing_seconds=chance.pick([0, 2, 1]))


def world(chance: Chance) -> Snapshot:
    return kept_snapshot(chance) if chance.pick(EITHER) else snapshot(chance)


def world_and_newcomer(chance: Chance) -> tuple[Snapshot, Claim]:
    found = world(chance)
    return found, any_claim(chance, 99, found.nodes)


WORLDS = drawn(world)
