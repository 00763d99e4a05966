"""The judge is judged: a history in which all is well passes, and for every rule there are histories that break it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.system.book_rules import BOOK_RULES, Outage, Outages
from tests.system.histories import (
    B1,
    B2,
    BLUE,
    BOOKED,
    DISK,
    JOB,
    JOB_LIVES,
    NODE,
    R1,
    R2,
    R3,
    RED,
    a_good_history,
    job_pod,
    job_tokens,
    moment,
    tokens,
    withdrawal,
)
from tests.system.strain import strain
from tests.system.time_rules import TEARDOWN_MAX, TIME_RULES
from tests.system.trail import write_of
from tests.system.trail_rules import STRAY_MAX, TRAIL_RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.system.histories import History
    from tests.system.trail import Write

RULES = [rule.__name__ for rule in (*BOOK_RULES, *TIME_RULES, *TRAIL_RULES)]


def test_a_history_in_which_all_is_well_passes() -> None:
    assert a_good_history().complaints() == []


# --- the ledger's events ----------------------------------------------------------------------------------------------


def grants_what_another_lease_holds(history: History) -> None:
    history.event("granted", B1)["detail"]["gpus"] = [[NODE, 2], [NODE, 3], [NODE, 4]]


def grants_what_was_left_stuck(history: History) -> None:
    history.event("rested", R1)["detail"]["stuck_nodes"] = [NODE]


def counts_a_lease_from_before_its_predecessors_rest(history: History) -> None:
    history.event("granted", R2)["at"] = moment(11).isoformat()


def forgets_to_close_a_lease(history: History) -> None:
    history.drop("rested", R2)


def lets_fences_fall(history: History) -> None:
    for event in history.events:
        if event["fence"] in {1, 3} and event["gpr_id"] in {R1, R2}:
            event["fence"] = 4 - event["fence"]


def grants_an_exclusive_workspace_twice(history: History) -> None:
    history.event("granted", B1)["workspace_id"] = RED


def lends_a_disk_twice(history: History) -> None:
    history.event("granted", R1)["detail"]["disk"] = DISK


def activates_what_was_not_granted(history: History) -> None:
    history.drop("granted", R2)


def cancels_what_is_active(history: History) -> None:
    history.put_before(history.event("releasing", R2), history.event("cancelled", R3) | {"gpr_id": R2})


def activates_under_another_fence(history: History) -> None:
    history.event("activated", R2)["fence"] = 1


def changes_the_priority_of_what_is_active(history: History) -> None:
    history.put_before(history.event("releasing", R2), history.event("priority_set", R2))


def extends_what_is_over(history: History) -> None:
    history.append(history.event("activated", R2), kind="extended")


def lengthens_what_is_active(history: History) -> None:
    history.append(history.event("activated", R2), kind="lengthened", detail={"seconds": 60})


def uses_a_fence_twice(history: History) -> None:
    history.append(history.event("granted", R1))


def ends_twice(history: History) -> None:
    history.append(history.event("rested", R1))


def never_ends(history: History) -> None:
    history.drop("cancelled", R3)


def grants_fewer_than_asked(history: History) -> None:
    history.event("granted", B1)["detail"]["gpus"].pop()


def grants_one_gpu_twice_to_one_lease(history: History) -> None:
    history.event("granted", B1)["detail"]["gpus"] = [[NODE, 5]] * 3


def lets_a_workspace_go_that_holds(history: History) -> None:
    history.put_before(history.event("rested", R2), history.events[-2])


def gives_less_time_than_asked(history: History) -> None:
    history.event("activated", R2)["detail"]["end_at"] = moment(1000).isoformat()


def forgets_what_was_lengthened(history: History) -> None:
    longer = history.event("activated", R2) | {"kind": "lengthened", "detail": {"seconds": 60}}
    history.put_before(history.event("activated", R2), longer)


def expires_before_the_end(history: History) -> None:
    history.event("releasing", R1)["at"] = moment(12.9).isoformat()


def expires_what_was_extended(history: History) -> None:
    extension = history.event("activated", R1) | {"kind": "extended", "detail": {"end_at": moment(20).isoformat()}}
    history.put_before(history.event("releasing", R1), extension)


def releases_what_nobody_released(history: History) -> None:
    history.event("releasing", R2)["actor"] = ""


def releases_for_no_cause(history: History) -> None:
    history.event("releasing", R2)["detail"]["cause"] = "mood"


def fails_what_was_active(history: History) -> None:
    history.event("releasing", R2)["detail"]["cause"] = "provisioning_failed"


def fails_for_no_reason(history: History) -> None:
    history.event("releasing", B1)["detail"]["failure"] = ""


def cancels_what_nobody_cancelled(history: History) -> None:
    history.event("cancelled", R3)["actor"] = ""


def withdraws_what_is_over(history: History) -> None:
    history.append(history.event("withdrawn", B2))


def withdraws_what_expires(history: History) -> None:
    history.put_before(history.event("rested", R1), withdrawal(history.event("releasing", R1)))


def withdraws_what_nobody_withdrew(history: History) -> None:
    history.event("withdrawn", B2)["actor"] = ""


def requeues_what_was_withdrawn(history: History) -> None:
    history.event("rested", B2)["detail"]["phase"] = "queued"


def requeues_a_job_that_failed(history: History) -> None:
    ends_as_a_job(history, "job_failed", "queued")


def grants_what_is_suspended(history: History) -> None:
    history.drop("resumed", JOB)


def suspends_what_nobody_suspended(history: History) -> None:
    history.event("releasing", JOB)["actor"] = ""


def ends_what_was_suspended(history: History) -> None:
    history.event("rested", JOB)["detail"]["phase"] = "released"


def ends_an_endless_lease_at_some_time(history: History) -> None:
    history.event("submitted", R2)["detail"]["duration_seconds"] = None


def ends_as_a_job(history: History, cause: str, rest: str) -> None:
    history.event("submitted", R2)["detail"]["duration_seconds"] = None
    history.event("activated", R2)["detail"]["end_at"] = None
    history.event("releasing", R2)["detail"]["cause"] = cause
    history.event("releasing", R2)["actor"] = ""
    history.event("rested", R2)["detail"]["phase"] = rest


def ends_a_reservation_later_than_it_was_to(history: History) -> None:
    history.event("activated", BOOKED)["detail"]["end_at"] = moment(29).isoformat()


def moves_a_promise_though_nothing_was_lost(history: History) -> None:
    history.event("nodes_changed", None)["detail"]["changed"] = ["h100-2"]


def moves_what_was_never_promised(history: History) -> None:
    history.drop("promised", R2)


def promises_twice(history: History) -> None:
    history.put_before(history.event("granted", R2), history.event("promised", R2))


def starts_long_after_its_promise(history: History) -> None:
    history.event("promise_moved", R2)["detail"]["starts_at"] = (moment(12) - TEARDOWN_MAX).isoformat()


def starts_before_it_was_reserved(history: History) -> None:
    history.event("granted", BOOKED)["at"] = moment(25.9).isoformat()


def starts_long_after_it_was_reserved(history: History) -> None:
    history.event("booked", BOOKED)["detail"]["start"] = (moment(23) - TEARDOWN_MAX).isoformat()


def reserves_what_is_reserved(history: History) -> None:
    booking = history.event("booked", BOOKED)
    booking["detail"]["start"] = moment(22).isoformat()
    history.put_before(
        history.event("granted", R2), booking | {"gpr_id": B1, "detail": {"start": moment(16).isoformat()}}
    )


def expires_late(history: History) -> None:
    history.event("submitted", R1)["detail"]["duration_seconds"] = 7
    history.event("activated", R1)["detail"]["end_at"] = moment(10).isoformat()


def requeues_what_expired(history: History) -> None:
    history.event("rested", R1)["detail"]["phase"] = "queued"


# --- the clusters' audit logs -----------------------------------------------------------------------------------------


def writes_tokens_under_no_lease(history: History) -> None:
    history.writes += [tokens(RED, 14.5, 2), tokens(RED, 14.6, None)]


def writes_more_tokens_than_granted(history: History) -> None:
    history.writes += [tokens(BLUE, 15.4, 5), tokens(BLUE, 15.5, 3)]


def lets_a_stranger_write_tokens(history: History) -> None:
    history.rewrite(lambda write: write.at == moment(2.3), user="system:serviceaccount:red:berth-user")


def writes_tokens_by_hand(history: History) -> None:
    history.rewrite(lambda write: write.at == moment(2.3), signed=False)


def activates_without_tokens(history: History) -> None:
    history.forget(lambda write: write.at == moment(15.3))


def takes_tokens_of_an_active_lease(history: History) -> None:
    history.writes += [tokens(RED, 10, None), tokens(RED, 11, 4)]


def gives_a_job_the_tokens_of_another(history: History) -> None:
    fence, seconds = JOB_LIVES[0]
    history.forget(lambda write: write.at == moment(seconds + 0.2))
    history.writes.append(job_tokens(fence + 20, seconds + 0.2, 1))


def leaves_the_tokens_of_a_job(history: History) -> None:
    history.forget(lambda write: write.at == moment(19.5))


def binds_the_pod_of_a_job_under_an_earlier_lease(history: History) -> None:
    made_at = moment(JOB_LIVES[1][1] + 0.4)
    history.rewrite(lambda write: write.at == made_at, body=job_pod(JOB_LIVES[0][0]))


def lets_the_pod_of_a_job_go_late(history: History) -> None:
    history.rewrite(lambda write: write.at == moment(12.4), at=moment(13.4))


def leaves_tokens_when_a_lease_rests(history: History) -> None:
    history.rewrite(lambda write: write.at == moment(13.3), at=moment(14.4))


def leaves_tokens_for_ever(history: History) -> None:
    history.forget(lambda write: write.at == moment(24.2))


def is_binding(write: Write) -> bool:
    return (write.kind, write.name) == ("pods/binding", "training")


def is_its_end(write: Write) -> bool:
    """Of the workspace's pod."""
    return (write.user, write.name) == ("kwok", "training")


