from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.client import BerthClient
from cli.client.answers import Health
from cli.demo.summary import Summary
from cli.health_view import is_well, parts_of
from cli.main import app
from cli.stack.settings import Settings
from cli.stack.stack import Stack
from tests.builders_cli import a_gpr, printed
from tests.cli.scripted_server import Script, served


@pytest.fixture
def a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack that was made once and does not run."""
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    (tmp_path / "here" / "log").mkdir(parents=True)
    Settings(tmp_path / "here", {"api": 1, "temporal.ui": 8233}).save()
    return Stack.open("here")


def berth(*words: str) -> Result:
    return CliRunner(env={"BERTH_STACK": "here", "TERM": "dumb"}).invoke(app, words, catch_exceptions=False)


def test_the_status_of_a_stack_that_was_never_made_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    result = berth("status")
    assert result.exit_code == 5
    assert result.stderr == "berth: there is no stack 'here'\nmend: start it with `berth up`\n"


@pytest.mark.usefixtures("a_stack")
def test_the_status_of_a_stopped_stack_names_every_part_and_ends_with_5() -> None:
    result = berth("status")
    assert result.exit_code == 5
    assert "stack 'here' is down" in result.stderr
    assert all(part in result.stdout for part in ("postgres", "temporal", "worker-1.kube-apiserver", "api"))
    assert "mend: `berth up` starts what does not run" in result.stderr


@pytest.mark.usefixtures("a_stack")
def test_the_status_for_programs_is_one_document() -> None:
    document = json.loads(berth("status", "--json").stdout)
    assert {part["state"] for part in document["parts"]} == {"stopped"}
    assert document["health"]["api"]["state"] == "away"


def test_a_server_that_finds_a_part_away_is_not_well() -> None:
    clusters = {"worker-1": {"state": "ok", "detail": ""}, "worker-2": {"state": "away", "detail": "since 12:00"}}
    health = Health.model_validate({"state": "degraded", "ledger": {"state": "ok"}, "clusters": clusters})
    assert list(parts_of(health)) == [
        ("ledger", "ok", ""),
        ("worker-1", "ok", ""),
        ("worker-2", "away", "since 12:00"),
    ]
    assert not is_well(health)


def test_what_was_never_up_is_down_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BERTH_STATE_DIR", str(tmp_path))
    assert berth("down").exit_code == 0


def test_a_stopped_stack_can_be_forgotten(a_stack: Stack) -> None:
    result = berth("down", "--purge")
    assert (result.exit_code, result.stdout) == (0, "stack 'here' is down and forgotten\n")
    assert not a_stack.folder.exists()


def test_a_kubeconfig_that_names_no_cluster_is_refused_before_anything_starts(a_stack: Stack) -> None:
    result = berth("up", "--kubeconfig", "/somewhere/config")
    assert result.exit_code == 1
    assert "mend: write --kubeconfig NAME=PATH" in result.stderr
    assert a_stack.roster.names() == []


def test_the_summary_shows_the_first_key_once_and_then_where_it_is(a_stack: Stack) -> None:
    (a_stack.folder / "administrator.key").write_text("berth_first")
    assert "berth_first  (kept in" in printed(Summary(a_stack, first=True).picture())
    later = printed(Summary(a_stack, first=False).picture())
    assert "berth_first" not in later
    assert "administrator.key" in later


def test_the_summary_leads_to_the_gprs_lifecycle_and_to_what_to_try(a_stack: Stack) -> None:
    summary = Summary(a_stack, first=False)
    summary.gpr = a_gpr("expired")
    shown = printed(summary.picture())
    assert f"http://127.0.0.1:8233/namespaces/default/workflows/gpr%2F{summary.gpr.id}" in shown
    assert "gpr create train -w team" in shown


def test_the_summary_for_programs_has_the_key_the_urls_and_the_gpr(a_stack: Stack) -> None:
    document = Summary(a_stack, first=False).document()
    assert document["urls"] == {
        "api": "http://127.0.0.1:1",
        "docs": "http://127.0.0.1:1/docs",
        "temporal_ui": "http://127.0.0.1:8233",
    }
    assert document["gpr"] is None


def test_a_health_answer_is_kept_as_the_server_gave_it() -> None:
    given = {"state": "ok", "ledger": {"state": "ok", "detail": ""}}
    with served(Script().on("GET /health", given)) as url, BerthClient(url) as client:
        assert client.health().model_dump() == given
