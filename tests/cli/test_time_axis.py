"""`berth plan`, `when`, `why`, `promise`, `extend`, `honesty`, against a server that plays a script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.client.foresight import Plan
from cli.main import app
from cli.plan_view import plan_lines
from tests.builders_cli import NOON, a_gpr_document, a_node_document, an_estimate, an_instant
from tests.cli.scripted_server import Script, items, refusal, served

HOUR = 3600
ID = "00000000-0000-4000-8000-000000000001"


def berth(script: Script, *words: str) -> Result:
    environment = {"BERTH_API_KEY": "a-key", "TERM": "dumb", "TZ": "UTC"}
    with served(script) as url:
        return CliRunner(env={**environment, "BERTH_URL": url}).invoke(app, words, catch_exceptions=False)


def a_span(gpus: int, begins: float, ends: float | None, *, name: str = "", **changes: Any) -> dict[str, Any]:
    return {
        "kind": "lease",
        "gpr": ID if name else None,
        "name": name or "in use",
        "workspace": "vision" if name else "",
        "gpus": gpus,
        "begins_at": an_instant(begins),
        "ends_at": None if ends is None else an_instant(ends),
        **changes,
    }


def a_node(*spans: dict[str, Any], name: str = "h100-1", gpus: int = 8, **changes: Any) -> dict[str, Any]:
    return {
        "cluster": "worker-1",
        "node": name,
        "shape": "H100",
        "gpus": gpus,
        "usable": True,
        "unusable_reason": "",
        "spans": list(spans),
        **changes,
    }


def a_plan(*nodes: dict[str, Any], hours: int = 24) -> dict[str, Any]:
    return {"at": an_instant(0), "until": an_instant(hours * HOUR), "nodes": list(nodes)}


def drawn(plan: dict[str, Any], width: int = 100) -> list[str]:
    return list(plan_lines(Plan.model_validate(plan), width))


def cells(line: str) -> str:
    return line.rsplit(maxsplit=1)[-1]


# --- plan ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 80, 120, 400])
def test_no_line_of_cells_is_wider_than_the_terminal_unless_that_is_too_narrow(width: int) -> None:
    plan = a_plan(a_node(a_span(8, 0, 6 * HOUR)), a_node(name="a-node-with-a-long-name", usable=False))
    most = max(60, min(width, 160))
    rows = [line for line in drawn(plan, width) if line.startswith(("h100-1", "a-node", "worker-1"))]
    assert (len(rows), max(len(row) for row in rows) <= most) == (3, True)


def test_a_cell_says_how_many_gpus_are_in_use_at_most() -> None:
    plan = a_plan(a_node(a_span(8, 0, 6 * HOUR), a_span(2, 6 * HOUR, 12 * HOUR), a_span(1, 6 * HOUR, 12 * HOUR)))
    row = cells(next(line for line in drawn(plan) if line.startswith("h100-1")))
    quarter = len(row) // 4
    assert (row[1], row[quarter + 2], row[-2]) == ("#", "3", ".")
    assert row.replace("#", "").replace("3", "").strip(".") == ""


def test_what_has_no_known_end_goes_on_to_the_edge() -> None:
    row = cells(next(line for line in drawn(a_plan(a_node(a_span(8, 0, None)))) if line.startswith("h100-1")))
    assert set(row) == {"#"}


def test_more_gpus_than_a_digit_can_say_are_a_plus() -> None:
    plan = a_plan(a_node(a_span(12, 0, None), gpus=16))
    assert set(cells(next(line for line in drawn(plan) if line.startswith("h100-1")))) == {"+"}


def test_only_what_one_may_know_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    promised = a_span(4, 6 * HOUR, 7 * HOUR, name="gang", kind="promise")
    lines = "\n".join(drawn(a_plan(a_node(a_span(8, 0, 5 * HOUR, name="train"), a_span(2, 0, HOUR), promised))))
    assert "train (vision) has 8 GPUs until" in lines
    assert "gang (vision) is promised 4 GPUs from" in lines
    assert "in use until" not in lines


def test_a_node_out_of_use_says_why() -> None:
    lines = drawn(a_plan(a_node(usable=False, unusable_reason="not ready: no heartbeat")))
    assert any(line.strip() == "out of use: not ready: no heartbeat" for line in lines)


def test_the_times_above_the_cells_stand_where_they_come() -> None:
    plan = a_plan(a_node(a_span(8, 0, 12 * HOUR)))
    header = next(line for line in drawn(plan) if line.startswith("worker-1"))
    row = next(line for line in drawn(plan) if line.startswith("h100-1"))
    midnight = (NOON + timedelta(hours=12)).astimezone()
    assert abs(header.index(f"{midnight:%H:%M}") - row.index(".")) <= 1


def test_the_plan_is_drawn_and_printed_as_data() -> None:
    script = Script().on("GET /berth/v1/plan", a_plan(a_node(a_span(8, 0, HOUR))))
    assert "cells: . free" in berth(script, "plan", "--hours", "6", "--cluster", "worker-1").stdout
    assert script.asked[0].query == {"hours": "6", "cluster": "worker-1"}
    assert '"nodes"' in berth(script, "plan", "--json").stdout


# --- when, why ----------------------------------------------------------------------------------------------------------


def an_opening(gpus: int, estimate: dict[str, Any]) -> dict[str, Any]:
    return {"shape": "H100", "gpus": gpus, "nodes": 1, "gpus_per_node": gpus, "estimate": estimate}


def test_when_so_many_are_free() -> None:
    now = an_opening(2, an_estimate(reason="", reason_code=""))
    later = an_opening(8, an_estimate(earliest=an_instant(0), latest=an_instant(60)))
    script = Script().on("GET /berth/v1/openings", items(now, later))
    script.on("GET /berth/v1/nodes", items(a_node_document(shape="NVIDIA-H100-80GB-HBM3")))
    result = berth(script, "when", "8", "--shape", "H100", "-d", "2h")
    assert script.asked[-1].query == {"shape": "NVIDIA-H100-80GB-HBM3", "gpus": "8", "duration": "2h"}
    first, second = result.stdout.splitlines()[1:]
    assert "now" in first
    assert "waits for 2 x H100 on one node" in second


def test_why_says_the_reason_the_promise_and_what_would_start_sooner() -> None:
    promise = {"made_at": an_instant(0), "starts_at": an_instant(40), "cluster": "c", "nodes": ["n"], "moves": 0}
    gpr = a_gpr_document("queued", id=ID, promise=promise)
    sooner = {"shape": "T4", "nodes": 2, "gpus_per_node": 1, "duration_seconds": 60, "estimate": an_estimate()}
    told = {"gpr": ID, "phase": "queued", "estimate": an_estimate(), "promise": promise}
    shorter = {**sooner, "change": "duration"}
    script = Script().on(f"GET /berth/v1/gprs/{ID}", gpr)
    script.on(f"GET /berth/v1/gprs/{ID}/why", {**told, "sooner": [{**sooner, "change": "shape"}, shorter]})
    out = berth(script, "why", ID).stdout
    assert "place 2: waits for 2 x H100 on one node" in out
    assert "train starts no later than" in out
    assert "1 x T4 on each of 2 nodes" in out
    assert "for 1m 00s" in out


def test_why_of_what_does_not_wait() -> None:
    told: dict[str, Any] = {"gpr": ID, "phase": "active", "estimate": None, "promise": None, "sooner": []}
    script = Script().on(f"GET /berth/v1/gprs/{ID}", a_gpr_document("active", id=ID))
    script.on(f"GET /berth/v1/gprs/{ID}/why", told)
    assert berth(script, "why", ID).stdout.startswith("train does not wait: active")


# --- promise, extend, honesty -------------------------------------------------------------------------------------------


def test_a_promise_is_asked_for_and_given_up() -> None:
    promise = {"made_at": an_instant(0), "starts_at": an_instant(40), "cluster": "c", "nodes": ["n"], "moves": 1}
    script = Script().on(f"GET /berth/v1/gprs/{ID}", a_gpr_document("queued", id=ID))
    script.on(f"POST /berth/v1/gprs/{ID}/promise", a_gpr_document("queued", id=ID, promise=promise))
    script.on(f"DELETE /berth/v1/gprs/{ID}/promise", a_gpr_document("queued", id=ID))
    assert "hardware was lost 1 time" in berth(script, "promise", ID).stdout
    assert berth(script, "promise", ID, "--withdraw").stdout == "train has no promise\n"


def test_a_promise_that_is_refused_ends_with_4_and_the_servers_sentence() -> None:
    script = Script().on(f"GET /berth/v1/gprs/{ID}", a_gpr_document("queued", id=ID))
    script.on(f"POST /berth/v1/gprs/{ID}/promise", refusal(409, "no_promise", "no start can be promised: why"))
    result = berth(script, "promise", ID)
    assert (result.exit_code, result.stderr) == (4, "berth: no start can be promised: why\n")


def test_an_extension_is_asked_for_once_under_a_key_of_its_own() -> None:
    granted = {"seconds": 5400, "in_the_way": "gang has h100-1 from 14:20 UTC", "gpr": a_gpr_document("active", id=ID)}
    script = Script().on(f"GET /berth/v1/gprs/{ID}", a_gpr_document("active", id=ID))
    script.on(f"POST /berth/v1/gprs/{ID}/extend", granted)
    result = berth(script, "extend", ID, "2h", "--or-longest")
    assert result.stdout.startswith("train lasts 1h 30m longer and ends ")
    assert "not longer: gang has h100-1" in result.stdout
    assert script.asked[-1].body == {"seconds": 7200, "or_longest": True}
    assert script.asked[-1].headers["Idempotency-Key"]


def test_honesty_by_how_far_ahead() -> None:
    item = {"horizon": "1 to 4 hours", "shown": 40, "median_seconds": -90, "p90_seconds": 600, "inside_share": 0.825}
    answer = {"days": 7, "handover": {"provisioning_seconds": 3, "teardown_seconds": 75}}
    script = Script().on("GET /berth/v1/honesty", {**answer, "items": [item]}, {**answer, "items": []})
    row = berth(script, "honesty").stdout.splitlines()[1]
    assert row.split("  ")[0] == "1 to 4 hours"
    assert all(part in row for part in ("40", "-1m 30s", "10m 00s", "82 %"))
    nothing = berth(script, "honesty").stdout
    assert nothing.startswith("nothing that was shown a start")
    assert "3 s from a grant to the begin of its lease, and 1m 15s from its end" in nothing.replace("\n", " ")