def binds_a_pod_between_leases(history: History) -> None:
    history.forget(lambda write: write.name == "training" and write.user == "admin" and write.verb == "delete")
    history.rewrite(is_its_end, at=moment(14.8))
    history.rewrite(is_binding, at=moment(14.6))


def binds_a_pod_to_a_node_without_its_lease(history: History) -> None:
    history.rewrite(is_binding, body={"target": {"name": "elsewhere"}})


def lets_a_pod_outlive_its_lease(history: History) -> None:
    history.forget(is_its_end)


def lets_a_pod_go_only_after_its_lease(history: History) -> None:
    history.rewrite(is_its_end, at=moment(14.5))


def runs_a_pod_with_more_gpus_than_granted(history: History) -> None:
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "5"}}}
    history.rewrite(
        lambda write: (write.kind, write.verb, write.name) == ("pods", "create", "training"),
        body={"spec": {"containers": [container]}},
    )


def makes_an_anchor_of_no_lease(history: History) -> None:
    history.rewrite(lambda write: write.name == "berth-access-3", name="berth-access-33")


def makes_an_anchor_after_the_lease(history: History) -> None:
    history.rewrite(lambda write: write.at == moment(2.5), at=moment(14.8))


def leaves_an_anchor(history: History) -> None:
    history.forget(lambda write: write.at == moment(13.4))


