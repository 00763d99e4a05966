"""Lists without pages, very long: complete, valid, in order, and sent as they are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest_asyncio

from domain.workspace import WorkspaceRequest
from ledger import workspaces
from tests.builders import now

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi

GPRS = 5000
WORKSPACES = 1000
MORE_GPRS = """
insert into gpr (id, external_id, workspace_id, submitted_by, name, nodes, gpus_per_node, duration_seconds, priority,
                 exclusive, requeue_on_failure, phase, submitted_at)
select gen_random_uuid(), 'gpr-' || gen_random_uuid(), workspace_id, submitted_by, 'more' || n, 1, 1, 60, 101, true, true,
       'queued', submitted_at
from gpr, generate_series(2, $2) n where external_id = $1
"""


@pytest_asyncio.fixture(scope="module")
async def owner_and_workspace(api: TheApi) -> tuple[Someone, str]:
    """A workspace with very many GPRs."""
    me = await api.someone()
    workspace = await api.workspace(me)
    first = await api.gpr(me, workspace)
    async with api.ledger.transaction() as connection:
        await connection.execute(MORE_GPRS, first, GPRS)
    return me, workspace


async def test_five_thousand_gprs_are_listed_newest_first_each_once(
    api: TheApi, owner_and_workspace: tuple[Someone, str]
) -> None:
    me, workspace = owner_and_workspace
    answer = await api.call("GET", "/api/v1/gpr/list", me, params={"sliceName": workspace})
    body = answer.json()
    assert (body["statusCode"], body["status"], body["error"]) == (200, "OK", None)
    items = body["data"]["items"]
    assert [item["gprName"] for item in items] == [*(f"more{n}" for n in range(GPRS, 1, -1)), "gpr1"]
    assert len({item["gprId"] for item in items}) == GPRS
    assert len({frozenset(item) for item in items}) == 1


async def test_the_list_stays_valid_while_gprs_come_and_change(
    api: TheApi, owner_and_workspace: tuple[Someone, str]
) -> None:
    me, workspace = owner_and_workspace
    chunks: list[str] = []
    async with api.client.stream("GET", f"/api/v1/gpr/list?sliceName={workspace}", headers=me.headers) as answer:
        async for chunk in answer.aiter_text():
            chunks.append(chunk)
            await api.gpr(me, workspace, gprName="newcomer")
    names = [item["gprName"] for item in json.loads("".join(chunks))["data"]["items"]]
    assert len(names) == len(set(names)) == GPRS


async def test_a_list_that_is_sent_in_parts_has_a_head_without_a_body(
    api: TheApi, owner_and_workspace: tuple[Someone, str]
) -> None:
    me, workspace = owner_and_workspace
    answer = await api.call("HEAD", "/api/v1/gpr/list", me, params={"sliceName": workspace})
    assert (answer.status_code, answer.content) == (200, b"")


async def test_five_thousand_gprs_are_paged_without_a_gap(
    api: TheApi, owner_and_workspace: tuple[Someone, str]
) -> None:
    me, workspace = owner_and_workspace
    seen, after = [], ""
    while after is not None:
        path = f"/berth/v1/gprs?workspace={workspace}&limit=500{after and f'&after={after}'}"
        page = (await api.call("GET", path, me)).json()
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) >= GPRS


async def test_a_thousand_workspaces_are_listed_oldest_first_each_once(api: TheApi) -> None:
    me = await api.someone()
    names = [f"many-{number}" for number in range(WORKSPACES)]
    async with api.ledger.transaction() as connection:
        for name in names:
            request = WorkspaceRequest(name, ("worker-1",), (f"{name}-ns",))
            workspace_id = await connection.fetchval("select gen_random_uuid()")
            await workspaces.create(connection, workspace_id, me.principal.id, request, now())
    listed = (await api.call("GET", "/api/v1/slice-workspace/list", me)).json()["data"]["workspaces"]
    assert [one["name"] for one in listed] == names
