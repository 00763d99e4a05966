"""A pool, as YAML of kind `pool` or as a flat JSON body, and what either asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field

from api.dialects.gpuctl.field_types import GpuType, Name, NodeName, Text, Version
from api.dialects.gpuctl.limits import Limits, LimitsSection
from api.dialects.gpuctl.sections import Section, kind_of, read_section, told_by
from api.dialects.gpuctl.yaml_documents import YamlDocument

NODES_MAX: Final = 1000
"""As many as fit into a body under their longest names; more join one by one."""


@dataclass(frozen=True, slots=True)
class PoolNode:
    """A node that is to be in a pool, and the GPU that its author believes it has; empty: not said."""

    name: str
    gpu_type: str = ""


@dataclass(frozen=True, slots=True)
class PoolOrder:
    """A pool that is asked for. `gpu_types`: the only ones allowed in it; empty: any."""

    name: str
    description: str = ""
    nodes: tuple[PoolNode, ...] = ()
    gpu_types: tuple[str, ...] = ()
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class PoolChange:
    """What may change about a pool; None: stays."""

    description: str | None = None
    nodes: tuple[PoolNode, ...] | None = None
    gpu_types: tuple[str, ...] | None = None
    limits: Limits | None = None


class PoolIdentity(Section):
    """What it is called."""

    name: Name
    description: Text = ""


class PoolNodeSection(Section):
    """What is said of a node."""

    gpu_type: GpuType = ""


_Node = Annotated[PoolNodeSection, BeforeValidator(lambda content: {} if content is None else content)]


class PoolDocument(Section):
    """The YAML."""

    synonyms: ClassVar[Mapping[str, str]] = MappingProxyType({"metadata": "pool"})

    kind: Annotated[Literal["pool"], told_by(lambda kind: str(kind).lower())]
    version: Version | None = None
    pool: PoolIdentity
    nodes: Annotated[dict[NodeName, _Node], Field(max_length=NODES_MAX)] = Field(default_factory=dict)


_Nodes = Annotated[list[NodeName], Field(max_length=NODES_MAX)]
_GpuTypes = Annotated[list[GpuType], Field(max_length=NODES_MAX)]


class PoolBody(Section):
    """The flat JSON."""

    name: Name
    description: Text = ""
    nodes: _Nodes = Field(default_factory=list)
    gpu_type: _GpuTypes = Field(default_factory=list)
    quota: LimitsSection | None = None


class PoolChangeBody(Section):
    """The flat JSON of a change. The name stands in the path; here it may only be repeated."""

    name: Name | None = None
    description: Text | None = None
    nodes: _Nodes | None = None
    gpu_type: _GpuTypes | None = None
    quota: LimitsSection | None = None


def read_pool(document: YamlDocument) -> PoolOrder:
    """The pool that is asked for, in whichever of the two forms."""
    if _is_yaml_form(document.content):
        kind_of(document, ("pool",))
        return _order_of_document(read_section(PoolDocument, document))
    return _order_of_body(read_section(PoolBody, document))


def read_pool_change(document: YamlDocument) -> tuple[str | None, PoolChange]:
    """The change that is asked for, in whichever form, and the name that it repeats."""
    if _is_yaml_form(document.content):
        order = read_pool(document)
        return order.name, PoolChange(order.description, order.nodes)
    body = read_section(PoolChangeBody, document)
    nodes = None if body.nodes is None else _nodes(body.nodes)
    gpu_types = None if body.gpu_type is None else _unique(body.gpu_type)
    limits = None if body.quota is None else Limits.of(body.quota)
    return body.name, PoolChange(body.description, nodes, gpu_types, limits)


def pool_content_of(order: PoolOrder) -> dict[str, object]:
    """The YAML that asks for this pool. It cannot say `gpu_types` and `limits`."""
    identity = {"name": order.name} | ({"description": order.description} if order.description else {})
    nodes = {node.name: {"gpu-type": node.gpu_type} if node.gpu_type else {} for node in order.nodes}
    return {"kind": "pool", "version": "v0.1", "pool": identity, "nodes": nodes}


def _is_yaml_form(content: Mapping[str, Any]) -> bool:
    return any(key in content for key in ("kind", "pool", "metadata"))


def _order_of_document(document: PoolDocument) -> PoolOrder:
    nodes = tuple(PoolNode(name, node.gpu_type) for name, node in document.nodes.items())
    return PoolOrder(document.pool.name, document.pool.description, nodes)


def _order_of_body(body: PoolBody) -> PoolOrder:
    limits = None if body.quota is None else Limits.of(body.quota)
    return PoolOrder(body.name, body.description, _nodes(body.nodes), _unique(body.gpu_type), limits)


def _nodes(names: list[str]) -> tuple[PoolNode, ...]:
    return tuple(PoolNode(name) for name in _unique(names))


def _unique(words: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
