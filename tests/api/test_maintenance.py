"""Announced maintenance: nothing is placed into it, what runs stays, what is promised is in the way, and it shows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from arbitration.promising import MARGIN
from domain.gpr import Phase
from tests.api.time_kit import Town, error_of, instant

if TYPE_CHECKING:
    import httpx

    from tests.api.api_kit import TheApi

HOUR = timedelta(hours=1)


async def _announce(town: Town, begin: timedelta, end: timedelta, /, *nodes: str, **other: Any) -> httpx.Response:
    now = town.api.clock()
    body = {"name": town.cluster, "begin": (now + begin).isoformat(), "end": (now + end).isoformat()}
    return await town.ask("POST", "maintenance", json={**body, "nodes": nodes, **other})


async def _announced(town: Town, begin: timedelta, end: timedelta, /, *nodes: str, **other: Any) -> dict[str, Any]:
    answer = await _announce(town, begin, end, *(nodes or (f"{town.cluster}/{town.cluster}-0",)), **other)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
async def town(api: TheApi) -> Town:
    """Maintenance of its own bears its name: the ledger is everybody's."""
    return await Town.founded(api, 8, 8)


async def test_what_is_too_long_for_the_time_before_waits_until_it_is_over_and_is_told_so(town: Town) -> None:
    await town.running(8, duration="9h")
    made = await _announced(town, HOUR, 3 * HOUR, *(f"{town.cluster}-{number}" for number in range(2)))
    gpr_id = await town.waiting(8, duration="2h")
    assert await town.start_of(gpr_id) == instant(made["end"])
    estimate = (await town.got(f"gprs/{gpr_id}"))["estimate"]
    assert estimate["reason_code"] == "maintenance"
    assert f"maintenance '{town.cluster}' until" in estimate["reason"]


async def test_what_is_over_before_it_begins_starts_at_once(town: Town) -> None:
    await town.running(8, duration="9h")
    await _announced(town, HOUR, 3 * HOUR, f"{town.cluster}-0", f"{town.cluster}-1")
    await town.running(8, duration="30m")


async def test_what_runs_stays_past_its_begin_and_cannot_be_extended_into_it(town: Town) -> None:
    within, past = await town.running(8, duration="1h"), await town.running(8, duration="3h")
    made = await _announced(town, 2 * HOUR, 5 * HOUR, clusters=[town.cluster])
    assert made["staying"] == ["train"]
    answer = await town.ask("POST", f"gprs/{within}/extend", json={"seconds": 7200})
    assert error_of(answer) == (409, "extension_refused")
    assert f"maintenance '{town.cluster}' has" in answer.json()["error"]["message"]
    assert 3500 < answer.json()["error"]["details"]["longest_seconds"] < 3600
    refused = await town.ask("POST", f"gprs/{past}/extend", json={"seconds": 60})
    assert refused.json()["error"]["details"]["longest_seconds"] == 0
    town.later(hours=2, minutes=30)
    await town.run()
    assert (await town.gpr(past)).phase is Phase.ACTIVE


async def test_meanwhile_the_node_is_out_of_use_and_afterwards_it_is_used_again(town: Town) -> None:
    await town.running(8, duration="9h")
    made = await _announced(town, timedelta(), HOUR, clusters=[town.cluster])
    gpr_id = await town.waiting(8)
    nodes = (await town.got(f"nodes?cluster={town.cluster}"))["items"]
    assert {(node["state"], node["free_gpus"]) for node in nodes} == {("cordoned", 0)}
    assert all(node["condition"].startswith(f"maintenance '{town.cluster}' until ") for node in nodes)
    town.later(hours=1)
    await town.run()
    assert (await town.gpr(gpr_id)).phase is Phase.ACTIVE
    listed = (await town.got("maintenance?past=true"))["items"]
    assert next(one["state"] for one in listed if one["id"] == made["id"]) == "over"


async def test_ended_early_its_nodes_are_used_at_once_and_ending_it_again_changes_nothing(town: Town) -> None:
    await town.running(8, duration="9h")
    await _announced(town, timedelta(), HOUR, clusters=[town.cluster])
    gpr_id = await town.waiting(8)
    town.later(minutes=5)
    ended = [(await town.ask("DELETE", f"maintenance/{town.cluster}")).json() for _ in range(2)]
    assert ended[0] == ended[1]
    assert ended[0]["state"] == "over"
    await town.run()
    assert (await town.gpr(gpr_id)).phase is Phase.ACTIVE


