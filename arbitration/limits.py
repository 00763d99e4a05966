"""Limits of a plan: quotas of namespaces, workspaces and departments, ceilings of people, as they are from now on.

And disks, each for one at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.hardware import MEBIBYTES_PER_GIBIBYTE
from domain.limits import Amounts
from domain.shares import Allowance, Override, OverTime, Scope, ceiling_spells, gpu_spells, over_time
from ledger import overrides, quotas, shares
from ledger.arbitration import WantedDisk
from ledger.shares import ShareInForce, UserInForce
from planner.snapshot import UNLIMITED, LeaseView, Limit, Uses

if TYPE_CHECKING:
    from datetime import datetime

    from ledger.connection import Connection

_COUNTED: Final = ("gpus", "cpu_millis", "memory_mib")
_GUARANTEED: Final = "guaranteed"
_CEILING: Final = "ceiling"
OPERATION_SECONDS_EXPECTED: Final = 60
"""Of what is done with a disk between two boxes: mostly a copy."""


@dataclass(frozen=True, slots=True)
class InForce:
    """What the ledger says about limits, for the workspaces and people that have or want GPUs."""

    namespaces: Mapping[str, Mapping[str, Amounts]]
    """By workspace, by namespace."""
    shares: Sequence[ShareInForce] = ()
    users: Sequence[UserInForce] = ()
    overrides: Sequence[Override] = ()


async def in_force(connection: Connection, workspaces: Iterable[str], users: Iterable[str], now: datetime) -> InForce:
    """Limits of namespaces, and of these workspaces and people, by id."""
    return InForce(
        await quotas.limits(connection),
        await shares.in_force(connection, workspaces),
        await shares.users_in_force(connection, users),
        await overrides.ahead(connection, now),
    )


class Limits:
    """The limits in force, and who counts against which."""

    def __init__(self, found: InForce, now: datetime) -> None:
        self._now = now
        self._spells: defaultdict[tuple[str, str, str], list[Override]] = defaultdict(list)
        for one in found.overrides:
            self._spells[one.owner].append(one)
        self._limits: dict[str, Limit] = {}
        self._namespaces: defaultdict[str, list[str]] = defaultdict(list)
        self._departments = {share.workspace: share.department for share in found.shares}
        self._known_keys: dict[tuple[str, str, str, bool], list[tuple[str, str]]] = {}
        """Found once for all requests that are alike: a queue is long, and most of it is."""
        self._known_guarantees: dict[str, tuple[str, ...]] = {}
        self._limit_namespaces(found.namespaces)
        for share in found.shares:
            self._limit_share(Scope.WORKSPACE, share.workspace, share.name, share.allowance)
            self._limit_share(Scope.DEPARTMENT, share.department, share.department, share.of_department)
        for user in found.users:
            self._limit(f"user/{user.user_id}", f"the ceiling of user {user.name}", OverTime(user.gpus))

    def all(self) -> tuple[Limit, ...]:
        """Every limit."""
        return tuple(self._limits.values())

    def uses(
        self, workspace: str, namespace: str, amounts: Amounts, submitter: str = "", *, preemptible: bool = False
    ) -> Uses:
        """How much of which limit a request takes: of its namespace's, or of each one's when it is for the workspace.

        What can be preempted counts against no guarantee: it borrows.
        """
        user = (workspace, namespace, submitter, preemptible)
        keys = self._known_keys.get(user)
        if keys is None:
            keys = self._known_keys[user] = self._keys(workspace, namespace, submitter, preemptible=preemptible)
        used = [(key, getattr(amounts, what)) for key, what in keys]
        return tuple((key, amount) for key, amount in used if amount)

    def guarantees(self, workspace: str) -> tuple[str, ...]:
        """Keys of what is guaranteed to a workspace, and to its department, whether or not anything is."""
        keys = self._known_guarantees.get(workspace)
        if keys is None:
            owners = {Scope.WORKSPACE: workspace, Scope.DEPARTMENT: self._departments.get(workspace)}
            keys = tuple(f"{scope}/{owner}/{_GUARANTEED}" for scope, owner in owners.items() if owner)
            self._known_guarantees[workspace] = keys
        return keys

    def _keys(self, workspace: str, namespace: str, submitter: str, *, preemptible: bool) -> list[tuple[str, str]]:
        """Of the limits in force that such a request counts against, each with what is counted."""
        counted = [namespace] if namespace else self._namespaces[workspace]
        keys = [(_key(workspace, one, what), what) for one in counted for what in _COUNTED]
        holders = [f"workspace/{workspace}", f"department/{self._departments.get(workspace, '')}"]
        keys += [(f"{holder}/{_CEILING}", "gpus") for holder in holders]
        keys += [(f"{holder}/{_GUARANTEED}", "gpus") for holder in holders if not preemptible]
        keys.append((f"user/{submitter}", "gpus"))
        return [(key, what) for key, what in keys if key in self._limits]

    def _limit_namespaces(self, known: Mapping[str, Mapping[str, Amounts]]) -> None:
        usual = {(workspace, one): amounts for workspace, each in known.items() for one, amounts in each.items()}
        only_for_a_while = {owner[1:]: Amounts() for owner in self._spells if owner[0] == Scope.NAMESPACE}
        for (workspace, namespace), amounts in (only_for_a_while | usual).items():
            self._namespaces[workspace].append(namespace)
            spells = gpu_spells(self._spells[Scope.NAMESPACE, workspace, namespace])
            for what in _COUNTED:
                total = over_time(getattr(amounts, what), spells if what == "gpus" else (), self._now)
                self._limit(_key(workspace, namespace, what), f"the quota of namespace {namespace}", total, what)

    def _limit_share(self, scope: Scope, holder: str, name: str, allowance: Allowance) -> None:
        spells = self._spells[(scope, holder, "") if scope is Scope.WORKSPACE else (scope, "", holder)]
        guaranteed = over_time(allowance.gpus, gpu_spells(spells), self._now)
        ceiling = over_time(allowance.ceiling, ceiling_spells(spells), self._now)
        key = f"{scope}/{holder}"
        self._limit(f"{key}/{_GUARANTEED}", f"the quota of {scope} {name}", guaranteed, guaranteed=True)
        self._limit(f"{key}/{_CEILING}", f"the ceiling of {scope} {name}", ceiling)

    def _limit(self, key: str, name: str, total: OverTime, what: str = "gpus", *, guaranteed: bool = False) -> None:
        if total.is_limited:
            spoken = name if total.now is None else f"{name}, {_spoken(what, total.now)}"
            changes = tuple((instant, _total(then)) for instant, then in total.changes)
            self._limits[key] = Limit(key, _total(total.now), spoken, changes, guaranteed)


def _total(amount: int | None) -> int:
    return UNLIMITED if amount is None else amount


def _key(workspace: str, namespace: str, what: str) -> str:
    return f"{workspace}/{namespace}/{what}"


def _spoken(what: str, total: int) -> str:
    if what == "gpus":
        return f"{total} GPU{'s' * (total != 1)}"
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