BREAKS: list[tuple[str, Callable[[History], None]]] = [
    ("only_legal_moves", activates_what_was_not_granted),
    ("only_legal_moves", cancels_what_is_active),
    ("only_legal_moves", activates_under_another_fence),
    ("only_legal_moves", changes_the_priority_of_what_is_active),
    ("only_legal_moves", extends_what_is_over),
    ("only_legal_moves", lengthens_what_is_active),
    ("only_legal_moves", uses_a_fence_twice),
    ("only_legal_moves", ends_twice),
    ("only_legal_moves", withdraws_what_is_over),
    ("every_gpr_ends_once", ends_twice),
    ("every_gpr_ends_once", never_ends),
    ("every_lease_is_closed", forgets_to_close_a_lease),
    ("a_gpu_has_one_holder", grants_what_another_lease_holds),
    ("a_gpu_has_one_holder", grants_what_was_left_stuck),
    ("holders_follow_one_another_in_time", counts_a_lease_from_before_its_predecessors_rest),
    ("fences_grow", lets_fences_fall),
    ("an_exclusive_workspace_has_one_lease", grants_an_exclusive_workspace_twice),
    ("a_disk_has_one_lease", lends_a_disk_twice),
    ("grants_are_what_was_asked", grants_fewer_than_asked),
    ("grants_are_what_was_asked", grants_one_gpu_twice_to_one_lease),
    ("no_lease_in_a_workspace_that_goes", lets_a_workspace_go_that_holds),
    ("a_lease_lasts_as_long_as_asked", gives_less_time_than_asked),
    ("a_lease_lasts_as_long_as_asked", ends_a_reservation_later_than_it_was_to),
    ("a_lease_lasts_as_long_as_asked", forgets_what_was_lengthened),
    ("a_lease_lasts_as_long_as_asked", ends_an_endless_lease_at_some_time),
    ("nothing_ends_before_its_end_without_cause", expires_before_the_end),
    ("nothing_ends_before_its_end_without_cause", expires_what_was_extended),
    ("nothing_ends_before_its_end_without_cause", releases_what_nobody_released),
    ("nothing_ends_before_its_end_without_cause", releases_for_no_cause),
    ("nothing_ends_before_its_end_without_cause", fails_what_was_active),
    ("nothing_ends_before_its_end_without_cause", fails_for_no_reason),
    ("nothing_ends_before_its_end_without_cause", cancels_what_nobody_cancelled),
    ("nothing_ends_before_its_end_without_cause", withdraws_what_expires),
    ("nothing_ends_before_its_end_without_cause", withdraws_what_nobody_withdrew),
    ("nothing_ends_before_its_end_without_cause", suspends_what_nobody_suspended),
    ("what_ends_in_time_ends_at_its_end", expires_late),
    ("what_is_suspended_is_granted_nothing", grants_what_is_suspended),
    ("leases_rest_as_their_cause_says", ends_what_was_suspended),
    ("leases_rest_as_their_cause_says", requeues_what_expired),
    ("leases_rest_as_their_cause_says", requeues_what_was_withdrawn),
    ("leases_rest_as_their_cause_says", requeues_a_job_that_failed),
    ("a_promise_moves_only_when_hardware_is_lost", moves_a_promise_though_nothing_was_lost),
    ("a_promise_moves_only_when_hardware_is_lost", moves_what_was_never_promised),
    ("a_promise_is_made_once", promises_twice),
    ("nothing_starts_later_than_its_promise", starts_long_after_its_promise),
    ("what_is_reserved_starts_at_its_instant", starts_before_it_was_reserved),
    ("what_is_reserved_starts_at_its_instant", starts_long_after_it_was_reserved),
    ("no_gpu_is_reserved_twice", reserves_what_is_reserved),
    ("tokens_are_written_under_open_leases_only", writes_tokens_under_no_lease),
    ("tokens_are_written_under_open_leases_only", writes_more_tokens_than_granted),
    ("tokens_are_written_under_open_leases_only", lets_a_stranger_write_tokens),
    ("tokens_are_written_under_open_leases_only", writes_tokens_by_hand),
    ("tokens_are_written_under_open_leases_only", gives_a_job_the_tokens_of_another),
    ("tokens_stand_when_a_lease_becomes_active", activates_without_tokens),
    ("tokens_stand_when_a_lease_becomes_active", gives_a_job_the_tokens_of_another),
    ("tokens_stay_until_the_end_was_decided", takes_tokens_of_an_active_lease),
    ("tokens_are_gone_when_a_lease_rests", leaves_tokens_when_a_lease_rests),
    ("tokens_are_gone_in_the_end", leaves_tokens_for_ever),
    ("tokens_are_gone_in_the_end", leaves_the_tokens_of_a_job),
    ("gpu_pods_are_bound_under_their_lease_only", binds_a_pod_between_leases),
    ("gpu_pods_are_bound_under_their_lease_only", binds_a_pod_to_a_node_without_its_lease),
    ("gpu_pods_are_bound_under_their_lease_only", binds_the_pod_of_a_job_under_an_earlier_lease),
    ("gpu_pods_are_gone_when_their_lease_rests", lets_the_pod_of_a_job_go_late),
    ("gpu_pods_are_gone_when_their_lease_rests", lets_a_pod_outlive_its_lease),
    ("gpu_pods_are_gone_when_their_lease_rests", lets_a_pod_go_only_after_its_lease),
    ("pods_use_no_more_than_the_lease_has", runs_a_pod_with_more_gpus_than_granted),
    ("anchors_live_as_long_as_their_lease", makes_an_anchor_of_no_lease),
    ("anchors_live_as_long_as_their_lease", makes_an_anchor_after_the_lease),
    ("anchors_live_as_long_as_their_lease", leaves_an_anchor),
]