async def test_called_off_before_it_begins_it_never_was(town: Town) -> None:
    await _announced(town, HOUR, 2 * HOUR)
    assert (await town.ask("DELETE", f"maintenance/{town.cluster}")).json()["state"] == "called_off"
    await town.running(8, duration="9h")
    await town.running(8, duration="9h")


async def test_over_a_promise_it_is_refused_with_its_name(town: Town) -> None:
    promised = await _promised(town)
    answer = await _announce(town, HOUR, 3 * HOUR, clusters=[town.cluster], nodes=[])
    assert error_of(answer) == (409, "promises_in_the_way")
    (named,) = answer.json()["error"]["details"]["in_the_way"]
    assert (named["gpr"], named["name"], named["kind"]) == (promised, "train", "promise")
    assert all(one["name"] != town.cluster for one in (await town.got("maintenance"))["items"])


async def test_by_force_a_promise_that_cannot_be_kept_is_moved_loudly(town: Town) -> None:
    gpr_id = await _promised(town)
    made = await _announced(town, HOUR, 3 * HOUR, clusters=[town.cluster], nodes=[], force=True)
    await town.run()
    moved = (await town.gpr(gpr_id)).promise
    assert moved is not None
    assert moved.starts_at is not None
    assert (moved.moves, moved.starts_at >= instant(made["end"])) == (1, True)
    notices = (await town.got(f"gprs/{gpr_id}/notices"))["items"]
    told = [one["message"] for one in notices if one["kind"] == "promise_moved"]
    assert len(told) == 1
    assert f"maintenance '{town.cluster}'" in told[0]


async def test_a_promise_that_can_be_kept_on_other_nodes_is_not_moved(town: Town) -> None:
    gpr_id = await _promised(town)
    place = (await town.gpr(gpr_id)).promise
    assert place is not None
    await _announced(town, HOUR, 3 * HOUR, *place.nodes, force=True)
    await town.run()
    assert place.starts_at is not None
    assert (await town.gpr(gpr_id)).promise == place
    assert await town.start_of(gpr_id) <= place.starts_at


async def test_over_a_reservation_it_is_refused_with_its_name(town: Town) -> None:
    workspace = await town.workspace()
    start = (town.api.clock() + 2 * HOUR).replace(microsecond=0)
    wish = {"workspace": workspace, "name": "lecture", "start": start.isoformat(), "duration": "1h"}
    made = await town.ask("POST", "reservations", json={**wish, "gpus_per_node": 8, "nodes": 2, "shape": town.shape})
    assert made.status_code == 201, made.text
    answer = await _announce(town, HOUR, timedelta(hours=2, minutes=30), f"{town.cluster}-1")
    assert error_of(answer) == (409, "promises_in_the_way")
    assert [one["name"] for one in answer.json()["error"]["details"]["in_the_way"]] == ["lecture"]
    await _announced(town, HOUR, timedelta(hours=1, minutes=59), f"{town.cluster}-1")


async def test_reservations_and_promises_respect_it(town: Town) -> None:
    await _announced(town, HOUR, 3 * HOUR, clusters=[town.cluster], nodes=[])
    workspace = await town.workspace()
    start = (town.api.clock() + 2 * HOUR).replace(microsecond=0)
    wish = {"workspace": workspace, "name": "lecture", "start": start.isoformat(), "duration": "1h"}
    answer = await town.ask("POST", "reservations", json={**wish, "gpus_per_node": 8, "shape": town.shape})
    assert error_of(answer) == (409, "does_not_fit")
    await town.running(8, duration="30m"), await town.running(8, duration="30m")
    gpr_id = await town.waiting(8)
    assert await town.promise(gpr_id) >= start + HOUR + MARGIN - timedelta(seconds=1)


async def test_it_shows_in_the_plan(town: Town) -> None:
    made = await _announced(town, HOUR, 3 * HOUR)
    nodes = {node["node"]: node for node in (await town.got(f"plan?cluster={town.cluster}"))["nodes"]}
    (away,) = nodes[f"{town.cluster}-0"]["maintenance"]
    assert (away["name"], away["begins_at"], away["ends_at"]) == (town.cluster, made["begin"], made["end"])
    assert nodes[f"{town.cluster}-1"]["maintenance"] == []


