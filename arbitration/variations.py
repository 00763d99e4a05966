"""What somebody could ask for instead: another kind of GPU, fewer of them, or the same for a shorter time. Pure, and few."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.gpu_kinds import split
from domain.hardware import means_shape
from planner.kinds import Kind, in_pool, in_reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from planner.snapshot import Claim, NodeView

SHAPES_MAX: Final = 8
HALVINGS_MAX: Final = 3
PARTS_OF_DURATION: Final = (0.75, 0.5, 0.25, 0.125, 0.0625)
DURATION_SECONDS_MIN: Final = 60


class Change(StrEnum):
    """What is different."""

    SHAPE = "shape"
    GPUS = "gpus"
    DURATION = "duration"


class Variation(NamedTuple):
    """A claim that is not queued, beside one that is or would be. It counts where that one counts."""

    change: Change
    claim: Claim


def variations(claim: Claim, nodes: Sequence[NodeView]) -> list[Variation]:
    """All that are worth a look."""
    return [*other_shapes(claim, nodes), *_fewer_gpus(claim), *_shorter(claim)]


def other_shapes(claim: Claim, nodes: Iterable[NodeView]) -> list[Variation]:
    """As many GPUs of each other kind that there is; on more nodes where these have fewer each."""
    if (not claim.shape and not claim.instance_type) or not claim.gpus_per_node:
        return []
    most: dict[str, int] = {}
    for node in nodes:
        if _in_reach(claim, node) and not _is_meant(claim, node):
            most[node.shape] = max(most.get(node.shape, 0), node.gpus)
    return [_as_shape(claim, shape, most[shape]) for shape in sorted(most)[:SHAPES_MAX]]


def _in_reach(claim: Claim, node: NodeView) -> bool:
    kind = Kind.of(node)
    suits = node.usable and not node.sliced and node.gpus > 0 and node.memory_gib >= claim.memory_gib
    return suits and in_pool(claim, kind) and in_reach(claim, kind)


def _is_meant(claim: Claim, node: NodeView) -> bool:
    same_shape = not claim.shape or means_shape(claim.shape, node.shape) or claim.shape == node.instance_type
    return same_shape and claim.instance_type in {"", node.instance_type}


def _as_shape(claim: Claim, shape: str, per_node_max: int) -> Variation:
    nodes, gpus_per_node = claim.nodes, claim.gpus_per_node
    if gpus_per_node > per_node_max:
        nodes, gpus_per_node = split(nodes * gpus_per_node, per_node_max)
    return _varied(
        claim, Change.SHAPE, f"as {shape}", shape=shape, instance_type="", nodes=nodes, gpus_per_node=gpus_per_node
    )


def _fewer_gpus(claim: Claim) -> list[Variation]:
    found = list[Variation]()
    nodes, gpus_per_node = claim.nodes, claim.gpus_per_node
    while nodes * gpus_per_node > 1 and len(found) < HALVINGS_MAX:
        nodes, gpus_per_node = (nodes // 2, gpus_per_node) if nodes > 1 else (1, gpus_per_node // 2)
        name = f"with {nodes} x {gpus_per_node}"
        found.append(_varied(claim, Change.GPUS, name, nodes=nodes, gpus_per_node=gpus_per_node))
    return found


def _shorter(claim: Claim) -> list[Variation]:
    if claim.duration_seconds is None:
        return []
    durations = {int(claim.duration_seconds * part) // 60 * 60 for part in PARTS_OF_DURATION}
    return [
        _varied(claim, Change.DURATION, f"for {seconds} s", duration_seconds=seconds)
        for seconds in sorted(durations, reverse=True)
        if DURATION_SECONDS_MIN <= seconds < claim.duration_seconds
    ]


def _varied(claim: Claim, change: Change, name: str, **fields: object) -> Variation:
    varied = replace(
        claim,
        gpr_id=f"{claim.gpr_id} {name}",
        pinned_start=None,
        planned_cluster="",
        planned_nodes=(),
        **fields,  # type: ignore[arg-type]
    )
    was, gpus = claim.nodes * claim.gpus_per_node, varied.nodes * varied.gpus_per_node
    uses = tuple((key, max(1, amount * gpus // was)) for key, amount in claim.uses) if was else claim.uses
    return Variation(change, replace(varied, uses=uses))