@pytest.mark.parametrize(("rule", "spoil"), BREAKS, ids=[f"{rule}-{spoil.__name__}" for rule, spoil in BREAKS])
def test_a_broken_rule_is_seen(rule: str, spoil: Callable[[History], None]) -> None:
    history = a_good_history()
    spoil(history)
    assert rule in history.broken_rules()


def test_no_rule_is_without_a_history_that_breaks_it() -> None:
    assert {rule for rule, _ in BREAKS} == set(RULES)


def test_what_is_promised_and_withdrawn_may_start_at_any_time() -> None:
    history = a_good_history()
    starts_long_after_its_promise(history)
    history.put_before(history.event("granted", R2), history.event("promised", R2) | {"kind": "promise_withdrawn"})
    assert history.complaints() == []


def test_a_reservation_may_start_late_when_it_was_told_that_its_room_is_lost_and_then_lasts_shorter() -> None:
    history = a_good_history()
    history.event("booked", BOOKED)["detail"]["start"] = (moment(23) - TEARDOWN_MAX).isoformat()
    history.event("submitted", BOOKED)["detail"]["duration_seconds"] = 5 + TEARDOWN_MAX.seconds
    history.put_before(history.event("granted", BOOKED), history.event("booked", BOOKED) | {"kind": "reservation_lost"})
    assert history.complaints() == []


