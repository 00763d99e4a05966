from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from planner.plan import Forecast, plan
from planner.reasons import ReasonCode
from planner.snapshot import Claim, LeaseView, Limit, NodeView
from tests.builders_planner import HOUR, a_claim, a_lease, a_node, a_snapshot, at, gpus_of

CENTURY = 100 * 365 * 24 * HOUR


def _last_forecast(*things: NodeView | LeaseView | Claim) -> Forecast:
    return plan(a_snapshot(*things)).forecasts[-1]


def test_gpus_held_by_a_lease_are_named_with_its_end() -> None:
    training = a_lease("training-a", gpus_of("node-1", *range(6)), ends=2 * HOUR + 1195)
    waiting = _last_forecast(a_node(), training, a_claim(gpus=3, shape="H100"))
    assert waiting.reason.code is ReasonCode.WAITING_FOR_GPUS
    assert waiting.reason.text == "waits for 3 x H100 on one node of west, first free 14:20 UTC when training-a ends"
    assert waiting.starts_at == at(2 * HOUR + 1200)


def test_a_stronger_claim_ahead_is_named() -> None:
    waiting = _last_forecast(a_node(), a_claim("first", gpus=8), a_claim(gpus=8))
    assert waiting.reason.code is ReasonCode.BEHIND_STRONGER_CLAIMS
    expected = "waits for 8 x GPU on one node of west, first free 13:00 UTC when first, which goes first, ends"
    assert waiting.reason.text == expected


def test_a_gang_is_spoken_of_as_nodes() -> None:
    training = a_lease("training-a", gpus_of("node-1", 0), ends=26 * HOUR)
    waiting = _last_forecast(a_node("node-1"), a_node("node-2"), training, a_claim(gpus=8, nodes=2))
    expected = "waits for 8 x GPU on each of 2 nodes of west, first free 2026-06-02 14:00 UTC when training-a ends"
    assert waiting.reason.text == expected


def test_a_busy_workspace_is_the_reason_even_when_gpus_are_free() -> None:
    running = a_lease("run-1", gpus_of("node-1", 0), ends=HOUR, workspace="red", exclusive=True)
    waiting = _last_forecast(a_node(), running, a_claim(workspace="red", exclusive=True))
    assert waiting.reason.code is ReasonCode.WORKSPACE_BUSY
    assert (
        waiting.reason.text == "waits for its workspace red, which runs one at a time: run-1 holds it until 13:00 UTC"
    )


def test_a_workspace_promised_to_a_stronger_claim_is_busy_too() -> None:
    first, second = (a_claim(name, workspace="red", exclusive=True) for name in ("first", "second"))
    waiting = _last_forecast(a_node(), first, second)
    expected = "waits for its workspace red, which runs one at a time: first goes first, and holds it until 13:00 UTC"
    assert waiting.reason.text == expected


def test_a_claim_that_backs_off_says_until_when() -> None:
    waiting = _last_forecast(a_node(), a_claim(not_before=at(600)))
    assert waiting.reason.code is ReasonCode.BACKING_OFF
    assert waiting.reason.text == "does not start before 12:10 UTC"
    assert waiting.starts_at == at(600)


def test_a_turn_past_the_calendars_end_has_no_date() -> None:
    queue = [a_claim(f"long-{number}", gpus=8, duration_seconds=40 * CENTURY) for number in range(3)]
    waiting = _last_forecast(a_node(), *queue)
    assert waiting.reason == (ReasonCode.BEYOND_CALENDAR, "its turn comes later than the calendar reaches")
    assert waiting.starts_at is None


