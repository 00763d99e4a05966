"""GPUs by the names that people have for them: which nodes are meant, and how many of those a number of GPUs takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from domain.hardware import means_shape


@dataclass(frozen=True, slots=True, order=True)
class NodeModel:
    """What nodes of one make have in common, as the inventory spells it; `gpus` on each."""

    shape: str
    instance_type: str
    gpus: int


@dataclass(frozen=True, slots=True)
class GpuKind:
    """GPUs that people call by one name.

    `not_on`: instance types that have this product and go by another name. `per_node`: GPUs of the usual node, where
    the inventory has none that could be counted.
    """

    name: str
    product: str
    instance_type: str
    per_node: int
    not_on: frozenset[str] = frozenset()

    def means(self, model: NodeModel) -> bool:
        """Whether such a node's GPUs go by this name. A kind without a product has no GPUs, and no nodes of its own."""
        return bool(self.product) and model.instance_type not in self.not_on and means_shape(self.product, model.shape)

    def models(self, inventory: Iterable[NodeModel]) -> list[NodeModel]:
        """The nodes that are meant."""
        return [model for model in inventory if self.means(model)]

    def per_node_max(self, inventory: Iterable[NodeModel]) -> int:
        """The most GPUs that one node has."""
        return max((model.gpus for model in self.models(inventory) if model.gpus), default=self.per_node)

    def wanted(self, inventory: Iterable[NodeModel]) -> list[tuple[str, str]]:
        """(shape, instance type) that a request may name to get such nodes and no others; each is one way to have them.

        A shape alone where all of its nodes are meant. Without any node it is the usual instance type that is waited for.
        """
        known = list(inventory)
        meant = self.models(known)
        strange = {model.shape for model in known if model not in meant}
        ways = {(model.shape, model.instance_type if model.shape in strange else "") for model in meant}
        return sorted(ways) or [("", self.instance_type if self.product else "")]


def split(gpus: int, per_node_max: int) -> tuple[int, int]:
    """(nodes, GPUs on each) for so many in all: the fewest nodes that share them evenly. Without GPUs one node."""
    if not gpus:
        return 1, 0
    return next(
        (nodes, gpus // nodes) for nodes in range(1, gpus + 1) if gpus % nodes == 0 and gpus // nodes <= per_node_max
    )
