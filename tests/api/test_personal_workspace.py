"""Everybody's own workspace: made once, whoever asks and however often, and nobody else's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from api.operations.call import Call
from api.operations.personal import NoClusterYet, personal_workspace
from domain.failures import Forbidden
from domain.identity import Caller, Role
from domain.login import Subject, personal_workspace_names, principal_names
from domain.workspace import WorkspacePhase
from ledger import access, personal
from tests.api.api_kit import opened

if TYPE_CHECKING:
    from domain.identity import Principal
    from domain.workspace import Workspace
    from tests.api.api_kit import TheApi


def call_of(api: TheApi, principal: Principal, **changes: object) -> Call:
    return Call(api.app.state.backends, replace(Caller(principal, uuid4()), **changes), api.clock())  # type: ignore[arg-type]


async def own(api: TheApi, principal: Principal, **changes: object) -> Workspace:
    return await personal_workspace(call_of(api, principal, **changes))


async def joining(api: TheApi, workspace: Workspace) -> list[str]:
    """Where it is about to be made."""
    query = "select cluster from workspace_namespace where workspace_id = $1 and joining order by cluster"
    async with api.ledger.reading() as connection:
        return [row["cluster"] for row in await connection.fetch(query, workspace.id)]


async def settled(api: TheApi) -> None:
    await asyncio.gather(*api.courier.tasks)


async def test_it_has_one_namespace_of_its_own_name_on_every_cluster(api: TheApi) -> None:
    me = (await api.someone(f"Ann.Lee-{uuid4().hex[:6]}")).principal
    made = await own(api, me)
    name = f"dev-{me.name.lower().replace('.', '-')}"
    assert (made.request.name, made.request.namespaces) == (name, (name,))
    assert made.request.clusters == ("worker-1", "worker-2")
    assert (made.phase, made.role) == (WorkspacePhase.CREATING, Role.OWNER)
    await settled(api)
    assert (await own(api, me)).phase is WorkspacePhase.READY


async def test_it_is_made_once(api: TheApi) -> None:
    me = (await api.someone()).principal
    found = await asyncio.gather(*(own(api, me) for _ in range(6)))
    assert len({one.id for one in found}) == 1
    async with api.ledger.reading() as connection:
        sent = await connection.fetchval("select count(*) from outbox where argument = $1", str(found[0].id))
    assert sent == 1


async def test_two_of_the_same_name_have_two(api: TheApi) -> None:
    word = uuid4().hex[:8]
    first, second = [(await api.someone(name)).principal for name in (f"same.{word}", f"same-{word}")]
    one, other = await own(api, first), await own(api, second)
    assert one.request.name == f"dev-same-{word}"
    assert other.request.name == f"dev-same-{word}-{second.id.hex[-6:]}"
    assert (await own(api, second)).id == other.id


async def test_a_name_that_is_in_use_by_others_is_not_taken_from_them(api: TheApi) -> None:
    mallory, victim = await api.someone(), (await api.someone(f"v-{uuid4().hex[:8]}")).principal
    body = {"workspaceName": f"dev-{victim.name}", "clusters": ["worker-1"], "namespaces": [f"dev-{victim.name}-x"]}
    assert (await api.call("POST", "/api/v1/slice-workspace", mallory, json=body)).status_code == 200
    made = await own(api, victim)
    assert made.request.name == f"dev-{victim.name}-{victim.id.hex[-6:]}"


async def test_a_namespace_that_is_in_use_by_others_is_not_taken_from_them(api: TheApi) -> None:
    other, me = await api.someone(), (await api.someone(f"n-{uuid4().hex[:8]}")).principal
    body = {"workspaceName": f"w-{me.name}", "clusters": ["worker-2"], "namespaces": [f"dev-{me.name}"]}
    assert (await api.call("POST", "/api/v1/slice-workspace", other, json=body)).status_code == 200
    assert (await own(api, me)).request.name == f"dev-{me.name}-{me.id.hex[-6:]}"


async def test_one_that_was_deleted_is_made_anew(api: TheApi) -> None:
    me = await api.someone()
    before = await own(api, me.principal)
    await settled(api)
    assert (await api.call("DELETE", f"/berth/v1/workspaces/{before.request.name}", me)).status_code == 202
    assert (await own(api, me.principal)).phase is WorkspacePhase.DELETING
    async with api.ledger.transaction() as connection:
        await connection.execute("update workspace set phase = 'deleted' where id = $1", before.id)
        await connection.execute(
            "update workspace_namespace set released_at = now() where workspace_id = $1", before.id
        )
    after = await own(api, me.principal)
    assert (after.id != before.id, after.request.name) == (True, before.request.name)


async def test_where_the_name_could_not_be_made_the_next_one_is_tried(api: TheApi) -> None:
    me = (await api.someone()).principal
    api.courier.workspaces_become = WorkspacePhase.FAILED
    first = await own(api, me)
    await settled(api)
    api.courier.workspaces_become = WorkspacePhase.READY
    second = await own(api, me)
    assert (first.request.name, second.request.name) == (f"dev-{me.name}", f"dev-{me.name}-{me.id.hex[-6:]}")


async def test_a_key_that_is_confined_to_another_workspace_does_not_reach_it(api: TheApi) -> None:
    me = await api.someone()
    elsewhere = await api.workspace_id(await api.workspace(me))
    with pytest.raises(Forbidden):
        await own(api, me.principal, workspace_id=elsewhere)
    mine = await own(api, me.principal)
    with pytest.raises(Forbidden):
        await own(api, me.principal, workspace_id=elsewhere)
    assert (await own(api, me.principal, workspace_id=mine.id)).id == mine.id


async def test_a_viewers_key_sees_it_but_does_not_make_it(api: TheApi) -> None:
    me = (await api.someone()).principal
    with pytest.raises(Forbidden):
        await own(api, me, role_limit=Role.VIEWER)
    made = await own(api, me)
    assert (await own(api, me, role_limit=Role.VIEWER)).id == made.id


async def test_an_administrator_has_one_of_their_own(api: TheApi) -> None:
    root = (await api.someone(administrator=True)).principal
    assert (await own(api, root)).request.name == f"dev-{root.name}"


async def test_without_a_cluster_it_is_not_ready_yet(database_url: str) -> None:
    async with opened(database_url) as empty:
        me = (await empty.someone()).principal
        with pytest.raises(NoClusterYet):
            await own(empty, me)
        await empty.register_clusters("worker-1")
        assert (await own(empty, me)).request.clusters == ("worker-1",)


async def test_it_is_wanted_once_on_clusters_that_come_later_but_not_where_its_namespace_is_anothers(
    database_url: str,
) -> None:
    async with opened(database_url) as api:
        await api.register_clusters("worker-1")
        other, me = await api.someone(), (await api.someone()).principal
        made = await own(api, me)
        await settled(api)
        await api.register_clusters("worker-2", "worker-3")
        body = {"workspaceName": "theirs", "clusters": ["worker-3"], "namespaces": [made.request.name]}
        assert (await api.call("POST", "/api/v1/slice-workspace", other, json=body)).status_code == 200
        found = await asyncio.gather(*(own(api, me) for _ in range(6)))
        assert {one.request.clusters for one in found} == {("worker-1",)}
        assert await joining(api, made) == ["worker-2"]
        async with api.ledger.transaction() as connection:
            assert await personal.joined(connection, made.id, "worker-2", api.clock())
        assert (await own(api, me)).request.clusters == ("worker-1", "worker-2")
        assert await joining(api, made) == []


@pytest.mark.parametrize("phase", ["creating", "deleting"])
async def test_one_that_is_not_ready_joins_nothing(database_url: str, phase: str) -> None:
    async with opened(database_url) as api:
        await api.register_clusters("worker-1")
        me = (await api.someone()).principal
        made = await own(api, me)
        await settled(api)
        await api.register_clusters("worker-2")
        async with api.ledger.transaction() as connection:
            await connection.execute("update workspace set phase = $2 where id = $1", made.id, phase)
            await personal.join(connection, made, ["worker-2"])
        await own(api, me)
        assert await joining(api, made) == []


async def test_two_first_logins_at_once_make_one_principal(api: TheApi) -> None:
    subject = Subject("aws:1", f"role/Dev/{uuid4()}", "racer", "aws")

    async def principal() -> Principal:
        async with api.ledger.transaction() as connection:
            return await access.principal_of(connection, subject, api.clock())

    found = await asyncio.gather(*(principal() for _ in range(6)))
    assert len({one.id for one in found}) == 1


async def test_principals_have_numbers_that_never_change(api: TheApi) -> None:
    first, second = (await api.someone()).principal, (await api.someone()).principal
    async with api.ledger.reading() as connection:
        numbers = [await access.number_of(connection, one.id) for one in (first, second, first)]
    assert numbers[0] == numbers[2] < numbers[1]


@pytest.mark.parametrize(
    "name", ["a", "A" * 64, "-", "\u00fc", "a.b@c.d", "x" * 23 + "-" + "y" * 40, "kube-system", "9"]
)
def test_every_name_makes_names_that_kubernetes_takes(name: str) -> None:
    for one in personal_workspace_names(name, uuid4()):
        assert len(one) <= 63
        assert one.isascii()
        assert one.startswith("dev-")
        assert not one.endswith("-")
        assert "--" not in one
        assert set(one) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_names_of_logins_are_never_names_that_administrators_give() -> None:
    for user in ("administrator", "", "@", "a@b", "x" * 200, "\n"):
        names = list(principal_names(Subject("i", "s", user, "aws")))
        assert all(one.count("@") == 1 and not one.startswith("@") for one in names)
        assert len(set(names)) == len(names)
