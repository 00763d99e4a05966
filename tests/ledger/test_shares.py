"""Departments, workspaces' quotas, people's ceilings and timed overrides, as the ledger keeps them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from domain.failures import AlreadyExists, InUse, NotFound, WrongPhase
from domain.hardware import Gpu
from domain.limits import Amounts
from domain.shares import Allowance, Held, Override, Scope
from ledger import leases, outbox, overrides, quotas, shares
from ledger.outbox import KICKS_AFTER
from tests.builders import INSERT_PRINCIPAL, a_gpr, a_workspace, now, some_nodes

if TYPE_CHECKING:
    from ledger.connection import Ledger

HOUR = timedelta(hours=1)
NOW = now().replace(microsecond=0)


def an_override(workspace_id: UUID | None = None, **changes: object) -> Override:
    fields: dict[str, object] = {
        "id": uuid4(),
        "scope": Scope.WORKSPACE if workspace_id else Scope.DEPARTMENT,
        "name": "research",
        "workspace_id": workspace_id,
        "workspace": "",
        "allowance": Allowance(8),
        "begins_at": NOW + HOUR,
        "ends_at": NOW + 2 * HOUR,
        "description": "",
        "set_by": "ann",
        "set_at": NOW,
        **changes,
    }
    return Override(**fields)  # type: ignore[arg-type]


async def a_department(ledger: Ledger, name: str = "research", allowance: Allowance = Allowance()) -> str:  # noqa: B008
    async with ledger.transaction() as connection:
        await shares.create_department(connection, name, "", allowance, "ann", NOW)
    return name


async def assigned(ledger: Ledger, workspace_id: UUID, department: str) -> None:
    async with ledger.transaction() as connection:
        await shares.assign(connection, workspace_id, department, "ann", NOW)


async def running(ledger: Ledger, workspace_id: UUID, node: str, gpus: int, **changes: object) -> UUID:
    gpr_id = await a_gpr(ledger, workspace_id, gpus_per_node=gpus, exclusive=False, **changes)
    async with ledger.transaction() as connection:
        first = await connection.fetchval("select count(*) from lease_gpu where released_at is null")
        held = [Gpu(node, first + number) for number in range(gpus)]
        assert await leases.grant(connection, gpr_id, "worker-1", held, NOW)
    return gpr_id


async def wakes(ledger: Ledger) -> list[datetime]:
    async with ledger.reading() as connection:
        rows = await connection.fetch(
            "select created_at from outbox where signal = 'kick' and created_at > $1 order by created_at",
            NOW + HOUR / 2,
        )
    return [row["created_at"] for row in rows]


async def set_one(ledger: Ledger, override: Override, at: datetime = NOW) -> UUID:
    async with ledger.transaction() as connection:
        await overrides.set_override(connection, override, at)
    return override.id


async def test_everybody_begins_in_the_default_department_which_limits_nothing_and_stays(ledger: Ledger) -> None:
    await a_workspace(ledger, "one")
    async with ledger.transaction() as connection:
        (found,) = await shares.departments(connection)
        assert (found.name, found.allowance, found.workspaces) == ("default", Allowance(), ("one",))
        with pytest.raises(InUse):
            await shares.delete_department(connection, "default", "ann", NOW)


async def test_a_department_holds_what_its_workspaces_hold(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=8)
    one, two, other = [await a_workspace(ledger) for _ in range(3)]
    await a_department(ledger, allowance=Allowance(4, 8))
    for workspace in (one, two):
        await assigned(ledger, workspace, "research")
    await running(ledger, one, node, 2)
    await running(ledger, two, node, 3, preemptible=True)
    await running(ledger, other, node, 1)
    async with ledger.reading() as connection:
        found = await shares.department(connection, "research")
    assert (found.allowance, found.held, found.held.gpus) == (Allowance(4, 8), Held(2, 3), 5)


async def test_a_department_is_made_once_changed_and_deleted_when_nobody_is_in_it(ledger: Ledger) -> None:
    workspace, name = await a_workspace(ledger), await a_department(ledger)
    with pytest.raises(AlreadyExists):
        await a_department(ledger)
    await assigned(ledger, workspace, name)
    async with ledger.transaction() as connection:
        await shares.change_department(connection, name, "people", Allowance(3), "ann", NOW)
        assert (await shares.department(connection, name)).allowance == Allowance(3)
        with pytest.raises(InUse):
            await shares.delete_department(connection, name, "ann", NOW)
    await assigned(ledger, workspace, "default")
    async with ledger.transaction() as connection:
        await shares.delete_department(connection, name, "ann", NOW)
        with pytest.raises(NotFound):
            await shares.department(connection, name)
        with pytest.raises(NotFound):
            await shares.assign(connection, workspace, name, "ann", NOW)
        with pytest.raises(NotFound):
            await shares.change_department(connection, name, "", Allowance(), "ann", NOW)


async def test_a_workload_shows_the_department_that_its_workspace_is_assigned_to(ledger: Ledger) -> None:
    workspace, name = await a_workspace(ledger), await a_department(ledger)
    gpr_id = await a_gpr(ledger, workspace)
    await assigned(ledger, workspace, name)
    async with ledger.reading() as connection:
        shown = await connection.fetchval("select department from workload where gpr_id = $1", gpr_id)
    assert shown == name


async def test_only_workspaces_with_a_quota_are_listed_with_what_they_hold(ledger: Ledger) -> None:
    (node,) = await some_nodes(ledger, count=1, gpus=8)
    with_one, without = await a_workspace(ledger, "with"), await a_workspace(ledger, "without")
    await running(ledger, with_one, node, 2)
    async with ledger.transaction() as connection:
        await shares.set_workspace_quota(connection, with_one, Allowance(4, None), "ann", NOW)
        (found,) = await shares.workspace_quotas(connection)
        assert (found.workspace, found.allowance, found.held) == ("with", Allowance(4), Held(2, 0))
        assert await shares.workspace_quotas(connection, [without]) == []
        assert (await shares.workspace_quota(connection, without)).allowance == Allowance()


async def test_what_counts_for_everybody_counts_for_those_for_whom_nothing_else_is_set(ledger: Ledger) -> None:
    ann, ben, eve = uuid4(), uuid4(), uuid4()
    async with ledger.transaction() as connection:
        for person, name in ((ann, "ann"), (ben, "ben"), (eve, "eve")):
            await connection.execute(INSERT_PRINCIPAL, person, name, NOW)
        await shares.set_user_ceiling(connection, "ben", 9, "root", NOW)
        await shares.set_user_ceiling(connection, "eve", None, "root", NOW)
        everybody = [str(one) for one in (ann, ben, eve)]
        before = await shares.users_in_force(connection, everybody)
        await shares.set_user_ceiling(connection, "", 4, "root", NOW)
        await shares.set_user_ceiling(connection, "", 5, "root", NOW)
        after = await shares.users_in_force(connection, everybody)
        listed = await shares.user_ceilings(connection)
        await shares.delete_user_ceiling(connection, "ben", "root", NOW)
        with pytest.raises(NotFound):
            await shares.delete_user_ceiling(connection, "ben", "root", NOW)
        with pytest.raises(NotFound):
            await shares.set_user_ceiling(connection, "nobody", 1, "root", NOW)
    assert {one.name: one.gpus for one in before} == {"ben": 9}
    assert {one.name: one.gpus for one in after} == {"ann": 5, "ben": 9}
    assert [(one.user, one.gpus) for one in listed] == [("", 5), ("ben", 9), ("eve", None)]


async def test_the_arbiter_is_woken_when_an_override_begins_and_when_it_ends(ledger: Ledger) -> None:
    await a_department(ledger)
    override = an_override()
    await set_one(ledger, override)
    expected = [mark + after for mark in (override.begins_at, override.ends_at) for after in KICKS_AFTER]
    assert await wakes(ledger) == expected
    async with ledger.reading() as connection:
        backlog = await connection.fetchval("select count(*) from outbox where created_at <= now()")
        assert (await outbox.backlog(ledger)).waiting == backlog


async def test_an_override_that_is_withdrawn_before_it_begins_never_counts_and_stays_in_the_history(
    ledger: Ledger,
) -> None:
    await a_department(ledger)
    override_id = await set_one(ledger, an_override())
    async with ledger.transaction() as connection:
        assert [one.id for one in await overrides.ahead(connection, NOW)] == [override_id]
        await overrides.withdraw(connection, override_id, "ben", NOW)
        assert await overrides.withdraw(connection, override_id, "ben", NOW + HOUR) == []
        assert await overrides.ahead(connection, NOW) == []
        (kept,) = await overrides.ever(connection)
    assert (kept.withdrawn_by, kept.withdrawn_at, kept.ends_at) == ("ben", NOW, kept.begins_at)


async def test_an_override_that_is_withdrawn_while_it_counts_ends_then(ledger: Ledger) -> None:
    await a_department(ledger)
    override_id, midway = await set_one(ledger, an_override()), NOW + 1.5 * HOUR
    async with ledger.transaction() as connection:
        await overrides.withdraw(connection, override_id, "ben", midway)
        assert (await overrides.find(connection, override_id)).ends_at == midway


async def test_an_override_that_is_over_cannot_be_withdrawn(ledger: Ledger) -> None:
    await a_department(ledger)
    override_id = await set_one(ledger, an_override())
    async with ledger.transaction() as connection:
        with pytest.raises(WrongPhase):
            await overrides.withdraw(connection, override_id, "ben", NOW + 3 * HOUR)
        with pytest.raises(NotFound):
            await overrides.withdraw(connection, uuid4(), "ben", NOW)


async def test_kubernetes_own_ceiling_rises_before_an_override_begins_and_is_never_below_the_quota(
    ledger: Ledger,
) -> None:
    workspace = await a_workspace(ledger, "one")
    async with ledger.transaction() as connection:
        await quotas.set_quota(connection, workspace, "one-ns", Amounts(4), "", "ann", NOW)
    of_namespace = {"scope": Scope.NAMESPACE, "name": "one-ns"}
    await set_one(ledger, an_override(workspace, **of_namespace))
    await set_one(ledger, an_override(workspace, **of_namespace, allowance=Allowance(2)))
    async with ledger.reading() as connection:
        found = [
            (await quotas.ceilings(connection, "worker-1", NOW + after))["one-ns"]
            for after in (timedelta(), HOUR - timedelta(minutes=5), 1.5 * HOUR, 3 * HOUR)
        ]
    assert found == [4, 8, 8, 4]