@pytest.mark.parametrize(
    ("claim", "code", "text"),
    [
        (
            a_claim(clusters=("moon", "mars")),
            ReasonCode.CLUSTER_UNKNOWN,
            "no cluster named moon or mars has nodes for Berth",
        ),
        (a_claim(shape="B200"), ReasonCode.NO_SUCH_SHAPE, "no node has the GPU B200; there are H100"),
        (
            a_claim(instance_type="p4d"),
            ReasonCode.NO_SUCH_INSTANCE_TYPE,
            "no node that suits is of type p4d; there are p5.48xlarge",
        ),
        (
            a_claim(memory_gib=141),
            ReasonCode.NOT_ENOUGH_MEMORY,
            "asks for GPUs with 141 GiB; the largest that suit have 80",
        ),
        (
            a_claim(gpus=9),
            ReasonCode.LARGER_THAN_ANY_NODE,
            "asks for 9 GPUs on one node; the largest that suits has 8",
        ),
        (
            a_claim(gpus=8, nodes=3),
            ReasonCode.NOT_ENOUGH_NODES,
            "asks for 3 nodes of one cluster with 8 GPUs each; there are 2",
        ),
        (
            a_claim(excluded_nodes=frozenset({("west", "node-1"), ("west", "node-2")})),
            ReasonCode.NODES_EXCLUDED,
            "failed before on node-1 of west, node-2 of west, and too few other nodes suit",
        ),
    ],
)
def test_what_no_node_can_serve_is_named(claim: Claim, code: ReasonCode, text: str) -> None:
    hopeless = _last_forecast(a_node("node-1"), a_node("node-2"), claim)
    assert (hopeless.starts_at, hopeless.reason.code, hopeless.reason.text) == (None, code, text)


def test_without_any_node_no_cluster_is_known() -> None:
    assert _last_forecast(a_claim()).reason.text == "no cluster has nodes for Berth"


def test_an_unusable_node_that_is_needed_is_named_with_its_state() -> None:
    broken = a_node("node-2", usable=False, unusable_reason="quarantined")
    hopeless = _last_forecast(a_node("node-1"), broken, a_claim(gpus=8, nodes=2))
    assert hopeless.reason.code is ReasonCode.NODES_UNUSABLE
    assert hopeless.reason.text == "needs nodes that cannot be used now: node-2 of west (quarantined)"


def test_a_cluster_without_any_usable_node_is_unavailable() -> None:
    away = [a_node(f"node-{number}", usable=False, unusable_reason="cluster away") for number in range(5)]
    hopeless = _last_forecast(*away, a_node(cluster="east"), a_claim(clusters=("west",)))
    assert hopeless.reason.code is ReasonCode.CLUSTER_UNAVAILABLE
    assert hopeless.reason.text.endswith("node-2 of west (cluster away) and 2 more")


def test_blocked_gpus_are_counted() -> None:
    hopeless = _last_forecast(a_node(blocked_ordinals=frozenset({3, 4})), a_claim(gpus=7))
    assert hopeless.reason.code is ReasonCode.GPUS_BLOCKED
    assert hopeless.reason.text == "needs GPUs that are unhealthy or used by others: node-1 of west (2 of 8)"


def test_a_lease_without_a_known_end_is_named() -> None:
    notebook = a_lease("notebook", gpus_of("node-1", 0), ends=None)
    hopeless = _last_forecast(a_node(), notebook, a_claim(gpus=8))
    assert hopeless.reason.code is ReasonCode.NO_KNOWN_END
    expected = "waits for 8 x GPU on one node of west, held without a known end by notebook on node-1 of west"
    assert hopeless.reason.text == expected


def test_a_workspace_held_without_a_known_end_gives_no_start() -> None:
    endless = a_lease("endless", gpus_of("node-1", 0), ends=None, workspace="red", exclusive=True)
    hopeless = _last_forecast(a_node(), endless, a_claim(workspace="red", exclusive=True))
    assert hopeless.starts_at is None
    assert hopeless.reason.code is ReasonCode.NO_KNOWN_END
    expected = "waits for its workspace red, which runs one at a time: endless has no known end"
    assert hopeless.reason.text == expected


def test_every_code_is_lower_case_words() -> None:
    assert all(code.value.replace("_", "").isalpha() and code.value.islower() for code in ReasonCode)


def test_a_pool_that_no_suitable_node_is_in_is_named_with_those_that_there_are() -> None:
    gold = a_node("gold-1", pools=frozenset({"gold"}))
    outside, inside, elsewhere = a_claim("a"), a_claim("b", pool="gold"), a_claim("c", pool="silver")
    found = plan(a_snapshot(gold, outside, inside, elsewhere))
    assert [grant.gpr_id for grant in found.grants] == ["b"]
    reasons = {forecast.gpr_id: forecast.reason for forecast in found.forecasts}
    assert reasons["a"].text == "every node that suits is in a pool, and it names none; there are gold"
    assert reasons["c"].text == "no node that suits is in the pool silver; there are gold"
    assert {reason.code for reason in reasons.values()} == {ReasonCode.NOT_IN_POOL}


