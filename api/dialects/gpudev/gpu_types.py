"""The GPU types of this API: their names, what they are, and on which instances one finds them. All of it is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from domain.failures import InvalidRequest
from domain.gpu_kinds import GpuKind


@dataclass(frozen=True, slots=True)
class _Row:
    product: str
    """What a node's GPUs are called, in a word; empty: it has none."""
    instance_type: str
    per_node: int


_TABLE: Final = {
    "t4": _Row("T4", "g4dn.12xlarge", 4),
    "t4-small": _Row("T4", "g4dn.2xlarge", 1),
    "l4": _Row("L4", "g6.12xlarge", 4),
    "a10g": _Row("A10G", "g5.12xlarge", 4),
    "a100": _Row("A100", "p4d.24xlarge", 8),
    "h100": _Row("H100", "p5.48xlarge", 8),
    "h200": _Row("H200", "p5e.48xlarge", 8),
    "b200": _Row("B200", "p6-b200.48xlarge", 8),
    "cpu-x86": _Row("", "c7i.8xlarge", 0),
    "cpu-arm": _Row("", "c7g.8xlarge", 0),
}


def _kind(name: str, row: _Row) -> GpuKind:
    others = {one.instance_type for one in _TABLE.values() if one.product == row.product and one is not row}
    return GpuKind(name, row.product, row.instance_type, row.per_node, frozenset(others))


KINDS: Final[Mapping[str, GpuKind]] = MappingProxyType({name: _kind(name, row) for name, row in _TABLE.items()})
DEFAULT: Final = KINDS["a100"]
ARCHITECTURES: Final[Mapping[str, str]] = MappingProxyType({"cpu-x86": "amd64", "cpu-arm": "arm64"})
"""Of the nodes of those types that say it by their name, as nodes say it."""
COUNTS: Final = (1, 2, 4, 8, 16)
"""GPUs in all; more than one node has means several nodes."""


def kind_of(gpu_type: str | None, instance_type: str | None) -> GpuKind:
    """The type that is meant: by its name, else by its instance type, else the usual one. InvalidRequest."""
    if gpu_type:
        found = KINDS.get(gpu_type.strip().lower())
        if found is None:
            raise InvalidRequest(f"unknown GPU type {gpu_type[:80]!r}; known types: {', '.join(KINDS)}")
        return found
    if not instance_type:
        return DEFAULT
    wanted = instance_type.strip().lower()
    for kind in KINDS.values():
        if kind.instance_type == wanted:
            return kind
    known = ", ".join(f"{kind.instance_type} ({name})" for name, kind in KINDS.items())
    raise InvalidRequest(f"unknown instance type {instance_type[:80]!r}; known instance types: {known}")


def count_of(kind: GpuKind, text: str | None) -> int:
    """How many GPUs are asked for. InvalidRequest where there is no such number of this type."""
    counts = {str(count): count for count in (COUNTS if kind.product else (0,))}
    word = (text or next(iter(counts))).strip()
    if word not in counts:
        raise InvalidRequest(
            f"{word[:80]!r} GPUs of type {kind.name} cannot be had; possible counts: {', '.join(counts)}"
        )
    return counts[word]
