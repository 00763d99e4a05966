"""Small random worlds, crowded on purpose: few nodes, few instants, so that ties and conflicts are common."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st

from planner.snapshot import Claim, HeldGpu, LeaseView, Limit, NodeView, Snapshot
from tests.builders_planner import NOON, at

LAW = settings(max_examples=75, deadline=None)
CLUSTERS = ("east", "west")
MODELS = (("T4", "g4dn", 16), ("A100", "p4d", 40), ("A100", "p4de", 79))
POOLS_OF_A_NODE = st.sampled_from([frozenset[str](), frozenset[str](), frozenset[str](), frozenset({"gold", "old"})])
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
            )
        )
    return tuple(leases)


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
        priority=draw(st.sampled_from([50, 150, 250])),
        nodes=count,
        gpus_per_node=gpus,
        duration_seconds=draw(st.sampled_from([1, 2, 5, 9, 2, 5, 9, None])),
        clusters=draw(st.sampled_from([(), (), ("east",), ("west", "east"), ("moon", "west")])),
        shape=draw(st.sampled_from(["", "", "", "a100", "P4D"])),
        instance_type=draw(st.sampled_from(["", "", "", "p4de"])),
        memory_gib=draw(st.sampled_from([0, 0, 0, 16, 80])),
        not_before=None if back_off is None else at(back_off),
        excluded_nodes=draw(st.sampled_from([frozenset(), frozenset(), frozenset(places[:1])])),
        pool=draw(st.sampled_from(["", "", "", "gold"])),
        spread=draw(st.sampled_from([True, True, False])),
        uses=tuple((key, count * gpus) for key in draw(QUOTAS)),
    )


LIMITS = (Limit("q1", 4, "4 GPUs of one"), Limit("q2", 6, "6 GPUs of two"))
ENDS = st.sampled_from([None, -30, -2, 0, 1, 2, 4, 7, 12])


@st.composite
def snapshots(draw: st.DrawFn, ends: st.SearchStrategy[int | None] = ENDS) -> Snapshot:
    nodes = draw(node_lists())
    leases = draw(lease_lists(nodes, ends))
    queue = tuple(draw(claims(sequence, nodes)) for sequence in range(draw(st.integers(0, 10))))
    return Snapshot(NOON, nodes, leases, queue, LIMITS, turnaround_seconds=draw(st.sampled_from([0, 1, 5])))
