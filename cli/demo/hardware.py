"""Which GPU the demonstration asks for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cli.client.answers import Node
from domain.hardware import NodeState

PREFERRED_SHAPE = "Tesla-T4"


def smallest(nodes: Iterable[Node], clusters: Collection[str]) -> Node | None:
    """The most modest node that could serve, a free one first; in any cluster when none is named."""
    fit = [
        each
        for each in nodes
        if each.gpus and each.state is NodeState.READY and each.cluster in (clusters or {each.cluster})
    ]
    return min(fit, key=_modesty, default=None)


def why_none(nodes: Iterable[Node]) -> str:
    """What the nodes themselves say, each thing once."""
    words = sorted({f"{each.cluster}: {each.condition or each.state}" for each in nodes})
    return "; ".join(words) or "none is known yet"


def _modesty(node: Node) -> tuple[bool, bool, int, int, str, str]:
    wrong_shape = node.shape != PREFERRED_SHAPE
    return (wrong_shape, not node.free_gpus, node.memory_mib, node.gpus, node.cluster, node.name)
