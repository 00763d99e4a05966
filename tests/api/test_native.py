"""Berth's own dialect: what the command and its typed client stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from api.dialects.native import schemas
from domain.gpr import Phase
from domain.login import Subject
from ledger import access
from ledger.access import ensure_administrator
from tests.api.api_kit import opened

if TYPE_CHECKING:
    from tests.api.api_kit import Someone, TheApi


async def submitted(api: TheApi, who: Someone, workspace: str, **changes: Any) -> dict[str, Any]:
    body = {"workspace": workspace, "name": "train", "duration": "1h30m", **changes}
    answer = await api.call("POST", "/berth/v1/gprs", who, json=body)
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def test_a_gpr_is_answered_as_it_stands(api: TheApi) -> None:
    me = await api.someone()
    view = await submitted(api, me, await api.workspace(me), nodes=2, gpus_per_node=4, priority=250)
    found = schemas.GprView.model_validate(view)
    assert (found.phase, found.gpus, found.duration, found.band) == (Phase.QUEUED, 8, "1h30m0s", "high")
    assert (found.submitted_by, found.estimate is not None, found.lease) == (me.principal.name, True, None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"duration": 5}, "duration"),
        ({"nodes": 0}, "nodes"),
        ({"nodes": "1"}, "nodes"),
        ({"priority": 301}, "priority"),
        ({"shape": None}, "shape"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_a_field_that_is_not_valid_is_named(api: TheApi, changes: dict[str, Any], field: str) -> None:
    me = await api.someone()
    body = {"workspace": await api.workspace(me), "name": "n", "duration": "1h", **changes}
    answer = await api.call("POST", "/berth/v1/gprs", me, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "invalid_request")
    assert [one["field"] for one in error["details"]["fields"]] == [field]


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'""', b"false"])
async def test_a_change_that_is_no_object_is_refused_and_without_a_body_nothing_changes(
    api: TheApi, body: bytes
) -> None:
    me = await api.someone()
    view = await submitted(api, me, await api.workspace(me))
    path = f"/berth/v1/gprs/{view['id']}"
    assert (await api.call("PATCH", path, me, content=body)).status_code == 422
    assert (await api.call("PATCH", path, me)).json()["version"] == view["version"]


async def test_what_names_things_that_are_not_there_is_refused(api: TheApi) -> None:
    me, name = await api.someone(administrator=True), f"ws-{uuid4().hex[:8]}"
    workspace = await api.workspace(me)
    gpr = {"workspace": workspace, "name": "n", "duration": "1h", "clusters": ["worker-9"]}
    foreign = {"name": name, "clusters": ["worker-9"], "namespaces": [name]}
    kept = {"name": name, "clusters": ["worker-1"], "namespaces": ["kube-system"]}
    answers = [
        await api.call("POST", "/berth/v1/gprs", me, json=gpr),
        await api.call("POST", "/berth/v1/workspaces", me, json=foreign),
        await api.call("POST", "/berth/v1/workspaces", me, json=kept),
        await api.call("GET", f"/berth/v1/workspaces/{workspace}/kubeconfig?cluster=worker-2", me),
        await api.call("PUT", "/berth/v1/prices", me, json={"shape": "B9000", "per_gpu_hour": "1"}),
    ]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [
        (422, "invalid_request")
    ] * 5


async def test_a_workspace_is_addressed_by_its_name_and_not_by_its_id(api: TheApi) -> None:
    me = await api.someone()
    name = await api.workspace(me)
    view = (await api.call("GET", f"/berth/v1/workspaces/{name}", me)).json()
    for method, path in [("GET", ""), ("GET", "/kubeconfig"), ("GET", "/weight"), ("DELETE", "")]:
        assert (await api.call(method, f"/berth/v1/workspaces/{view['id']}{path}", me)).status_code == 404


async def test_a_gpr_is_found_by_either_id(api: TheApi) -> None:
    me = await api.someone()
    view = await submitted(api, me, await api.workspace(me))
    for reference in (view["id"], view["external_id"], view["id"].upper()):
        assert (await api.call("GET", f"/berth/v1/gprs/{reference}", me)).json()["id"] == view["id"]


async def test_gprs_are_paged_by_keyset(api: TheApi) -> None:
    me = await api.someone()
    workspaces = [await api.workspace(me), await api.workspace(me)]
    for number in range(5):
        await submitted(api, me, workspaces[number % 2], name=f"g{number}")
    seen, after = [], ""
    while after is not None:
        page = (await api.call("GET", f"/berth/v1/gprs?limit=2{after and f'&after={after}'}", me)).json()
        seen += [item["name"] for item in page["items"]]
        after = page["next"]
    assert seen == ["g4", "g3", "g2", "g1", "g0"]


async def test_gprs_are_filtered_by_workspace_and_phase(api: TheApi) -> None:
    me = await api.someone()
    one, other = await api.workspace(me), await api.workspace(me)
    queued, active = await api.gpr(me, one), await api.gpr(me, one, Phase.ACTIVE)
    released = await api.gpr(me, other, Phase.RELEASED)

    async def listed(query: str) -> list[str]:
        return [item["external_id"] for item in (await api.call("GET", f"/berth/v1/gprs?{query}", me)).json()["items"]]

    assert await listed(f"workspace={one}") == [active, queued]
    assert await listed("phase=queued") == [queued]
    assert await listed("phase=released,active") == [released, active]
    assert await listed("phase=released&phase=queued") == [released, queued]
    assert await listed(f"workspace={other}&phase=active") == []


async def test_an_administrator_lists_everybodys(api: TheApi) -> None:
    me, administrator = await api.someone(), await api.someone(administrator=True)
    gpr = await api.gpr(me, await api.workspace(me))
    for query in ("", "?phase=queued"):
        items = (await api.call("GET", f"/berth/v1/gprs{query}", administrator)).json()["items"]
        assert items[0]["external_id"] == gpr


async def test_a_queued_gpr_changes_and_others_say_why_not(api: TheApi) -> None:
    me = await api.someone()
    gpr, active = await api.gpr(me, await api.workspace(me)), await api.gpr(me, await api.workspace(me), Phase.ACTIVE)
    changed = (await api.call("PATCH", f"/berth/v1/gprs/{gpr}", me, json={"priority": 7, "name": "new"})).json()
    assert (changed["priority"], changed["name"]) == (7, "new")
    answer = await api.call("PATCH", f"/berth/v1/gprs/{active}", me, json={"priority": 7})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "wrong_phase")
    assert answer.json()["error"]["details"]["phase"] == "active"


@pytest.mark.parametrize(
    ("phase", "after", "cause"),
    [
        (Phase.QUEUED, "cancelled", "cancelled"),
        (Phase.PROVISIONING, "releasing", "cancelled"),
        (Phase.ACTIVE, "releasing", "early_release"),
        (Phase.RELEASING, "releasing", "early_release"),
        (Phase.EXPIRED, "expired", "expired"),
    ],
)
async def test_releasing_ends_a_gpr_in_whatever_phase_it_is(api: TheApi, phase: Phase, after: str, cause: str) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), phase)
    for _ in range(2):
        answer = await api.call("POST", f"/berth/v1/gprs/{gpr}/release", me)
        assert (answer.status_code, answer.json()["phase"], answer.json()["end_cause"]) == (200, after, cause)


async def test_a_lease_is_shown_with_its_gpus(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.ACTIVE)
    view = (await api.call("GET", f"/berth/v1/gprs/{gpr}", me)).json()
    assert view["estimate"] is None
    assert (view["lease"]["cluster"], view["lease"]["held"], view["lease"]["nodes"][0]["gpus"]) == (
        "worker-1",
        True,
        [0],
    )


async def test_events_are_followed_from_where_one_stopped(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.ACTIVE)
    first = (await api.call("GET", f"/berth/v1/gprs/{gpr}/events?limit=2", me)).json()
    assert [event["kind"] for event in first["items"]] == ["submitted", "granted"]
    rest = (await api.call("GET", f"/berth/v1/gprs/{gpr}/events?after={first['next']}", me)).json()
    assert [event["kind"] for event in rest["items"]] == ["activated"]
    done = (await api.call("GET", f"/berth/v1/gprs/{gpr}/events?after={rest['next']}", me)).json()
    assert done == {"items": [], "next": None}


async def test_notices_are_listed_when_they_are_due(api: TheApi) -> None:
    me = await api.someone()
    gpr = await api.gpr(me, await api.workspace(me), Phase.ACTIVE, exitDuration="20m")
    notices = (await api.call("GET", f"/berth/v1/gprs/{gpr}/notices", me)).json()["items"]
    assert [notice["kind"] for notice in notices] == ["ends_in_15_minutes", "ends_in_5_minutes"]


async def test_workspaces_are_paged_and_deletion_is_accepted(api: TheApi) -> None:
    me = await api.someone()
    names = [await api.workspace(me) for _ in range(3)]
    page = (await api.call("GET", "/berth/v1/workspaces?limit=2", me)).json()
    rest = (await api.call("GET", f"/berth/v1/workspaces?limit=2&after={page['next']}", me)).json()
    assert [item["name"] for item in page["items"] + rest["items"]] == names
    answer = await api.call("DELETE", f"/berth/v1/workspaces/{names[0]}", me)
    assert (answer.status_code, answer.json()["phase"]) == (202, "deleting")


async def test_a_workspace_is_created_and_refused_in_this_dialects_words(api: TheApi) -> None:
    me, name = await api.someone(), f"ws-{uuid4().hex[:8]}"
    body = {"name": name, "clusters": ["worker-1", "worker-1"], "namespaces": [name]}
    made = await api.call("POST", "/berth/v1/workspaces", me, json=body)
    assert (made.status_code, made.json()["clusters"], made.json()["phase"]) == (201, ["worker-1"], "ready")
    again = await api.call("POST", "/berth/v1/workspaces", me, json=body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_exists")


async def test_a_kubeconfig_says_when_it_ends(api: TheApi) -> None:
    me = await api.someone()
    workspace = await api.workspace(me, "worker-1", "worker-2")
    answer = await api.call(
        "GET", f"/berth/v1/workspaces/{workspace}/kubeconfig?cluster=worker-2&expires_in_seconds=900", me
    )
    assert answer.json()["clusters"] == ["worker-2"]
    assert api.issuer.asked == [("worker-2", None, 900)]


async def test_clusters_and_nodes_are_listed(api: TheApi) -> None:
    me = await api.someone()
    clusters = (await api.call("GET", "/berth/v1/clusters", me)).json()["items"]
    assert [(one["name"], one["sufficient"]) for one in clusters] == [("worker-1", True), ("worker-2", True)]
    nodes = (await api.call("GET", "/berth/v1/nodes?cluster=worker-2", me)).json()["items"]
    assert {node["cluster"] for node in nodes} == {"worker-2"}
    assert next(node for node in nodes if node["gpus"] == 8)["memory_gib"] == 80


async def test_whoami_says_what_the_key_may(api: TheApi) -> None:
    me = await api.someone(administrator=True)
    view = (await api.call("GET", "/berth/v1/whoami", me)).json()
    assert (view["principal"], view["administrator"], view["role"]) == (me.principal.name, True, "owner")
    assert view["key_id"] == str(me.key_id)


async def test_an_administrator_makes_keys_for_people_who_are_not_there_yet(api: TheApi) -> None:
    administrator, name = await api.someone(administrator=True), f"bob-{uuid4().hex[:8]}"
    body = {"name": "laptop", "principal": name, "role": "viewer", "valid_for": "90d"}
    made = (await api.call("POST", "/berth/v1/keys", administrator, json=body)).json()
    view = (await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {made['key']}"})).json()
    assert (view["principal"], view["role"], view["administrator"]) == (name, "viewer", False)
    assert view["expires_at"] == made["valid_until"] is not None


async def test_an_administrator_makes_keys_for_a_login_by_its_name_and_never_makes_a_login(api: TheApi) -> None:
    administrator, user = await api.someone(administrator=True), f"jo.{uuid4().hex[:8]}"
    body = {"name": "cron", "principal": f"{user}@aws"}
    missing = await api.call("POST", "/berth/v1/keys", administrator, json=body)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    async with api.ledger.transaction() as connection:
        login = await access.principal_of(connection, Subject("aws:1", f"role/Dev/{user}", user, "aws"), api.clock())
    assert login.name == body["principal"]
    made = (await api.call("POST", "/berth/v1/keys", administrator, json=body)).json()
    view = (await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {made['key']}"})).json()
    assert (view["principal_id"], view["principal"]) == (str(login.id), login.name)
    assert (await api.call("POST", "/berth/v1/keys", await api.someone(), json=body)).status_code == 403


async def test_the_first_administrator_is_made_once(database_url: str) -> None:
    async with opened(database_url) as api:
        keys = [await ensure_administrator(api.ledger, api.clock()) for _ in range(2)]
        view = (await api.call("GET", "/berth/v1/whoami", headers={"Authorization": f"Bearer {keys[0]}"})).json()
    assert (view["principal"], view["administrator"], keys[1]) == ("administrator", True, None)


async def test_an_administrator_follows_everything(api: TheApi) -> None:
    administrator = await api.someone(administrator=True)
    await api.workspace(administrator)
    page = (await api.call("GET", "/berth/v1/events?limit=500", administrator)).json()
    assert {"workspace_created", "workspace_ready"} <= {event["kind"] for event in page["items"]}


async def test_egs_keys_carry_role_validity_and_workspace(api: TheApi) -> None:
    administrator = await api.someone(administrator=True)
    workspace = await api.workspace(administrator)
    body = {
        "name": "ci",
        "userName": f"ci-{workspace}",
        "role": "Editor",
        "validity": "2999-12-31",
        "sliceName": workspace,
    }
    key = (await api.call("POST", "/api/v1/api-key", administrator, json=body)).json()["data"]["apiKey"]
    listed = (await api.call("GET", "/api/v1/api-key/list", headers={"Authorization": f"Bearer {key}"})).json()["data"][
        "items"
    ]
    assert [(one["role"], one["validity"], one["sliceName"], one["revoked"]) for one in listed] == [
        ("Editor", "2999-12-31", workspace, False)
    ]
    assert (await api.call("DELETE", "/api/v1/api-key", administrator, json={"apiKey": key})).status_code == 200
    assert (await api.call("POST", "/api/v1/auth", json={"apiKey": key})).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"role": "Editor"},
        {"role": "King"},
        {"validity": "2001-01-01"},
        {"validity": "2025-02-30"},
        {"validity": "soon"},
    ],
)
async def test_an_egs_key_that_makes_no_sense_is_refused(api: TheApi, changes: dict[str, str]) -> None:
    answer = await api.call("POST", "/api/v1/api-key", await api.someone(), json={"name": "k", **changes})
    assert answer.status_code == 422