@pytest.mark.parametrize(("cause", "rest"), [("completed", "released"), ("job_failed", "failed")])
def test_a_job_may_end_by_itself(cause: str, rest: str) -> None:
    history = a_good_history()
    ends_as_a_job(history, cause, rest)
    assert history.complaints() == []


def test_what_is_suspended_may_be_cancelled_while_it_is_torn_down() -> None:
    history = a_good_history()
    for kind in ("resumed", "granted", "activated", "releasing", "rested"):
        last = [event for event in history.events if (event["kind"], event["gpr_id"]) == (kind, JOB)][-1]
        history.events.remove(last)
    history.put_before(history.event("rested", JOB), withdrawal(history.event("releasing", JOB)))
    history.event("rested", JOB)["detail"]["phase"] = "released"
    history.forget(lambda write: write.at >= moment(16) and (f"-{JOB_LIVES[1][0]}" in str(write)))
    assert history.complaints() == []


# --- what an outage excuses -------------------------------------------------------------------------------------------


def test_an_expiry_may_be_late_by_as_long_as_the_ledger_was_away() -> None:
    history = a_good_history()
    expires_late(history)
    assert history.complaints(Outages([Outage("postgres", moment(9), moment(12))])) == []


def test_an_outage_long_before_or_of_another_part_excuses_nothing() -> None:
    history = a_good_history()
    expires_late(history)
    others = Outages([Outage("postgres", moment(-60), moment(-30)), Outage("api", moment(9), moment(12))])
    assert [one.partition(":")[0] for one in history.complaints(others)] == ["what_ends_in_time_ends_at_its_end"]


