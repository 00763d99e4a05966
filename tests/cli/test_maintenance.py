"""`berth maintenance` against a server that plays a script, and its windows in the picture of a plan."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cli.client.foresight import Plan
from cli.plan_view import plan_lines
from tests.builders_cli import NOON, Json, an_instant
from tests.cli.scripted_server import Script, items, refusal
from tests.cli.test_reservations import berth

if TYPE_CHECKING:
    from collections.abc import Sequence


def a_maintenance_document(**changes: Any) -> Json:
    """Two hours of a whole cluster, from noon on."""
    return {
        "id": str(uuid4()),
        "name": "upgrade",
        "state": "announced",
        "begin": an_instant(0),
        "end": an_instant(7200),
        "places": [{"cluster": "worker-1", "node": ""}],
        "description": "new drivers",
        "created_by": "ann",
        "created_at": an_instant(-60),
        "ended_at": None,
        "staying": [],
        **changes,
    }


def test_it_is_announced_as_it_was_said_and_who_stays_is_told() -> None:
    script = Script().on("POST /berth/v1/maintenance", a_maintenance_document(staying=["train"]))
    said = (
        "maintenance",
        "add",
        "upgrade",
        "node-1",
        "worker-2/node-2",
        "-b",
        "2026-06-01T12:00",
        "-e",
        "2026-06-01T14:00",
    )
    result = berth(script, *said, "--cluster", "worker-1", "--pool", "gold", "--force")
    assert result.exit_code == 0, result.stderr
    assert "all of worker-1" in result.stdout
    assert "1 lease past its begin: train" in result.stdout
    sent = script.asked[0].body
    assert (sent["nodes"], sent["clusters"], sent["pools"]) == (["node-1", "worker-2/node-2"], ["worker-1"], ["gold"])
    assert (datetime.fromisoformat(sent["begin"]), sent["force"]) == (NOON, True)


def test_what_is_in_the_way_is_told() -> None:
    why = "room is kept on these nodes: train is promised to start by 2026-06-01 13:00:00 UTC; by force they are moved"
    script = Script().on("POST /berth/v1/maintenance", refusal(409, "promises_in_the_way", why))
    result = berth(script, "maintenance", "add", "upgrade", "node-1", "-e", "+1h")
    assert result.exit_code == 4
    assert why in result.stderr


def test_it_is_listed_and_ended() -> None:
    ended = a_maintenance_document(state="called_off", ended_at=an_instant(-30))
    script = Script().on("GET /berth/v1/maintenance", items(a_maintenance_document()))
    script.on("DELETE /berth/v1/maintenance/upgrade", ended)
    assert "announced" in berth(script, "maintenance", "list").stdout
    assert "called off" in berth(script, "maintenance", "end", "upgrade").stdout


def test_its_time_is_crossed_out_in_the_plan_where_nothing_runs() -> None:
    lines = _drawn(_away(6, 12), spans=[])
    assert lines[2].split()[-1] == "." * 15 + "x" * 15 + "." * 30
    assert any("maintenance 'upgrade' from" in line for line in lines)


def test_what_runs_into_it_is_drawn_as_running() -> None:
    span = {"kind": "lease", "gpr": None, "name": "in use", "gpus": 4, "begins_at": an_instant(0), "ends_at": _at(9)}
    lines = _drawn(_away(6, 12), spans=[span])
    assert set(lines[2].split()[-1]) == {"4", "x", "."}


def _away(begin: int, end: int) -> Json:
    return {"name": "upgrade", "begins_at": _at(begin), "ends_at": _at(end)}


def _at(hours: int) -> str:
    return (NOON + timedelta(hours=hours)).isoformat()


def _drawn(away: Json, spans: Sequence[Json]) -> list[str]:
    node = {"cluster": "worker-1", "node": "node-1", "shape": "H100", "gpus": 8, "spans": spans, "maintenance": [away]}
    plan = Plan.model_validate({"at": NOON, "until": _at(24), "nodes": [node]})
    return list(plan_lines(plan, 60 + len("worker-1") + len("  999  ")))
