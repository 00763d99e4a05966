"""Small random worlds, crowded on purpose: few nodes, few instants, so that ties and conflicts are common."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from planner.snapshot import Claim, Closure, HeldGpu, LeaseView, Limit, NodeView, Snapshot, Standing
from tests.builders_planner import NOON, at

LONG = int(os.environ.get("BERTH_LAWS_EXAMPLES", "0"))
"""So many worlds for each law, for those who have the time; 0: a few."""
MUTATING = "MUTANT_UNDER_TEST" in os.environ
"""mutmut asks: it wants to know that a law breaks, always on the same worlds, and not the smallest that breaks it."""

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
POOLS_OF_A_NODE = st.sampled_from([frozenset[str](), frozenset[str](), frozenset[str](), frozenset({"gold", "old"})])
POOLS_OF_A_CLAIM = st.sampled_from(["", "", "", "gold"])
QUOTAS = st.sampled_from([(), (), (), ("q1",), ("q2",), ("q1", "q2")])
WORKSPACES = st.sampled_from(["red", "green", "blue"])


@st.composite
def node_lists(draw: st.DrawFn) -> tuple[NodeView, ...]:
    nodes = []
    for number in range(draw(st.integers(1, 6))):
        shape, instance_type, memory = draw(st.sampled_from(MODELS))
        gpus = draw(st.sampled_from([1, 2, 4]))
        blocked = frozenset(range(gpus)) & draw(st.sampled_from([frozenset[int](), frozenset[int](), frozenset({1})]))
        usable = draw(st.sampled_from([True, True, True, False]))
        cluster = draw(st.sampled_from(CLUSTERS))
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
                draw(POOLS_OF_A_NODE),
                sliced="-MIG-" in shape,
            )
        )
    return tuple(nodes)


@st.composite
def lease_lists(
    draw: st.DrawFn, nodes: tuple[NodeView, ...], ends: st.SearchStrategy[int | None]
) -> tuple[LeaseView, ...]:
    held = defaultdict(list)
    for node in nodes:
        for ordinal in range(node.gpus):
            held[draw(st.integers(0, 5))].append(HeldGpu(node.cluster, node.name, ordinal))
    held.pop(0, None)  # these are free
    leases = []
    for fence, gpus in held.items():
        until = draw(ends)
        moment = None if until is None else at(until)
        leases.append(
            LeaseView(
                fence,
                f"lease-{fence}",
                f"run-{fence}",
                draw(WORKSPACES),
                draw(st.booleans()),
                moment,
                tuple(gpus),
                tuple((key, len(gpus)) for key in draw(QUOTAS)),
                pool=draw(POOLS_OF_A_CLAIM),
            )
        )
    return tuple(leases)


@st.composite
def closure_lists(draw: st.DrawFn, nodes: tuple[NodeView, ...]) -> tuple[Closure, ...]:
    """Mostly none; some are over, some overlap."""
    found = []
    for number in range(draw(st.sampled_from([0, 0, 1, 2, 3]))):
        node, begin = draw(st.sampled_from(nodes)), draw(st.integers(-4, 12))
        length = draw(st.sampled_from([1, 3, 3, 8]))
        found.append(Closure(node.cluster, node.name, at(begin), at(begin + length), f"upgrade-{number}"))
    return tuple(found)


@st.composite
def claims(draw: st.DrawFn, sequence: int, nodes: tuple[NodeView, ...]) -> Claim:
    back_off = draw(st.sampled_from([None, None, None, -1, 3, 8]))
    places = [(node.cluster, node.name) for node in nodes]
    count, gpus = draw(st.sampled_from([1, 1, 1, 2, 3])), draw(st.sampled_from([1, 1, 1, 2, 2, 4, 0]))
    return Claim(
        gpr_id=f"gpr-{sequence}",
        gpr_name=f"gpr-{sequence}",
        workspace=draw(WORKSPACES),
        exclusive=draw(st.booleans()),
        sequence=sequence,
        priority=draw(st.sampled_from([50, 148, 150, 250])),
        nodes=count,
        gpus_per_node=gpus,
        duration_seconds=draw(st.sampled_from([1, 2, 5, 9, 2, 5, 9, None])),
        clusters=draw(st.sampled_from([(), (), ("east",), ("west", "east"), ("moon", "west")])),
        shape=draw(st.sampled_from(["", "", "", "a100", "P4D", "a100-mig-3g.20gb"])),
        instance_type=draw(st.sampled_from(["", "", "", "p4de"])),
        memory_gib=draw(st.sampled_from([0, 0, 0, 16, 80])),
        not_before=None if back_off is None else at(back_off),
        excluded_nodes=draw(st.sampled_from([frozenset(), frozenset(), frozenset(places[:1])])),
        pool=draw(POOLS_OF_A_CLAIM),
        spread=draw(st.sampled_from([True, True, False])),
        uses=tuple((key, count * gpus) for key in draw(QUOTAS)),
        submitted_at=draw(st.sampled_from([None, at(-10), at(-3), at(0)])),
    )


@st.composite
def planned_claims(draw: st.DrawFn, sequence: int, nodes: tuple[NodeView, ...]) -> Claim:
    """With a last forecast, which may be nonsense by now, and perhaps with a promise or a reservation on it."""
    claim = draw(claims(sequence, nodes))
    cluster = draw(st.sampled_from(CLUSTERS))
    names = [node.name for node in nodes if node.cluster == cluster] or ["gone"]
    pinned, fixed = draw(st.sampled_from(KEPT))
    return replace(
        claim,
        planned_cluster=cluster,
        planned_nodes=tuple(draw(st.sampled_from(names)) for _ in range(claim.nodes)),
        pinned_start=None if pinned is None else at(pinned),
        fixed_start=None if fixed is None else at(fixed),
    )


KEPT = (*[(None, None)] * 4, (0, None), (3, None), (6, None), (-2, None), (None, 2), (None, 7), (None, -1), (4, 5))
"""When a promise is pinned to, and a reservation."""
LIMITS = (Limit("q1", 4, "4 GPUs of one"), Limit("q2", 6, "6 GPUs of two"))
CHANGES = st.lists(st.tuples(st.integers(-3, 14), st.sampled_from([0, 1, 2, 4, 6, 9])), max_size=4)
"""Of a limit: when, and to what."""


@st.composite
def limits(draw: st.DrawFn) -> tuple[Limit, ...]:
    """Raised and lowered as time goes by, or not; one of them a guarantee."""
    changes = [draw(st.one_of(st.just([]), CHANGES)) for _ in LIMITS]
    over_time = [tuple((at(when), total) for when, total in sorted(found)) for found in changes]
    return tuple(
        replace(limit, changes=found, guaranteed=limit.key == "q2")
        for limit, found in zip(LIMITS, over_time, strict=True)
    )


ENDS = st.sampled_from([None, -30, -2, 0, 1, 2, 4, 7, 12])


STANDINGS = st.lists(
    st.builds(
        Standing,
        WORKSPACES,
        st.sampled_from([1, 2, 5]),
        st.sampled_from([0, 3, 20, 200]),
        st.sampled_from(["", "gold"]),
    ),
    max_size=4,
    unique_by=lambda standing: (standing.workspace, standing.pool),
)


@st.composite
def snapshots(draw: st.DrawFn, ends: st.SearchStrategy[int | None] = ENDS) -> Snapshot:
    """Nothing is planned before, nothing kept, and only strength and age count."""
    nodes = draw(node_lists())
    leases = draw(lease_lists(nodes, ends))
    queue = tuple(draw(claims(sequence, nodes)) for sequence in range(draw(st.integers(0, 10))))
    turnaround = draw(st.sampled_from([0, 1, 5]))
    return Snapshot(
        NOON, nodes, leases, queue, draw(limits()), turnaround_seconds=turnaround, closures=draw(closure_lists(nodes))
    )


@st.composite
def kept_snapshots(draw: st.DrawFn, ends: st.SearchStrategy[int | None] = ENDS) -> Snapshot:
    """With promises, reservations, fair share and ageing."""
    snapshot = draw(snapshots(ends))
    queue = tuple(draw(planned_claims(claim.sequence, snapshot.nodes)) for claim in snapshot.queue)
    standings = tuple(draw(STANDINGS))
    return replace(snapshot, queue=queue, standings=standings, ageing_seconds=draw(st.sampled_from([0, 2, 1])))


WORLDS = st.one_of(snapshots(), kept_snapshots())
