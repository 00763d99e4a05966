"""Quotas as limits of a plan: one for each namespace and each thing that is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from domain.hardware import MEBIBYTES_PER_GIBIBYTE
from domain.limits import Amounts
from planner.snapshot import Limit, Uses

_COUNTED: Final = ("gpus", "cpu_millis", "memory_mib")


class Limits:
    """The limits in force, by workspace and namespace."""

    def __init__(self, by_workspace: Mapping[str, Mapping[str, Amounts]]) -> None:
        self._by_workspace = by_workspace

    def all(self) -> tuple[Limit, ...]:
        """Every limit."""
        return tuple(
            limit
            for workspace, namespaces in self._by_workspace.items()
            for namespace, amounts in namespaces.items()
            for limit in _limits(workspace, namespace, amounts)
        )

    def uses(self, workspace: str, namespace: str, amounts: Amounts) -> Uses:
        """How much of which limit a request takes: of its namespace's, or of each one's when it is for the workspace."""
        namespaces = self._by_workspace.get(workspace)
        if not namespaces:
            return ()
        counted = [namespace] if namespace else list(namespaces)
        return tuple(
            use for one in counted if one in namespaces for use in _uses(workspace, one, namespaces[one], amounts)
        )


def _limits(workspace: str, namespace: str, amounts: Amounts) -> Iterator[Limit]:
    for what in _COUNTED:
        total = getattr(amounts, what)
        if total is not None:
            yield Limit(
                _key(workspace, namespace, what), total, f"the quota of namespace {namespace}, {_spoken(what, total)}"
            )


def _uses(workspace: str, namespace: str, limit: Amounts, amounts: Amounts) -> Iterator[tuple[str, int]]:
    for what in _COUNTED:
        amount = getattr(amounts, what)
        if getattr(limit, what) is not None and amount:
            yield _key(workspace, namespace, what), amount


def _key(workspace: str, namespace: str, what: str) -> str:
    return f"{workspace}/{namespace}/{what}"


def _spoken(what: str, total: int) -> str:
    if what == "gpus":
        return f"{total} GPUs"
    if what == "cpu_millis":
        return f"{total / 1000:g} CPUs"
    return f"{total / MEBIBYTES_PER_GIBIBYTE:g} GiB of memory"
