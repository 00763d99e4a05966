"""Reservations over HTTP: what is kept, each way to be refused, and two who want the last GPUs at the same time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from arbitration.arbiter_pass import estimate, grant
from domain.gpr import Phase
from domain.identity import Role
from ledger import gprs, lifecycle

if TYPE_CHECKING:
    import httpx

    from domain.gpr import Gpr
    from tests.api.api_kit import Someone, TheApi

H100 = "NVIDIA-H100-80GB-HBM3"
RESERVATIONS = "/berth/v1/reservations"
DAY = timedelta(days=1)


@pytest.fixture
async def pool(api: TheApi) -> str:
    """Eight GPUs on one node that nobody else asks for."""
    return await api.pool("worker-1/worker-1-h100")


def tomorrow(hour: int = 9) -> datetime:
    return (datetime.now(UTC) + 2 * DAY).replace(hour=hour, minute=0, second=0, microsecond=0)


def a_body(workspace: str, pool: str, **changes: Any) -> dict[str, Any]:
    fields = {
        "workspace": workspace,
        "name": "training",
        "start": tomorrow().isoformat(),
        "duration": "1h",
        "gpus_per_node": 8,
        "pool": pool,
        **changes,
    }
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


async def asked(api: TheApi, who: Someone, pool: str, workspace: str = "", **changes: Any) -> httpx.Response:
    workspace = workspace or await api.workspace(who)
    return await api.call("POST", RESERVATIONS, who, json=a_body(workspace, pool, **changes))


async def made(api: TheApi, who: Someone, pool: str, workspace: str = "", **changes: Any) -> dict[str, Any]:
    answer = await asked(api, who, pool, workspace, **changes)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def cancelled(api: TheApi, reservation: dict[str, Any]) -> None:
    """Gone, so that the next test finds the node free."""
    answer = await api.call("DELETE", f"{RESERVATIONS}/{reservation['id']}", await api.someone(administrator=True))
    assert answer.status_code == 200, answer.text


async def the_gpr(api: TheApi, gpr_id: str) -> Gpr:
    async with api.ledger.reading() as connection:
        return await gprs.find(connection, UUID(gpr_id))


def starts(reservation: dict[str, Any]) -> list[datetime]:
    return [datetime.fromisoformat(one["start"]) for one in reservation["occurrences"]]


def refusal(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["error"]
    return found


# --- made -------------------------------------------------------------------------------------------------------------


async def test_a_reservation_is_a_gpr_with_a_fixed_start(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool)
    (one,) = reservation["occurrences"]
    assert (one["state"], one["cluster"], one["nodes"]) == ("booked", "worker-1", ["worker-1-h100"])
    assert datetime.fromisoformat(one["end"]) - datetime.fromisoformat(one["start"]) == timedelta(hours=1)
    gpr = (await api.call("GET", f"/berth/v1/gprs/{one['gpr_id']}", owner)).json()
    assert gpr["phase"] == "queued"
    assert datetime.fromisoformat(gpr["estimate"]["starts_at"]) == tomorrow()
    assert gpr["estimate"]["reason_code"] == "reserved"
    await cancelled(api, reservation)


async def test_it_is_found_and_listed_by_its_people_alone(api: TheApi, pool: str) -> None:
    owner, stranger = await api.someone(), await api.someone()
    reservation = await made(api, owner, pool)
    path = f"{RESERVATIONS}/{reservation['id']}"
    assert (await api.call("GET", path, owner)).json() == reservation
    assert (await api.call("GET", path, stranger)).status_code == 404
    listed = (await api.call("GET", RESERVATIONS, owner)).json()["items"]
    assert [one["id"] for one in listed] == [reservation["id"]]
    assert (await api.call("GET", RESERVATIONS, stranger)).json()["items"] == []
    query = {"workspace": reservation["workspace"]}
    assert len((await api.call("GET", RESERVATIONS, owner, params=query)).json()["items"]) == 1
    assert (await api.call("GET", RESERVATIONS, stranger, params=query)).status_code == 404
    assert (await api.call("DELETE", path, stranger)).status_code == 404
    await cancelled(api, reservation)


async def test_a_list_has_pages(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    wanted = [await made(api, owner, pool, workspace, start=tomorrow(hour), gpus_per_node=1) for hour in (1, 3, 5)]
    first = (await api.call("GET", RESERVATIONS, owner, params={"limit": "2"})).json()
    rest = (await api.call("GET", RESERVATIONS, owner, params={"limit": "2", "after": first["next"]})).json()
    assert [one["id"] for one in [*first["items"], *rest["items"]]] == [one["id"] for one in reversed(wanted)]
    assert rest["next"] is None
    for one in wanted:
        await cancelled(api, one)


async def test_each_time_within_the_horizon_is_kept_and_no_later_one(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool, rule="FREQ=DAILY")
    assert starts(reservation) == [tomorrow() + number * DAY for number in range(len(starts(reservation)))]
    assert 11 <= len(starts(reservation)) <= 13
    assert {one["state"] for one in reservation["occurrences"]} == {"booked"}
    await cancelled(api, reservation)


async def test_one_that_ends_when_the_next_begins_is_no_obstacle(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    first = await made(api, owner, pool)
    second = await made(api, owner, pool, start=tomorrow(10))
    third = await made(api, owner, pool, start=tomorrow(8))
    for one in (first, second, third):
        await cancelled(api, one)


async def test_the_same_request_under_the_same_key_reserves_once(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    workspace, headers = await api.workspace(owner), {"Idempotency-Key": uuid4().hex}
    body = a_body(workspace, pool)
    answers = [await api.call("POST", RESERVATIONS, owner, json=body, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    other = await api.call("POST", RESERVATIONS, owner, json={**body, "name": "other"}, headers=headers)
    assert other.status_code == 409
    await cancelled(api, answers[0].json())


# --- refused ----------------------------------------------------------------------------------------------------------


async def test_who_comes_second_is_refused_with_the_nearest_windows(api: TheApi, pool: str) -> None:
    first = await made(api, await api.someone(), pool)
    answer = await asked(api, await api.someone(), pool, gpus_per_node=1, start=tomorrow() + timedelta(minutes=20))
    assert answer.status_code == 409
    error = refusal(answer)
    assert error["code"] == "does_not_fit"
    windows = [datetime.fromisoformat(one["start"]) for one in error["details"]["nearest"]]
    assert windows[:2] == [tomorrow() + timedelta(hours=1), tomorrow() - timedelta(hours=1)]
    assert all(window.microsecond == 0 for window in windows)
    again = await asked(api, await api.someone(), pool, gpus_per_node=1, start=windows[0])
    assert again.status_code == 201
    for one in (first, again.json()):
        await cancelled(api, one)


async def test_a_series_of_which_one_time_does_not_fit_is_refused_as_a_whole(api: TheApi, pool: str) -> None:
    first = await made(api, await api.someone(), pool, start=tomorrow() + 3 * DAY)
    owner = await api.someone()
    answer = await asked(api, owner, pool, rule="FREQ=DAILY;COUNT=5")
    assert answer.status_code == 409
    assert datetime.fromisoformat(refusal(answer)["details"]["start"]) == tomorrow() + 3 * DAY
    assert (await api.call("GET", RESERVATIONS, owner)).json()["items"] == []
    await cancelled(api, first)


async def test_a_lease_without_an_end_is_named_as_what_is_in_the_way(api: TheApi) -> None:
    owner = await api.someone()
    workspace = await api.workspace(owner)
    own = await api.pool("worker-1/worker-1-t4-30")
    text = (
        f"{{kind: notebook, job: {{name: forever, namespace: {workspace}-ns}}, environment: {{image: i}}, "
        f"resources: {{pool: {own}, gpu: 1}}}}"
    )
    answer = await api.call("POST", "/api/v1/jobs", owner, json={"yamlContent": text})
    assert answer.status_code == 201, answer.text
    await grant(api.ledger, api.clock())
    answer = await asked(api, await api.someone(), own, gpus_per_node=1)
    assert answer.status_code == 409
    error = refusal(answer)
    assert error["details"]["nearest"] == []
    assert "held without a known end by forever" in error["message"]


async def test_the_nearest_window_behind_a_running_lease_can_be_asked_for_as_it_is_told(api: TheApi) -> None:
    own, owner = await api.pool("worker-1/worker-1-t4-29"), await api.someone()
    body = {"workspace": await api.workspace(owner), "name": "runs", "duration": "1h", "pool": own}
    running = await api.call("POST", "/berth/v1/gprs", owner, json=body)
    assert running.status_code == 201
    await grant(api.ledger, api.clock())
    async with api.ledger.transaction() as connection:  # until it is active, its end moves with the time
        gpr_id = UUID(running.json()["id"])
        await lifecycle.activate(connection, gpr_id, (await lifecycle.standing(connection, gpr_id)).fence, api.clock())
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    error = refusal(await asked(api, await api.someone(), own, gpus_per_node=1, start=start))
    soonest = error["details"]["nearest"][0]["start"]
    assert (await asked(api, await api.someone(), own, gpus_per_node=1, start=soonest)).status_code == 201


async def test_what_never_fits_is_refused_with_the_reason(api: TheApi, pool: str) -> None:
    answer = await asked(api, await api.someone(), pool, gpus_per_node=9)
    assert answer.status_code == 409
    assert "the largest that suits has 8" in refusal(answer)["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"start": "2020-01-01T00:00:00Z"}, "starts in the future"),
        ({"start": "2150-01-01T00:00:00Z"}, "room is kept"),
        ({"duration": "9s"}, "at least 10 seconds"),
        ({"duration": "1h", "rule": "FREQ=MINUTELY;INTERVAL=30;COUNT=3"}, "before the one before it has ended"),
        ({"rule": "FREQ=SOMETIMES"}, "a rule is written as in"),
        ({"rule": "FREQ=HOURLY"}, "give it a COUNT"),
        ({"name": "no good"}, "the name of a reservation"),
        ({"clusters": ["worker-9"]}, "is not on cluster"),
        ({"gpus_per_node": 0}, "gpus_per_node"),
        ({"start": "soon"}, "start"),
        ({"unknown": 1}, "unknown"),
    ],
)
async def test_what_is_no_reservation_is_refused(api: TheApi, pool: str, changes: dict[str, Any], words: str) -> None:
    answer = await asked(api, await api.someone(), pool, **changes)
    assert answer.status_code == 422, answer.text
    assert words in refusal(answer)["message"]


async def test_a_viewer_looks_and_reserves_nothing(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool)
    viewer = await api.member(reservation["workspace"], Role.VIEWER)
    assert (await api.call("GET", f"{RESERVATIONS}/{reservation['id']}", viewer)).status_code == 200
    assert (await api.call("DELETE", f"{RESERVATIONS}/{reservation['id']}", viewer)).status_code == 403
    assert (await asked(api, viewer, pool, reservation["workspace"])).status_code == 403
    await cancelled(api, reservation)


@pytest.mark.parametrize(("limit", "code"), [({"reservations_max": 2}, 409), ({"gpu_hours_max": 20}, 409)])
async def test_a_workspace_has_only_so_much_ahead(api: TheApi, pool: str, limit: dict[str, int], code: int) -> None:
    administrator, owner = await api.someone(administrator=True), await api.someone()
    workspace = await api.workspace(owner)
    before = (await api.call("GET", "/berth/v1/scheduling", administrator)).json()
    assert (await api.call("PATCH", "/berth/v1/scheduling", administrator, json=limit)).status_code == 200
    kept = await made(api, owner, pool, workspace, rule="FREQ=DAILY;COUNT=2")
    answer = await asked(api, owner, pool, workspace, start=tomorrow(20))
    assert (answer.status_code, refusal(answer)["code"]) == (code, "limit_reached")
    back = {name: before[name] for name in limit}
    assert (await api.call("PATCH", "/berth/v1/scheduling", administrator, json=back)).status_code == 200
    await cancelled(api, kept)


# --- capacity ---------------------------------------------------------------------------------------------------------


async def test_nobody_who_comes_later_gets_in_the_way_of_what_is_reserved(api: TheApi) -> None:
    own, owner = await api.pool("worker-1/worker-1-t4-31"), await api.someone()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    reservation = await made(api, owner, own, gpus_per_node=1, start=start)
    other = await api.someone()
    workspace = await api.workspace(other)
    body = {"workspace": workspace, "name": "late", "duration": "1h", "pool": own, "priority": 300}
    late = (await api.call("POST", "/berth/v1/gprs", other, json=body)).json()
    short = {**body, "duration": "20m", "workspace": await api.workspace(other)}
    early = (await api.call("POST", "/berth/v1/gprs", other, json=short)).json()
    await grant(api.ledger, api.clock())
    await estimate(api.ledger, api.clock())
    assert (await the_gpr(api, early["id"])).phase is Phase.PROVISIONING
    waits = await the_gpr(api, late["id"])
    assert waits.phase is Phase.QUEUED
    assert waits.estimate.starts_at is not None
    assert waits.estimate.starts_at >= start + timedelta(hours=1)
    await cancelled(api, reservation)


async def test_it_is_granted_at_its_start_and_not_before(api: TheApi) -> None:
    own, owner = await api.pool("worker-1/worker-1-t4-32"), await api.someone()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    reservation = await made(api, owner, own, gpus_per_node=1, start=start)
    gpr_id = reservation["occurrences"][0]["gpr_id"]
    await grant(api.ledger, start - timedelta(seconds=1))
    assert (await the_gpr(api, gpr_id)).phase is Phase.QUEUED
    await grant(api.ledger, start)
    assert (await the_gpr(api, gpr_id)).phase is Phase.PROVISIONING
    shown = (await api.call("GET", f"{RESERVATIONS}/{reservation['id']}", owner)).json()
    assert shown["occurrences"][0]["state"] == "running"


async def test_of_two_who_want_the_last_gpus_one_wins(api: TheApi) -> None:
    own = await api.pool("worker-1/worker-1-t4-33")
    owners = [await api.someone() for _ in range(4)]
    workspaces = [await api.workspace(owner) for owner in owners]
    answers = await asyncio.gather(
        *(
            asked(api, owner, own, workspace, gpus_per_node=1)
            for owner, workspace in zip(owners, workspaces, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_a_reservation_and_a_grant_of_the_same_gpu_have_one_winner(api: TheApi) -> None:
    own, owner = await api.pool("worker-1/worker-1-t4-34"), await api.someone()
    workspace = await api.workspace(owner)
    body = {"workspace": workspace, "name": "now", "duration": "1h", "pool": own}
    gpr = (await api.call("POST", "/berth/v1/gprs", owner, json=body)).json()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    answer, _ = await asyncio.gather(
        asked(api, await api.someone(), own, gpus_per_node=1, start=start), grant(api.ledger, api.clock())
    )
    is_granted = (await the_gpr(api, gpr["id"])).phase is Phase.PROVISIONING
    assert answer.status_code == (409 if is_granted else 201)


async def test_a_lost_place_is_found_anew_or_its_people_are_told_at_once(api: TheApi) -> None:
    nodes = ["worker-1-t4-36", "worker-1-t4-37"]
    own, owner = await api.pool(*(f"worker-1/{node}" for node in nodes)), await api.someone()
    reservation = await made(api, owner, own, gpus_per_node=1)
    first, *_ = reservation["occurrences"][0]["nodes"]
    (other,) = set(nodes) - {first}

    async def seen() -> tuple[str, list[str]]:
        await estimate(api.ledger, api.clock())
        (one,) = (await api.call("GET", f"{RESERVATIONS}/{reservation['id']}", owner)).json()["occurrences"]
        return one["state"], one["nodes"]

    async def told() -> list[str]:
        path = f"/berth/v1/gprs/{reservation['occurrences'][0]['gpr_id']}/notices"
        return [one["kind"] for one in (await api.call("GET", path, owner)).json()["items"]]

    await set_state(api, first, "not_ready")
    assert await seen() == ("booked", [other])
    assert await told() == []
    await set_state(api, other, "not_ready")
    assert (await seen())[0] == "lost"
    assert (await seen())[0] == "lost"
    assert await told() == ["reservation_lost"]
    await set_state(api, first, "ready")
    assert await seen() == ("booked", [first])
    assert await told() == ["reservation_lost", "reservation_placed"]
    await set_state(api, other, "ready")
    await cancelled(api, reservation)


async def test_what_starts_late_ends_on_time(api: TheApi) -> None:
    own, owner = await api.pool("worker-1/worker-1-t4-38"), await api.someone()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=30)
    reservation = await made(api, owner, own, gpus_per_node=1, start=start)
    gpr_id = UUID(reservation["occurrences"][0]["gpr_id"])
    late = start + timedelta(minutes=20)
    await grant(api.ledger, late)
    async with api.ledger.transaction() as connection:
        fence = (await lifecycle.standing(connection, gpr_id)).fence
        await lifecycle.activate(connection, gpr_id, fence, late)
    end_at = (await the_gpr(api, str(gpr_id))).end_at
    assert end_at == start + timedelta(hours=1) - timedelta(seconds=5)


async def set_state(api: TheApi, node: str, state: str) -> None:
    async with api.ledger.transaction() as connection:
        await connection.execute("update node set state = $2 where name = $1", node, state)


# --- cancelled --------------------------------------------------------------------------------------------------------


async def test_cancelling_a_series_cancels_all_of_its_times(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool, rule="FREQ=DAILY;COUNT=3")
    path = f"{RESERVATIONS}/{reservation['id']}"
    for _ in range(2):
        answer = await api.call("DELETE", path, owner)
        assert answer.status_code == 200
        assert {one["state"] for one in answer.json()["occurrences"]} == {"cancelled"}
        assert answer.json()["cancelled_at"]


async def test_one_time_of_a_series_is_cancelled_alone(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool, rule="FREQ=DAILY;COUNT=3")
    path, start = f"{RESERVATIONS}/{reservation['id']}", (tomorrow() + DAY).isoformat()
    answer = await api.call("DELETE", path, owner, params={"start": start})
    assert [one["state"] for one in answer.json()["occurrences"]] == ["booked", "cancelled", "booked"]
    free = await made(api, await api.someone(), pool, start=tomorrow() + DAY)
    wrong = await api.call("DELETE", path, owner, params={"start": (tomorrow() + timedelta(hours=1)).isoformat()})
    assert wrong.status_code == 422
    for one in (reservation, free):
        await cancelled(api, one)


async def test_a_time_that_is_not_placed_yet_can_be_left_out(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool, rule="FREQ=DAILY")
    later = tomorrow() + 30 * DAY
    answer = await api.call("DELETE", f"{RESERVATIONS}/{reservation['id']}", owner, params={"start": later.isoformat()})
    last = answer.json()["occurrences"][-1]
    assert (datetime.fromisoformat(last["start"]), last["state"]) == (later, "cancelled")
    await cancelled(api, reservation)


async def test_a_reserved_time_can_be_released_as_a_gpr_but_not_suspended(api: TheApi, pool: str) -> None:
    owner = await api.someone()
    reservation = await made(api, owner, pool)
    gpr_id = reservation["occurrences"][0]["gpr_id"]
    assert (await api.call("POST", f"/berth/v1/jobs/{gpr_id}/suspend", owner)).status_code == 409
    assert (await api.call("POST", f"/berth/v1/gprs/{gpr_id}/release", owner)).status_code == 200
    shown = (await api.call("GET", f"{RESERVATIONS}/{reservation['id']}", owner)).json()
    assert shown["occurrences"][0]["state"] == "cancelled"


# --- what administrators decide ---------------------------------------------------------------------------------------


async def test_only_administrators_decide_about_the_order_of_the_queue(api: TheApi) -> None:
    owner, administrator = await api.someone(), await api.someone(administrator=True)
    workspace = await api.workspace(owner)
    path = f"/berth/v1/workspaces/{workspace}/weight"
    share = {"workspace": workspace, "weight": 1, "gpu_hours_used": 0.0, "pools": []}
    assert (await api.call("GET", path, owner)).json() == share
    assert (await api.call("PUT", path, owner, json={"weight": 3})).status_code == 403
    assert (await api.call("PUT", path, administrator, json={"weight": 3})).json()["weight"] == 3
    assert (await api.call("PUT", path, administrator, json={"weight": 0})).status_code == 422
    assert (await api.call("GET", path, await api.someone())).status_code == 404
    assert (await api.call("PATCH", "/berth/v1/scheduling", owner, json={"fair_share": False})).status_code == 403


async def test_of_equals_goes_first_who_had_less_for_their_weight(api: TheApi) -> None:
    own = await api.pool("worker-1/worker-1-t4-35")
    greedy, modest = await api.someone(), await api.someone()
    many, few = await api.workspace(greedy), await api.workspace(modest)
    await had(api, many, hours=200)

    async def submitted(who: Someone, workspace: str) -> str:
        body = {"workspace": workspace, "name": "one", "duration": "1h", "pool": own}
        return str((await api.call("POST", "/berth/v1/gprs", who, json=body)).json()["id"])

    first, second = await submitted(greedy, many), await submitted(modest, few)
    await grant(api.ledger, api.clock())
    assert (await the_gpr(api, second)).phase is Phase.PROVISIONING
    assert (await the_gpr(api, first)).phase is Phase.QUEUED


async def had(api: TheApi, workspace: str, *, hours: int) -> None:
    """GPU-hours of leases that are closed."""
    insert = "insert into workspace_use (workspace_id, used, at) values ($1, $2, $3)"
    async with api.ledger.transaction() as connection:
        await connection.execute(insert, await api.workspace_id(workspace), hours * 3600.0, api.clock())
