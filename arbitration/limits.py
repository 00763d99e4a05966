"""Limits of a plan: quotas, one for each namespace and each thing that is counted; and disks, each for one at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Final

from domain.hardware import MEBIBYTES_PER_GIBIBYTE
from domain.limits import Amounts
from ledger.arbitration import WantedDisk
from planner.snapshot import LeaseView, Limit, Uses

_COUNTED: Final = ("gpus", "cpu_millis", "memory_mib")
OPERATION_SECONDS_EXPECTED: Final = 60
"""Of what is done with a disk between two boxes: mostly a copy."""


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


def disk_limits(wanted: Collection[WantedDisk]) -> tuple[Limit, ...]:
    """One for each disk that is waited for."""
    return tuple(Limit(_disk_key(disk.id), 1, f"disk {disk.name!r}") for disk in _each(wanted))


def disk_use(disk_id: str | None) -> Uses:
    """What a request or a lease with this disk takes of it."""
    return ((_disk_key(disk_id), 1),) if disk_id else ()


def disk_operations(wanted: Collection[WantedDisk], held: Collection[str | None]) -> tuple[LeaseView, ...]:
    """What is being done with disks that are waited for and that no lease has, as leases without GPUs."""
    return tuple(
        LeaseView(
            fence=0,
            gpr_id=f"operation on disk {disk.id}",
            gpr_name=f"a copy or change of disk {disk.name!r}",
            workspace="",
            exclusive=False,
            until=disk.busy_since + timedelta(seconds=OPERATION_SECONDS_EXPECTED),
            gpus=(),
            uses=disk_use(disk.id),
        )
        for disk in _each(wanted)
        if disk.busy_since is not None and disk.id not in held
    )


def _each(wanted: Collection[WantedDisk]) -> Collection[WantedDisk]:
    return {disk.id: disk for disk in wanted}.values()


def _disk_key(disk_id: str) -> str:
    return f"disk/{disk_id}"