CUT_OFF = Outages([Outage("worker-1.kube-scheduler", moment(12), moment(14))])


def test_a_scheduler_that_was_cut_off_may_bind_by_what_it_saw_last() -> None:
    history = a_good_history()
    binds_a_pod_between_leases(history)
    assert history.complaints(CUT_OFF) == []


def test_but_what_it_bound_may_not_stay() -> None:
    history = a_good_history()
    binds_a_pod_between_leases(history)
    history.rewrite(is_its_end, at=moment(14.6) + STRAY_MAX + timedelta(seconds=1))
    assert [one.partition(":")[0] for one in history.complaints(CUT_OFF)] == [
        "gpu_pods_are_bound_under_their_lease_only"
    ]


def test_the_same_goes_for_what_it_bound_while_its_lease_was_on_its_way_out() -> None:
    history = a_good_history()
    history.forget(lambda write: write.name == "training" and write.user == "admin" and write.verb == "delete")
    history.rewrite(is_its_end, at=moment(14.6))
    history.rewrite(is_binding, at=moment(13.9))
    assert history.complaints(CUT_OFF) == []
    assert [one.partition(":")[0] for one in history.complaints()] == ["gpu_pods_are_gone_when_their_lease_rests"]
    history.rewrite(is_its_end, at=moment(13.9) + STRAY_MAX + timedelta(seconds=1))
    assert [one.partition(":")[0] for one in history.complaints(CUT_OFF)] == [
        "gpu_pods_are_bound_under_their_lease_only"
    ]


def test_a_write_that_the_log_may_lack_is_not_missed() -> None:
    history = a_good_history()
    activates_without_tokens(history)
    assert history.complaints(Outages([Outage("worker-1.kube-apiserver", moment(15.2), moment(15.8))])) == []


def test_the_end_of_a_pod_that_the_log_may_lack_is_not_missed() -> None:
    history = a_good_history()
    lets_a_pod_outlive_its_lease(history)
    assert history.complaints(Outages([Outage("worker-1.kube-apiserver", moment(13), moment(13.6))])) == []
    assert history.complaints(Outages([Outage("worker-1.kube-apiserver", moment(20), moment(21))])) != []


def test_temporal_was_away_while_it_gave_up_what_it_did() -> None:
    given_up = 'time=2026-11-21T12:00:{} level=WARN msg="Fail to process task" error="context deadline exceeded"'
    quiet = 'time=2026-11-21T12:00:30.000 level=WARN msg="Frontend is not healthy yet"'
    lines = [given_up.format("13.500"), given_up.format("10.000"), quiet, "started", given_up.format("50.000")]
    spans = strain(lines)
    assert [(one.part, (one.ended - one.began).total_seconds()) for one in spans] == [
        ("temporal", 8.5),
        ("temporal", 5),
    ]


# --- the log's entries ------------------------------------------------------------------------------------------------


def an_entry(**changes: object) -> dict[str, object]:
    return {
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": "admin"},
        "requestURI": "/api/v1/nodes/n/status?fieldManager=berth",
        "objectRef": {"resource": "nodes", "subresource": "status", "name": "n"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": "2026-11-21T12:00:00.000000Z",
        **changes,
    }


def test_an_entry_says_who_wrote_what() -> None:
    write = write_of("worker-1", an_entry())
    assert write
    assert (write.user, write.kind, write.name, write.signed) == ("admin", "nodes/status", "n", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "RequestReceived"},
        {"responseStatus": {"code": 409}},
        {"responseStatus": {"code": 404}},
        {"requestURI": "/api/v1/nodes/n/status?dryRun=All"},
    ],
)
def test_an_entry_that_changed_nothing_is_left_out(changes: dict[str, object]) -> None:
    assert write_of("worker-1", an_entry(**changes)) is None


def test_what_was_found_gone_is_gone() -> None:
    assert write_of("worker-1", an_entry(verb="delete", responseStatus={"code": 404}))
