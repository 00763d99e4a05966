from __future__ import annotations

import pytest

from cli.client.answers import Event, Notice
from cli.gpr_view import event_table, gpr_panel, gpr_table, notice_table, outlook, place, sentence, wish
from tests.builders_cli import (
    NOON,
    a_gpr,
    a_lease,
    an_estimate,
    an_event_document,
    an_instant,
    printed,
    seconds_after_noon,
)


def test_a_queued_gpr_says_its_place_its_reason_and_its_start() -> None:
    told = outlook(a_gpr("queued"), NOON)
    assert told.startswith("place 2: waits for 2 x H100 on one node; starts about ")
    assert told.endswith("(in 30 s)")


def test_a_queued_gpr_without_a_start_still_gives_the_reason() -> None:
    gpr = a_gpr("queued", estimate=an_estimate(starts_at=None, position=0, reason="waits behind an open job"))
    assert outlook(gpr, NOON) == "waits behind an open job"


def test_a_gpr_that_nobody_has_looked_at_yet_makes_nothing_up() -> None:
    gpr = a_gpr("queued", estimate=an_estimate(starts_at=None, position=0, reason=""))
    assert outlook(gpr, NOON) == "waits for its turn to be looked at"


def test_an_active_gpr_counts_down_to_its_end() -> None:
    assert outlook(a_gpr("active"), seconds_after_noon(58)).endswith("(in 12 s)")
    assert "12 s left" in printed(gpr_panel(a_gpr("active"), seconds_after_noon(58)))


def test_a_failed_gpr_says_why() -> None:
    gpr = a_gpr("failed", failure="node h100-1 is not ready")
    assert outlook(gpr, seconds_after_noon(75)) == "ended 3 s ago, provisioning failed: node h100-1 is not ready"


@pytest.mark.parametrize("phase", ["queued", "provisioning", "active", "releasing", "released", "expired", "failed"])
def test_every_phase_has_a_row_a_panel_and_a_sentence(phase: str) -> None:
    gpr = a_gpr(phase)
    assert phase in printed(gpr_table([gpr], NOON))
    assert phase in printed(gpr_panel(gpr, NOON))
    assert sentence(gpr, NOON).startswith(phase)


def test_gpus_of_a_node_are_told_in_runs() -> None:
    assert place(a_gpr("active", lease=a_lease(gpus=(0, 1, 2, 5, 7)))) == "h100-1[0-2,5,7]"


def test_what_is_over_is_not_shown_as_held() -> None:
    assert "h100-1" not in sentence(a_gpr("expired"), NOON)
    assert "h100-1" in sentence(a_gpr("active"), NOON)


def test_a_gang_is_told_with_its_nodes() -> None:
    assert wish(a_gpr(nodes=4, gpus_per_node=8)) == "4 x 8 H100"
    assert wish(a_gpr(shape="")) == "2 GPU"


def test_only_the_newest_events_are_shown() -> None:
    events = [Event.model_validate(an_event_document(f"event-{number}", number)) for number in range(20)]
    shown = printed(event_table(events, NOON))
    assert "event-19" in shown
    assert "event-1 " not in shown


def test_an_event_tells_only_what_says_something() -> None:
    detail = {"gpus": [["h100-1", 0], ["h100-1", 1]], "cluster": "worker-1", "stuck_nodes": []}
    events = [Event.model_validate(an_event_document("granted", 1, detail=detail))]
    assert "2 GPUs, cluster: worker-1" in printed(event_table(events, NOON))
    assert "stuck" not in printed(event_table(events, NOON))


def test_a_notice_says_whether_it_still_counts() -> None:
    notice = {"kind": "ends_soon", "due_at": an_instant(60), "message": "ends in 5 minutes"}
    notices = [Notice.model_validate({**notice, state: an_instant(60)}) for state in ("delivered_at", "withdrawn_at")]
    shown = printed(notice_table([*notices, Notice.model_validate(notice)], NOON))
    assert all(word in shown for word in ("delivered", "withdrawn", "planned"))


def test_words_of_others_are_not_read_as_markup() -> None:
    gpr = a_gpr("failed", failure="[bold]no[/bold] such [node]")
    assert "[bold]no[/bold] such [node]" in printed(gpr_table([gpr], NOON))