def test_a_quota_that_is_used_up_is_named_with_who_uses_it_and_until_when() -> None:
    limit = Limit("q", 4, "the quota of namespace vision, 4 GPUs")
    running = a_lease("run", gpus_of("node-1", 0, 1, 2), ends=595, uses=(("q", 3),))
    waits, too_large = a_claim("w", gpus=2, uses=(("q", 2),)), a_claim("l", gpus=5, uses=(("q", 5),))
    found = plan(a_snapshot(a_node(), running, waits, too_large, limits=(limit,)))
    first, second = found.forecasts
    assert (first.reason.code, second.reason.code) == (ReasonCode.QUOTA_BUSY, ReasonCode.LARGER_THAN_ITS_QUOTA)
    assert first.reason.text == "waits for the quota of namespace vision, 4 GPUs: run holds it until 12:10 UTC"
    assert second.reason.text == "asks for more than the quota of namespace vision, 4 GPUs"


def test_what_waits_behind_a_claim_without_an_end_has_a_reason_and_no_time() -> None:
    endless, after = a_claim("endless", gpus=8, duration_seconds=None), a_claim("after")
    found = plan(a_snapshot(a_node(), endless, after))
    assert [grant.gpr_id for grant in found.grants] == ["endless"]
    (forecast,) = found.forecasts
    assert forecast.starts_at is None
    assert "held without a known end by endless" in forecast.reason.text


def test_parts_that_may_share_a_node_are_counted_by_room_and_not_by_nodes() -> None:
    sharing = a_claim("sharing", gpus=2, nodes=4, spread=False)
    (grant,) = plan(a_snapshot(a_node(gpus=8), sharing)).grants
    assert len(grant.gpus) == 8
    (forecast,) = plan(a_snapshot(a_node(gpus=4), sharing)).forecasts
    assert forecast.reason.text == "asks for 4 x 2 GPUs of one cluster; there is room for 2"


def test_parts_that_share_no_node_are_counted_one_for_each() -> None:
    waiting = _last_forecast(a_node(gpus=3), a_claim(gpus=2, nodes=2, spread=False))
    assert waiting.reason.text == "asks for 2 x 2 GPUs of one cluster; there is room for 1"


@pytest.mark.parametrize(("shapes", "named"), [("CBA", "A, B, C"), ("DCBA", "A, B, C and 1 more")])
def test_three_names_are_spoken_and_the_rest_counted(shapes: str, named: str) -> None:
    waiting = _last_forecast(*(a_node(shape, shape=shape) for shape in shapes), a_claim(shape="B200"))
    assert waiting.reason.text == f"no node has the GPU B200; there are {named}"


def test_a_claim_without_gpus_waits_for_its_workspace_and_for_no_gpus() -> None:
    seat: dict[str, Any] = {"workspace": "red", "exclusive": True}
    running = a_lease("run", gpus_of("node-1", *range(8)), ends=HOUR, **seat)
    assert _last_forecast(a_node(), running, a_claim(gpus=0, **seat)).reason.code is ReasonCode.WORKSPACE_BUSY
    assert _last_forecast(a_node(), a_claim(gpus=0, not_before=at(600))).reason.code is ReasonCode.BACKING_OFF


def test_of_two_limits_the_one_that_somebody_holds_is_named() -> None:
    fields: dict[str, Any] = {"gpus": 4, "uses": (("first", 4), ("second", 4))}
    running = a_lease("run", gpus_of("node-1", 0), ends=HOUR, uses=(("second", 4),))
    for first in (Limit("first", 4, "the first"), Limit("first", 2, "the first", ((at(HOUR), 4),))):
        limits = (first, Limit("second", 4, "the second"))
        (found,) = plan(a_snapshot(a_node(), running, a_claim(**fields), limits=limits, turnaround_seconds=0)).forecasts
        assert found.reason.text == "waits for the second: run holds it until 13:00 UTC"


def test_the_last_instant_of_the_calendar_is_told_exactly() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    waiting = _last_forecast(a_node(), a_claim(not_before=last))
    assert (waiting.starts_at, waiting.reason.text) == (last, "does not start before 9999-12-31 23:59 UTC")
