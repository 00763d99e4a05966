"""`berth reserve`, `berth reservation`, `berth scheduling` and `berth weight` against a server that plays a script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from cli.failures import CommandFailed
from cli.main import app
from cli.reservations import instant_of
from tests.builders_cli import NOON, Json, an_instant
from tests.cli.scripted_server import Script, items, refusal, served

SCHEDULING = {
    "fair_share": True,
    "half_life_seconds": 604_800,
    "ageing_seconds": 0,
    "horizon_seconds": 1_209_600,
    "reservations_max": 200,
    "gpu_hours_max": 20_000,
    "grace_seconds": 900,
    "set_by": "",
    "set_at": None,
}


def berth(script: Script, *words: str) -> Result:
    with served(script) as url:
        environment = {"BERTH_URL": url, "BERTH_API_KEY": "a-key", "TERM": "dumb"}
        return CliRunner(env=environment).invoke(app, words, catch_exceptions=False)


def a_reservation_document(name: str = "lecture", **changes: Any) -> Json:
    """Booked from noon on for an hour."""
    occurrence = {
        "start": an_instant(0),
        "end": an_instant(3600),
        "state": "booked",
        "gpr_id": str(uuid4()),
        "cluster": "worker-1",
        "nodes": ["node-1", "node-1"],
        "used_at": None,
        "failure": "",
    }
    return {
        "id": str(uuid4()),
        "name": name,
        "workspace": "physics",
        "start": an_instant(0),
        "duration": "1h0m0s",
        "duration_seconds": 3600,
        "rule": "",
        "nodes": 2,
        "gpus_per_node": 4,
        "gpus": 8,
        "shape": "H100",
        "instance_type": "",
        "memory_gib": 0,
        "clusters": [],
        "pool": "",
        "created_by": "ann",
        "created_at": an_instant(-60),
        "cancelled_at": None,
        "ended_at": None,
        "occurrences": [occurrence],
        **changes,
    }


def test_a_start_is_an_instant_or_a_time_from_now() -> None:
    assert instant_of("+1h30m", NOON) == datetime(2026, 6, 1, 13, 30, tzinfo=UTC)
    assert instant_of("2026-06-02T09:00", NOON) == datetime(2026, 6, 2, 9, tzinfo=UTC)
    assert instant_of("2026-06-02T09:00+02:00", NOON) == datetime(2026, 6, 2, 7, tzinfo=UTC)
    with pytest.raises(CommandFailed):
        instant_of("tomorrow", NOON)


def test_a_reservation_is_asked_for_as_it_was_said() -> None:
    script = Script().on("POST /berth/v1/reservations", a_reservation_document())
    said = ("reserve", "lecture", "-w", "physics", "-s", "2026-06-01T12:00", "-d", "1h", "-g", "4", "-n", "2")
    result = berth(script, *said, "--rule", "FREQ=DAILY")
    assert result.exit_code == 0, result.stderr
    assert "booked" in result.stdout
    sent = script.asked[0].body
    assert (sent["rule"], sent["gpus_per_node"], sent["nodes"]) == ("FREQ=DAILY", 4, 2)
    assert datetime.fromisoformat(sent["start"]) == NOON


def test_a_refusal_is_told_with_the_nearest_windows() -> None:
    why = "there is no room for 8 H100 from 2026-06-01 12:00:00 UTC for 1h0m0s; there is from 2026-06-01 13:00:00 UTC"
    script = Script().on("POST /berth/v1/reservations", refusal(409, "does_not_fit", why))
    result = berth(script, "reserve", "lecture", "-w", "physics", "-s", "2026-06-01T12:00", "-d", "1h")
    assert result.exit_code == 4
    assert why in result.stderr


@pytest.mark.parametrize("words", [("-s", "soon", "-d", "1h"), ("-s", "+1h", "-d", "long")])
def test_what_is_no_time_ends_with_2_before_anything_is_asked(words: tuple[str, ...]) -> None:
    script = Script()
    assert berth(script, "reserve", "lecture", "-w", "physics", *words).exit_code == 2
    assert script.asked == []


def test_reservations_are_listed_with_their_next_time() -> None:
    over = a_reservation_document("over", occurrences=[], ended_at=an_instant(0))
    script = Script().on("GET /berth/v1/reservations", items(a_reservation_document(), over))
    lines = berth(script, "reservation", "list").stdout.splitlines()
    assert len(lines) == 3
    assert "over" in lines[2]


def test_one_time_is_cancelled_by_the_name_of_its_reservation() -> None:
    found = a_reservation_document()
    script = Script().on("GET /berth/v1/reservations", items(found))
    script.on(f"DELETE /berth/v1/reservations/{found['id']}", found)
    result = berth(script, "reservation", "cancel", "lecture", "--start", "2026-06-01T12:00")
    assert result.exit_code == 0, result.stderr
    assert datetime.fromisoformat(script.asked[-1].query["start"]) == NOON


def test_a_name_that_two_have_is_not_guessed() -> None:
    script = Script().on("GET /berth/v1/reservations", items(a_reservation_document(), a_reservation_document()))
    assert berth(script, "reservation", "cancel", "lecture").exit_code == 2


def test_what_is_decided_is_shown_and_changed_by_what_is_said_alone() -> None:
    script = Script().on("GET /berth/v1/scheduling", SCHEDULING)
    assert "336h0m0s" in berth(script, "scheduling").stdout
    script = Script().on("PATCH /berth/v1/scheduling", SCHEDULING)
    assert berth(script, "scheduling", "--ageing", "0", "--no-fair-share", "--grace", "10m").exit_code == 0
    assert script.asked[0].body == {"fair_share": False, "ageing_seconds": 0, "grace_seconds": 600}


def test_a_weight_is_shown_and_set() -> None:
    in_gold = {"pool": "gold", "weight": 7, "gpu_hours_used": 1.5}
    share = {"workspace": "physics", "weight": 3, "gpu_hours_used": 12.5, "pools": [in_gold]}
    script = Script().on("PUT /berth/v1/workspaces/physics/weight", share)
    result = berth(script, "weight", "physics", "--set", "3", "--json")
    assert json.loads(result.stdout) == share
    assert script.asked[0].body == {"weight": 3}
    shown = berth(Script().on("GET /berth/v1/workspaces/physics/weight", share), "weight", "physics").stdout
    assert "physics weighs 3 and had 12.5 GPU-hours lately" in shown
    assert "in the pool gold it weighs 7 and had 1.5 GPU-hours" in shown
