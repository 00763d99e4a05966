"""`berth department` and what `berth quota` says of workspaces, people and overrides, against a server that plays a script."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from cli.client.sharing import QuotaOverride
from cli.exits import ExitCode
from cli.main import app
from cli.shares import state_of
from tests.builders_cli import Json, an_instant, seconds_after_noon
from tests.cli.scripted_server import Script, items, served


def berth(script: Script, *words: str) -> Result:
    with served(script) as url:
        environment = {"BERTH_URL": url, "BERTH_API_KEY": "a-key", "TERM": "dumb", "COLUMNS": "200"}
        return CliRunner(env=environment).invoke(app, words, catch_exceptions=False)


def an_override(**changes: Any) -> Json:
    return {
        "id": str(uuid4()),
        "scope": "workspace",
        "name": "vision",
        "workspace": "vision",
        "gpus": 16,
        "ceiling": None,
        "begin": an_instant(0),
        "end": an_instant(3600),
        "description": "deadline",
        "set_by": "root",
        "set_at": an_instant(-60),
        "withdrawn_by": "",
        "withdrawn_at": None,
        **changes,
    }


def a_department(**changes: Any) -> Json:
    return {
        "name": "research",
        "description": "",
        "limit": {"gpus": 8, "ceiling": None},
        "now": {"gpus": 16, "ceiling": None},
        "held": {"gpus": 5, "preemptible": 3},
        "workspaces": ["vision", "speech"],
        "overrides": [an_override(scope="department", name="research", workspace="")],
        "created_by": "root",
        "created_at": an_instant(-60),
        **changes,
    }


def a_quota(**changes: Any) -> Json:
    return {
        "workspace": "vision",
        "department": "research",
        "limit": {"gpus": 8, "ceiling": 12},
        "now": {"gpus": 8, "ceiling": 12},
        "held": {"gpus": 2, "preemptible": 0},
        "overrides": [],
        **changes,
    }


def a_ceiling(user: str = "", gpus: int | None = 4) -> Json:
    return {"user": user, "gpus": gpus, "held": 1, "set_by": "root", "set_at": an_instant(0)}


def test_a_department_is_shown_with_what_it_holds_borrows_and_has_for_a_while() -> None:
    shown = berth(Script().on("GET /berth/v1/departments/research", a_department()), "department", "show", "research")
    assert shown.exit_code == 0
    assert "5 (3 preemptible)" in shown.output
    assert "16 (usually 8)" in shown.output
    assert "vision, speech" in shown.output
    assert "guaranteed 16 from" in shown.output


def test_departments_are_made_set_listed_and_deleted() -> None:
    script = Script().on("POST /berth/v1/departments", a_department()).on("GET /berth/v1/departments", items())
    script.on("PUT /berth/v1/departments/research", a_department())
    script.on("DELETE /berth/v1/departments/research", a_department())
    assert berth(script, "department", "create", "research", "--gpus", "8").exit_code == 0
    assert script.asked[-1].body == {"name": "research", "gpus": 8, "ceiling": None, "description": ""}
    script.on("GET /berth/v1/departments/research", a_department(description="who looks ahead"))
    assert berth(script, "department", "set", "research", "--ceiling", "9").exit_code == 0
    assert script.asked[-1].body == {"gpus": None, "ceiling": 9, "description": "who looks ahead"}
    assert "none" in berth(script, "department", "list").output
    assert "no department research" in berth(script, "department", "delete", "research").output


@pytest.mark.parametrize(
    "words", [("user", "--like-others"), ("workspace", "vision", "--gpus", "5", "--no-limit"), ("user", "ann")]
)
def test_options_that_say_nothing_together_are_refused(words: tuple[str, ...]) -> None:
    assert berth(Script(), "quota", *words).exit_code == ExitCode.USAGE


def test_a_workspace_is_assigned_to_a_department() -> None:
    script = Script().on("PUT /berth/v1/workspaces/vision/department", a_quota())
    assert "research" in berth(script, "department", "assign", "vision", "research").output
    assert script.asked[-1].body == {"department": "research"}


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ((), [("GET", None)]),
        (("--gpus", "8", "--ceiling", "12"), [("PUT", {"gpus": 8, "ceiling": 12})]),
        (("--no-limit",), [("PUT", {"gpus": None, "ceiling": None})]),
    ],
)
def test_the_quota_of_a_workspace_is_looked_at_or_set(options: tuple[str, ...], calls: list[Any]) -> None:
    script = Script().on("GET /berth/v1/workspaces/vision/quota", a_quota(overrides=[an_override()]))
    script.on("PUT /berth/v1/workspaces/vision/quota", a_quota())
    assert "vision" in berth(script, "quota", "workspace", "vision", *options).output
    assert [(one.method, one.body) for one in script.asked] == calls


def test_quotas_of_workspaces_are_listed() -> None:
    shown = berth(Script().on("GET /berth/v1/workspace-quotas", items(a_quota())), "quota", "workspaces")
    assert "research" in shown.output


def test_an_override_is_set_listed_and_withdrawn() -> None:
    one = an_override()
    script = Script().on("POST /berth/v1/quota-overrides", one).on("GET /berth/v1/quota-overrides", items(one))
    script.on(f"DELETE /berth/v1/quota-overrides/{one['id']}", {**one, "withdrawn_at": an_instant(1)})
    words = ("quota", "override", "workspace", "vision", "--gpus", "16", "--begin", "2026-06-01T12:00", "--end", "+1h")
    assert berth(script, *words).exit_code == 0
    asked = script.asked[-1]
    assert (asked.body["scope"], asked.body["gpus"], asked.body["begin"]) == ("workspace", 16, "2026-06-01T12:00:00Z")
    assert "idempotency-key" in {name.lower() for name in asked.headers}
    assert "deadline" in berth(script, "quota", "overrides", "--past").output
    assert script.asked[-1].query == {"past": "true"}
    assert "withdrawn" in berth(script, "quota", "withdraw", one["id"]).output


def test_an_override_counts_between_its_begin_and_its_end() -> None:
    found = QuotaOverride.model_validate(an_override())
    states = [state_of(found, seconds_after_noon(seconds)) for seconds in (-1, 0, 3599, 3600)]
    assert states == ["to come", "counts", "counts", "over"]


def test_people_are_limited_one_by_one_or_all() -> None:
    script = Script().on("PUT /berth/v1/user-ceilings", items(a_ceiling()))
    script.on("PUT /berth/v1/user-ceilings/ann", items(a_ceiling(), a_ceiling("ann", None)))
    script.on("DELETE /berth/v1/user-ceilings/ann", items()).on("GET /berth/v1/user-ceilings", items())
    assert "everybody else" in berth(script, "quota", "user", "--gpus", "4").output
    assert "any" in berth(script, "quota", "user", "ann", "--no-limit").output
    assert script.asked[-1].body == {"gpus": None}
    assert "nobody is limited" in berth(script, "quota", "user", "ann", "--like-others").output
    assert "nobody is limited" in berth(script, "quota", "users").output
    assert berth(script, "quota", "user", "ann").exit_code != 0


def test_programs_get_documents() -> None:
    script = Script().on("GET /berth/v1/workspace-quotas", items(a_quota()))
    assert json.loads(berth(script, "quota", "workspaces", "--json").output)[0]["limit"]["ceiling"] == 12