async def test_of_a_cluster_it_holds_for_nodes_that_join_meanwhile_and_of_a_pool_for_those_in_it(town: Town) -> None:
    pool = f"pool-{town.cluster}"
    assert (await town.ask("POST", "pools", json={"name": pool, "nodes": [f"{town.cluster}-1"]})).status_code == 201
    made = await _announced(town, timedelta(), HOUR, nodes=[], pools=[pool])
    assert made["places"] == [{"cluster": town.cluster, "node": f"{town.cluster}-1"}]
    await town.ask("DELETE", f"maintenance/{town.cluster}")
    await _announced(town, timedelta(), HOUR, nodes=[], clusters=[town.cluster])
    town.nodes[f"{town.cluster}-2"] = (town.shape, 8)
    await town.observe()
    assert (await town.gpr(await town.waiting(8))).phase is Phase.QUEUED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nodes": []}, (422, "invalid_request")),
        ({"nodes": ["nowhere"]}, (404, "not_found")),
        ({"nodes": [], "clusters": ["nowhere"]}, (404, "not_found")),
        ({"nodes": [], "pools": ["nowhere"]}, (404, "not_found")),
        ({"end": "2026-01-01T00:00:00Z"}, (422, "invalid_request")),
        ({"name": "no good name"}, (422, "invalid_request")),
    ],
)
async def test_what_makes_no_sense_is_refused(town: Town, changes: dict[str, Any], expected: tuple[int, str]) -> None:
    answer = await _announce(town, HOUR, 2 * HOUR, f"{town.cluster}-0", **changes)
    assert error_of(answer) == expected


async def test_two_of_one_name_are_never_ahead_at_once_and_a_repeat_is_the_first(town: Town) -> None:
    key = {"Idempotency-Key": f"once-{town.cluster}"}
    now = town.api.clock()
    await town.running(8, duration="90m")
    await town.running(8, duration="90m")
    times = {"begin": (now + HOUR).isoformat(), "end": (now + 2 * HOUR).isoformat()}
    body = {"name": town.cluster, **times, "nodes": [f"{town.cluster}-0"]}
    first, again = [await town.ask("POST", "maintenance", json=body, headers=key) for _ in range(2)]
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.json()["staying"] == ["train"]
    assert error_of(await town.ask("POST", "maintenance", json=body)) == (409, "already_exists")


async def test_without_a_begin_or_with_one_that_is_over_it_begins_now(town: Town) -> None:
    key, now = {"Idempotency-Key": f"now-{town.cluster}"}, town.api.clock()
    body = {"name": town.cluster, "end": (now + HOUR).isoformat(), "nodes": [f"{town.cluster}-0"]}
    made = await town.ask("POST", "maintenance", json=body, headers=key)
    assert (made.status_code, made.json()["state"]) == (201, "under_way")
    assert instant(made.json()["begin"]) >= now
    assert (await town.ask("POST", "maintenance", json=body, headers=key)).json() == made.json()
    other = {**body, "name": f"{town.cluster}-before", "begin": "2001-01-01T00:00:00Z"}
    assert instant((await town.ask("POST", "maintenance", json=other)).json()["begin"]) >= now


async def test_a_node_that_is_named_beside_its_cluster_is_away_once(town: Town) -> None:
    await _announced(town, HOUR, 2 * HOUR, f"{town.cluster}-0", clusters=[town.cluster])
    nodes = (await town.got(f"plan?cluster={town.cluster}"))["nodes"]
    assert {node["node"]: len(node["maintenance"]) for node in nodes} == {
        f"{town.cluster}-0": 1,
        f"{town.cluster}-1": 1,
    }


async def test_only_administrators_announce_and_end_it_and_everybody_sees_it(town: Town) -> None:
    await _announced(town, HOUR, 2 * HOUR)
    someone = await town.api.someone()
    assert town.cluster in [one["name"] for one in (await town.got("maintenance", someone))["items"]]
    assert error_of(await town.ask("DELETE", f"maintenance/{town.cluster}", someone)) == (403, "forbidden")
    body = {"name": "mine", "begin": "2026-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z", "clusters": [town.cluster]}
    assert error_of(await town.ask("POST", "maintenance", someone, json=body)) == (403, "forbidden")


async def test_the_arbiter_is_woken_at_its_end(town: Town) -> None:
    made = await _announced(town, HOUR, 2 * HOUR)
    async with town.api.ledger.reading() as connection:
        rows = await connection.fetch(
            "select signal from outbox where created_at = any($1::timestamptz[]) and delivered_at is null",
            [instant(made["end"]) + timedelta(seconds=seconds) for seconds in (0, 3)],
        )
    assert [row["signal"] for row in rows] == ["kick", "kick"]


async def _promised(town: Town) -> str:
    """Both nodes are busy for an hour; this one is promised to start then."""
    await town.running(8, duration="1h"), await town.running(8, duration="1h")
    gpr_id = await town.waiting(8)
    await town.promise(gpr_id)
    return gpr_id
