"""What if: answers that are what then happens, for one request and for many, and when so many GPUs are free."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.api.time_kit import Town, error_of, instant

if TYPE_CHECKING:
    from tests.api.api_kit import TheApi

SLACK = timedelta(seconds=10)
"""The time that passes between the question and the deed, and what a provisioning is expected to take."""


async def what_if(town: Town, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"requests": [{"duration": "1h", "shape": town.shape, **one} for one in requests]}
    answer = await town.ask("POST", "what-if", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_what_would_start_at_once_says_where(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    (found,) = await what_if(town, {"workspace": await town.workspace(), "gpus_per_node": 4})
    assert abs(instant(found["estimate"]["starts_at"]) - api.clock()) < SLACK
    assert (found["estimate"]["position"], found["estimate"]["reason"]) == (0, "")
    assert (found["cluster"], found["nodes"]) == (town.cluster, [f"{town.cluster}-0"])


async def test_a_list_is_answered_as_if_each_were_submitted_after_the_former(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    spaces = [await town.workspace() for _ in range(3)]
    found = await what_if(town, *({"workspace": one, "gpus_per_node": 8} for one in spaces))
    starts = [instant(one["estimate"]["starts_at"]) for one in found]
    assert [one["estimate"]["position"] for one in found] == [0, 1, 2]
    assert all(starts[n + 1] >= starts[n] + timedelta(hours=1) for n in range(2))


async def test_what_then_happens_is_what_was_said(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8)
    await town.running(8, duration="2h"), await town.running(8, duration="3h")
    wishes = [(8, "1h"), (16, "1h"), (2, "5h"), (4, "30m")]
    spaces = [await town.workspace() for _ in wishes]
    asked = [
        {"workspace": space, "gpus_per_node": min(8, gpus), "nodes": max(1, gpus // 8), "duration": duration}
        for space, (gpus, duration) in zip(spaces, wishes, strict=True)
    ]
    said = await what_if(town, *asked)
    ids = [await town.submit(**_as_submission(one)) for one in asked]
    await town.run()
    for gpr_id, one in zip(ids, said, strict=True):
        shown = (await town.got(f"gprs/{gpr_id}"))["estimate"]
        assert abs(instant(shown["starts_at"]) - instant(one["estimate"]["starts_at"])) < SLACK
        assert shown["reason_code"] == one["estimate"]["reason_code"]


def _as_submission(asked: dict[str, Any]) -> dict[str, Any]:
    return {**asked, "gpus": asked["gpus_per_node"]}


async def test_nothing_is_kept_of_a_question(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    workspace = await town.workspace()
    await what_if(town, {"workspace": workspace, "gpus_per_node": 8})
    assert (await town.got(f"gprs?workspace={workspace}"))["items"] == []


async def test_other_kinds_of_gpus_are_offered_with_their_own_start(api: TheApi) -> None:
    town = await Town.founded(api, 8, small=1)
    await town.running(8)
    (found,) = await what_if(
        town, {"workspace": await town.workspace(), "gpus_per_node": 1, "clusters": [town.cluster]}
    )
    assert found["estimate"]["reason_code"] == "waiting_for_gpus"
    (other,) = found["alternatives"]
    assert (other["shape"], other["nodes"], other["gpus_per_node"]) == (f"small{town.shape}", 1, 1)
    assert abs(instant(other["estimate"]["starts_at"]) - api.clock()) < SLACK


async def test_what_never_starts_says_why(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    (found,) = await what_if(town, {"workspace": await town.workspace(), "gpus_per_node": 16})
    assert (found["estimate"]["starts_at"], found["estimate"]["reason_code"]) == (None, "larger_than_any_node")
    assert (found["cluster"], found["nodes"]) == ("", [])


async def test_a_question_about_a_workspace_of_others_finds_nothing(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    body = {"requests": [{"workspace": await town.workspace(), "duration": "1h"}]}
    assert error_of(await town.ask("POST", "what-if", await api.someone(), json=body)) == (404, "not_found")


async def test_a_question_about_clusters_that_are_not_ones_own_is_refused(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    one = {"workspace": await town.workspace(), "duration": "1h", "clusters": ["worker-9"]}
    answer = await town.ask("POST", "what-if", json={"requests": [one]})
    assert error_of(answer) == (422, "invalid_request")
    assert f"is not on cluster 'worker-9'; it is on: {town.cluster}" in answer.json()["error"]["message"]


async def test_a_question_about_nothing_or_too_much_is_refused(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    one = {"workspace": await town.workspace(), "duration": "1h"}
    for requests in ([], [one] * 33, [{**one, "duration": "soon"}]):
        assert error_of(await town.ask("POST", "what-if", json={"requests": requests})) == (422, "invalid_request")


# --- openings -----------------------------------------------------------------------------------------------------------


async def test_when_so_many_are_free_for_every_number(api: TheApi) -> None:
    town = await Town.founded(api, 8, 8, 8)
    await town.running(8, duration="1h"), await town.running(8, duration="2h"), await town.running(6, duration="3h")
    items = (await town.got(f"openings?shape={town.shape}"))["items"]
    assert [one["gpus"] for one in items] == [1, 2, 3, 4, 5, 6, 7, 8, 16, 24]
    ahead = {one["gpus"]: (instant(one["estimate"]["starts_at"]) - api.clock()) for one in items}
    hours = {gpus: round(delta / timedelta(hours=1)) for gpus, delta in ahead.items()}
    assert hours == {1: 0, 2: 0, **dict.fromkeys(range(3, 9), 1), 16: 2, 24: 3}


async def test_one_number_of_one_kind_is_asked_for_with_its_duration(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    await town.running(8, duration="1h")
    (found,) = (await town.got(f"openings?shape={town.shape}&gpus=4&duration=30m"))["items"]
    assert (found["nodes"], found["gpus_per_node"], found["estimate"]["reason_code"]) == (1, 4, "waiting_for_gpus")
    estimate = found["estimate"]
    assert instant(estimate["earliest"]) <= instant(estimate["starts_at"]) <= instant(estimate["latest"])


async def test_kinds_that_there_are_not_are_free_never(api: TheApi) -> None:
    town = await Town.founded(api, 8)
    assert (await town.got("openings?shape=no-such-gpu"))["items"] == []
    assert error_of(await town.ask("GET", "openings?duration=soon")) == (422, "invalid_request")
